"""What may be wrong with data of one's own: npz, CSV, pictures by class, IDX files of odd kinds. `look` finds it."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.cases import CHECK, DOWNLOAD, NORMALISE, Case
from tests.harms import Harm, given, gone, in_turn

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.randint(0, 256, (40, 8, 8)).astype(np.uint8)
LABELS = np.arange(40, dtype=np.uint8) % 4
RGB = np.random.RandomState(1).randint(0, 256, (40, 8, 8, 3)).astype(np.uint8)
FRACTIONS = [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
GOOD = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:8], "y_test": LABELS[:8]}
MED = {
    f"{split}_{what}": array
    for split in ("train", "val", "test")
    for what, array in (("images", IMAGES), ("labels", LABELS[:, None]))
}


def npz(**changed: Any) -> bytes:
    """Keras' four arrays, some of them others; None leaves one out."""
    out = io.BytesIO()
    np.savez_compressed(out, **{name: array for name, array in {**GOOD, **changed}.items() if array is not None})
    return out.getvalue()


def csv(rows: int = 40, header: bool = True, end: str = "\n") -> str:
    """A table of labels and pixels, as Kaggle has it."""
    lines = [",".join(["label", *(f"pixel{k}" for k in range(64))])] * header
    return end.join(
        [
            *lines,
            *(",".join(map(str, [label, *image.ravel()])) for image, label in zip(IMAGES[:rows], LABELS, strict=False)),
            "",
        ]
    )


def png(image: Any = IMAGES[0], **how: Any) -> bytes:
    """A picture as PNG, or in the format that is asked for."""
    out = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(image)
    made.save(out, **{"format": "PNG", **how})
    return out.getvalue()


def file(name: str, content: bytes | str) -> Harm:
    """A file, and the folders that it is in."""

    def harm(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return harm


def photos(root: Path) -> None:
    """Pictures of two classes, a and b."""
    for k, image in enumerate(IMAGES[:10]):
        file(f"own/{'ab'[k % 2]}/{k // 2}.png", png(image))(root)


def with_photo(content: bytes, name: str = "own/b/odd.png") -> Harm:
    """Pictures, and one more."""
    return in_turn(photos, file(name, content))


def linked(name: str, target: str) -> Harm:
    """Pictures, and a symbolic link."""
    return in_turn(photos, lambda root: (root / name).symlink_to(target))


def archive(member: bytes, name: str = "x_train.npy", **more: Any) -> bytes:
    """An npz with one member made by hand."""
    out = io.BytesIO(npz(**{name.removesuffix(".npy"): None, **more}))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, member)
    return out.getvalue()


