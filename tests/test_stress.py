"""Harder pictures are what they are called, the same every time, and a model is measured on them as it is used."""

import csv
import json
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from mnist import __main__ as commands
from mnist import handwriting, idx, models, stress
from mnist.commands import predict
from mnist.commands import stress as command
from mnist.dataset import Array
from tests.conftest import ROOT, Project
from tests.harms import model
from tests.test_handwriting import likeness

SHAPE = (28, 28)
FONT = Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Array:
    """The first test images of MNIST."""
    plain = tmp_path_factory.mktemp("digits") / "images"
    idx.unpack(ROOT / "data/mnist/t10k-images-idx3-ubyte.gz", plain, 3)
    return np.array(idx.read(plain, 3)[:30])


def changed(name: str, image: Array, seed: int) -> Array:
    return np.asarray(stress.CHANGES[name](image, np.random.RandomState(seed)))


@pytest.mark.parametrize("name", stress.CHANGES)
def test_a_change_is_the_same_every_time_and_leaves_the_image_alone(name: str, digits: Array) -> None:
    before = digits.copy()
    for k, image in enumerate(digits):
        assert np.array_equal(changed(name, image, k), changed(name, image, k))
    assert np.array_equal(digits, before)
    by_chance = name not in ("untouched", "thickened", "inverted")
    assert np.array_equal(changed(name, digits[0], 0), changed(name, digits[0], 1)) == (not by_chance)


def test_shifts_are_by_up_to_four_pixels_in_every_direction(digits: Array) -> None:
    seen = set()
    for seed in range(300):
        image = digits[seed % 30]
        moves = [(down, right) for down in range(-4, 5) for right in range(-4, 5)]
        padded = np.pad(image, 4)
        found = changed("shifted by up to 4 pixels", image, seed)
        seen |= {
            (down, right)
            for down, right in moves
            if np.array_equal(padded[4 - down : 32 - down, 4 - right : 32 - right], found)
        }
    assert {down for down, _ in seen} == {right for _, right in seen} == set(range(-4, 5))


def test_turns_are_by_up_to_twenty_degrees(digits: Array) -> None:
    for k, image in enumerate(digits):
        turns = range(-20, 21)
        turned = [np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BICUBIC)) for angle in turns]
        found = changed("rotated by up to 20°", image, k)
        assert min(np.abs(each.astype(int) - found).max() for each in turned) < 60


def test_the_other_changes_are_what_they_are_called(digits: Array) -> None:
    for k, image in enumerate(digits):
        assert np.array_equal(changed("untouched", image, k), image)
        assert np.array_equal(changed("inverted", image, k), 255 - image)
        assert handwriting.width(changed("thickened", image, k) > 127) > handwriting.width(image > 127) + 1
        noise = changed("noisy", image, k)[image == 0]
        assert noise.mean() == pytest.approx(40 / np.sqrt(2 * np.pi), abs=4)  # of what is below 0, nothing is left
        for name in ("on 200×300 of uneven paper", "stretched to 200×300 of it"):
            found = changed(name, image, k)
            assert found.shape == (300, 200)
            assert found[:20, :20].mean() != pytest.approx(found[-20:, -20:].mean(), abs=0.5)


def test_what_is_on_paper_is_the_digit(digits: Array) -> None:
    found = [
        likeness(handwriting.prepare(Image.fromarray(changed("on 200×300 of uneven paper", image, k)), SHAPE), image)
        for k, image in enumerate(digits)
    ]
    assert np.median(found) > 0.93


def test_characters_are_drawn_whole_in_many_sizes_places_inks_and_papers() -> None:
    pictures = [stress.written("4", FONT, np.random.RandomState(k)) for k in range(60)]
    again = stress.written("4", FONT, np.random.RandomState(59))
    assert np.array_equal(np.asarray(pictures[-1]), np.asarray(again))
    assert len({picture.size for picture in pictures}) > 50
    assert {picture.mode for picture in pictures} == {"RGB"}
    bright = [np.asarray(picture)[[0, -1]].mean() > 128 for picture in pictures]
    assert 30 < sum(bright) < 60
    prepared = [handwriting.prepare(picture, SHAPE) for picture in pictures]
    one = handwriting.prepare(pictures[0], SHAPE)
    assert np.quantile([likeness(each, one) for each in prepared], 0.1) > 0.85


