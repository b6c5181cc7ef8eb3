"""Data of one's own: in whatever form it comes, it comes out the same; and `look` says what there is to see."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import gzip
import io
import json
import struct
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnist.raw
from mnist import dataset, idx, splits
from mnist.commands import look, oddities
from mnist.formats import classes, names, photos, recognise, sources
from mnist.formats.parts import Options, in_channels
from pipeline.errors import InputError
from tests.cases.own_data import IMAGES, LABELS, LONG, MED, TURNED, csv, file, npz, png
from tests.cases.own_data import photos as make_photos
from tests.conftest import Project, first_of_mnist, write_small

SOME = {"train": 200, "test": 60}


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of MNIST as IDX files of other names, Keras' npz, Kaggle's CSV, and PNG files by class."""
    folder = tmp_path_factory.mktemp("forms")
    arrays = {}
    for split, count in SOME.items():
        images = first_of_mnist(mnist.raw.IMAGES[split], 3, count)
        labels = first_of_mnist(mnist.raw.LABELS[split], 1, count)
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
        for name in ("idx/digits", "npz/digits", "csv/digits"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        idx.write(folder / "idx/digits" / mnist.raw.IMAGES[split].replace("-idx", ".idx").upper(), images)
        packed = gzip.compress(struct.pack(">II", 0x801, count) + labels.tobytes())
        (folder / f"idx/digits/emnist-{split}-labels.idx1-ubyte.gz".replace("emnist", "my")).write_bytes(packed)
        rows = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True)]
        header = ",".join(["label", *(f"pixel{k}" for k in range(784))])
        (folder / f"csv/digits/{split}.csv").write_text("\n".join([header, *rows]) + "\n")
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            file(f"png/digits/{split}/{label}/{k:05}.png", png(image))(folder)
    np.savez_compressed(folder / "npz/digits/digits.npz", **arrays)
    return folder


def copied(path: Path, target: Path, **options: object) -> dict[str, bytes]:
    """The files that a data set becomes."""
    target.mkdir()
    sources.copy(path, target, options=Options(**options))  # type: ignore[arg-type]
    return {each.name: each.read_bytes() for each in target.iterdir()}


def test_in_whatever_form_a_data_set_comes_it_becomes_the_same_bytes(forms: Path, tmp_path: Path) -> None:
    of = {form: copied(forms / form / "digits", tmp_path / form) for form in ("idx", "npz", "csv", "png")}
    assert json.loads(of["idx"]["dataset.json"])["files"]["train-images-idx3-ubyte"]["shape"] == [200, 28, 28]
    for form in ("npz", "csv", "png"):
        assert of[form] == of["idx"], form
    assert copied(forms / "npz/digits/digits.npz", tmp_path / "file") == of["npz"]


def test_so_it_does_by_however_many_processes_it_is_read(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "WORTH_IT", 1)
    monkeypatch.setattr(photos, "AT_A_TIME", 30)  # the last of 200 are fewer
    of = [copied(forms / "png/digits", tmp_path / str(count), processes=count) for count in (1, 3)]
    assert of[0] == of[1]


def test_a_damaged_picture_ends_all_processes_and_the_first_is_named(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "AT_A_TIME", 30)
    files = [forms / f"png/digits/train/5/{0:05}.png"] * 200
    broken = tmp_path / "broken.png"
    broken.write_bytes(png()[:60])
    files[150] = files[160] = broken
    (line,) = {each for chunk in photos.images(files, Options()) for each in chunk if isinstance(each, str)}
    assert line.startswith(f"{broken}: a damaged picture (")


