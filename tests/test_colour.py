"""Images in colour, from files in any form to a model, its pictures and its answers: what grey cannot tell apart."""

import base64
import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist import dataset, handwriting, idx, models, raw, splits
from mnist.commands import web
from mnist.formats import photos, sources
from mnist.formats.parts import Options
from pipeline.errors import InputError
from tests.cases.own_data import RGB, file, png
from tests.conftest import SCRIPTS, Project, commit, copy, made_once, run_inside
from tests.test_serve import browser, opened, says

__all__ = ["browser"]  # a fixture

HUES = {"blue": (50, 54, 255), "green": (0, 130, 0), "red": (255, 0, 0)}  # all of them 76 in grey
SIDE, COUNT = 12, 240


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Squares of one of three hues on black, uint8 (n, SIDE, SIDE, 3), and their classes; in grey all are equal."""
    random = np.random.RandomState(0)
    images = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    for k in range(0, COUNT, len(HUES)):
        top, left = random.randint(0, SIDE - 5, 2)
        for label, hue in enumerate(HUES.values()):
            images[k + label, top : top + 5, left : left + 5] = hue
    return images, np.arange(COUNT) % len(HUES)


def write(folder: Path) -> None:
    """These images as PNG files by class."""
    for k, (image, label) in enumerate(zip(*drawn(), strict=True)):
        file(f"{list(HUES)[label]}/{k:04}.png", png(image))(folder)


def prepare(project: Project, channels: int) -> None:
    """Make the hues the project's data set."""
    write(project.path / "data/hues")
    project.edit("path: data/small ", "path: data/hues ")
    project.edit("handwriting: true ", f"channels: {channels}\n  handwriting: false ")
    project.edit("validation: 200", "validation: 30")
    project.edit("mean: 0.5", "mean: auto")
    project.edit("std: 0.5", "std: auto")


def train(project: Project, network: str, scripts: list[str] = SCRIPTS) -> None:
    """Run the stages in this process."""
    project.edit("model: mlp", f"model: {network}")
    project.edit("learning_rate: 0.003", "learning_rate: 0.05")
    project.edit("schedule: constant", "schedule: one_cycle")
    project.edit("epochs: 2", "epochs: 6")
    project.edit("batch_size: 64", "batch_size: 10")
    for script in scripts:
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(project.path)
            assert not run_inside(script, patched)


