"""What onnxruntime computes from an exported file is what the model says, or there is no file."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open

from mnist import dataset, models
from mnist.commands import export, settings
from mnist.dataset import Statistics
from pipeline.errors import InputError
from tests.conftest import SHIPPED, Project
from tests.test_bad_input import run_inside

CLASSES = ["null", "één", "T-shirt/top"]
SPLITS = {split: dict.fromkeys(CLASSES, 5) for split in ("train", "validation", "test")}
FILE = "models/model.safetensors"


def write(kind: str, path: Path, change: Callable[[torch.nn.Module], None] = lambda _: None) -> torch.nn.Module:
    """Write a model for images of 20×24 that has seen a batch."""
    chosen = settings.read(SHIPPED).train.model_copy(update={"model": kind})
    model, description = models.create(chosen, Statistics("odd", CLASSES, True, (20, 24), 0.13, 0.31, SPLITS))
    model(torch.randint(256, (16, 20, 24), dtype=torch.uint8))  # so that running means are not those they start with
    change(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    models.write(model, description, path)
    return model.eval()


def answers(path: Path, images: np.ndarray) -> np.ndarray:
    """What onnxruntime computes from a file, without anything of ours."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (pixels,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (pixels.type, logits.type) == ("tensor(uint8)", "tensor(float)")
    found: np.ndarray = session.run([logits.name], {pixels.name: images})[0]
    return found


@pytest.mark.parametrize("kind", models.NETWORKS)
@pytest.mark.filterwarnings("error")
def test_raw_pixels_in_any_number_give_the_models_logits(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write(kind, Path(FILE))
    export.export(Path("out.onnx"), "workspace")
    said = capfd.readouterr()
    assert re.fullmatch(
        "out.onnx: the same class on all 1,000 random images, as data/normalised has no test images for it, logits "
        r"differ by \S+ at most\n",
        said.out,
    )
    assert said.err == ""
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.onnx"]  # no data beside it
    for count in (1, 7):
        images = np.random.RandomState(count).randint(256, size=(count, 20, 24)).astype(np.uint8)
        with torch.no_grad():
            assert answers(Path("out.onnx"), images) == pytest.approx(model(torch.from_numpy(images)), abs=1e-4)


def test_it_keeps_the_description_and_the_same_model_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write("mlp", Path(FILE))
        export.export(Path("out.onnx"), "workspace")
    assert (tmp_path / "one/out.onnx").read_bytes() == (tmp_path / "two/out.onnx").read_bytes()
    (kept,) = onnx.load("out.onnx").metadata_props
    with safe_open(FILE, "pt") as file:
        assert {kept.key: kept.value} == file.metadata()


def hang_in_the_balance(model: torch.nn.Module) -> None:
    """Let two classes get the same sum, added up in two directions: how it rounds says which one is the answer."""
    hidden, last = model.network[3], model.network[5]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0, 0, -1e9]))
        hidden.weight[32:] = hidden.weight[:32].flip(0)
        hidden.bias[32:] = hidden.bias[:32].flip(0)
        hidden.bias.abs_().add_(1)  # so that all of them take part
        last.weight[0, :32] = torch.rand(32) - 0.5
        last.weight[1, 32:] = last.weight[0, :32].flip(0)


def test_another_class_on_one_image_and_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("mlp", Path(FILE), hang_in_the_balance)
    Path("out.onnx").write_text("what was there")
    with pytest.raises(InputError, match=r"^export: onnxruntime gives [\d,]+ of 1,000 random .* another class than"):
        export.export(Path("out.onnx"), "workspace")
    assert Path("out.onnx").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "out.onnx"]


def test_a_committed_model_is_held_against_the_test_images(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.path)
    shutil.rmtree("models")
    assert not run_inside("mnist export out.onnx --revision HEAD", monkeypatch)
    assert capsys.readouterr().out.startswith("out.onnx: the same class on all 300 test images, ")
    images = np.array(dataset.load("test").images)
    classes = np.array([row.split(",")[2] for row in Path("metrics/predictions.csv").read_text().splitlines()[1:]])
    assert (answers(Path("out.onnx"), images).argmax(1).astype(str) == classes).all()
    described = json.loads(onnx.load("out.onnx").metadata_props[0].value)
    assert described["dataset"] == "small"


def test_what_it_needs_and_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_inside("mnist export no/where.onnx", monkeypatch) == 2
    assert "there is no folder no" in capsys.readouterr().err
    assert run_inside("mnist export out.onnx", monkeypatch) == 1
    assert capsys.readouterr().err.startswith(f"error: {FILE}: no model yet; ")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert run_inside("mnist export out.onnx", monkeypatch) == 1
    assert capsys.readouterr().err == (
        "error: onnxruntime: not installed; `pip install -r requirements.txt` brings what export needs\n"
    )
