"""What `predict` says of pictures is what `evaluate` says of the test images, alone or among others."""

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import attacks, serving
from mnist import __main__ as commands
from mnist import idx, models
from mnist.commands import predict, settings
from mnist.dataset import Array, Statistics
from tests.conftest import SHIPPED, Project

TEST = "data/small/t10k-images-idx3-ubyte"
DIGITS = list("0123456789")
COUNTS = {split: dict.fromkeys(DIGITS, 5) for split in ("train", "validation", "test")}


@pytest.fixture
def here(template: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project that has been run, in whose folder one is, to look at alone."""
    monkeypatch.chdir(template.path)
    return template.path


@pytest.fixture
def images(here: Path) -> Array:
    """Its test images."""
    return np.asarray(idx.read(here / TEST, 3))


@pytest.fixture
def pictures(images: Array, tmp_path: Path) -> Path:
    """The first of them as PNG files in a folder, and one that is none."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for k, name in enumerate(["b.png", "a.PNG", "more/c.png", "d.gif", ".hidden.png"]):
        Image.fromarray(images[k]).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, list[str]]:
    """Run `predict`; returns its exit status, what it prints and the lines it complains in."""
    status = commands.app(["predict", *map(str, arguments)], standalone_mode=False)
    printed, complaints = capsys.readouterr()
    return status or 0, printed, complaints.splitlines()


@pytest.mark.parametrize("network", models.NETWORKS)
def test_an_image_has_the_same_bytes_alone_and_among_any_others(network: str) -> None:
    """pytorch#136338."""
    chosen = settings.read(SHIPPED).train.model_copy(update={"model": network})
    model, _ = models.create(chosen, Statistics("odd", DIGITS, True, (28, 28), 0.13, 0.31, COUNTS))
    images = list(torch.randint(256, (70, 28, 28), dtype=torch.uint8).numpy())
    model(torch.from_numpy(np.stack(images)))  # so that running means are not those they start with
    model.eval()
    together = predict.probabilities(model, images)
    assert together.shape == (70, 10)
    assert len({each.tobytes() for each in together}) == 70
    for k, image in enumerate(images):
        assert predict.probabilities(model, [image]).tobytes() == together[k].tobytes()
    for start, stop in ((1, 70), (3, 20), (15, 32), (16, 33), (60, 62)):
        assert predict.probabilities(model, images[start:stop]).tobytes() == together[start:stop].tobytes()
    assert predict.probabilities(model, images[::-1]).tobytes() == together[::-1].tobytes()


