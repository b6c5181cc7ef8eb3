"""What `dataset.path` may hold: `check` and `download` both find it."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import bz2
import gzip
import lzma
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist import idx
from tests.cases import (
    CHECK,
    DOWNLOAD,
    IMAGES,
    LABELS,
    SIZE,
    Case,
    small,
)
from tests.harms import (
    Harm,
    cut,
    folder,
    given,
    gone,
    grow,
    in_turn,
    instead,
    loop,
    packed,
    patch,
    text,
    zipped,
)  # fmt: skip


def called(new: Callable[[str], str]) -> Harm:
    """Give all files of the data folder other names."""
    return lambda root: [path.rename(path.with_name(new(path.name))) for path in (root / "data/small").iterdir()]


def counting_from(first: int) -> Harm:
    """Have labels count from there."""

    def harm(root: Path) -> None:
        for path in (root / "data/small").glob("*labels*"):
            idx.write(path, np.array(idx.read(path, 1)) + np.uint8(first))

    return harm


def field(name: str, offset: int, value: int) -> Harm:
    """Set a field of an IDX header."""
    return patch(small(name), offset, struct.pack(">I", value))


FOLDERS = [
    *(Case(f"{name}: first byte", CHECK, patch(small(name), 0, b"\1"), f"{name}: starts with 0x01") for name in SIZE),
    *(Case(f"{name}: signed bytes", DOWNLOAD, patch(small(name), 2, b"\x09"), f"{name}: an IDX file of signed bytes, .*; save it") for name in SIZE),
    *(Case(f"{name}: float", CHECK, patch(small(name), 2, b"\x0d"), f"{name}: an IDX file of 32-bit floats, .*; save it") for name in SIZE),
    *(Case(f"{name}: {n} dimensions", DOWNLOAD, patch(small(name), 3, bytes([n])),
     f"{name}: (an IDX file of .*; is it|its header says 0 numbers a pixel, .*; save)") for name in SIZE for n in (2, 4)),
    *(Case(f"{name}: one more", CHECK, field(name, 4, 1201), f"{name}: ends [0-9]+ bytes before") for name in SIZE),
    *(Case(f"{name}: one fewer", DOWNLOAD, field(name, 4, 1199), f"{name}: goes on after") for name in SIZE),
    *(Case(f"{name}: none", CHECK, field(name, 4, 0), f"{name}: holds nothing.*fetch it again") for name in SIZE),
    *(Case(f"{name}: 2^32 - 1", DOWNLOAD, field(name, 4, 2**32 - 1), f"{name}: (its header prom|ends)") for name in SIZE),
    *(Case(f"height {n}", CHECK, field(IMAGES, 8, n), f"{IMAGES}: its header says") for n in (0, 4097, 2**32 - 1)),
    *(Case(f"width {n}", DOWNLOAD, field(IMAGES, 12, n), f"{IMAGES}: its header says") for n in (0, 4097, 2**32 - 1)),
    Case("height 29", CHECK, field(IMAGES, 8, 29), f"{IMAGES}: ends 33,600 bytes before"),
    Case("width 27", DOWNLOAD, field(IMAGES, 12, 27), f"{IMAGES}: goes on after"),
    *(Case(f"images cut to {n}", CHECK, cut(small(IMAGES), n), f"{IMAGES}: {n} bytes are too few") for n in (0, 3, 4, 8, 12, 15)),
    *(Case(f"images cut to {n}", DOWNLOAD, cut(small(IMAGES), n), f"{IMAGES}: ends [0-9,]+ bytes") for n in (16, 17, 799, 800, -1)),
    *(Case(f"labels cut to {n}", CHECK, cut(small(LABELS), n), f"{LABELS}: {n} bytes are too few") for n in (0, 3, 4, 7)),
    *(Case(f"labels cut to {n}", DOWNLOAD, cut(small(LABELS), n), f"{LABELS}: ends [0-9,]+ bytes") for n in (8, 9, -1)),
    *(Case(f"{name}: a byte too many", CHECK, grow(small(name), b"\0"), f"{name}: goes on after") for name in SIZE),
    Case("labels for images", DOWNLOAD, lambda root: shutil.copy(root / small(LABELS), root / small(IMAGES)),
     f"{IMAGES}: an IDX file of labels, where images are expected; is it the right file"),
    Case("fewer labels than images", CHECK, in_turn(cut(small(LABELS), -1), field(LABELS, 4, 1199)),
     "1,200 images, .* 1,199 labels"),
    Case("test images of another size", DOWNLOAD, in_turn(cut(small("t10k-images-idx3-ubyte"), 16 + 300 * 400),
     field("t10k-images-idx3-ubyte", 8, 20), field("t10k-images-idx3-ubyte", 12, 20)), "pixels.*get two that are the same"),
    Case("one class only", CHECK, patch(small(LABELS), 8, bytes(1200)), f"{LABELS}: all labels are the same|t10k-labels"),
    Case("one class only, in both", DOWNLOAD, in_turn(patch(small(LABELS), 8, bytes(1200)),
     patch(small("t10k-labels-idx1-ubyte"), 8, bytes(300))), f"{LABELS}: all labels are the same; get labels of two"),
    Case("labels from 1", CHECK, patch(small(LABELS), 8, bytes([1, 2] * 600)), "outside the 3 classes|class 0 has 0 images"),
    *(Case(f"labels that count from {first}", command, counting_from(first),
     f"{LABELS}: labels go from {first} to {first + 9}, and here they count from 0; add `first_label: {first}` to dataset")
      for first, command in ((1, CHECK), (48, DOWNLOAD), (246, CHECK))),
    Case("labels from 1 and as many names", DOWNLOAD, in_turn(counting_from(1), text(small("classes.txt"), "\n".join("abcdefghij"))),
     "labels go from 1 to 10, .*; add `first_label: 1` to dataset"),
    Case("a label of 255", DOWNLOAD, patch(small(LABELS), 8, b"\xff"), f"{LABELS}: class 10 has 0 images .* 255, at 0; .*is a label wrong"),
    Case("a test label of 10", CHECK, patch(small("t10k-labels-idx1-ubyte"), 8, b"\x0a"), "t10k-labels.*label 10 at 0 is outside"),
    Case("plain though called gzip", DOWNLOAD, lambda root: (root / small(IMAGES)).rename(root / small(IMAGES + ".gz")),
     f"{IMAGES}.gz: a plain IDX file, not a gzip one; `mv ", remedy=(f"mv {small(IMAGES)}.gz {small(IMAGES)}",)),
    Case("gzip without .gz", CHECK, in_turn(packed(small(LABELS), lambda content: content), lambda root: (root / small(LABELS + ".gz")).rename(root / small(LABELS))),
     f"{LABELS}: gzip, without .gz at the end of its name; `mv", remedy=(f"mv {small(LABELS)} {small(LABELS)}.gz",)),
    *(Case(f"gzip cut to {n}", CHECK, packed(small(LABELS), lambda content, n=n: content[:n]),
     f"{LABELS}.gz: {'ends within its gzip data' if n else '0 bytes are too few'}.*fetch it again")
      for n in (0, 1, 2, 5, 10, 12, 100, -9, -8, -4, -1)),
    *(Case(f"{what} called gzip", CHECK, packed(small(LABELS), lambda _, content=content: content), rf"{LABELS}\.gz: {says}")
      for what, content, says in (
        ("a zip archive", zipped(), "a zip archive; unzip it"),
        ("bzip2", bz2.compress(bytes(9)), "packed by bzip2; bunzip2 it"),
        ("xz", lzma.compress(bytes(9)), "packed by xz; unxz it"),
        ("a page", b"\n<!DOCTYPE html><title>404</title>", "a page of HTML or XML, .*; fetch the file itself"),
        ("a pointer", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS; `git lfs pull` brings the file"),
        ("a word", b"nothing", r"not a gzip file though called so \(it starts with b'noth'\); fetch it again"),
    )),
    *(Case(f"{what} called an IDX file", DOWNLOAD, text(small(IMAGES), content), f"{IMAGES}: {says}")
      for what, content, says in (
        ("gzip", gzip.compress(bytes(9), mtime=0), "gzip, without .gz at the end of its name; `mv"),
        ("a page", b"<html><body>404 Not Found", "a page of HTML or XML, .*; fetch the file itself"),
        ("a pointer", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS; "),
    )),
    Case("gzip of a wrong checksum", DOWNLOAD, packed(small(LABELS), lambda content: content[:-8] + bytes(8)),
     f"{LABELS}.gz: damaged gzip file .CRC check failed.*; fetch it again"),
    Case("gzip damaged inside", CHECK, packed(small(LABELS), lambda content: content[:40] + bytes(40) + content[80:]), "gzip"),
    Case("gzip and something after", DOWNLOAD, packed(small(LABELS), lambda content: content + b"after"),
     r"\.gz: goes on after the end of its gzip data, and not with gzip; fetch it again, or leave that out: ",
     remedy=(f"zcat {small(LABELS)}.gz > {small(LABELS)}; rm {small(LABELS)}.gz",)),
    Case("gzip and one more gzip", CHECK, packed(small(LABELS), lambda content: content + content), "goes on after the 1,200 bytes"),
    Case("a gzip bomb", CHECK, packed(small(LABELS), lambda content: content + gzip.compress(bytes(10**8), 9)), "goes on after"),
    Case("a gzip bomb of one member", DOWNLOAD, lambda root: (root / small(LABELS + ".gz")).write_bytes(
        gzip.compress((root / small(LABELS)).read_bytes() + bytes(10**8))) and (root / small(LABELS)).unlink(),
         "goes on"),
    Case("gzip in gzip", CHECK, packed(small(LABELS), gzip.compress), f"{LABELS}.gz: gzipped twice; `gunzip",
     remedy=(f"gunzip {small(LABELS)}.gz && mv {small(LABELS)} {small(LABELS)}.gz",)),
    Case("gzipped and plain", DOWNLOAD, lambda root: (root / small(LABELS + ".gz")).touch(), "holds both .* remove the one"),
    *(Case(f"no {name}", CHECK, gone(small(name)), f"small: holds no {name}, plain or as .gz, but t10k-.*; a data set is four")
      for name in SIZE),
    Case("files called otherwise", CHECK, called(lambda name: name.split("-idx")[0].replace("-", " ").replace("t10k", "test")),
         f"holds no data set that is known here, but test images, .*; rename train images to {IMAGES}, .*, test labels to t10k-labels-idx1-ubyte"),
    Case("files in a folder of the folder", CHECK, in_turn(folder("data/up"), lambda root: (root / "data/small").rename(
        root / "data/up/raw"), given("data/small", "data/up")), "up: holds no .*, but raw/; set dataset.path to data/up/raw"),
    Case("an empty folder", DOWNLOAD, in_turn(gone("data/small"), folder("data/small")), "holds no .*, but nothing; a data set is four"),
    Case("a folder of pictures", CHECK, in_turn(gone("data/small"), folder("data/small"), lambda root: [
        (root / small(f"{k}.png")).touch() for k in range(2000)]), r"but 0.png, 1.png, .* and 1,992 more; a data set"),
    Case("a folder for a file", DOWNLOAD, instead(small(LABELS), Path.mkdir), f"holds no {LABELS}, .*, {LABELS}/; a data set"),
    Case("a file that links to itself", CHECK, instead(small(LABELS), loop), rf"holds no {LABELS}, .*, {LABELS} \(no file\); a"),
    Case("no right to read a file", DOWNLOAD, lambda root: (root / small(LABELS)).chmod(0), f"{LABELS}: Permission denied; .*access"),
    Case("no right to enter the folder", CHECK, lambda root: (root / "data/small").chmod(0), "data/small.*: Permission denied; "),
    Case("no folder", DOWNLOAD, gone("data/small"), "data/small: (no such file or folder; set dataset.path|missing)"),
    Case("a file for the folder", CHECK, instead("data/small", Path.touch), "data/small: an empty file; fetch"),
    Case("a folder that links to itself", DOWNLOAD, instead("data/small", loop), "data/small: (no such file or folder; set|missing)"),
    Case("a name with a NUL", CHECK, given("path: data/small", r'path: "data\0small"'),
     r"data.*small: (no such file or folder|missing)"),
    Case("a name with a colon", DOWNLOAD, given("path: data/small", 'path: "data: small"'),
     "data: small: (no such file or folder|missing)"),
    Case("a name of 5,000 letters", CHECK, given("path: data/small", "path: " + "x" * 5000), "xxx: File name too long; "),
    Case("classes.txt in Latin-1", DOWNLOAD, text(small("classes.txt"), b"caf\xe9\n"), r"classes\.txt: byte 3 is not UTF-8; save"),
    Case("classes.txt with a name twice", CHECK, text(small("classes.txt"), "a\nb\na\n"), r"classes\.txt: .*each once; fix"),
    Case("classes.txt with an empty line", DOWNLOAD, text(small("classes.txt"), "a\n\nb\n"), r"classes\.txt: should hold one printable"),
    Case("classes.txt with control characters", CHECK, text(small("classes.txt"), "a\nb\x1b[31m\n"), r"classes\.txt: should hold one"),
    Case("classes.txt without a line", DOWNLOAD, text(small("classes.txt"), ""), r"classes\.txt: should hold one printable name per"),
    Case("classes.txt with too few", CHECK, text(small("classes.txt"), "\n".join("abcde")), "outside the 5 classes; fix it"),
    Case("classes.txt with too many", DOWNLOAD, text(small("classes.txt"), "\n".join("abcdefghijk")),
     "class k has 0 images, and 11 classes are named; name those that there are, 0 to 9"),
    Case("a folder for classes.txt", CHECK, lambda root: (root / small("classes.txt")).mkdir(), r"classes\.txt: not a file; "),
    Case("a file for the output's folder", DOWNLOAD, in_turn(given("data/small", "small"),
     lambda root: (root / "data/small").rename(root / "small"), instead("data", Path.touch)), "data.*: .*; .*move"),
]  # fmt: skip