@pytest.fixture(scope="module", params=models.NETWORKS)
def coloured(request: pytest.FixtureRequest, template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a model of the hues, to look at alone."""

    def make(path: Path) -> None:
        project = copy(template, path)
        prepare(project, 3)
        train(project, request.param)

    return made_once(tmp_path_factory, f"coloured-{request.param}", make)


def accuracy(project: Project) -> float:
    """Of the test images."""
    return float(json.loads((project.path / "metrics/evaluate.json").read_text())["accuracy"])


def test_a_model_of_colours_tells_apart_what_is_the_same_in_grey(coloured: Project) -> None:
    assert accuracy(coloured) == 1
    statistics = dataset.statistics(coloured.path / "data/normalised")
    train_images = dataset.load("train", coloured.path / "data/normalised").images
    assert statistics.image_shape == (SIDE, SIDE, 3)
    assert statistics.mean == pytest.approx((train_images.mean((0, 1, 2)) / 255).tolist())
    assert statistics.std == pytest.approx((train_images.std((0, 1, 2)) / 255).tolist())
    assert models.read(coloured.path / "models/model.safetensors")[1].image_shape == (SIDE, SIDE, 3)
    head = (coloured.path / "data/raw/train-images-idx3-ubyte").read_bytes()[:20]
    assert struct.unpack(">IIIII", head) == (0x804, 192, SIDE, SIDE, 3)


def test_made_grey_they_are_the_same(template: Project, tmp_path: Path) -> None:
    project = copy(template, tmp_path / "project")
    prepare(project, 1)
    train(project, "mlp", SCRIPTS[:-1])
    assert accuracy(project) < 0.5


def test_its_pictures_show_the_colours(coloured: Project) -> None:
    for name in ("predictions", "mistakes"):
        shown = np.asarray(Image.open(coloured.path / f"metrics/plots/{name}.png").convert("RGB"))
        counts = {hue: int((shown == colour).all(2).sum()) for hue, colour in HUES.items()}
        assert all(count > 1000 for count in counts.values()) == (name == "predictions"), counts  # no mistakes


def test_predict_answers_pictures_and_idx_files_in_colour(coloured: Project, tmp_path: Path) -> None:
    images, labels = drawn()
    some = images[:7]
    idx.write(tmp_path / "images", some)
    for k, image in enumerate(some):
        (tmp_path / f"{k}.png").write_bytes(png(image))
    Image.fromarray(np.kron(some[0], np.ones((10, 10, 1), np.uint8))).save(tmp_path / "large.png")
    names = [str(tmp_path / "images"), *(str(tmp_path / f"{k}.png") for k in range(7)), str(tmp_path / "large.png")]
    answers = json.loads(coloured.mnist("predict", *names, "--json", "--picture", str(tmp_path / "out.png")))
    hues = [list(HUES)[label] for label in labels[:7]]
    assert [answer["class"] for answer in answers] == [*hues, *hues, hues[0]]
    assert [answer["probabilities"] for answer in answers[:7]] == [answer["probabilities"] for answer in answers[7:14]]
    shown = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    assert all((shown == colour).all(2).sum() > 1000 for colour in HUES.values())


def test_a_grey_or_half_transparent_picture_becomes_one_of_three_channels(coloured: Project, tmp_path: Path) -> None:
    grey = RGB[0][..., 0]
    see_through = np.dstack([RGB[0], np.full((8, 8), 204, np.uint8)])
    paper = np.median(np.asarray(Image.fromarray(RGB[0]).convert("L")))
    assert (
        np.abs(handwriting.prepare(Image.fromarray(see_through), (8, 8, 3), False) - (0.8 * RGB[0] + 0.2 * paper)).max()
        < 1
    )
    deep = grey.astype(np.uint16) * 257
    made = {"grey.png": grey, "clear.png": see_through, "deep.png": deep}
    for name, image in made.items():
        (tmp_path / name).write_bytes(png(image))
    (tmp_path / "photo.jpg").write_bytes(png(RGB[1], format="JPEG"))
    files = [str(tmp_path / name) for name in (*made, "photo.jpg")]
    first, _, third, _ = json.loads(coloured.mnist("predict", *files, "--json"))
    assert first["probabilities"] == third["probabilities"]


def test_the_api_answers_a_picture_in_colour(coloured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(coloured.path)
    images, labels = drawn()
    found = web.answer(png(images[2]), "workspace")
    assert found.predicted == list(HUES)[labels[2]]
    assert web.Answer.model_validate_json(found.model_dump_json()).image == images[2].tolist()


def drawn_in(html: str) -> list[np.ndarray]:
    """The pictures in a report, uint8 (height, width, 3)."""
    found = re.findall('data:image/png;base64,([^"]+)', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB")) for each in found]


def hues_in(picture: np.ndarray) -> list[str]:
    """The hues that cover a square of the data set at least."""
    return [name for name, hue in HUES.items() if (picture == hue).all(2).sum() >= 25]


@pytest.mark.slow
def test_the_report_shows_the_colours(template: Project, tmp_path: Path) -> None:
    project = copy(template, tmp_path / "project")
    prepare(project, 3)
    project.edit("epochs: 2", "epochs: 1")
    project.repro("evaluate")
    commit(project, "one epoch")
    project.edit("learning_rate: 0.003", "learning_rate: 0.3")
    project.edit("epochs: 1", "epochs: 20")
    project.repro("evaluate")
    project.mnist("report", "HEAD", "workspace", "--output", "two.html")
    differing, *pictures = drawn_in((project.path / "two.html").read_text("utf-8"))
    assert hues_in(differing), "images on which they differ"
    assert sum(hues_in(each) == list(HUES) for each in pictures) >= 2, "predictions of each"


@pytest.mark.slow
def test_the_page_shows_the_colours_that_the_network_was_given(coloured: Project, browser: Any, tmp_path: Path) -> None:
    images, labels = drawn()
    (tmp_path / "one.png").write_bytes(png(images[1]))
    server = coloured.start("python", "-m", "mnist", "serve", "--port", "0")
    assert server.stdout
    try:
        with opened(browser, int(server.stdout.readline().split("/")[2].split(":")[1])) as page:
            page.set_input_files("#file", tmp_path / "one.png")
            says(page, "first", list(HUES)[labels[1]])
            shown = page.evaluate(
                "() => { const c = document.querySelector('#first-answer canvas');"
                " return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }"
            )
            assert np.array_equal(np.reshape(shown, (SIDE, SIDE, 4))[..., :3], images[1])
    finally:
        server.terminate()
        server.communicate()


def test_show_says_so_and_stress_refuses_in_a_line(coloured: Project) -> None:
    assert "for images of 12×12 pixels in colour\n" in coloured.mnist("show")
    assert f"{'Normalise':12}{'3×12×12':>10}\n" in coloured.mnist("show")
    done = coloured.inside("stress")
    assert done.returncode == 1
    assert done.stderr == "error: workspace: its model is of hues, no handwriting; name one that is\n"


def test_a_model_of_grey_images_is_not_for_colours(
    coloured: Project,
    template: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = copy(coloured, tmp_path / "project")
    (project.path / "models/model.safetensors").write_bytes((template.path / "models/model.safetensors").read_bytes())
    monkeypatch.chdir(project.path)
    assert run_inside("stages.evaluate", monkeypatch) == 1
    said = (
        "error: the model is for images of (28, 28) in 10 classes, hues has (12, 12, 3) in 3, or their names differ; "
    )
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.slow
def test_an_exported_model_takes_colours(coloured: Project, tmp_path: Path) -> None:
    import onnxruntime

    said = coloured.mnist("export", str(tmp_path / "model.onnx"))
    assert "the same class on all 48 test images" in said
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    images, labels = drawn()
    assert session.get_inputs()[0].shape == ["n", SIDE, SIDE, 3]
    assert (session.run(None, {"pixels": images})[0].argmax(1) == labels).all()


def copied(path: Path, target: Path, **options: object) -> dict[str, bytes]:
    """The files that a data set becomes, its colours kept."""
    target.mkdir()
    sources.copy(path, target, False, Options(channels=3, **options))  # type: ignore[arg-type]
    return {each.name: each.read_bytes() for each in target.iterdir()}


@pytest.mark.slow
def test_by_however_many_processes_colours_are_read_they_become_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "hues")
    monkeypatch.setattr(photos, "WORTH_IT", 1)
    monkeypatch.setattr(photos, "AT_A_TIME", 50)
    of = [copied(tmp_path / "hues", tmp_path / str(count), size=(7, 8), processes=count) for count in (1, 3)]
    assert of[0] == of[1]


@pytest.mark.parametrize("size", [None, (6, 9)])
def test_in_whatever_form_colours_come_they_become_the_same_bytes(size: tuple[int, int] | None, tmp_path: Path) -> None:
    images, labels = drawn()
    images[::5] = images[::5, ..., :1]  # some are grey
    for folder in ("png", "npz", "csv", "idx"):
        (tmp_path / folder / "data").mkdir(parents=True)
    for split in ("train", "test"):
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            grey = bool((image == image[..., :1]).all())
            file(f"png/data/{split}/{label}/{k:04}.png", png(image[..., 0] if grey else image))(tmp_path)
        rows = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True)]
        (tmp_path / f"csv/data/{split}.csv").write_text("\n".join(rows) + "\n")
        idx.write(tmp_path / "idx/data" / raw.IMAGES[split], images)
        idx.write(tmp_path / "idx/data" / raw.LABELS[split], labels.astype(np.uint8))
    np.savez(
        tmp_path / "npz/data/data.npz",
        **{f"{a}_{s}": b for s in ("train", "test") for a, b in (("x", images), ("y", labels))},
    )
    of = {
        form: copied(tmp_path / form / "data", tmp_path / f"{form}.raw", size=size)
        for form in ("png", "npz", "csv", "idx")
    }
    found = raw.load(tmp_path / "png.raw")[1]["train"]
    if size:
        expected = np.stack([Image.fromarray(image).resize((9, 6), Image.Resampling.BOX) for image in images])
        assert np.array_equal(found, expected)
    else:
        assert np.array_equal(found, images)
    assert all(each == of["png"] for each in of.values()), {form: list(each) for form, each in of.items()}


def test_one_mean_is_for_all_channels_and_three_are_one_for_each(tmp_path: Path) -> None:
    images, labels = drawn()
    np.savez(tmp_path / "hues.npz", images=images, labels=labels)
    copied(tmp_path / "hues.npz", tmp_path / "raw")
    for mean, std, means, deviations in (
        (0.5, [0.1, 0.2, 0.3], [0.5] * 3, [0.1, 0.2, 0.3]),
        ([0.3, 0.2, 0.1], 0.25, [0.3, 0.2, 0.1], [0.25] * 3),
    ):
        found = splits.normalise(tmp_path / "raw", tmp_path, 30, 0, mean, std)  # type: ignore[arg-type]
        assert (found.mean, found.std) == (means, deviations)
        assert dataset.statistics(tmp_path) == found
    np.savez(tmp_path / "flat.npz", images=images * np.array([1, 1, 0], np.uint8), labels=labels)
    copied(tmp_path / "flat.npz", tmp_path / "flat")
    with pytest.raises(InputError, match="std: auto: all training pixels are the same in blue; set a number"):
        splits.normalise(tmp_path / "flat", tmp_path, 30, 0, "auto", "auto")


def test_grey_images_get_three_equal_channels(tmp_path: Path) -> None:
    grey, labels = drawn()[0][..., 0], drawn()[1]
    np.savez(tmp_path / "grey.npz", images=grey[..., None], labels=labels)
    (tmp_path / "grey.csv").write_text(
        "\n".join(",".join(map(str, [label, *image.ravel()])) for image, label in zip(grey, labels, strict=True))
    )
    for split in ("train", "test"):
        file(f"idx/{raw.IMAGES[split]}", struct.pack(">IIII", 0x803, *grey.shape) + grey.tobytes())(tmp_path)
        file(f"idx/{raw.LABELS[split]}", struct.pack(">II", 0x801, COUNT) + bytes(labels.tolist()))(tmp_path)
    for name in ("grey.npz", "grey.csv", "idx"):
        copied(tmp_path / name, tmp_path / f"{name}.raw")
        images = raw.load(tmp_path / f"{name}.raw")[1]["train"]
        assert images.shape[1:] == (SIDE, SIDE, 3)
        assert (images == images[..., :1]).all()
        assert images[..., 0].any()


def test_look_shows_colours_and_says_how_to_keep_them(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    write(tmp_path / "hues")
    project = Project(tmp_path)
    text = project.mnist("look", "hues", "--picture", "first.png")
    assert text.startswith("hues: pictures by class; 240 train images of 12×12, in colour, pixels 0 to 255\n")
    assert (
        "odd: hues/blue/0000.png: in colour; set dataset.channels to 3 to keep it, or to 1 to make all grey\n" in text
    )
    sheet = np.asarray(Image.open(tmp_path / "first.png"))
    assert (sheet == HUES["blue"]).all(2).any()
    assert json.loads(project.mnist("look", "hues", "--json"))["channels"] == 3
    images, labels = drawn()
    rows = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True)]
    (tmp_path / "hues.csv").write_text("\n".join(rows))
    assert "240 train images of 12×12, in colour" in project.mnist("look", "hues.csv", "--colour")