def test_the_model_is_always_given_as_many_images() -> None:
    seen = []

    class Recording(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(len(pixels))
            return pixels.flatten(1)[:, :10].float()

    for count in (1, 15, 16, 17, 40):
        images = list(np.random.RandomState(0).randint(0, 9, (count, 4, 4), np.uint8))
        assert len(predict.probabilities(Recording(), images)) == count
    assert seen == [predict.BATCH] * (1 + 1 + 1 + 2 + 3)


@pytest.mark.parametrize("kind", ["IDX", "gzipped IDX", "PNG"])
def test_the_test_images_are_answered_as_evaluate_answers_them(
    kind: str, here: Path, images: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argument = here / TEST
    if kind == "gzipped IDX":
        argument = tmp_path / "images.gz"
        predict.files.replace(argument, idx.gzip.compress((here / TEST).read_bytes()))
    if kind == "PNG":
        argument = tmp_path
        for k, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / f"{k:03}.png")
    status, printed, complaints = ask(capsys, argument, "--csv")
    assert (status, complaints) == (0, [])
    header, *rows = csv.reader(io.StringIO(printed))
    assert header == ["file", "class", "probability", "unsure", *(f"p{k}" for k in range(10))]
    with (here / "metrics/predictions.csv").open() as file:
        known = list(csv.reader(file))[1:]
    assert len(rows) == len(known) == 300
    for k, (row, expected) in enumerate(zip(rows, known, strict=True)):
        assert row[0] == (str(tmp_path / f"{k:03}.png") if kind == "PNG" else f"{argument}[{k}]")
        assert row[1] == expected[2]
        assert row[4:] == expected[3:]
        assert row[2] == max(row[4:], key=float)
        assert row[3] == ("true" if float(row[2]) < 0.8 else "false")


def test_the_three_ways_of_printing_say_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"below {predict.UNSURE}" in str(predict.predict.__doc__)
    chances = [row["probability"] for row in json.loads(ask(capsys, here / TEST, "--json")[1])]
    monkeypatch.setattr(predict, "UNSURE", np.median(chances))  # a model of two epochs is not sure of much
    _, text, _ = ask(capsys, here / TEST)
    _, table, _ = ask(capsys, here / TEST, "--csv")
    _, listed, _ = ask(capsys, here / TEST, "--json")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len({row["unsure"] for row in rows}) == 2
    assert text.splitlines() == [
        f"{row['file']}  {row['class']}  {float(row['probability']):.4f}" + "  unsure" * (row["unsure"] == "true")
        for row in rows
    ]
    assert json.loads(listed) == [
        {
            "file": row["file"],
            "class": row["class"],
            "probability": float(row["probability"]),
            "unsure": row["unsure"] == "true",
            "probabilities": {name: float(row[f"p{k}"]) for k, name in enumerate(DIGITS)},
        }
        for row in rows
    ]


@pytest.mark.usefixtures("here")
def test_of_a_folder_all_pictures_count_in_the_order_of_their_names(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed, complaints = ask(capsys, pictures)
    assert (status, complaints) == (0, [])
    assert [line.split("  ")[0] for line in printed.splitlines()] == [
        str(pictures / name) for name in ("a.PNG", "b.png", "d.gif", "more/c.png")
    ]


@pytest.mark.usefixtures("here")
def test_what_is_wrong_with_one_of_many_is_a_line_and_the_others_are_answered(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "c.png").write_bytes((pictures / "b.png").read_bytes()[:60])
    Image.new("L", (50, 50)).save(pictures / "e.png")
    empty = pictures / "empty"
    empty.mkdir()
    status, printed, complaints = ask(capsys, pictures, pictures / "none.png", empty, TEST, "-")
    assert status == 1
    assert printed.count("\n") == 304
    assert [re.sub("; .*", "", line.removeprefix(f"error: {pictures}/")) for line in complaints] == [
        "c.png: a damaged picture (image file is truncated)",
        "e.png: no digit found",
        "none.png: no such file",
        "empty: no .png .jpg .jpeg .webp .gif .tif .tiff .bmp in this folder",
        "error: -: no such file",
    ]


@pytest.mark.usefixtures("here")
def test_a_name_is_one_line_whatever_is_in_it(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pictures / "odd"
    folder.mkdir()
    names = [b"a\nb.png", b"caf\xe9.png", "naïve\t☺.png".encode(), b"\x1b[31m.png"]
    for name in names:
        shutil.copy(pictures / "b.png", os.fsencode(folder) + b"/" + name)
    status, printed, _ = ask(capsys, folder)
    assert status == 0
    assert [line.split("  ")[0].removeprefix(f"{folder}/") for line in printed.splitlines()] == [
        r"\x1b[31m.png", r"a\nb.png", r"caf\udce9.png", r"naïve\t☺.png",
    ]  # fmt: skip
    _, listed, _ = ask(capsys, folder, "--json")
    assert [os.fsencode(row["file"]).rpartition(b"/")[2] for row in json.loads(listed)] == sorted(names)
    assert ask(capsys, folder, "--picture", pictures / "drawn.png")[0] == 0


def test_the_picture_shows_images_as_the_model_took_them(
    here: Path, pictures: Path, images: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "drawn.png"
    assert ask(capsys, pictures, "--picture", target)[0] == 0
    size = Image.open(target).size
    assert size == (1100, 506)
    assert ask(capsys, here / TEST, "--picture", target)[0] == 0
    shown = np.asarray(Image.open(target).convert("L"))
    assert shown.shape[0] == 7667, "of 99 images"
    side = 28 * 5  # 1.5 inches hold 165 pixels
    corner = shown[77 : 77 + 165, 16 : 16 + 165]
    small = np.asarray(Image.fromarray(255 - corner).resize((28, 28), Image.Resampling.BOX)).astype(int)
    assert side < 165
    assert np.corrcoef(small.ravel(), images[0].ravel())[0, 1] > 0.95


def test_captions_name_the_file_the_class_and_doubt() -> None:
    chances = np.array([0.3, 0.7], np.float32)
    answer = predict.Answer("folder/a.png", np.zeros((4, 4)), chances, "an ankle boot or so")
    assert predict.caption(answer) == "a.png: an ankle boot o…, unsure"
    longer = answer._replace(name="x" * 30 + ".png", chances=np.array([0.1, 0.9], np.float32), label="7")
    assert predict.caption(longer) == "…" + "x" * 15 + ".png: 7"


def test_any_revision_that_has_a_model_answers(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.path)
    ours = ask(capsys, TEST, "--csv")
    assert ask(capsys, TEST, "--csv", "--revision", "HEAD") == ours
    (project.path / "models/model.safetensors").unlink()
    assert ask(capsys, TEST, "--csv", "--revision", "main") == ours


def test_what_is_not_handwriting_is_only_resized(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.path)
    path = project.path / "models/model.safetensors"
    model, description = models.read(path)
    path.unlink()
    models.write(model, description.model_copy(update={"handwriting": False}), path)
    Image.new("L", (200, 100), 255).save(tmp_path / "blank.png")
    status, printed, complaints = ask(capsys, tmp_path)
    assert (status, complaints) == (0, [])
    assert printed.startswith(f"{tmp_path}/blank.png  ")


@pytest.mark.slow
def test_hostile_files_get_a_line_each_and_little_memory(
    template: Project, images: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "FILES", 200)
    refused, memory = attacks.on_predict(template.path, serving.drawing(images[0]))
    assert refused.values == [200]
    assert not memory.missed, memory


@pytest.mark.slow
def test_it_imports_no_more_than_it_needs(project: Project) -> None:
    done = project.run("python", "-X", "importtime", "-m", "mnist", "predict", TEST)
    assert done.returncode == 0, done.stderr[-500:]
    modules = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert {"torch", "PIL"} <= modules
    assert {name.split(".")[0] for name in modules} & {"sklearn", "matplotlib", "torchvision", "dvc", "rich"} == set()
    assert not {"torch._dynamo", "mnist.plots"} & modules
