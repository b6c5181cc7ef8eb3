"""From raw data to what training reads: who is held out, and what is learnt from whom."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mnist.raw
from mnist import dataset, idx, splits
from mnist.formats import sources
from pipeline.errors import InputError
from tests.conftest import SMALL, write_small

CLASSES = ["null", "één", *"23456789"]
repeated = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of MNIST, as they are downloaded."""
    folder = tmp_path_factory.mktemp("splits")
    write_small(folder / "small")
    (folder / "small/classes.txt").write_text("\n".join(CLASSES), "utf-8")
    (folder / "raw").mkdir()
    sources.copy(folder / "small", folder / "raw")
    return folder / "raw"


def normalise(
    raw: Path, folder: Path, validation: int = 200, mean: float | str = "auto", std: float | str = "auto"
) -> dataset.Statistics:
    return splits.normalise(raw, folder, validation, 3, mean, std)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**32 - 1))
@repeated
def test_each_class_keeps_its_share_to_within_an_image(sizes: list[int], share: float, seed: int) -> None:
    labels = np.random.RandomState(1).permutation(np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes))
    count = round(share * len(labels))
    held_out = mnist.raw.stratified(labels, count, seed)
    assert int(held_out.sum()) == count
    for k, size in enumerate(sizes):
        assert abs(int(held_out[labels == k].sum()) - size * count / len(labels)) < 1


def test_of_all_images_in_random_order_by_class_those_at_even_distances_are_held_out() -> None:
    labels = np.random.RandomState(1).randint(0, 3, 1000).astype(np.uint8)
    order = sorted(np.random.RandomState(5).permutation(1000).tolist(), key=lambda k: labels[k])  # Python's is stable
    assert np.flatnonzero(mnist.raw.stratified(labels, 100, 5)).tolist() == sorted(order[::10])