def npy(header: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """The member of an npz, its header by hand."""
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return b"\x93NUMPY" + version + length + header.encode() + content


def flipped(content: bytes, at: float) -> bytes:
    """A file with a byte changed in the middle of its data."""
    k = int(len(content) * at)
    return content[:k] + bytes([content[k] ^ 0x55]) + content[k + 1 :]


def idx_files(images: bytes, labels: bytes) -> Harm:
    """Four IDX files, the training ones as given."""
    good = (
        struct.pack(">IIII", 0x803, 8, 8, 8) + IMAGES[:8].tobytes(),
        struct.pack(">II", 0x801, 8) + LABELS[:8].tobytes(),
    )
    names = {
        "train-images.idx3-ubyte": images,
        "train-labels.idx1-ubyte": labels,
        "T10K-IMAGES-IDX3-UBYTE": good[0],
        "test-labels.idx": good[1],
    }
    return in_turn(*(file(f"own/{name}", content) for name, content in names.items()))


def own(name: str, content: bytes | str | Harm, says: str, path: str = "") -> Case:
    """A row: `look` at what the content makes, own.npz, own.csv or the folder own."""
    if callable(content):
        return Case(name, f"mnist look {path or 'own'}", content, says)
    path = path or ("own.npz" if isinstance(content, bytes) else "own.csv")
    return Case(name, f"mnist look {path}", file(path, content), says)


def table(change: Callable[[str], str | bytes], name: str = "own.csv") -> Harm:
    """A table that is changed."""
    return lambda root: file(name, change(csv()))(root)


PROMISED = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }\n"
OF_NPZ = [
    *(own(f"npz cut at {share:.0%}", npz()[: int(len(npz()) * share)], "own.npz: (not a whole npz|an empty|no|not text|line|one)") for share in FRACTIONS),
    *(own(f"MedMNIST's npz without {name}", npz(**dict.fromkeys(GOOD), **{**MED, name: None}), f"holds .*, no {name}; save these too") for name in ("val_labels", "test_images")),
    own("npz without y_test", npz(y_test=None), "holds x_train, y_train, x_test, no y_test; save these too"),
    own("Keras' npz without y_val", npz(x_val=IMAGES), "holds .*, no y_val; save these too"),
    own("npz of other names", npz(**dict.fromkeys(GOOD), a=IMAGES, b=LABELS), "holds a, b; save its arrays by the names of one of these: x_train, "),
    own("npz with fewer labels", npz(y_train=LABELS[1:]), "x_train holds 40 images, y_train 39 labels; save the two that belong"),
    own("npz of floats", npz(x_train=IMAGES / 255), "x_train: float64 where uint8 is expected; save it .*times 255"),
    own("npz of 16 bits", npz(x_test=IMAGES.astype(np.uint16)), "x_test: uint16 where uint8 is expected; save"),
    own("npz of labels that are floats", npz(y_train=LABELS.astype(float)), "y_train: float64 where whole numbers are expected; save"),
    own("npz of one-hot labels", npz(y_train=np.eye(4, dtype=np.uint8)[LABELS]), r"y_train: 4 numbers an image, as of one-hot labels, .*; save its .argmax"),
    own("npz of labels in cubes", npz(y_train=LABELS.reshape(40, 1, 1)), "y_train: an array of .* where .n,. is expected; save one"),
    own("npz of labels that are words", npz(y_train=LABELS.astype(str)), "y_train: <U3 where whole numbers are expected; save"),
    own("npz of labels below 0", npz(y_train=LABELS.astype(np.int8) - 1), r"x_train\[0\]: label -1 is below 0; save labels that count from 0"),
    own("npz of a label of 300", npz(y_train=LABELS.astype(np.int16) + 300), r"x_train\[0\]: label 300 is beyond the 256 .*; fix"),
    own("npz of objects", npz(x_train=np.array([1, "a", None], object)), "x_train: Python objects, which only unpickling brings back.*; save"),
    own("npz of objects for labels", npz(y_train=np.array([[1], "a"], object)), "y_train: Python objects, .*; save"),
    own("npz of channels first", npz(x_train=np.zeros((40, 3, 8, 8), np.uint8)), "x_train: an array of .* with 1 or 3 channels last .*; save it so"),
    own("npz of one dimension", npz(x_train=LABELS), "x_train: an array of .40,. where .*; save it so"),
    own("npz of rows that are no square", npz(x_train=np.zeros((40, 65), np.uint8)), "x_train: 65 pixels are no square; set dataset.image_size"),
    own("npz of images without pixels", npz(x_train=np.zeros((40, 0, 8), np.uint8)), "x_train: .*where 1 to 4096 pixels a side are possible; save"),
    own("npz without an image", npz(x_train=IMAGES[:0], y_train=LABELS[:0]), "holds 0 images, .*; save the two"),
    own("npz in Fortran's order", npz(x_train=np.asfortranarray(IMAGES)), "in Fortran's order; save np.ascontiguousarray"),
    own("npz damaged inside", flipped(npz(), 0.3), "own.npz: not a whole npz file .*; fetch or save"),
    own("npz that goes on", archive(npy(PROMISED % "40, 8, 8", bytes(2561))), "x_train: goes on after what its header promises; save"),
    own("npz that is a bomb", archive(npy(PROMISED % "40, 8, 8", bytes(50_000_000))), "x_train: goes on after"),
    own("npz that promises more than the disk has", archive(npy(PROMISED % "4000000000, 4000, 4000"), y_train=None, y_train2=LABELS), "own.npz: holds .*no y_train; save|; make room"),
    own("npz that ends within an array", archive(npy(PROMISED % "40, 8, 8", bytes(100))), "x_train: ends before what its header promises; fetch"),
    own("npz of a header without end", archive(npy(" " * 60_000)), "x_train: not an array .*; save it again"),
    own("npz of a header of another version", archive(npy(PROMISED % "40, 8, 8", bytes(2560), b"\2\0")), "x_train: not an array .version 2.0.; save"),
    own("npz of a header that runs code", archive(npy("__import__('os').system('false')")), "x_train: not an array .*; save it again"),
    own("npz of a member that is no array", archive(b"hello, world"), "x_train: not an array .*; save it again"),
    own("a zip of a table", archive(b"label,a\n1,2", "train.csv", **dict.fromkeys(GOOD)), "own.npz: a zip archive without arrays; unzip it"),
    own("two npz in a folder", in_turn(file("own/a.npz", npz()), file("own/b.npz", npz())), "holds a.npz, b.npz; set dataset.path to the one"),
]  # fmt: skip
OF_CSV = [
    *(own(f"CSV cut at {share:.0%}", table(lambda text, share=share: text[: text.rindex(",", 0, int(len(text) * share))]), "own.csv: line [0-9]+ (has|has no) .*; (fix|is it)|no column called", "own.csv")
      for share in FRACTIONS[2:]),
    *(own(f"CSV cut at byte {size}", csv()[:size], "own.csv: (no column|line 1 has no cells|an empty file).*; (name|is it|fetch)") for size in (0, 3)),
    own("CSV with a short row", table(lambda text: text.replace(text.splitlines()[5], "1,2,3"), "own.csv"), "own.csv: line 6 has 3 cells where line 1 has 65; fix", "own.csv"),
    own("CSV with a long row", csv() + csv(1, header=False)[:-1] + ",7\n", "line 42 has 66 cells where line 1 has 65; fix"),
    own("CSV with a word", table(lambda text: text.replace("\n1,", "\nseven,", 1)), "line 3, cell 1: 'seven' is no whole number; fix", "own.csv"),
    own("CSV with an empty cell", table(lambda text: text.replace("\n1,", "\n,", 1)), "line 3, cell 1: '' is no whole number; fix", "own.csv"),
    own("CSV with a float", table(lambda text: text.replace("\n2,", "\n2.5,", 1)), r"line 4, cell 1: '2\.5' is no whole number; fix", "own.csv"),
    own("CSV with a shade of 256", csv() + ",".join(["1", "256", *["0"] * 63]), "line 42, cell 2: 256 is no shade from 0 to 255; fix"),
    own("CSV with a shade below 0", csv(header=False) + ",".join(["1", *["0"] * 63, "-1"]), "line 41, cell 65: -1 is no shade"),
    own("CSV with a label of 300", csv() + ",".join(["300", *["0"] * 64]), "own.csv, line 42: label 300 is beyond the 256 .*; fix"),
    own("CSV with an empty line", table(lambda text: text.replace("\n2,", "\n\n2,", 1)), "line 4 is empty; remove", "own.csv"),
    own("CSV of 70,000 columns", ",".join(["1"] * 70_000) + "\n", "line 1: 69,999 pixels are no square; set dataset.image_size"),
    own("CSV of columns that are no square", "label,a,b\n1,2,3\n", "2 pixels are no square; set dataset.image_size to height and width$"),
    own("CSV of columns that may be colours", "label,r,g,b\n1,2,3,4\n", "3 pixels are no square; set dataset.image_size to height and width, and dataset.channels to 3 if"),
    own("CSV of one column", "label\n1\n", "line 1 has no cells with commas between them; is it the right file"),
    own("CSV without a label", csv().replace("label", "id"), "no column called label or .* in its header; name it so"),
    own("CSV with two labels", csv().replace("pixel7", "class", 1), "line 1 names 2 columns label or .*; leave one"),
    own("CSV with pandas' header", table(lambda text: text.replace(text.splitlines()[0], ",".join(map(str, range(65))))), "own.csv: line 1 counts from 0 to 64, as a header of pandas does; save it without a header, or call", "own.csv"),
    own("CSV with a header and no more", csv(0), "own.csv, line 2: no images; put"),
    own("CSV in UTF-16", table(lambda text: text.encode("utf-16")), "not text in ASCII or UTF-8; save it as UTF-8", "own.csv"),
    own("CSV of a line without end", table(lambda text: text + "1," * 9_000_000), "line 42 is longer than 16,777,216 bytes; is it", "own.csv"),
    own("CSV gzipped and cut", lambda root: file("own.csv.gz", gzip.compress(csv().encode())[:-20])(root), "damaged or cut off gzip .*; fetch", "own.csv.gz"),
    own("CSV whose test has another size", in_turn(file("own/train.csv", csv()), file("own/test.csv", "label,a\n1,2\n")), "own: train has images of 8×8 pixels, test of 1×1; set"),
    own("a web page for CSV", "<!DOCTYPE html><title>404</title>", "own.csv: a page of HTML or XML, .*; fetch the file itself"),
    own("a pointer of Git LFS for CSV", "version https://git-lfs.github.com/spec/v1\n", "own.csv: a pointer of Git LFS; `git lfs pull`"),
    own("three CSV in a folder", in_turn(*(file(f"own/{name}.csv", csv()) for name in "abc")), "holds a.csv, b.csv, c.csv, and not one for each .*; set dataset.path"),
]  # fmt: skip
BOMB = png(Image.new("1", (9000, 9000)))
LONG = np.zeros((1, 4097), np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6
OF_PICTURES = [
    *(own(f"a PNG cut at {share:.0%}", with_photo(png(IMAGES[0])[: int((len(png(IMAGES[0])) - 12) * share)]), r"own/b/odd.png: (not a picture|a damaged picture).*; save") for share in FRACTIONS),
    own("a picture bomb", with_photo(BOMB), "own/b/odd.png: 9,000×9,000 pixels are more than 50,000,000; make"),
    own("pictures of more pixels a side than are possible", in_turn(*(file(f"own/{name}/0.png", png(LONG)) for name in "ab")), "own/a/0.png: 1×4097 pixels, where 4096 a side are possible; set dataset.image_size"),
    own("pictures most of which have too many pixels a side", in_turn(photos, *(file(f"own/b/{k}.png", png(LONG)) for k in range(10, 30))), "own/b/10.png: 1×4097 pixels, where 4096 a side are possible; set dataset.image_size"),
    own("a word for a picture", with_photo(b"hello"), "own/b/odd.png: not a picture that is read here; save"),
    own("an animated GIF", with_photo(png(Image.fromarray(IMAGES[0]), format="GIF", save_all=True, append_images=[Image.fromarray(IMAGES[1])]), "own/b/odd.gif"), "own/b/odd.gif: 2 frames or pages; save the one"),
    own("an animated PNG", with_photo(png(Image.fromarray(IMAGES[0]), save_all=True, append_images=[Image.fromarray(IMAGES[1])])), "own/b/odd.png: 2 frames or pages; save"),
    own("a TIFF of two pages", with_photo(png(Image.fromarray(IMAGES[0]), format="TIFF", save_all=True, append_images=[Image.fromarray(IMAGES[1])]), "own/b/odd.tif"), "own/b/odd.tif: 2 frames or pages; save"),
    own("a TIFF of floats", with_photo(png(Image.fromarray(IMAGES[0] / np.float32(255)), format="TIFF"), "own/b/odd.tif"), "own/b/odd.tif: a picture of mode F; save it in 8 bits"),
    own("a TIFF of 32 bits", with_photo(png(Image.fromarray(IMAGES[0].astype(np.int32) * 70000), format="TIFF"), "own/b/odd.tif"), "own/b/odd.tif: pixels of more than 16 bits; save"),
    own("a picture that is transparent in places", with_photo(png(np.dstack([IMAGES[0]] * 4))), "own/b/odd.png: transparent in places; save"),
    own("a class without pictures", in_turn(photos, lambda root: (root / "own/c").mkdir()), r"own/c: no pictures .*; put some there, or remove"),
    own("a test folder without pictures", in_turn(*(file(f"own/train/{name}/0.png", png()) for name in "ab"), lambda root: (root / "own/test/a").mkdir(parents=True)), r"own/test: no pictures .*; put some there, or remove"),
    own("one class", file("own/a/0.png", png()), "own: 1 folders, where 2 to 256 classes are possible; put"),
    own("257 classes", in_turn(*(file(f"own/{k}/0.png", png()) for k in range(257))), "own: 257 folders, where 2 to 256 .*; put"),
    own("two classes that differ in case only", in_turn(photos, file("own/A/0.png", png())), "own: A and a differ in case only; merge"),
    own("a class that training lacks", in_turn(*(file(f"own/{name}/0.png", png()) for name in ("train/a", "train/b", "test/c"))), "own/test/c: a class without a folder in own/train; make"),
    *(own(f"both {one} and {other} by class", in_turn(*(file(f"own/{name}/{c}/0.png", png()) for name in {"train", one, other} for c in "ab")), f"own: holds both {one} and {other}; merge them, or move") for one, other in (("test", "testing"), ("val", "valid"), ("train", "training"))),
    own("a test folder without a training folder", in_turn(*(file(f"own/test/{name}/0.png", png()) for name in "ab")), "own: holds test, no train; make"),
    *(own(f"a class that is called {name}", in_turn(*(file(f"own/{each}/0.png", png()) for each in ("bus", "car", name))), f"own/{name}: pictures of a class in a folder whose name stands for a split; rename it .*classes.txt") for name in ("train", "Test", "val")),
    own("two classes that are called like splits", in_turn(*(file(f"own/{each}/0.png", png()) for each in ("bus", "val", "valid"))), "own/val: pictures of a class in a folder whose name stands for a split; rename it"),
    own("splits without classes", in_turn(*(file(f"own/{each}/0.png", png()) for each in ("train", "test"))), "own/train: 0 folders, where 2 to 256 .*; put"),
    own("a test folder of pictures without classes, beside another", in_turn(*(file(f"own/{each}/0.png", png()) for each in ("train/a", "train/b", "test", "more"))), "own/test: no pictures .*; put some there, or remove"),
    own("classes a folder too deep", in_turn(photos, *(file(f"own/c/{name}/0.png", png()) for name in "ab")), "own/c: no pictures but folders of them, .*; set dataset.path"),
    own("a link to nothing", linked("own/a/none.png", "none"), "own/a/none.png: a link to a folder, to nothing or to itself; put"),
    own("a link to itself", linked("own/a/loop.png", "loop.png"), "own/a/loop.png: a link to a folder, to nothing or to itself; put"),
    own("a folder that links to what it is in", linked("own/a/up", ".."), "own/a/up: a link to a folder, .*; put"),
    own("a class that is a link", linked("own/c", "a"), "own/c: a link to a folder or to nothing; put"),
    own("a class whose name is not UTF-8", in_turn(photos, lambda root: [os.mkdir(os.fsencode(root / "own") + b"/caf\xe9"), open(os.fsencode(root / "own") + b"/caf\xe9/0.png", "wb").write(png())]), r"own/caf\\udce9: a name that is not printable UTF-8; rename"),  # noqa: PTH102, PTH123, SIM115
    own("a picture whose name is not UTF-8", in_turn(photos, lambda root: open(os.fsencode(root / "own/a") + b"/caf\xe9.png", "wb").write(png())), r"own/a/caf\\udce9.png: a name that is not printable UTF-8; rename"),  # noqa: PTH123, SIM115
    own("pictures and a table", in_turn(photos, file("own/train.csv", csv())), "own: holds CSV and pictures by class; move one away"),
    own("pictures without folders", in_turn(*(file(f"own/{k}.png", png()) for k in range(3))), "holds no data set that is known here, but 0.png, 1.png, 2.png; a data set is"),
    own("pictures by class in a folder of the folder", in_turn(photos, lambda root: [(root / "up").mkdir(), (root / "own").rename(root / "up/own")]), "up: holds no data set that is known here, but own/; set dataset.path to up/own", "up"),
]  # fmt: skip
SMALL = struct.pack(">IIII", 0x803, 40, 8, 8) + IMAGES.tobytes(), struct.pack(">II", 0x801, 40) + LABELS.tobytes()
IN_COLOUR = struct.pack(">IIIII", 0x804, 40, 8, 8, 3) + RGB.tobytes()
OF_IDX = [
    own("IDX files of floats", idx_files(struct.pack(">IIII", 0xD03, 40, 8, 8) + bytes(40 * 64 * 4), SMALL[1]), "train-images.idx3-ubyte: an IDX file of 32-bit floats, where images .*; save it as uint8"),
    *(own(f"IDX files of {n} channels", idx_files(struct.pack(">IIIII", 0x804, 40, 8, 8, n) + bytes(40 * 64 * n), SMALL[1]), f"train-images.idx3-ubyte: its header says {n} numbers a pixel, where 3 .*; save it so") for n in (1, 2, 4)),
    own("IDX files in colour, cut", idx_files(IN_COLOUR[:-1], SMALL[1]), "train-images.idx3-ubyte: ends 1 bytes before the 7,680 its header promises; fetch"),
    own("IDX labels of integers", idx_files(SMALL[0], struct.pack(">II", 0xC01, 40) + bytes(160)), "train-labels.idx1-ubyte: an IDX file of 32-bit integers, where labels .*; save"),
    own("IDX labels like QMNIST's, cut", idx_files(SMALL[0], struct.pack(">III", 0xC02, 40, 8) + bytes(1279)), "train-labels.idx1-ubyte: ends [0-9]+ bytes before the 40 rows its header promises; fetch"),
    own("IDX labels like QMNIST's, too long", idx_files(SMALL[0], struct.pack(">III", 0xC02, 40, 8) + bytes(1281)), "goes on after the 40 rows its header promises; fetch"),
    own("IDX labels like QMNIST's, of no columns", idx_files(SMALL[0], struct.pack(">III", 0xC02, 40, 0)), "its header says 40 rows of 0 numbers; fetch"),
    own("IDX files and fewer labels", idx_files(SMALL[0], struct.pack(">II", 0x801, 39) + bytes(39)), "own: train: 40 images, 39 labels; get"),
    own("one file of four", idx_files(*SMALL), "own/train-images.idx3-ubyte: one of the files of a data set; set dataset.path to its folder, own", "own/train-images.idx3-ubyte"),
    own("nothing at the path", lambda _: None, "own: no such file or folder; set dataset.path"),
]  # fmt: skip
OF_SIZES = [
    Case(f"a size of {size}", f"mnist look own.npz --size {size} 8", file("own.npz", npz()), r"'--size': .*should be (greater|less) than or equal to (1|4096) \(see --help\)", 2)
    for size in (0, -1, 4097)
]  # fmt: skip
LOOKED_AT = [*OF_NPZ, *OF_CSV, *OF_PICTURES, *OF_IDX, *OF_SIZES]


def downloaded(name: str, harm: Harm, says: str, *more: tuple[str, str], path: str = "own") -> Case:
    """A row that `look` does not mind, and a stage refuses."""
    return Case(
        name,
        DOWNLOAD,
        in_turn(given("path: data/small", f"path: {path}"), *(given(*pair) for pair in more), harm),
        says,
    )


KEYS = "handwriting: true "
OWN_DATA = [
    downloaded("npz whose labels count from 1", file("own.npz", npz(y_train=LABELS + 1, y_test=LABELS[:8] + 1)),
               "labels go from 1 to 4, and here they count from 0; add `first_label: 1` to dataset", path="own.npz"),
    downloaded("labels that do not count from there", file("own.npz", npz()), r"own.npz: x_train\[0\]: label 0 is below dataset.first_label, 1; set",
               (KEYS, "first_label: 1\n  handwriting: true "), path="own.npz"),
    downloaded("pictures in colour", with_photo(png(RANDOM.randint(0, 255, (8, 8, 3)).astype(np.uint8))),
               "own/b/odd.png: in colour; set dataset.channels to 3 to keep it, or to 1 to make all grey"),
    downloaded("an npz in colour", file("own.npz", npz(x_train=RGB)), r"own.npz: x_train\[0\]: in colour; set dataset.channels to 3", path="own.npz"),
    downloaded("IDX files in colour", idx_files(IN_COLOUR, SMALL[1]), r"own/train-images.idx3-ubyte\[0\]: in colour; set dataset.channels to 3"),
    downloaded("handwriting in colour", with_photo(png()), "dataset: handwriting is prepared in grey, and channels is 3; set dataset.handwriting to false", (KEYS, "channels: 3\n  handwriting: true ")),
    *(Case(f"three {name} for grey images", command, given(f"{key}: 0.5", f"{key}: [0.5, 0.4, 0.3]"),
           f"params.yaml: normalise.{key}: a number for each channel, and the images are grey; set one number, or")
      for key, name, command in (("mean", "means", NORMALISE), ("std", "deviations", CHECK))),
    Case("two means", CHECK, given("mean: 0.5", "mean: [0.5, 0.4]"), "normalise.mean: should be a valid number or 'auto' or a list of 3 numbers, not a list"),
    Case("a mean beyond 1 among three", CHECK, given("mean: 0.5", "mean: [0.5, 0.4, 127]"), "normalise.mean: should be .*less than or equal to 1, not"),
    downloaded("pictures of two sizes", with_photo(png(IMAGES[0][:7])), r"own/b/odd.png: 7×8 pixels where own/a/0.png has 8×8; set dataset.image_size .* \[8, 8\]"),
    downloaded("pictures of two channels", with_photo(png()), "dataset.channels: should be 1 or 3, not 2", (KEYS, "channels: 2\n  handwriting: true ")),
    downloaded("a size of one number", with_photo(png()), "dataset.image_size: should .*", (KEYS, "image_size: [8]\n  handwriting: true ")),
    downloaded("a picture lying on its side", with_photo(png(IMAGES[0][:7], format="JPEG", exif=TURNED), "own/b/odd.jpg"),
               "own/b/odd.jpg: 8×7 pixels where own/a/0.png has 8×8; set"),
    downloaded("a share that leaves nothing", photos, "dataset.test_share: 0.01 of 10 images leaves none for one split; set",
               (KEYS, "test_share: 0.01\n  handwriting: true ")),
    downloaded("a share that leaves one image of a class", in_turn(*(file(f"own/{name}.png", png(IMAGES[k])) for k, name in enumerate(("bus/0", "bus/1", "car/2", "car/3")))),
               r"dataset.test_share: 0.2 takes 1 of the 2 images of class (bus|car), which needs two to train on; add images of it$"),
    downloaded("a larger share that does", photos, r"dataset.test_share: 0.8 takes 4 of the 5 images of class a, which needs two to train on; set it lower, or add images of it$",
               (KEYS, "test_share: 0.8\n  handwriting: true ")),
    downloaded("a share that takes a class's only image", in_turn(photos, file("own/0/x.png", png(IMAGES[20]))),
               r"dataset.test_share: 0.2 takes 1 of the 1 images of class 0, which needs two to train on; add images of it$"),
    downloaded("one image of a class", in_turn(photos, file("own/c/0.png", png(IMAGES[20]))), "class c has [01] images"),
    downloaded("classes.txt beside a file", in_turn(file("own/own.npz", npz()), file("own/classes.txt", "a\nb\n")),
               "own/classes.txt: DVC does not look at it, as dataset.path is the file own/own.npz; put both", path="own/own.npz"),
    *(Case("data that DVC tracks and that are not there", command, in_turn(gone("data/small"), file("data/small.dvc", "")),
           "data/small: (missing|no such file or folder, but small.dvc is).*; `dvc checkout data/small.dvc` brings it") for command in (CHECK, DOWNLOAD)),
    Case("the name of size before", DOWNLOAD, given("# image_size: null  ", "size: [14, 14]"), "dataset: size is called image_size now; `sed",
         remedy=("sed -i 's/\\bsize: /image_size: /' params.yaml",)),
    Case("the old name of a key", DOWNLOAD, given("path: data/small", "folder: data/small"), "dataset: folder is called path now; `sed",
         remedy=("sed -i 's/\\bfolder: /path: /' params.yaml",)),
    Case("the old name of a key in dvc.yaml", DOWNLOAD, lambda root: (root / "dvc.yaml").write_text(
        (root / "dvc.yaml").read_text("utf-8").replace("${dataset.path}", "${dataset.folder}"), "utf-8"),
         r"params.yaml: dataset.folder: missing, and dvc.yaml refers to it; put it back, or edit dvc.yaml; the keys here are path, "),
]  # fmt: skip