def test_fonts_are_found_wherever_they_are_below_the_folder(tmp_path: Path) -> None:
    assert stress.installed(tmp_path) == {}
    for name in ("dkg.ttf", "Breip.ttf", "Unknown.ttf"):
        (tmp_path / name.lower()).mkdir()
        (tmp_path / name.lower() / name).touch()
    assert list(stress.installed(tmp_path)) == ["Breip.ttf", "dkg.ttf"]
    line = command.advice(["Breip.ttf", "dkg.ttf", "dkgIt.ttf"])
    assert line.startswith("3 of 16 fonts are installed; `apt install fonts-bwht fonts-comic-neue ")
    assert "fonts-breip" not in line
    assert "fonts-dkg" not in line
    assert len(stress.FONTS) - 3 >= command.ENOUGH, "of handwriting"


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `stress` prints."""
    commands.app(["stress", *arguments], standalone_mode=False)
    printed, complaint = capsys.readouterr()
    assert bool(complaint) == (len(stress.installed()) < command.ENOUGH)
    return printed


def test_the_table_has_a_row_for_each_change_and_font_with_its_interval(
    template: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(template.path)
    few = ["--images", "10", "--times", "1"]
    printed = ask(capsys, *few, "--json")
    assert ask(capsys, *few, "--json", "--revision", "HEAD") == printed
    rows = json.loads(printed)
    names = [name.partition(".")[0] for name in stress.installed()]
    assert [row["pictures"] for row in rows] == [*stress.CHANGES, *names]
    assert {row["n"] for row in rows} == {10}
    with (template.path / "metrics/predictions.csv").open() as file:
        right = [row["actual"] == row["predicted"] for row in csv.DictReader(file)][:10]
    assert rows[0]["accuracy"] == sum(right) / 10
    assert all(row["accuracy_low"] < row["accuracy"] < row["accuracy_high"] for row in rows if 0 < row["accuracy"] < 1)
    header, *lines = ask(capsys, *few).splitlines()
    assert header.split() == ["pictures", "n", "accuracy", "95", "%", "refused"]
    for line, row in zip(lines, rows, strict=True):
        interval = f"{row['accuracy_low']:.4f} to {row['accuracy_high']:.4f}"
        assert re.split("  +", line) == [
            row["pictures"], str(row["n"]), f"{row['accuracy']:.4f}", interval, str(row["refused"]),
        ]  # fmt: skip


def test_classes_that_are_words_are_not_drawn_in_fonts(project: Project) -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    model(lambda _, description: description.update(classes=words))(project.path)
    done = project.inside("stress", "--images", "2", "--times", "1", "--json")
    assert (done.returncode, "fonts" in done.stderr) == (0, False)
    assert [row["pictures"] for row in json.loads(done.stdout)] == list(stress.CHANGES)


def test_a_picture_that_is_refused_counts_as_wrong(digits: Array, template: Project) -> None:
    model, description = models.read(template.path / "models/model.safetensors")
    pictures = [Image.new("L", SHAPE), Image.fromarray(digits[0])]
    said = int(predict.probabilities(model, [digits[0]]).argmax())
    kind = command.Kind("two", [said, said], pictures.__getitem__)
    row = command.measured(kind, model, description, lambda _: None)
    assert (row.n, row.refused, row.accuracy) == (2, 1, 0.5)
    none = command.measured(command.Kind("none", [7], lambda _: pictures[0]), model, description, lambda _: None)
    assert (none.n, none.accuracy, none.refused) == (1, 0, 1)


# mean shades of the pictures that docs/model-card.md tells of; by another processor's sines they may differ a little
SHADES = {
    "untouched": 30.673,
    "shifted by up to 4 pixels": 30.541,
    "rotated by up to 20°": 30.993,
    "thickened": 63.279,
    "noisy": 42.379,
    "inverted": 224.327,
    "on 200×300 of uneven paper": 158.339,
    "stretched to 200×300 of it": 149.755,
    "written": 141.208,
}


def test_the_pictures_are_those_of_the_model_card(digits: Array) -> None:
    found = {name: np.mean([changed(name, image, k) for k, image in enumerate(digits)]) for name in stress.CHANGES}
    written = [np.asarray(stress.written(str(k % 10), FONT, np.random.RandomState(k))).mean() for k in range(30)]
    assert {**found, "written": np.mean(written)} == pytest.approx(SHADES, abs=0.005)
