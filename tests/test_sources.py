"""A folder as a source of data: what it takes, what it recognises, what it says of it."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mnist.raw
from mnist import idx
from mnist.formats import recognise, sources
from pipeline.errors import InputError
from tests.conftest import FASHION, ROOT, SMALL, needs_fashion, write_small

MNIST = ROOT / "data/mnist"
LABELS = mnist.raw.LABELS["train"]
TEST_IMAGES, TEST_LABELS = mnist.raw.IMAGES["test"], mnist.raw.LABELS["test"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four plain IDX files, ten classes."""
    write_small(tmp_path / "digits")
    return tmp_path / "digits"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Where a data set comes to lie."""
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def test_gzipped_and_plain_files_come_out_the_same(folder: Path, raw: Path) -> None:
    sources.copy(folder, raw)
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    (folder / f"{LABELS}.gz").write_bytes(gzip.compress((folder / LABELS).read_bytes()))
    (folder / LABELS).unlink()
    sources.copy(folder, raw)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


def test_the_description_holds_for_the_files_beside_it(folder: Path, raw: Path) -> None:
    sources.copy(folder, raw)
    described = json.loads((raw / "dataset.json").read_text("utf-8"))
    assert described["name"] == "digits"
    assert described["classes"] == list("0123456789")
    assert set(described["files"]) == {*mnist.raw.IMAGES.values(), *mnist.raw.LABELS.values()}
    for name, facts in described["files"].items():
        assert facts["sha256"] == mnist.raw.sha256(raw / name)
        assert facts["shape"] == list(idx.read(raw / name, 3 if "images" in name else 1).shape)


@pytest.mark.usefixtures("ascii_locale")
def test_classes_are_named_by_the_lines_of_classes_txt_in_any_locale(folder: Path, raw: Path) -> None:
    names = ["null", "één", "двa", "three 3", "f,our", "five", "six", "seven", "eight", '"nine"']
    (folder / "classes.txt").write_text("\n".join(names) + "\n", "utf-8")
    sources.copy(folder, raw)
    assert mnist.raw.load(raw)[0].classes == names
    text = (raw / "dataset.json").read_text("utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_classes_txt_may_come_from_windows(folder: Path, raw: Path) -> None:
    (folder / "classes.txt").write_bytes("\ufeff".encode() + "\r\n".join("abcdefghij").encode())
    sources.copy(folder, raw)
    assert mnist.raw.load(raw)[0].classes == list("abcdefghij")


def test_other_files_in_the_folder_do_not_matter(folder: Path, raw: Path) -> None:
    (folder / "README").write_text("bought at the flea market")
    (folder / "more").mkdir()
    sources.copy(folder, raw)
    assert sorted(path.name for path in raw.iterdir()) == sorted(
        ["dataset.json", *mnist.raw.IMAGES.values(), *mnist.raw.LABELS.values()]
    )


def test_the_bundled_data_set_is_mnist(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources.copy(MNIST, raw)
    assert mnist.raw.load(raw)[0].name == "mnist"
    assert mnist.raw.load(raw)[0].handwriting
    assert capsys.readouterr().out == ""


@needs_fashion
def test_fashion_mnist_is_recognised_and_brings_its_class_names(raw: Path) -> None:
    sources.copy(FASHION, raw)
    assert mnist.raw.load(raw)[0].name == "fashion-mnist"
    assert mnist.raw.load(raw)[0].classes[9] == "Ankle boot"
    assert not mnist.raw.load(raw)[0].handwriting


def test_what_is_no_handwriting_by_params_yaml_is_described_as_such(folder: Path, raw: Path) -> None:
    sources.copy(folder, raw, handwriting=False)
    assert not mnist.raw.load(raw)[0].handwriting


def test_mnist_with_a_pixel_and_a_label_changed_is_said_not_to_be_the_original(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MNIST, tmp_path / "changed")
    for name, first in ((TEST_IMAGES, 16), (TEST_LABELS, 8)):
        packed = tmp_path / "changed" / f"{name}.gz"
        content = bytearray(gzip.decompress(packed.read_bytes()))
        content[first] ^= 1
        packed.write_bytes(gzip.compress(content, 1))
    sources.copy(tmp_path / "changed", raw)
    assert mnist.raw.load(raw)[0].name == "changed (not the original mnist)"
    says = "not the original of mnist; taken as a data set of its own"
    assert capsys.readouterr().out == f"{tmp_path / 'changed'}: {TEST_IMAGES}, {TEST_LABELS}: {says}\n"


def test_a_class_without_test_images_is_fine_but_one_without_training_images_is_not(folder: Path, raw: Path) -> None:
    test_labels = np.array(idx.read(folder / mnist.raw.LABELS["test"], 1))
    idx.write(folder / mnist.raw.LABELS["test"], np.where(test_labels == 9, 8, test_labels))
    sources.copy(folder, raw)
    labels = np.array(idx.read(folder / LABELS, 1))
    idx.write(folder / LABELS, np.where(labels == 5, 6, labels))
    with pytest.raises(InputError, match="class 5 has 0 images"):
        sources.copy(folder, raw)


NEEDS_TWO = "each class from 0 on needs two (or is a label wrong? fix it)"


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (LABELS, lambda labels: labels[1:],
         f"train-images-idx3-ubyte holds 1,200 images, {LABELS} 1,199 labels; get the two that belong together"),
        (TEST_IMAGES, lambda images: images.reshape(-1, 14, 56),
         f"train-images-idx3-ubyte has images of (28, 28) pixels, {TEST_IMAGES} of (14, 56); "
         "get two that are the same, or set dataset.image_size"),
        (TEST_LABELS, lambda labels: np.where(np.arange(300) >= 290, 10, labels),
         "t10k-labels-idx1-ubyte: label 10 at 290 is outside the 10 classes; fix it"),
        (LABELS, lambda labels: np.where(labels == 7, 8, labels),
         "train-labels-idx1-ubyte: class 7 has 0 images where the labels reach 9, at 4; " + NEEDS_TWO),
        (LABELS, lambda labels: np.where((labels == 9) & (labels.cumsum() > 40), 8, labels),
         "train-labels-idx1-ubyte: class 9 has 1 images where the labels reach 9, at 4; " + NEEDS_TWO),
    ],
)  # fmt: skip
def test_files_that_do_not_belong_together_are_named(
    file: str, change: Callable[[np.ndarray], np.ndarray], says: str, folder: Path, raw: Path
) -> None:
    sources.copy(folder, raw)
    for place in (folder, raw):
        idx.write(place / file, change(np.array(idx.read(place / file, 3 if "images" in file else 1))).astype(np.uint8))
    for read in (lambda: sources.copy(folder, raw), lambda: mnist.raw.load(raw)):
        with pytest.raises(InputError) as error:
            read()
        assert str(error.value) == says


def test_labels_that_count_from_1_and_names_of_more_classes_than_there_are_come_with_the_remedy(
    folder: Path, raw: Path
) -> None:
    (folder / "classes.txt").write_text("\n".join("abcdefghijkl"))
    with pytest.raises(InputError) as error:
        sources.copy(folder, raw)
    what = "class k has 0 images, and 12 classes are named; name those that there are, 0 to 9"
    assert str(error.value) == f"{LABELS}: {what}"
    idx.write(folder / LABELS, idx.read(folder / LABELS, 1) + np.uint8(1))
    idx.write(folder / TEST_LABELS, np.clip(idx.read(folder / TEST_LABELS, 1), 3, 7))
    with pytest.raises(InputError) as error:
        sources.copy(folder, raw)
    what = "labels go from 1 to 10, and here they count from 0; add `first_label: 1` to dataset in params.yaml"
    assert str(error.value) == f"{LABELS}: {what}"


UNFIT = "should hold one printable name per line, each once; fix it or remove it"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\nb\xff", "byte 3 is not UTF-8; save the file as UTF-8"),
        (b"", UNFIT),
        (b"a\n \n", UNFIT),
        (b"a\nb\na\n", UNFIT),
        (b"a\nb\7\n", UNFIT),
        (None, "not a file; it should hold one name per line, or be removed"),
    ],
)
def test_names_that_are_none_are_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError) as error:
        sources.class_names(path)
    assert str(error.value) == f"{path}: {says}"


def test_what_is_not_a_folder_is_told_from_one_that_is_not_there(folder: Path, raw: Path) -> None:
    for path, says in (
        (folder / LABELS, f"one of the files of a data set; set dataset.path to its folder, {folder}"),
        (folder / "none", "no such file or folder; set dataset.path to where a data set is"),
    ):
        with pytest.raises(InputError) as error:
            sources.copy(path, raw)
        assert str(error.value) == f"{path}: {says}"


def test_labels_that_are_all_the_same_make_no_data_set_and_two_images_of_each_of_two_do(
    folder: Path, raw: Path
) -> None:
    for split, name in mnist.raw.LABELS.items():
        idx.write(folder / name, np.zeros(SMALL[split], np.uint8))
    with pytest.raises(InputError) as error:
        sources.copy(folder, raw)
    says = "all labels are the same; get labels of two classes or more"
    assert str(error.value) == f"{LABELS}: {says}"
    idx.write(folder / LABELS, (np.arange(SMALL["train"]) < 2).astype(np.uint8))
    sources.copy(folder, raw)


def test_a_description_that_is_damaged_or_gone_is_named(folder: Path, raw: Path) -> None:
    sources.copy(folder, raw)
    path = raw / "dataset.json"
    path.write_text(path.read_text("utf-8").replace('"name"', '"nome"'))
    with pytest.raises(InputError) as error:
        mnist.raw.load(raw)
    assert str(error.value) == f"{path}: name: Field required; `dvc repro` recreates it"
    path.unlink()
    with pytest.raises(InputError) as error:
        mnist.raw.load(raw)
    assert str(error.value) == f"{path}: cannot be read (No such file or directory); `dvc repro` recreates it"


def test_two_files_for_one_purpose_are_not_chosen_between(folder: Path, raw: Path) -> None:
    (folder / f"{LABELS}.gz").touch()
    with pytest.raises(InputError) as error:
        sources.copy(folder, raw)
    says = f"holds both {LABELS} and {LABELS}.gz; remove the one that is not meant, or move it"
    assert str(error.value) == f"{folder}: {says}"


FOUR = [*mnist.raw.IMAGES.values(), *mnist.raw.LABELS.values()]
PUT = recognise.REMEDY
KNOWN = "no data set that is known here, but"


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ([], f"{KNOWN} nothing; {PUT}"),
        (FOUR[:3], f"no {FOUR[3]}, plain or as .gz, but {', '.join(sorted(FOUR[:3]))}; {PUT}"),
        ([*FOUR[1:], f"{FOUR[0]}/"], f", t10k-labels-idx1-ubyte, {FOUR[0]}/, train-labels-idx1-ubyte; {PUT}"),
        ([*FOUR[:3], f"{FOUR[3]}@"], f", {FOUR[3]} (no file), train-images-idx3-ubyte, train-labels-idx1-ubyte; {PUT}"),
        ([f"{k}.png" for k in range(8)], ", but 0.png, 1.png, 2.png, 3.png, 4.png, 5.png, 6.png, 7.png; " + PUT),
        ([f"{k}.png" for k in range(10, 1019)], ", 1005.png and 1,001 more; " + PUT),
        (["train_images.gz", *FOUR[1:]], f"; rename train_images.gz to {FOUR[0]}.gz"),
        (["a TEST image.GZ", "a Train label", "train-images", *FOUR[3:]],
         f"; rename train-images to {FOUR[0]}, a TEST image.GZ to {FOUR[1]}.gz, a Train label to {FOUR[2]}"),
        (["1 train image", "2 train image", "train", "image", *FOUR[1:]], f"; rename 1 train image to {FOUR[0]}"),
        (["train_images/", *FOUR[1:]], f"; {PUT}"),
        ([*(f"b/{name}.gz" for name in FOUR), *(f"a/{name}" for name in FOUR[1:]), *(f"c/{name}" for name in FOUR)],
         ", but a/, b/, c/; set dataset.path to FOLDER/b"),
    ],
)  # fmt: skip
def test_a_folder_without_the_four_files_is_told_what_it_has_and_what_to_do(
    there: list[str], says: str, tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        path = tmp_path / name.rstrip("/@")
        path.mkdir() if name.endswith("/") else path.symlink_to(path) if name.endswith("@") else path.touch()
    with pytest.raises(InputError) as error:
        recognise.data_set(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: holds no ")
    assert str(error.value).endswith(says.replace("FOLDER", str(tmp_path)))


def test_each_of_the_four_files_may_be_gzipped_or_not(tmp_path: Path) -> None:
    for name in (FOUR[0], f"{FOUR[1]}.gz", f"{FOUR[2]}.gz", FOUR[3]):
        (tmp_path / name).touch()
    assert recognise.data_set(tmp_path).form == "IDX files"