def most_memory(work: Callable[[], object]) -> int:
    """The bytes that Python and NumPy hold at most while something is done, beyond those before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["idx", "npz", "csv", "png"])
def test_images_that_become_large_go_through_memory_a_few_at_a_time(form: str, forms: Path, tmp_path: Path) -> None:
    """By number, 200 of them would be one batch: 72 MB."""
    part, options = recognise.data_set(forms / form / "digits").parts["train"], Options(size=(600, 600))
    work = partial(part.write, tmp_path / "images", tmp_path / "labels", options)
    assert most_memory(work) < 3 * dataset.CHUNK
    assert (tmp_path / "images").stat().st_size > 9 * dataset.CHUNK


def test_so_do_images_that_come_large(tmp_path: Path) -> None:
    images = np.zeros((60, 1000, 1000), np.uint8)
    np.savez_compressed(tmp_path / "own.npz", images=images, labels=np.arange(60) % 2)
    part = recognise.data_set(tmp_path / "own.npz").parts["train"]
    assert most_memory(partial(part.write, tmp_path / "images", tmp_path / "labels", Options())) < 3 * dataset.CHUNK
    assert most_memory(partial(oddities.is_blank, images)) < 3 * dataset.CHUNK


def test_large_pictures_are_read_a_few_at_a_time_and_none_after_one_of_another_size(tmp_path: Path) -> None:
    for name, side in (("large", 1000), ("small", 8)):
        (tmp_path / name).write_bytes(png(np.zeros((side, side), np.uint8)))
    large, small = tmp_path / "large", tmp_path / "small"
    found = list(photos.images([large] * 20, Options()))
    assert sum(map(len, found)) == 20
    assert max(map(len, found)) * 1000 * 1000 <= dataset.CHUNK
    assert [len(some) for some in photos.images([small] + [large] * 20, Options())] == [1, 1]


def test_names_that_are_numbers_give_the_order_across_classes_and_others_do_not(tmp_path: Path) -> None:
    for name in ("b/10.png", "a/9.png", "b/8.png", "a/11.png"):
        file(f"numbers/{name}", png())(tmp_path)
        file(f"words/{name.replace('9', 'nine')}", png())(tmp_path)
    of = {name: recognise.data_set(tmp_path / name).files["train"] for name in ("numbers", "words")}
    assert [path.stem for path in of["numbers"]] == ["8", "9", "10", "11"]
    assert [path.stem for path in of["words"]] == ["11", "nine", "10", "8"]


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    for name in ("10", "9", "1"):
        (tmp_path / name).mkdir()
    assert classes.class_names(tmp_path) == ["1", "9", "10"]
    (tmp_path / "x").mkdir()
    assert classes.class_names(tmp_path) == ["1", "10", "9", "x"]


def test_of_a_data_set_that_is_not_split_each_class_gives_its_share_to_the_test(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(
        npz(x_train=None, y_train=None, x_test=None, y_test=None, images=IMAGES, labels=LABELS)
    )
    first, again, other = (
        copied(tmp_path / "own.npz", tmp_path / f"{k}", test_share=0.3, seed=seed) for k, seed in enumerate((1, 1, 2))
    )
    assert first == again != other
    _, images, labels = mnist.raw.load(tmp_path / "0")
    assert np.bincount(labels["test"]).tolist() == [3, 3, 3, 3]
    every = np.concatenate([images["train"], images["test"]])
    assert sorted(image.tobytes() for image in every) == sorted(image.tobytes() for image in IMAGES)
    for split in labels:
        for image, label in zip(images[split], labels[split], strict=True):
            assert LABELS[(image == IMAGES).all((1, 2))].tolist() == [label]


@pytest.mark.parametrize(
    "arrays",
    [
        {**dict.fromkeys(["x_train", "y_train", "x_test", "y_test"]), **MED, "val_images": IMAGES[:8] ^ 1, "val_labels": LABELS[:8]},
        {"x_val": IMAGES[:8] ^ 1, "y_val": LABELS[:8]},
    ],
    ids=["MedMNIST", "Keras"],
)  # fmt: skip
def test_an_npzs_own_validation_images_are_the_validation_split(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(npz(**arrays))
    copied(tmp_path / "own.npz", tmp_path / "raw")
    (tmp_path / "out").mkdir()
    found = splits.normalise(tmp_path / "raw", tmp_path / "out", 5000, 0, "auto", "auto")
    assert found.counts["validation"] == dict.fromkeys("0123", 2)
    assert np.array_equal(np.load(tmp_path / "out/validation_images.npy"), IMAGES[:8] ^ 1)
    assert np.array_equal(np.load(tmp_path / "out/train_images.npy"), IMAGES)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (csv(), "with a header"),
        (csv(header=False), "without"),
        (csv(end="\r\n"), "with Windows' line ends"),
        ("\ufeff" + csv(), "with a byte order mark"),
        (csv().replace(",", ";"), "with semicolons"),
        (csv().rstrip() + "\n\n", "with an empty line at the end"),
        (
            "\n".join(",".join([*row.split(",")[1:], row.split(",")[0]]) for row in csv().splitlines()),
            "label last, by its name",
        ),
        (csv().replace("label", '"Class"'), "another name, in quotes"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_may_be_written_in_many_ways(text: str, form: str, packed: bool, tmp_path: Path) -> None:
    content = text.encode()
    path = tmp_path / ("own.csv.gz" if packed else "own.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    found = recognise.data_set(path)
    found.parts["train"].write(tmp_path / "images", tmp_path / "labels", Options())
    assert np.array_equal(idx.read(tmp_path / "images", 3), IMAGES), form
    assert np.array_equal(idx.read(tmp_path / "labels", 1), LABELS), form


def test_the_last_cell_is_the_label_where_the_first_is_the_same_in_all_rows(tmp_path: Path) -> None:
    rows = [",".join(map(str, ["0", *image.ravel()[1:], label])) for image, label in zip(IMAGES, LABELS, strict=True)]
    (tmp_path / "own.csv").write_text("\n".join([*rows, ""]))
    found = recognise.data_set(tmp_path / "own.csv")
    assert found.notes == [
        f"{tmp_path}/own.csv: the first cell is the same in all rows, so the last is taken for the label"
    ]
    found.parts["train"].write(tmp_path / "images", tmp_path / "labels", Options())
    assert np.array_equal(idx.read(tmp_path / "labels", 1), LABELS)


@pytest.mark.parametrize("first", [True, False])
def test_rows_written_class_after_class_are_read_to_the_end_before_the_last_cell_is_taken_for_the_label(
    first: bool, tmp_path: Path
) -> None:
    """The label may be as constant for thousands of rows as a pixel in the corner is."""
    labels = np.arange(900) // 300
    rows = [[label, *image.ravel()[1:], 0] for image, label in zip(np.resize(IMAGES, (900, 8, 8)), labels, strict=True)]
    for row in rows:
        row[-1] = int(row[1] > 99)  # a pixel that varies, in the place where the label might be
    expected = rows if first else [[0, *row[1:-1], row[0]] for row in rows]
    (tmp_path / "own.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in expected))
    found = recognise.data_set(tmp_path / "own.csv")
    assert len(found.notes) == 1 - first
    found.parts["train"].write(tmp_path / "images", tmp_path / "labels", Options())
    assert np.array_equal(idx.read(tmp_path / "labels", 1), labels)


def test_a_test_table_without_labels_as_in_kaggles_competition_is_left_out_and_said_so(tmp_path: Path) -> None:
    file("own/train.csv", csv())(tmp_path)
    file("own/test.csv", csv().replace("label", "id"))(tmp_path)
    found = recognise.data_set(tmp_path / "own")
    assert list(found.parts) == ["train"]
    assert found.notes == [
        f"{tmp_path}/own/test.csv: no column called label or class or target or y, so it is left out"
    ]


def test_first_label_takes_labels_that_count_from_1(tmp_path: Path) -> None:
    write_small(tmp_path / "small")
    for name in mnist.raw.LABELS.values():
        idx.write(tmp_path / "small" / name, idx.read(tmp_path / "small" / name, 1) + np.uint8(1))
    (tmp_path / "small/classes.txt").write_text("\n".join("abcdefghij"))
    copied(tmp_path / "small", tmp_path / "raw", first_label=1)
    assert mnist.raw.load(tmp_path / "raw")[2]["train"].max() == 9


def test_pictures_may_be_links_as_dvc_makes_them(forms: Path, tmp_path: Path) -> None:
    """With its setting `cache.type symlink`, and where `prove` checks a commit out."""
    digits = tmp_path / "digits"
    for each in (forms / "png/digits").rglob("*.png"):
        place = digits / each.relative_to(forms / "png/digits")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(each)
    assert copied(digits, tmp_path / "links") == copied(forms / "png/digits", tmp_path / "files")


def test_qmnists_labels_are_the_first_of_their_columns_and_emnists_images_are_turned_upright(tmp_path: Path) -> None:
    columns = np.zeros((40, 8), ">i4")
    columns[:, 0], columns[:, 1] = LABELS, 1000
    for split in ("train", "test"):
        head = struct.pack(">IIII", 0x803, 40, 8, 8)
        file(f"qmnist/qmnist-{split}-images-idx3-ubyte", head + IMAGES.tobytes())(tmp_path)
        file(f"qmnist/qmnist-{split}-labels-idx2-int", struct.pack(">III", 0xC02, 40, 8) + columns.tobytes())(tmp_path)
        file(f"emnist/emnist-letters-{split}-images-idx3-ubyte", head + IMAGES.transpose(0, 2, 1).tobytes())(tmp_path)
        file(f"emnist/emnist-letters-{split}-labels-idx1-ubyte", struct.pack(">II", 0x801, 40) + LABELS.tobytes())(
            tmp_path
        )
    for name in ("qmnist", "emnist"):
        copied(tmp_path / name, tmp_path / f"{name}.raw")
        _, images, labels = mnist.raw.load(tmp_path / f"{name}.raw")
        assert np.array_equal(images["train"], IMAGES)
        assert np.array_equal(labels["test"], LABELS)


def read(content: bytes, folder: Path, name: str = "one.png", **options: object) -> np.ndarray:
    """A picture as an image."""
    (folder / name).write_bytes(content)
    found = photos.image(folder / name, Options(**options))  # type: ignore[arg-type]
    assert not isinstance(found, str), found
    assert photos.size_of(folder / name) == found.shape[:2] or "size" in options
    return found


def test_pictures_of_every_kind_are_read_as_what_they_show(tmp_path: Path) -> None:
    image = IMAGES[0]
    grey_, colour = Image.fromarray(image), Image.fromarray(RGB)
    for made in (png(image), png(np.dstack([image] * 3)), png(image, format="BMP"), png(image, format="TIFF"),
                 png(grey_, format="WEBP", lossless=True), png(grey_.convert("RGBA")), png(image.astype(np.uint16) * 257)):  # fmt: skip
        assert np.array_equal(read(made, tmp_path), image)
    assert np.array_equal(read(png(grey_, format="GIF"), tmp_path), image)
    large = np.kron(image, np.ones((8, 8), np.uint8))
    assert (
        np.abs(
            read(png(Image.fromarray(large).convert("CMYK"), format="JPEG", quality=100), tmp_path, channels=1).astype(
                int
            )
            - large
        ).max()
        < 8
    )
    assert np.array_equal(read(png(colour), tmp_path, channels=1), np.asarray(colour.convert("L")))
    turned = read(png(Image.fromarray(large[:, :32]), format="JPEG", quality=100, exif=TURNED), tmp_path)
    assert turned.shape == (32, 64)
    assert np.abs(turned.astype(int) - np.rot90(large[:, :32], 3)).max() < 8


@pytest.mark.parametrize("how", [{"format": "PNG"}, {"format": "TIFF"}, {"format": "TIFF", "compression": "tiff_lzw"},
                                 {"format": "WEBP", "lossless": True}])  # fmt: skip
def test_what_exif_turns_is_turned_once_and_has_the_size_that_it_is_read_in(
    how: dict[str, object], tmp_path: Path
) -> None:
    image = IMAGES[0][:5]
    flat = {1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1]}
    upright = {**flat, 5: image.T, 6: np.rot90(image, 3), 7: np.rot90(image, 2).T, 8: np.rot90(image)}
    for orientation, expected in upright.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = read(png(Image.fromarray(image), exif=exif, **how), tmp_path, channels=1)
        assert np.array_equal(found, expected), orientation


def test_sixteen_bits_become_the_nearest_eight() -> None:
    deep = np.arange(65536)
    assert np.array_equal(photos.eight_bits(deep.astype(np.uint16)), np.rint(deep / 257))
    for outside in (-1, 65536):
        with pytest.raises(InputError, match=r"^pixels of more than 16 bits; save it in 8 bits$"):
            photos.eight_bits(np.array([0, outside], np.int32))


def test_a_name_is_shown_in_what_can_be_printed() -> None:
    assert names.printable(Path("é\n\x1b[1m")) == r"é\n\x1b[1m"


RGB = np.random.RandomState(1).randint(0, 256, (8, 8, 3)).astype(np.uint8)


def test_grey_of_an_array_is_what_pillow_makes_of_it() -> None:
    assert np.array_equal(
        in_channels(RGB[None], Options(channels=1), str)[0], np.asarray(Image.fromarray(RGB).convert("L"))
    )


def test_to_shrink_is_to_take_the_mean_of_areas_and_sizes_are_height_and_width(tmp_path: Path) -> None:
    image = np.random.RandomState(2).randint(0, 256, (16, 24)).astype(np.uint8)
    means = image.reshape(8, 2, 8, 3).mean((1, 3))
    assert np.abs(read(png(image), tmp_path, size=(8, 8)) - means).max() <= 1  # rounded twice
    assert read(png(image), tmp_path, size=(5, 30)).shape == (5, 30)
    assert read(png(LONG), tmp_path, size=(5, 30)).shape == (5, 30)


def test_hidden_files_are_none_and_others_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    make_photos(tmp_path)
    for name in ("own/a/.DS_Store", "own/.git/x.png", "own/a/.thumbs/1.png", "own/b/notes.txt"):
        file(name, b"x")(tmp_path)
    found = recognise.data_set(tmp_path / "own")
    assert len(found.files["train"]) == 10
    (note,) = found.notes
    assert note == f"1 files that are no pictures by their names are left out: {tmp_path}/own/b/notes.txt"


def test_folders_beside_those_of_the_splits_and_arrays_of_other_names_are_left_out_and_said_so(tmp_path: Path) -> None:
    for name in ("training/a", "training/b", "valid/a", "dev/a", "dev/b"):
        file(f"own/{name}/0.png", png())(tmp_path)
    found = recognise.data_set(tmp_path / "own")
    assert {split: len(files) for split, files in found.files.items()} == {"train": 2, "validation": 1}
    assert found.notes == [f"1 folders beside training, valid are left out: {tmp_path}/own/dev"]
    (tmp_path / "own.npz").write_bytes(npz(x_extra=IMAGES, y_extra=LABELS))
    notes = recognise.data_set(tmp_path / "own.npz").notes
    assert notes == [f"2 arrays of {tmp_path}/own.npz are left out: x_extra, y_extra"]


@pytest.fixture
def odd(tmp_path: Path) -> Project:
    """Pictures with all that is odd."""
    (tmp_path / ".dvc").mkdir()
    for split, count in (("train", 12), ("test", 4)):
        for k in range(count):
            file(f"own/{split}/{'ab'[k % 2]}/{split}{k}.png", png(IMAGES[k + 20 * (split == "test")]))(tmp_path)
    file("own/test/a/leaked.png", png(IMAGES[0]))(tmp_path)
    file("own/train/a/twice.png", png(IMAGES[2]))(tmp_path)
    file("own/train/c/only.png", png(IMAGES[39]))(tmp_path)
    file("own/train/b/blank.png", png(IMAGES[0] * 0))(tmp_path)
    return Project(tmp_path)


def test_look_says_what_there_is_and_what_is_odd(odd: Project) -> None:
    found = json.loads(odd.mnist("look", "own", "--json", "--picture", "first.png"))
    assert found["images"] == {"train": 15, "test": 5}
    assert found["size"] == [8, 8]
    assert found["classes"]["c"] == {"train": 1, "test": 0}
    assert found["odd"] == [
        "train: class c has one image: own/train/c/only.png",
        "train: blank images: 1: own/train/b/blank.png",
        "train: images that are there twice: 1: own/train/a/twice.png is own/train/a/train2.png",
        "test: images that are among the training images too: leakage: 1: own/test/a/leaked.png is own/train/a/train0.png",
    ]
    sheet = np.asarray(Image.open(odd.path / "first.png"))
    assert np.array_equal(sheet[8:72:8, 8:72:8], IMAGES[0])
    text = odd.mnist("look", "own")
    assert "own: pictures by class; 15 train, 5 test images of 8×8, grey" in text
    assert "odd: train: class c has one image" in text
    assert [each.name for each in (odd.path / ".dvc").iterdir()] == ["tmp"]
    assert list((odd.path / ".dvc/tmp").glob("*.partial")) == []


def test_looks_picture_shows_large_images_smaller_and_takes_little_memory() -> None:
    images = np.zeros((12, 1500, 2000, 3), np.uint8)
    images[:, :, 1000:] = (0, 100, 200)
    drawn: list[bytes] = []
    assert most_memory(lambda: drawn.append(look.draw(images))) < 30_000_000
    sheet = np.asarray(Image.open(io.BytesIO(drawn[0])))
    assert sheet.shape == (2 * (188 + 2), 10 * (250 + 2), 3)
    assert (sheet[1:189, 1:126] == 0).all()
    assert (sheet[1:189, 126:251] == (0, 100, 200)).all()
    assert (sheet[:, 0] == 128).all()


def test_look_says_in_which_split_an_image_was_seen_first(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    with_val = {"x_val": IMAGES[20:28], "y_val": LABELS[20:28], "x_test": IMAGES[[0, 20]], "y_test": LABELS[[0, 20]]}
    file("own.npz", npz(x_train=IMAGES[:20], y_train=LABELS[:20], **with_val))(tmp_path)
    odd = json.loads(Project(tmp_path).mnist("look", "own.npz", "--json"))["odd"]
    assert [line for line in odd if "leakage" in line] == [
        "test: images that are among the training images too: leakage: 1: own.npz: x_test[0] is own.npz: x_train[0]",
        "test: images that are among the validation images too: leakage: 1: own.npz: x_test[1] is own.npz: x_val[0]",
    ]


def test_look_names_several_sizes_colour_and_labels_that_do_not_count_from_0(odd: Project) -> None:
    file("own/test/b/wide.png", png(RGB[:, :6]))(odd.path)
    lines = json.loads(odd.mnist("look", "own", "--json"))["odd"]
    assert lines[0].startswith("pictures of 2 sizes, 20 of 21 of 8×8; dataset.image_size is")
    assert lines[1] == "own/test/b/wide.png: in colour; set dataset.channels to 3 to keep it, or to 1 to make all grey"
    file("own.npz", npz(y_train=LABELS + 1, y_test=LABELS[:8] + 1))(odd.path)
    (line,) = [line for line in json.loads(odd.mnist("look", "own.npz", "--json"))["odd"] if "labels" in line]
    assert line == "labels count from 1; add `first_label: 1` to dataset in params.yaml"
    file("own.npz", npz(x_train=IMAGES // 16, x_test=IMAGES[:8] // 16))(odd.path)
    assert "no pixel is brighter than 15 of 255; set normalise.mean" in odd.mnist("look", "own.npz")


def test_a_table_that_may_be_cut_off_in_its_last_cell_is_odd(tmp_path: Path) -> None:
    """Nothing else shows that 12 was 128."""
    (tmp_path / ".dvc").mkdir()
    said = "odd: own.csv: its last line has no end; if it was cut off there, fetch it again\n"
    for content, cut in ((csv(), False), (csv()[:-1], True), (csv(end="\r\n")[:-1], True)):
        file("own.csv", content)(tmp_path)
        assert (said in Project(tmp_path).mnist("look", "own.csv")) == cut