def test_the_seed_alone_decides_which_images_of_a_class_are_held_out() -> None:
    labels = np.arange(2000, dtype=np.uint8) % 2
    first, again, other = (mnist.raw.stratified(labels, 200, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert (first & other).sum() < 50  # by chance about 20
    places = np.flatnonzero(first[::2])
    assert len(set(np.diff(places))) > 10, "no pattern in the file's order"


def test_every_image_is_in_one_split_with_its_label(raw: Path, tmp_path: Path) -> None:
    found = normalise(raw, tmp_path)
    _, images, labels = mnist.raw.load(raw)
    held_out = mnist.raw.stratified(labels["train"], 200, 3)
    for split, source, index in (
        ("train", "train", ~held_out),
        ("validation", "train", held_out),
        ("test", "test", slice(None)),
    ):
        loaded = dataset.load(split, tmp_path)  # type: ignore[arg-type]
        assert np.array_equal(loaded.images, images[source][index])
        assert np.array_equal(loaded.labels, labels[source][index])
        assert list(found.counts[split].values()) == [int((loaded.labels == k).sum()) for k in range(10)]
    assert found == dataset.statistics(tmp_path)
    assert (found.name, found.classes, found.image_shape) == ("small", CLASSES, (28, 28))
    written = json.dumps(asdict(found), indent=2, ensure_ascii=False) + "\n"
    assert (tmp_path / "statistics.json").read_text("utf-8") == written


def test_mean_and_deviation_are_those_of_the_images_trained_on_alone(raw: Path, tmp_path: Path) -> None:
    found = normalise(raw, tmp_path)
    pixels = {split: np.load(tmp_path / f"{split}_images.npy") / 255 for split in dataset.SPLITS}
    assert (found.mean, found.std) == pytest.approx((pixels["train"].mean(), pixels["train"].std()), rel=1e-12)
    learnt_of_others = [pixels["test"], pixels["validation"], np.concatenate([pixels["train"], pixels["validation"]])]
    for others in learnt_of_others:  # so that the test could tell
        assert (found.mean, found.std) != pytest.approx((others.mean(), others.std()), rel=1e-6)


def test_a_class_may_have_no_test_images_and_what_is_mapped_is_not_written_to(raw: Path, tmp_path: Path) -> None:
    shutil.copytree(raw, tmp_path / "raw")
    labels = np.array(idx.read(raw / mnist.raw.LABELS["test"], 1))
    idx.write(tmp_path / "raw" / mnist.raw.LABELS["test"], np.minimum(labels, 8))
    assert normalise(tmp_path / "raw", tmp_path).counts["test"]["9"] == 0
    loaded = dataset.load("test", tmp_path)
    loaded.labels[:] = 9
    assert np.array_equal(dataset.load("test", tmp_path).labels, np.minimum(labels, 8))


def test_a_mean_or_a_deviation_that_is_given_is_kept(raw: Path, tmp_path: Path) -> None:
    fitted = normalise(raw, tmp_path)
    given_mean, given_std = normalise(raw, tmp_path, mean=0.0), normalise(raw, tmp_path, std=0.5)
    assert (given_mean.mean, given_mean.std) == (0.0, fitted.std)
    assert (given_std.mean, given_std.std) == (fitted.mean, 0.5)


def test_nothing_need_be_held_out_but_something_is_to_be_trained_on(raw: Path, tmp_path: Path) -> None:
    found = normalise(raw, tmp_path, validation=0)
    assert sum(found.counts["train"].values()) == SMALL["train"]
    assert set(found.counts["validation"].values()) == {0}
    assert not (tmp_path / "validation_images.npy").exists()
    assert sum(normalise(raw, tmp_path, SMALL["train"] - 1).counts["train"].values()) == 1
    with pytest.raises(
        InputError,
        match=r"^params\.yaml: .* leaves none to train on; set it lower$",
    ):
        normalise(raw, tmp_path, SMALL["train"])


def test_images_without_any_contrast_have_no_deviation_to_divide_by(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for path in raw.iterdir():
        (tmp_path / "raw" / path.name).write_bytes(path.read_bytes())
    idx.write(tmp_path / "raw" / mnist.raw.IMAGES["train"], np.full((SMALL["train"], 28, 28), 7, np.uint8))
    with pytest.raises(InputError, match=r"^normalise\.std: auto: all training pixels are the same; .* images$"):
        normalise(tmp_path / "raw", tmp_path)
    assert normalise(tmp_path / "raw", tmp_path, std=0.5).mean == pytest.approx(7 / 255)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("statistics.json", b'"mean"', b'"meen"', "/statistics.json: mean: Field required"),
        ("statistics.json", b'"9": ', b'"x": ', "/statistics.json: counts: not of each class in each split"),
        ("statistics.json", b"", None, "/statistics.json: cannot be read (No such file or directory)"),
        ("train_images.npy", b"", None, "/train_images.npy: cannot be used ([Errno 2] No such file or directory: "),
        ("train_images.npy", b"|u1", b"|i1", "/train_images.npy: holds int8 where bytes are expected"),
        ("train_labels.npy", b"\0\4\1", b"\0\4\2", "/train_labels.npy: not what statistics.json counts"),
        ("train_labels.npy", b"(1000,)", b"(999,) ", ": train: (1000, 28, 28) images and (999,) labels are not what "),
        ("train_images.npy", b"28, 28)", b"14, 56)", ": train: (1000, 14, 56) images and (1000,) labels are not what "),
    ],
)
def test_normalised_data_that_are_damaged_are_named_with_the_remedy(
    file: str, old: bytes, new: bytes | None, says: str, raw: Path, tmp_path: Path
) -> None:
    normalise(raw, tmp_path)
    path = tmp_path / file
    content = path.read_bytes()
    assert old in content
    path.unlink()
    if new is not None:
        path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        dataset.load("train", tmp_path)
    assert str(error.value).startswith(f"{tmp_path}{says}")
    assert str(error.value).endswith("; `dvc repro` recreates it")
    assert dataset.array(tmp_path / "test_labels.npy").shape == (300,)


@pytest.mark.parametrize("shape", [(3, 2), (1, 2, 3)])
@pytest.mark.parametrize("count", [1, 9_999, 10_000, 20_001])
def test_more_images_than_fit_into_memory_at_a_time_make_no_difference(
    count: int, shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "CHUNK", 10_000 * 6)
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (count, *shape)).astype(np.uint8)
    images[:10] = 0
    whole = images.reshape(-1, *shape[2:])
    for found, expected in zip(splits.moments(images), (whole.mean(0) / 255, whole.std(0) / 255), strict=True):
        assert found == pytest.approx(expected.tolist() if shape[2:] else expected.item(), rel=1e-12)
    index = random.permutation(count)
    splits.gather(images, index, tmp_path / "gathered.npy")
    assert np.array_equal(np.load(tmp_path / "gathered.npy"), images[index])
