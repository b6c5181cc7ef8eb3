"""Whatever is wrong with an input: one line that names the place and the remedy, exit status 1 or 2, nothing harmed.

Each case harms a copy of a finished project, runs a command, and compares all files with what they were. Most run in
this process, through the very module that `python -m` runs; some run a second time as processes of their own. One in
three is in the fast part of the tests.
"""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import bz2
import ctypes
import gzip
import hashlib
import lzma
import os
import re
import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.numpy
import torch
import typer

from mnist import __main__ as commands
from mnist import idx
from pipeline import lock
from tests.conftest import SCRIPTS, Project, commit, run_inside
from tests.harms import (
    Harm,
    around,
    array,
    as_pickle,
    cut,
    drawn,
    folder,
    given,
    gone,
    grow,
    in_turn,
    instead,
    loop,
    model,
    packed,
    patch,
    swap,
    text,
    zipped,
)  # fmt: skip

CHECK, RECIPE = "mnist check", "mnist recipe one"
DOWNLOAD, NORMALISE, TRAIN, EVALUATE, PLOT = (
    f"stages.{name}" for name in ("download", "normalise", "train", "evaluate", "plot_predictions")
)
# git's and DVC's own; training's state, kept on purpose; Python's own
UNTOUCHED = {".git", "tmp", ".resume", "__pycache__"}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
SIZE = {IMAGES: 16 + 1200 * 784, LABELS: 8 + 1200}


class Case(NamedTuple):
    """What is wrong, the command that meets it, what is done to the project, and a pattern of the line it brings.

    Last, the commands that the line names as its remedy, if it names any: a test carries them out.
    """

    name: str
    command: str
    harm: Harm
    says: str
    status: int = 1
    remedy: tuple[str, ...] = ()


ALIASES = "[" + ", ".join([f"&a{k} [{', '.join([f'*a{k - 1}' if k else 'x'] * 9)}]" for k in range(9)]) + "]"

# what params.yaml may hold: a section's stage finds it, and so do `check` and `recipe`
PARAMETERS = [
    Case("an integer as text", TRAIN, given("epochs: 2", 'epochs: "2"'), r"train\.epochs: should be a valid integer, not '2'"),
    Case("an integer with a point", CHECK, given("epochs: 2", "epochs: 2.0"), r"train\.epochs: should be .* not 2\.0"),
    Case("true for an integer", TRAIN, given("epochs: 2", "epochs: true"), r"train\.epochs: should be .* not True"),
    Case("nothing for an integer", RECIPE, given("epochs: 2", "epochs:"), r"train\.epochs: should be .* not None"),
    Case("a list for an integer", TRAIN, given("epochs: 2", "epochs: [2]"), r"train\.epochs: should be .* not a list"),
    Case("a mapping for an integer", CHECK, given("epochs: 2", "epochs: {n: 2}"), r"train\.epochs: should be .* not a dict"),
    Case("a date for an integer", TRAIN, given("epochs: 2", "epochs: 2020-01-01"), r"line \d+, .*2020-01-01 is a word of YAML's; quote it"),
    Case("a minute, base 60 in YAML 1.1", RECIPE, given("epochs: 2", "epochs: 12:30"), r"train\.epochs: .* not '12:30'"),
    Case("no epochs", TRAIN, given("epochs: 2", "epochs: 0"), r"train\.epochs: should be greater .* 1, not 0"),
    Case("negative epochs", CHECK, given("epochs: 2", "epochs: -1"), r"train\.epochs: should be .* not -1"),
    Case("too many epochs", TRAIN, given("epochs: 2", "epochs: 100001"), r"train\.epochs: should be less .* not 100001"),
    Case("an integer of 24,000 bits", RECIPE, given("epochs: 2", "epochs: 0x" + "f" * 6000), r"train\.epochs: .* 24,000 bits"),
    Case("an integer of 6,000 digits", CHECK, given("epochs: 2", "epochs: " + "9" * 6000),
     r"params\.yaml: .*4300 digits.*fix it"),
    Case("aliases that unfold to gigabytes", TRAIN, given("epochs: 2", f"epochs: {ALIASES}"), r"train\.epochs: .* not a list"),
    Case("a list that holds itself", CHECK, given("epochs: 2", "epochs: &a [*a]"), r"train\.epochs: .* not a list"),
    Case("a learning rate of 0", TRAIN, given("_rate: 0.003", "_rate: 0"), r"train\.learning_rate: should be greater than 0"),
    Case("a negative learning rate", RECIPE, given("_rate: 0.003", "_rate: -1"), r"train\.learning_rate: should be .* not -1"),
    Case("a learning rate of NaN", TRAIN, given("_rate: 0.003", "_rate: .nan"), r"train\.learning_rate: .* finite .* not nan"),
    Case("an infinite learning rate", CHECK, given("_rate: 0.003", "_rate: .inf"), r"train\.learning_rate: .* finite .* not inf"),
    Case("a learning rate that overflows", TRAIN, given("_rate: 0.003", "_rate: 1e999"), r"train\.learning_rate: .* not inf"),
    Case("a learning rate in words", RECIPE, given("_rate: 0.003", "_rate: low"), r"train\.learning_rate: .* number, not 'low'"),
    Case("momentum of 1", TRAIN, given("momentum: 0.0", "momentum: 1.0"), r"train\.momentum: should be less than 1"),
    Case("momentum for adam", TRAIN, swap("params.yaml", ("optimizer: sgd", "optimizer: adam"), ("tum: 0.0", "tum: 0.9")), "sgd"),
    Case("negative weight decay", CHECK, given("decay: 0.0", "decay: -0.1"), r"train\.weight_decay: should be .* not -0\.1"),
    Case("no batch", TRAIN, given("batch_size: 64", "batch_size: 0"), r"train\.batch_size: should be .* not 0"),
    Case("no test batch", EVALUATE, given("batch_size: 1000", "batch_size: 0"), r"evaluate\.batch_size: should be .* not 0"),
    Case("a negative shift", RECIPE, given("shift: 0", "shift: -2"), r"train\.shift: should be .* not -2"),
    Case("a seed beyond 32 bits", NORMALISE, given("seed: 0", "seed: 4294967296"), r"normalise\.seed: should be .* not 4294967296"),
    Case("no threads", TRAIN, given("threads: 1", "threads: 0"), r"train\.threads: should be .* not 0"),
    Case("an unknown device", CHECK, given("device: cpu", "device: gpu"), r"train\.device: should be 'cpu' or 'cuda', .*mean cpu"),
    Case("an unknown model", TRAIN, given("model: mlp", "model: mpl"), r"train\.model: should be .*; did you mean mlp\?"),
    Case("a word of 50,000 letters", RECIPE, given("model: mlp", "model: " + "x" * 50_000), r"train\.model: .{,100}$"),
    Case("an escape sequence", TRAIN, given("model: mlp", r'model: "\e[31mmlp"'), r"train\.model: .*not '\\x1b\[31mmlp'"),
    Case("half a surrogate pair", CHECK, given("model: mlp", r'model: "\ud800"'), r"line \d+, .*invalid Unicode character.*fix that"),
    Case("an unknown loss", TRAIN, given("cross_entropy", "crossentropy"), r"train\.loss: .*; did you mean cross_entropy\?"),
    Case("an unknown download", DOWNLOAD, given("download: null", "download: fashion"), r"dataset\.download: .*fashion-mnist\?"),
    Case("yes, true in YAML 1.1", CHECK, given("download: null", "download: yes"), r"dataset\.download: .* not 'yes'"),
    Case("negative validation", CHECK, given("validation: 200", "validation: -1"), r"normalise\.validation: should be .* not -1"),
    Case("a mean beyond 1", RECIPE, given("mean: 0.5", "mean: 127.5"), r"normalise\.mean: should be .* not 127\.5"),
    Case("a mean of NaN", NORMALISE, given("mean: 0.5", "mean: .nan"), r"normalise\.mean: should be a finite number or 'auto'"),
    Case("automatic for auto", CHECK, given("mean: 0.5", "mean: automatic"), r"normalise\.mean: .*; did you mean auto\?"),
    Case("a deviation of 0", RECIPE, given("std: 0.5", "std: 0"), r"normalise\.std: should be greater than 0"),
    Case("no pictures", PLOT, given("images: 12", "images: 0"), r"plot\.images: should be .* not 0"),
    Case("too many pictures", CHECK, given("images: 12", "images: 101"), r"plot\.images: should be .* not 101"),
    Case("a folder without a name", RECIPE, given("folder: data/small", 'folder: ""'), r"dataset\.folder: should be the name"),
    Case("a number for a folder", DOWNLOAD, given("folder: data/small", "folder: 7"), r"dataset\.folder: should be .* not 7"),
    Case("a misspelt key", RECIPE, given("learning_rate", "learning_rat"), r"train\.learning_rat: unknown .* mean learning_rate\?"),
    Case("an unknown key", TRAIN, given("  shift:", "  dropout: 1\n  shift:"), r"train\.dropout: unknown key; the keys here are"),
    Case("a misspelt section", CHECK, given("train:", "trian:"), r"trian: unknown key; did you mean train\?"),
    Case("a key left out", CHECK, given("  epochs: 2", "  #"), r"train\.epochs: missing; every key is needed"),
    Case("a section left out", PLOT, given("plot:\n  images: 12", "#\n#"), r"plot: missing; every section is needed"),
    Case("a section left empty", PLOT, given("plot:\n  images: 12", "plot:\n#"), r"plot: should be a section .* not None"),
    Case("a list for a section", PLOT, given("plot:\n  images: 12", "plot: [12]\n#"), r"plot: should be a section .* not a list"),
    Case("a number for a key", TRAIN, given("  shift:", "  7: 1\n  shift:"), r"train\.7: a key should be a word"),
    Case("a list for a key", RECIPE, around("? [a]\n: 1\n"), r"params\.yaml, line 1, .*unhashable key; fix"),
    Case("a key twice", DOWNLOAD, given("  shift: 0", "  shift: 0\n  shift: 1"),
     r"params\.yaml, line \d+, .*duplicate key \"shift\""),
    Case("a section twice", NORMALISE, around("", "plot:\n  images: 3\n"), r"params\.yaml, line \d+, .*duplicate key \"plot\""),
    Case("a tab", TRAIN, given("  shift: 0", "\tshift: 0"), r"params\.yaml, line \d+, column 1: .*cannot start any token"),
    Case("an unknown alias", EVALUATE, given("epochs: 2", "epochs: *n"), r"params\.yaml, line \d+, .*undefined alias; fix"),
    Case("a bracket left open", PLOT, around("", "x: [1,\n"), r"params\.yaml, line \d+, column \d+: not valid YAML"),
    Case("a quote left open", RECIPE, around("", 'x: "1\n'), r"params\.yaml, line \d+, column \d+: not valid YAML"),
    Case("two colons", CHECK, around("", "x: a: b\n"), r"params\.yaml, line \d+, column 5: not valid YAML"),
    Case("two documents", DOWNLOAD, around("", "---\na: 1\n"), r"params\.yaml, line \d+, .*another document"),
    Case("a Python object", NORMALISE, given("epochs: 2", "epochs: !!python/object/apply:os.system [id]"), r"line \d+.*constructor"),
    Case("YAML 9", TRAIN, around("%YAML 9.1\n---\n"), r"params\.yaml, line 1, .*incompatible"),
    Case("YAML 1.1", CHECK, around("%YAML 1.1\n---\n"), r"params\.yaml, line 1, .*YAML 1\.2 is expected; fix"),
    Case("a date without quotes", CHECK, given("folder: data/small", "folder: 2020-01-01"), r"line \d+.*; quote it"),
    Case("a control character", EVALUATE, around("", b"\x07"), r"params\.yaml: not valid YAML: .*#x0007.*fix it"),
    Case("30,000 brackets", PLOT, text("params.yaml", "[" * 30_000), r"params\.yaml, line 1, .*more than 100 levels; fix"),
    Case("Latin-1", RECIPE, around(b"# caf\xe9\n"), r"params\.yaml: byte 5 is not UTF-8; save the file as UTF-8"),
    Case("UTF-16", CHECK, lambda root: swap_coding(root / "params.yaml", "utf-16"), r"params\.yaml: byte 0 is not UTF-8"),
    Case("nothing at all", DOWNLOAD, text("params.yaml", ""), r"params\.yaml: is empty ",
         remedy=("git restore params.yaml",)),
    Case("nothing but a comment", NORMALISE, text("params.yaml", "# later"), r"params\.yaml: is empty .*git restore"),
    Case("a list", TRAIN, text("params.yaml", "- train\n"), r"params\.yaml: holds a list where sections are expected"),
    Case("a word", EVALUATE, text("params.yaml", "train"), r"params\.yaml: holds a str where sections are expected"),
    Case("10 MB", PLOT, text("params.yaml", "#" * 10_000_001), r"params\.yaml: more than the 10,000,000 bytes allowed"),
    Case("endless", RECIPE, instead("params.yaml", lambda path: path.symlink_to("/dev/zero")), r"params\.yaml: not a file"),
    Case("no file", CHECK, gone("params.yaml"), r"params\.yaml: cannot be read: No such file", remedy=("git restore params.yaml",)),
    Case("a folder for the file", DOWNLOAD, instead("params.yaml", Path.mkdir), r"params\.yaml: not a file",
         remedy=("git restore params.yaml",)),
    Case("a link to itself", NORMALISE, instead("params.yaml", loop), r"params\.yaml: cannot be read: Too many levels"),
    Case("no right to read it", TRAIN, lambda root: (root / "params.yaml").chmod(0), r"params\.yaml: cannot be read: Permission"),
]  # fmt: skip


def swap_coding(path: Path, coding: str) -> None:
    """Write a file in another coding."""
    path.write_bytes(path.read_text("utf-8").encode(coding))


def tiny(root: Path) -> None:
    """Make the data set one of images of 8 × 8 pixels."""
    for name in (IMAGES, "t10k-images-idx3-ubyte"):
        idx.write(root / small(name), np.array(idx.read(root / small(name), 3)[:, 10:18, 10:18]))


def unlikely(root: Path) -> None:
    """Have the second line of the predictions name another class than the likeliest."""
    lines = (root / PREDICTIONS).read_text().splitlines()
    index, actual, predicted, *chances = lines[1].split(",")
    lines[1] = ",".join([index, actual, str((int(predicted) + 1) % 10), *chances])
    (root / PREDICTIONS).write_text("\n".join(lines) + "\n")


def an_object(root: Path) -> Path:
    """A file of DVC's cache."""
    return min(path for path in (root / ".dvc/cache/files/md5").glob("*/*") if path.suffix != ".dir")


def recorded(root: Path) -> None:
    """Have DVC take what lies there for what its stages made."""
    Project(root).succeed("dvc", "commit", "-f")


def committed(root: Path) -> None:
    """Commit everything that git does not ignore."""
    commit(Project(root), "as it is")


def by_dvc(root: Path) -> None:
    """Have DVC keep the data folder in place of git."""
    (dep,) = (
        dep for dep in lock.parse((root / lock.FILE).read_bytes()).stages["download"].deps if dep.path == "data/small"
    )
    (root / "data/small.dvc").write_text(f"outs: [{{md5: {dep.md5}, nfiles: {dep.nfiles}, hash: md5, path: small}}]\n")
    Project(root).succeed("bash", "-ec", "echo /small > data/.gitignore; git rm -rq --cached data/small; git add data")


def small(name: str) -> str:
    """A file of the data folder."""
    return f"data/small/{name}"


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


# what dataset.folder may hold: `check` and `download` both find it
FOLDERS = [
    *(Case(f"{name}: first byte", CHECK, patch(small(name), 0, b"\1"), f"{name}: starts with 0x01") for name in SIZE),
    *(Case(f"{name}: signed bytes", DOWNLOAD, patch(small(name), 2, b"\x09"), f"{name}: .*is it the right") for name in SIZE),
    *(Case(f"{name}: float", CHECK, patch(small(name), 2, b"\x0d"), f"{name}: .*is it the right") for name in SIZE),
    *(Case(f"{name}: {n} dimensions", DOWNLOAD, patch(small(name), 3, bytes([n])),
     f"{name}: .*is it") for name in SIZE for n in (2, 4)),
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
     f"{IMAGES}: starts with"),
    Case("fewer labels than images", CHECK, in_turn(cut(small(LABELS), -1), field(LABELS, 4, 1199)),
     "1,200 images, .* 1,199 labels"),
    Case("test images of another size", DOWNLOAD, in_turn(cut(small("t10k-images-idx3-ubyte"), 16 + 300 * 400),
     field("t10k-images-idx3-ubyte", 8, 20), field("t10k-images-idx3-ubyte", 12, 20)), "pixels.*get two that are the same"),
    Case("one class only", CHECK, patch(small(LABELS), 8, bytes(1200)), f"{LABELS}: all labels are the same|t10k-labels"),
    Case("one class only, in both", DOWNLOAD, in_turn(patch(small(LABELS), 8, bytes(1200)),
     patch(small("t10k-labels-idx1-ubyte"), 8, bytes(300))), f"{LABELS}: all labels are the same; get labels of two"),
    Case("labels from 1", CHECK, patch(small(LABELS), 8, bytes([1, 2] * 600)), "outside the 3 classes|class 0 has 0 images"),
    *(Case(f"labels that count from {first}", command, counting_from(first),
     f"{LABELS}: labels go from {first} to {first + 9}, and here they count from 0; take {first} off each, of t10k")
      for first, command in ((1, CHECK), (48, DOWNLOAD), (246, CHECK))),
    Case("labels from 1 and as many names", DOWNLOAD, in_turn(counting_from(1), text(small("classes.txt"), "\n".join("abcdefghij"))),
     "labels go from 1 to 10, .*; take 1 off each"),
    Case("a label of 255", DOWNLOAD, patch(small(LABELS), 8, b"\xff"), f"{LABELS}: class 10 has 0 images .* 255, at 0; .*is a label wrong"),
    Case("a test label of 10", CHECK, patch(small("t10k-labels-idx1-ubyte"), 8, b"\x0a"), "t10k-labels.*label 10 at 0 is outside"),
    Case("plain though called gzip", DOWNLOAD, lambda root: (root / small(IMAGES)).rename(root / small(IMAGES + ".gz")),
     f"{IMAGES}.gz: a plain IDX file, not a gzip one; take .gz off its name"),
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
        ("gzip", gzip.compress(bytes(9), mtime=0), "gzip; add .gz to its name"),
        ("a page", b"<html><body>404 Not Found", "a page of HTML or XML, .*; fetch the file itself"),
        ("a pointer", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS; "),
    )),
    Case("gzip of a wrong checksum", DOWNLOAD, packed(small(LABELS), lambda content: content[:-8] + bytes(8)),
     f"{LABELS}.gz: damaged gzip file .CRC check failed.*; fetch it again"),
    Case("gzip damaged inside", CHECK, packed(small(LABELS), lambda content: content[:40] + bytes(40) + content[80:]), "gzip"),
    Case("gzip and something after", DOWNLOAD, packed(small(LABELS), lambda content: content + b"after"),
     r"\.gz: goes on after the end of its gzip data, and not with gzip; fetch it again"),
    Case("gzip and one more gzip", CHECK, packed(small(LABELS), lambda content: content + content), "goes on after the 1,200 bytes"),
    Case("a gzip bomb", CHECK, packed(small(LABELS), lambda content: content + gzip.compress(bytes(10**8), 9)), "goes on after"),
    Case("a gzip bomb of one member", DOWNLOAD, lambda root: (root / small(LABELS + ".gz")).write_bytes(
        gzip.compress((root / small(LABELS)).read_bytes() + bytes(10**8))) and (root / small(LABELS)).unlink(),
         "goes on"),
    Case("gzip in gzip", CHECK, packed(small(LABELS), gzip.compress), f"{LABELS}.gz: gzipped twice; gunzip it once"),
    Case("gzipped and plain", DOWNLOAD, lambda root: (root / small(LABELS + ".gz")).touch(), "holds both .* remove the one"),
    *(Case(f"no {name}", CHECK, gone(small(name)), f"small: holds no {name}, plain or as .gz, but t10k-.*; a data set is four")
      for name in SIZE),
    *(Case(f"files called {new('NAME')}", command, called(new), f"holds no {IMAGES}, no t10k.*; rename {new(IMAGES)} to {IMAGES}{end}, .*"
           f", {new(LABELS)} to {LABELS}{end}, ")
      for command, new, end in (
        (CHECK, lambda name: name.replace("-idx", ".idx"), ""),
        (DOWNLOAD, str.upper, ""),
        (CHECK, lambda name: f"{name}.idx", ""),
        (DOWNLOAD, lambda name: f"emnist-letters-{name}.GZ".replace("t10k", "test"), ".gz"),
    )),
    Case("files in a folder of the folder", CHECK, in_turn(folder("data/up"), lambda root: (root / "data/small").rename(
        root / "data/up/raw"), given("data/small", "data/up")), "up: holds no .*, but raw/; set dataset.folder to data/up/raw"),
    Case("an empty folder", DOWNLOAD, in_turn(gone("data/small"), folder("data/small")), "holds no .*, but nothing; a data set is four"),
    Case("a folder of pictures", CHECK, in_turn(gone("data/small"), folder("data/small"), lambda root: [
        (root / small(f"{k}.png")).touch() for k in range(2000)]), r"but 0.png, 1.png, .* and 1,992 more; a data set"),
    Case("a folder for a file", DOWNLOAD, instead(small(LABELS), Path.mkdir), f"holds no {LABELS}, .*, {LABELS}/; a data set"),
    Case("a file that links to itself", CHECK, instead(small(LABELS), loop), rf"holds no {LABELS}, .*, {LABELS} \(no file\); a"),
    Case("no right to read a file", DOWNLOAD, lambda root: (root / small(LABELS)).chmod(0), f"{LABELS}: Permission denied; .*access"),
    Case("no right to enter the folder", CHECK, lambda root: (root / "data/small").chmod(0), "data/small.*: Permission denied; "),
    Case("no folder", DOWNLOAD, gone("data/small"), "data/small: (no such folder; set dataset.folder|missing)"),
    Case("a file for the folder", CHECK, instead("data/small", Path.touch), "data/small: not a folder; set dataset.folder"),
    Case("a folder that links to itself", DOWNLOAD, instead("data/small", loop), "data/small: (no such folder; set|missing)"),
    Case("a name with a NUL", CHECK, given("folder: data/small", r'folder: "data\0small"'),
     r"data.*small: (no such folder|missing)"),
    Case("a name with a colon", DOWNLOAD, given("folder: data/small", 'folder: "data: small"'),
     "data: small: (no such folder|missing)"),
    Case("a name of 5,000 letters", CHECK, given("folder: data/small", "folder: " + "x" * 5000), "xxx: File name too long; "),
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

RAW, READY, MODEL = "data/raw", "data/normalised", "models/model.safetensors"
PREDICTIONS, HISTORY = "metrics/predictions.csv", "metrics/history.csv"

DAMAGED = [(CHECK, "cut off"), ("mnist compare", "of a list"), ("mnist compare", "of numbers")]  # with a remedy named

# what one stage alone reads
STAGE_CASES = [
    Case("validation as large as the set", NORMALISE, given("validation: 200", "validation: 1200"),
         r"validation: 1,200 of"),
    Case("validation as large as the set", CHECK, given("validation: 200", "validation: 1200"),
         r"validation: 1,200 of"),
    Case("all pixels the same", NORMALISE, in_turn(given("std: 0.5", "std: auto"),
         patch(f"{RAW}/{IMAGES}", 16, bytes(1200 * 784))),
          "normalise.std: auto: all training pixels are the same; set"),
    Case("no raw data", NORMALISE, gone(RAW), "data/raw: missing", remedy=("dvc repro",)),
    Case("a raw file lost", NORMALISE, gone(f"{RAW}/{LABELS}"), f"{LABELS}: "),
    Case("a raw file cut", NORMALISE, cut(f"{RAW}/{IMAGES}", -1), f"{IMAGES}: 940,815 bytes where .*; "),
    Case("a raw label outside", NORMALISE, patch(f"{RAW}/{LABELS}", 8, b"\x0b"), f"{LABELS}: label 11 at 0 is outside"),
    Case("dataset.json lost", NORMALISE, gone(f"{RAW}/dataset.json"), "dataset.json: cannot be read", remedy=("dvc repro",)),
    Case("dataset.json cut", NORMALISE, cut(f"{RAW}/dataset.json", 40), "dataset.json: ",
         remedy=("dvc repro",)),
    Case("dataset.json a list", NORMALISE, text(f"{RAW}/dataset.json", "[]"), "dataset.json: its content: .*dvc repro"),
    Case("dataset.json of other classes", NORMALISE, swap(f"{RAW}/dataset.json", ('"0",', "0,")),
         r"dataset.json: classes\.0: .*dvc repro"),
    Case("no data", TRAIN, gone(READY), "data/normalised: missing.*dvc repro"),
    *(Case(f"statistics.json {name}", command, harm, "statistics.json: .*dvc repro` recreates it",
           remedy=("dvc repro",) if (command, name) == (EVALUATE, "lost") else ())
      for command in (TRAIN, EVALUATE, PLOT) for name, harm in {
        "lost": gone(f"{READY}/statistics.json"),
        "cut": cut(f"{READY}/statistics.json", 100),
        "of NaN": swap(f"{READY}/statistics.json", ('"mean": 0.5', '"mean": NaN')),
        "of std 0": swap(f"{READY}/statistics.json", ('"std": 0.5', '"std": 0')),
        "of words": swap(f"{READY}/statistics.json", ('"std": 0.5', '"std": "auto"')),
        "with a key lost": swap(f"{READY}/statistics.json", ('"name"', '"title"')),
    }.items()),
    *(Case(f"{split} images {name}", command, harm(f"{READY}/{split}_images.npy"),
     f"data/normalised.*{split}.*dvc repro",
           remedy=("dvc repro",) if split == "test" and name in ("lost", "of float", "with an image less") else ())
      for command, split in ((TRAIN, "train"), (TRAIN, "validation"), (EVALUATE, "test")) for name, harm in {
        "lost": gone,
        "cut": lambda path: cut(path, -1),
        "of nothing": lambda path: text(path, b""),
        "pickled": lambda path: text(path, as_pickle([1])),
        "zipped": lambda path: text(path, zipped()),
        "of float": lambda path: array(path, lambda images: images.astype(np.float32)),
        "with an image less": lambda path: array(path, lambda images: images[1:]),
        "of other images": lambda path: array(path, lambda images: images[:, 1:]),
    }.items()),
    Case("labels of other counts", TRAIN, array(f"{READY}/train_labels.npy", np.zeros_like),
         "train_labels.npy: .*counts", remedy=("dvc repro",)),
    Case("a label outside", TRAIN, patch(f"{READY}/train_labels.npy", -1, b"\xff"), "train_labels.npy: .*dvc repro"),
    Case("training that diverges", TRAIN, swap("params.yaml", ("_rate: 0.003", "_rate: 1000"),
         ("decay: 0.0", "decay: 1000")), "epoch 1, step .* no longer finite; no model is .*: lower train"),
    *([] if torch.cuda.is_available() else [
        Case("no CUDA device", command, given("device: cpu", "device: cuda"), "train.device: cuda: .*; set it to cpu")
        for command in (CHECK, TRAIN)
    ]),
    Case("no right to write", DOWNLOAD, lambda root: (root / "data").chmod(0o555), "data/.*: Permission denied; see"),
    Case("no right to write", CHECK, lambda root: (root / "data").chmod(0o555), "data/.*: Permission denied; see"),
    Case("another torch pinned", TRAIN, swap("pyproject.toml", ('"torch==', '"torch==9')), "pins torch==9.*run `make`"),
    Case("an unknown library pinned", TRAIN, swap("pyproject.toml", ('"torch==', '"torchy==')), "torchy.*run `make`"),
    Case("pyproject.toml broken", TRAIN, swap("pyproject.toml", ("numbers = [", "numbers = ")),
         "pyproject.toml: not valid", remedy=("git restore pyproject.toml",)),
    Case("pyproject.toml of another project", EVALUATE, text("pyproject.toml", ""), "pyproject.toml: project.optional"),
    Case("no dvc.yaml", TRAIN, gone("dvc.yaml"), r"dvc\.yaml: cannot be read: .*git restore"),
    Case("dvc.yaml broken", TRAIN, swap("dvc.yaml", ("stages:", "stages: [")),
         r"dvc\.yaml, line \d+, .*not valid YAML"),
    Case("a stage lost", PLOT, swap("dvc.yaml", ("plot-predictions:", "plot:")),
         r"dvc\.yaml: stages: plot-predictions: missing"),
    Case("no model", EVALUATE, gone(MODEL), "model.safetensors: missing.*dvc repro"),
    *(Case(f"the model cut to {n}", EVALUATE, cut(MODEL, n), "model.safetensors: .*recreates it")
      for n in (0, 1, 7, 8, 9, 100, 2000, -1)),
    Case("the model a byte too long", EVALUATE, grow(MODEL, b"\0"), "model.safetensors: not a whole"),
    Case("the model's header endless", EVALUATE, patch(MODEL, 0, b"\xff" * 8), "model.safetensors: not a whole"),
    Case("the model's header no JSON", EVALUATE, patch(MODEL, 8, b"["), "model.safetensors: not a whole"),
    Case("the model a pickle", EVALUATE, text(MODEL, as_pickle({"w": [1.0]})), "model.safetensors: not a whole"),
    Case("the model a text", EVALUATE, text(MODEL, "<html>404 Not Found</html>"), "model.safetensors: not a whole"),
    Case("the model a folder", EVALUATE, instead(MODEL, Path.mkdir), "model.safetensors: .*recreates it"),
    Case("someone else's model", EVALUATE, text(MODEL, safetensors.numpy.save({"w": np.zeros(1)})),
         "not this project's"),
    Case("a model of words", EVALUATE, text(MODEL, safetensors.numpy.save({}, {"mnist": "{"})), "description is wrong"),
    *(Case(f"a model with {name}", EVALUATE, model(change), f"model.safetensors: .*{says}.*recreates it")
      for name, says, change in (
        ("NaN", "not finite", lambda weights, _: weights["network.1.bias"].fill(np.nan)),
        ("infinity", "not finite", lambda weights, _: weights["network.1.bias"].fill(np.inf)),
        ("a weight lost", "network.1.bias", lambda weights, _: weights.pop("network.1.bias")),
        ("a weight too many", "extra", lambda weights, _: weights.update(extra=np.zeros(1, np.float32))),
        ("other shapes", "network.1.bias",
         lambda weights, _: weights.update({"network.1.bias": np.zeros(3, np.float32)})),
        ("an unknown network", "resnet", lambda _, description: description.update(model="resnet")),
        ("another network", "does not fit", lambda _, description: description.update(model="cnn")),
        ("other images", "does not fit", lambda _, description: description.update(image_shape=[20, 20])),
        ("enormous images", "", lambda _, description: description.update(image_shape=[2**40, 2**40])),
        ("no images", "", lambda _, description: description.update(image_shape=[0, -1])),
        ("one class", "classes", lambda _, description: description.update(classes=["0"])),
        ("a std of 0", "std", lambda weights, _: weights["normalise.std"].fill(0)),
        ("no mean", "normalise.mean", lambda weights, _: weights.pop("normalise.mean")),
        ("a mean beside the weights", "mean", lambda _, description: description.update(mean=0.5)),
        ("a key lost", "torch", lambda _, description: description.pop("torch")),
        ("a key too many", "extra", lambda _, description: description.update(extra=1)),
    )),
    Case("a model of other classes", EVALUATE,
         model(lambda _, description: description.update(classes=list("abcdefghij"))),
         "names differ; `dvc repro` trains one that fits", remedy=("dvc repro",)),
    *(Case(f"predictions.csv {name}", PLOT, harm, rf"predictions\.csv{says}.*`dvc repro( -fs evaluate)?`")
      for name, says, harm in (
        ("lost", ": missing", gone(PREDICTIONS)),
        ("empty", ", line 1: the header", text(PREDICTIONS, "")),
        ("without rows", ", line 2: no rows", lambda root: (root / PREDICTIONS).write_text(
            (root / PREDICTIONS).read_text().splitlines()[0] + "\n")),
        ("of another header", ", line 1: the header", swap(PREDICTIONS, ("actual", "real"))),
        ("cut in a row", ", line 301: ", cut(PREDICTIONS, -30)),
        ("cut after a row", ": is not of the test images", lambda root: (root / PREDICTIONS).write_text(
            "".join((root / PREDICTIONS).read_text().splitlines(keepends=True)[:-1]))),
        ("with a cell too many", ", line 2: 14 cells", swap(PREDICTIONS, ("\n0,", "\n0,0,"))),
        ("with a row lost", ", line 2: image 0 belongs", swap(PREDICTIONS, ("\n0,", "\n1,"))),
        ("with an index in words", ", line 2: ", swap(PREDICTIONS, ("\n0,", "\nzero,"))),
        ("of an unknown class", ", line 2: there is no class 'x'", swap(PREDICTIONS, ("\n0,7,", "\n0,x,"))),
        ("of other images", ": is not of the test images", swap(PREDICTIONS, ("\n0,7,", "\n0,6,"))),
        ("of NaN", ", line 2: probabilities", lambda root: change_row(root / PREDICTIONS, "nan")),
        ("of a probability of 2", ", line 2: probabilities", lambda root: change_row(root / PREDICTIONS, "2")),
        ("of a negative probability", ", line 2: probabilities", lambda root: change_row(root / PREDICTIONS, "-0.5")),
        ("of words", ", line 2: could not convert", lambda root: change_row(root / PREDICTIONS, "likely")),
        ("with a quote left open", ", line ", swap(PREDICTIONS, ("\n0,", '\n"0,'))),
        ("with a NUL", ", line 2", swap(PREDICTIONS, ("\n0,7", "\n0,7\0"))),
        ("in Latin-1", ", line ", grow(PREDICTIONS, b"caf\xe9\n")),
        ("a folder", ", line 1: ", instead(PREDICTIONS, Path.mkdir)),
    )),
    *(Case(f"history.csv {name}", PLOT, harm, rf"history\.csv{says}.*`dvc repro`")
      for name, says, harm in (
        ("lost", ": missing", gone(HISTORY)),
        ("empty", ", line 1: the header", text(HISTORY, "")),
        ("without rows", ", line 2: no rows", lambda root: (root / HISTORY).write_text(
            (root / HISTORY).read_text().splitlines()[0] + "\n")),
        ("of another header", ", line 1: the header", swap(HISTORY, ("train_loss", "loss"))),
        ("with an epoch lost", ", line 2: epoch 1 ", swap(HISTORY, ("\n1,", "\n2,"))),
        ("with an epoch and a half", ", line 2: ", swap(HISTORY, ("\n1,", "\n1.5,"))),
        ("of NaN", ", line 2: not finite", swap(HISTORY, ("\n1,0.003", "\n1,nan"))),
        ("of words", ", line 2: ", swap(HISTORY, ("\n1,0.003", "\n1,low"))),
        ("with a cell lost", ", line 2: 4 cells", swap(HISTORY, ("\n1,0.003", "\n1"))),
        ("with an empty cell", ", line 2: ", swap(HISTORY, ("\n1,0.003", "\n1,"))),
        ("cut in a row", ", line ", cut(HISTORY, -25)),
        ("a folder", ", line 1: ", instead(HISTORY, Path.mkdir)),
    )),
    Case("predictions.csv of a prediction that is not the likeliest", PLOT, unlikely,
         r"predictions\.csv, line 2: .*likeliest class; `dvc repro`"),
    Case("a pipe for params.yaml", CHECK, instead("params.yaml", os.mkfifo), r"params\.yaml: not a file; move it away"),
    Case("a pipe for params.yaml", PLOT, instead("params.yaml", os.mkfifo), r"params\.yaml: not a file; move it away"),
    Case("a pipe for params.yaml", "mnist recipe one", instead("params.yaml", os.mkfifo), r"params\.yaml: not a file"),
    Case("a pipe for classes.txt", DOWNLOAD, lambda root: os.mkfifo(root / small("classes.txt")),
         r"classes\.txt: not a"),
    Case("a pipe for the model", EVALUATE, instead(MODEL, os.mkfifo), "model.safetensors: neither a file nor a folder"),
    *(Case(f"the folder {folder}", command, given("folder: data/small", f"folder: {folder}"),
           f"{folder}: contains or lies inside data/raw, which the stage download replaces; choose another folder")
      for folder in ("data/raw", "data", "data/raw/in") for command in (CHECK, DOWNLOAD)),
    Case("no folder though it is to be fetched", CHECK, swap("params.yaml", ("data/small", "data/none"),
         ("download: null", "download: kmnist")), "dataset.folder: data/none: no such folder; DVC asks for it"),
    Case("images too small for the network", CHECK, in_turn(tiny, given("model: mlp", "model: cnn")),
         "cnn needs images of 12×12 pixels or more, not 8×8; set it to mlp"),
    Case("all pixels the same", CHECK, in_turn(given("std: 0.5", "std: auto"),
         patch(small(IMAGES), 16, bytes(1200 * 784))), "normalise.std: auto: all training pixels are the same; set"),
    Case("no dvc.yaml", CHECK, gone("dvc.yaml"), r"dvc\.yaml: cannot be read: ", remedy=("git restore dvc.yaml",)),
    Case("dvc.yaml broken", CHECK, swap("dvc.yaml", ("stages:", "stages: [")), r"dvc\.yaml, line \d+, .*not valid YAML"),
    *(Case(f"stages that are {found}", CHECK, text("dvc.yaml", found), rf"dvc\.yaml: stages{place}\b.*: .*`git restore dvc.yaml`",
           remedy=("git restore dvc.yaml",) if found == "stages: 7" else ())
      for found, place in {"stages: 7": "", "stages: {train: 7}": r"\.train", "stages: {train: {deps: 7}}": r"\.train\.deps",
                           "stages: {train: {deps: [7]}}": r"\.train\.deps\.0", "stages: {a: {params: [7]}}": r"\.a\.params\.0",
                           "stages: {a: {foreach: [1], do: {}}}": r"\.a\.foreach", "stages: {a: {wdir: b}}": r"\.a\.wdir",
                           "stages: {a: {params: }}": r"\.a\.params", "stages: {a: {outs: 7}}": r"\.a\.outs"}.items()),
    Case("no stage of its name", TRAIN, text("dvc.yaml", "stages: {}"), r"dvc\.yaml: stages: train: missing"),
    Case("parameters in a file that is not there", PLOT, swap("dvc.yaml", ("      - plot\n", "      - plot\n      - more.yaml: [a]\n")),
         r"more\.yaml: cannot be read"),
    *(Case(f"dvc.lock {name}", command, text("dvc.lock", content),
           r"dvc\.lock(: not whole|, line 1: a merge conflict; .*`git checkout)",
           remedy=("git checkout HEAD dvc.lock",) if name == "empty" else ())
      for name, content in {"of a conflict": "<<<<<<< HEAD\na: 1\n", "empty": "", "a list": "[]", "of one stage": "stages: 1",
                            "in Latin-1": b"caf\xe9: 1"}.items()
      for command in (CHECK, "mnist verify")),
    *(Case(f"DVC's rwlock {name}", CHECK, in_turn(folder(".dvc/tmp"), text(".dvc/tmp/rwlock", content)),
           r"\.dvc/tmp/rwlock: not whole.* `rm \.dvc/tmp/rwlock` when no dvc is running",
           remedy=("rm .dvc/tmp/rwlock",) if name == "empty" else ())
      for name, content in {"empty": "", "cut off": '{"write": {"', "of other bytes": b"\xff\xfe"}.items()),
    *(Case(f"pyproject.toml {name}", CHECK, harm, f"pyproject.toml: {says}",
           remedy=("git restore pyproject.toml",) if name == "lost" else ()) for name, says, harm in (
        ("broken", "not valid TOML", text("pyproject.toml", "[")),
        ("lost", "cannot be read", gone("pyproject.toml")),
        ("empty", "project.*: missing", text("pyproject.toml", "")),
        ("of a number", "numbers: should be a list",
         swap("pyproject.toml", ('numbers = ["numpy', 'numbers = 7\nmore = ["numpy'))),
        ("of words", "dependencies: dvc is great: not a requirement", swap("pyproject.toml", ("dvc==", "dvc is great\", \"dvc=="))),
    )),
    Case("a validation loss that diverges", TRAIN, swap("params.yaml", ("loss: cross_entropy", "loss: mse"),
         ("_rate: 0.003", "_rate: 1000.0"), ("decay: 0.0", "decay: 100.0"), ("size: 64", "size: 334"),
         ("epochs: 2", "epochs: 1")), "epoch 1, step 3: the validation loss is no longer finite; no model is written"),
    Case("a model whose answers overflow", EVALUATE, model(lambda weights, _: weights["normalise.std"].fill(1e-45)),
         "answers are not finite: .*; lower train.learning_rate"),
    Case("a model of integers", EVALUATE, model(lambda weights, _: weights.update(
        {"network.1.bias": np.zeros(128, np.int32)})), "network.1.bias does not fit its description; `dvc repro`"),
    Case("a table of fingerprints of other columns", "mnist fingerprint", text("recipes/fingerprints.csv", "a,b\n"),
         "fingerprints.csv: not a table", remedy=("git checkout HEAD recipes/fingerprints.csv",)),
    Case("statistics.json of an std in words", TRAIN, swap(f"{READY}/statistics.json", ('"std": 0.5', '"std": "half"')),
         "statistics.json: std", remedy=("dvc repro",)),
    Case("a model that was cut off", "mnist fingerprint", cut(MODEL, 2000), "model.safetensors: not a whole",
         remedy=("dvc repro",)),
    Case("predictions.csv of a word", PLOT, lambda root: change_row(root / PREDICTIONS, "low"),
         r"predictions\.csv, line 2: ", remedy=("dvc repro",)),
    Case("history.csv of a word", PLOT, swap(HISTORY, ("\n1,0.003", "\n1,low")),
         r"history\.csv, line 2: ", remedy=("dvc repro",)),
    Case("predictions.csv of a word and recorded", PLOT, in_turn(lambda root: change_row(root / PREDICTIONS, "low"), recorded),
         r"predictions\.csv, line 2: ", remedy=("dvc repro -f",)),
    Case("a label edited and recorded", PLOT, in_turn(swap(PREDICTIONS, ("\n0,7,", "\n0,6,")),
         recorded), "not of the test images", remedy=("dvc repro -fs evaluate",)),
    Case("a label edited and recorded", "mnist compare", in_turn(swap(PREDICTIONS, ("\n0,7,", "\n0,6,")),
         recorded), "HEAD and workspace: other actual classes of the same test images, the first at 0",
         remedy=("dvc repro -fs evaluate",)),
    Case("no table of fingerprints", "mnist fingerprint", gone("recipes/fingerprints.csv"), "fingerprints.csv: cannot be read",
         remedy=("git checkout HEAD recipes/fingerprints.csv",)),
    Case("a module that Python cannot read", CHECK, text("mnist/predict.py", "def f(:\n"), r"mnist/predict\.py: invalid syntax",
         remedy=("git restore mnist/predict.py",)),
    Case("a pipe for data", NORMALISE, instead(RAW, os.mkfifo), "data/raw: neither a file nor a folder",
         remedy=("rm data/raw", "dvc repro")),
    Case("predictions lost everywhere", "mnist report", in_turn(gone(PREDICTIONS), gone(".dvc/cache")),
         r"workspace: metrics/predictions\.csv is neither in git nor in DVC's cache or remote", remedy=("dvc repro",)),
    *(Case(f"a .dvc file {name}", command, in_turn(by_dvc, text("data/small.dvc", content)), rf"data/small\.dvc{says}",
           remedy=("git restore data/small.dvc",) if (command, name) in DAMAGED else ())
      for name, content, by_us, by_dvcs_schema in (
        ("cut off", "outs: [", r", line \d, .*not valid YAML", "', YAML file structure is corrupted"),
        ("of a list", "[a]", ": holds a list", "' validation failed"),
        ("of a number", "outs: 7", ": outs: ", "' validation failed"),
        ("of numbers", "outs: [7]", r": outs\.0: ", "' validation failed"),
        ("of another kind", "a: 1", ": outs: ", "' validation failed"),
        ("of no UTF-8", b"\xff\0", ": byte 0 is not UTF-8", "', is not valid utf-8"),
        ("in conflict", "<<<<<<< HEAD\n", ", line 1: a merge conflict", ", line 1: a merge conflict"),
      ) for command, says in (("mnist compare", by_us), (CHECK, by_dvcs_schema))),
    Case("a .dvc file of nothing", "mnist compare", in_turn(by_dvc, text("data/small.dvc", "outs: []")), r"data/small\.dvc: outs: ",
         remedy=("git restore data/small.dvc",)),
    Case("a .dvc file without an MD5", "mnist compare", in_turn(by_dvc, text("data/small.dvc", "outs: [{path: small}]")),
         "workspace: data/small has changed since its results were made", remedy=("dvc repro",)),
    Case("a committed .dvc file of a number", "mnist compare", in_turn(by_dvc, text("data/small.dvc", "outs: 7"), committed),
         r"HEAD: data/small\.dvc: outs: .*; fix it in a new commit, or name another revision"),
    Case("another .dvc file of a number", CHECK, text("data/another.dvc", "outs: 7"), r"data/another\.dvc' validation failed"),
    Case("parameters edited since the run", "mnist compare", given("epochs: 2", "epochs: 1"), "train.epochs has changed since",
         remedy=("dvc repro",)),
    Case("statistics.json of fewer classes", TRAIN, swap(f"{READY}/statistics.json", ('    "9"\n', ''), ('"8",\n', '"8"\n')),
         r"statistics\.json: counts: not of each class",
         remedy=("dvc repro",)),
    Case("statistics.json of no pixels", EVALUATE, lambda root: (root / READY / "statistics.json").write_text(
        re.sub(r'"image_shape": \[\s*28,', '"image_shape": [0,', (root / READY / "statistics.json").read_text())),
        r"statistics\.json: image_shape.*`dvc repro`"),
    *(Case(f"an array of the shape {shape}", TRAIN, lambda root, shape=shape: (root / READY / "train_images.npy").write_bytes(
        (root / READY / "train_images.npy").read_bytes().replace(b"(1000, 28, 28)", shape.encode())),
        r"train_images\.npy: cannot be used .*`dvc repro`")
      for shape in ("(-100, 28, 28)", "(1000, 28, 28[", "(9**9, 28, 28)", "(10**30,28,28)")),
    Case("a folder for an object", "mnist verify", lambda root: instead(
        str(an_object(root).relative_to(root)), Path.mkdir)(root), r"cache.* 1 corrupt; ",
        remedy=("python -m mnist verify --remove", "dvc repro")),
    Case("no right to read an object", "mnist verify --remove", lambda root: an_object(root).chmod(0),
         r"cache.* 1 cannot be read and are left alone; give yourself access"),
    Case("a folder to draw into", "mnist compare --images data", lambda _: None, r"data is a folder.*\(see --help\)", 2),
    Case("no folder to draw into", "mnist compare --images no/a.png", lambda _: None, r"no folder no; .*--help\)", 2, remedy=("mkdir -p no",)),
    Case("no folder to report into", "mnist report --output no/a.html", lambda _: None, r"no folder no; .*help\)", 2, remedy=("mkdir -p no",)),
    Case("two formats at once", "mnist leaderboard --json --csv", lambda _: None, r"exclude each other; .*--help\)", 2),
    Case("a recipe in Latin-1", "mnist recipe odd", text("recipes/odd.yaml", b"# caf\xe9\n"), r"odd\.yaml: byte 5 is not"),
    *(Case("params.yaml broken", command, text("params.yaml", "train: ["), r"params\.yaml, line 2, .*not valid YAML")
      for command in ("mnist compare", "mnist report")),
    Case("an unknown recipe", "mnist recipe onee", lambda _: None, "there is no 'onee'; did you mean one"),
    Case("a recipe that is a path", "mnist recipe ../params", lambda _: None, r"there is no '\.\./params'"),
    Case("a recipe of a wrong value", "mnist recipe one", swap("recipes/one.yaml", ("epochs: 15", "epochs: 0")),
         "recipes/one"),
    Case("a recipe that is no YAML", "mnist recipe one", text("recipes/one.yaml", "# a recipe\n["),
         r"recipes/one.yaml, line \d"),
    Case("a recipe of an unknown section", "mnist recipe one", text("recipes/one.yaml", "# a\nfit: {epochs: 1}"),
         "one.*fit"),
    Case("a recipe of no sections", "mnist recipe one", text("recipes/one.yaml", "# a\ntrain: 1"),
         "recipes/one.*train"),
    Case("an empty recipe", "mnist recipe one", text("recipes/one.yaml", ""), "recipes/one"),
    Case("no model yet", f"mnist predict {small('t10k-images-idx3-ubyte')}", gone(MODEL),
         "model.safetensors: no model yet; .*brings one .*, .*trains one", remedy=("dvc checkout",)),
    Case("a model that was cut off", "mnist predict a.png", cut(MODEL, 2000), "model.safetensors: not a whole"),
    Case("a revision that is none", "mnist predict a.png --revision nothing", lambda _: None, "nothing.*; "),
    Case("a revision without a model", "mnist predict a.png --revision early", lambda root: Project(root).succeed(
        "git", "tag", "early", "HEAD~1"), "early: has no dvc.lock, .*; name another"),
    Case("two formats at once", "mnist predict a.png --json --csv", lambda _: None, r"exclude each other; .*--help\)", 2),
    Case("no picture named", "mnist predict", lambda _: None, r"Missing argument 'IMAGE...'.*\(see --help\)", 2),
    Case("no folder to draw into", "mnist predict a.png --picture no/a.png", lambda _: None, r"no folder no; .*--help\)", 2),
    *(Case(name, f"mnist predict {argument}", harm, rf"{argument}: {says}") for name, argument, harm, says in (
        ("no such file", "none.png", lambda _: None, "no such file; name a picture"),
        ("a dash", "-", lambda _: None, "no such file; standard input is not read; name"),
        ("no picture", "a.png", text("a.png", "hello"), "not a picture that is read here; save it as PNG, "),
        ("an empty file", "a.png", text("a.png", ""), "an empty file; save"),
        ("a folder without pictures", "docs", folder("docs"), "no .png .*; name"),
        ("a cut picture", "a.png", in_turn(drawn("a.png", 100, 40), cut("a.png", -40)), "a damaged picture .*; save it again"),
        ("a picture of another kind", "a.eps", text("a.eps", "%!PS-Adobe-3.0 EPSF-3.0\n"), "not a picture that is read here; "),
        ("a bomb", "a.png", drawn("a.png", 9_000), "9,000×9,000 pixels are more than 50,000,000; make"),
        ("a blank picture", "a.png", drawn("a.png", 200), "no digit found; draw"),
        ("two digits", "a.png", drawn("a.png", 200, 60, 140), "several digits side by side; cut"),
        ("no right to read a picture", "a.png", in_turn(drawn("a.png"), lambda root: (root / "a.png").chmod(0)), "Permission denied; see"),
        ("no right to look into a folder", "more", in_turn(folder("more"), lambda root: (root / "more").chmod(0)), "Permission denied; see"),
        ("a pipe", "a.png", lambda root: os.mkfifo(root / "a.png"), "not a file; name"),
        ("a link to itself", "a.png", lambda root: loop(root / "a.png"), "Too many levels of symbolic links; fix"),
        ("a name that is too long", "x" * 300, lambda _: None, "File name too long; fix"),
        ("labels for images", small("t10k-labels-idx1-ubyte"), lambda _: None, "starts with 0x00000801 where .*; is it the right"),
        ("an IDX file cut off", small("t10k-images-idx3-ubyte"), cut(small("t10k-images-idx3-ubyte"), -1), "235,215 bytes where .*; fetch"),
        ("plain though called gzip", "a.gz", text("a.gz", b"\0\0\x08\x03"), "a plain IDX file, not a gzip one; take"),
        ("gzip cut off", small("t10k-images-idx3-ubyte.gz"), packed(small("t10k-images-idx3-ubyte"), lambda content: content[:-9]), "ends within its gzip data.*; fetch"),
    )),
    Case("a model that is not of handwriting", "mnist stress", model(lambda _, description: description.update(handwriting=False)),
         "workspace: its model is of small, no handwriting; name"),
    Case("no model yet", "mnist stress", gone(MODEL), "model.safetensors: no model yet; "),
    Case("test images of another size", "mnist stress", array(f"{READY}/test_images.npy", lambda images: images[:, 4:]),
         "its model does not fit its test images; `dvc repro` trains one", remedy=("dvc repro",)),
    Case("no command", "mnist", lambda _: None, r"\(see --help\)", 2),
    Case("an unknown command", "mnist chekc", lambda _: None, r"chekc.*\(see --help\)", 2),
]  # fmt: skip


def change_row(path: Path, value: str) -> None:
    """Replace the last cell of the second line."""
    lines = path.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:-1], value])
    path.write_text("\n".join(lines) + "\n")


def usage() -> Iterator[Case]:
    """What the command line itself may have wrong, for every stage and command."""
    for command in [*SCRIPTS, *(f"mnist {name}" for name in typer.main.get_command(commands.app).commands)]:  # type: ignore[attr-defined]
        yield Case("an unknown option", f"{command} --nonsense", lambda _: None, r"--nonsense.*\(see --help\)", 2)
        if command != "mnist predict":  # which takes any number
            yield Case("too many arguments", f"{command} a b c d e f", lambda _: None, r"\(see --help\)", 2)


def identity(case: Case) -> str:
    """The name of a case among the tests."""
    return f"{case.command}: {case.name}"


def one_in(count: int, case: Case) -> bool:
    """Whether a case is among one in so many, chosen by its name alone."""
    return zlib.crc32(identity(case).encode()) % count == 0


CASES = [*PARAMETERS, *FOLDERS, *STAGE_CASES, *usage()]
REPEATED = [case for case in CASES if one_in(24, case)]  # as real processes
REMEDIED = [case for case in CASES if case.remedy]
MARKED = [pytest.param(case, marks=() if one_in(3, case) else pytest.mark.slow) for case in CASES]


# what follows a semicolon: a command, a word of what to do, or the word that may be meant
REMEDY = re.compile(
    r"`[a-z]+( [^`]+)?`|\b(fix|fetch|set|put|move|remove|rename|choose|take|add|save|make|give|lower|quote|name|draw|cut|get|see|install"
    r"|unzip|gunzip|bunzip2|unxz)\b|did you mean|the keys here are|is it the right file|every (key|section) is needed"
)


def contents(root: Path) -> dict[str, str]:
    """Every file, folder and link of a project, but for what may change, with a digest of its content."""
    found = {}
    for path in sorted(root.rglob("*")):
        if UNTOUCHED.isdisjoint(path.relative_to(root).parts):
            found[str(path.relative_to(root))] = (
                f"link to {path.readlink()}" if path.is_symlink() else digest(path) if path.is_file() else "folder"
            )
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file, if it can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return "no access"


def check_refusal(case: Case, status: object, stderr: str) -> None:
    """Hold what a command has said against what it should have."""
    lines = stderr.splitlines()
    assert status == case.status, stderr
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: "), stderr
    assert len(lines[0]) < 6000, len(lines[0])
    assert re.search(case.says, lines[0]), stderr
    remedy = lines[0].partition("; ")[2]
    assert re.search(r"should be |\(see --help\)", lines[0]) or REMEDY.search(remedy), f"no remedy: {stderr}"
    assert all(f"`{command}`" in remedy for command in case.remedy), stderr


@contextmanager
def without_privileges() -> Iterator[None]:
    """Let file permissions hold even for root: give up the two capabilities that override them, capabilities(7)."""
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)()  # linux/capability.h, version 3
    assert libc.capget(header, sets) == 0
    before = sets[0]  # the effective ones
    sets[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


@pytest.mark.parametrize("case", MARKED, ids=identity)
def test_bad_input_is_refused_in_one_line_and_nothing_is_harmed(
    case: Case, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.harm(project.path)
    monkeypatch.chdir(project.path)
    before = contents(project.path)
    with without_privileges() if "right to" in case.name else nullcontext():
        status = run_inside(case.command, monkeypatch)
    check_refusal(case, status, capsys.readouterr().err)
    assert contents(project.path) == before


@pytest.mark.slow
@pytest.mark.parametrize("case", REPEATED, ids=identity)
def test_bad_input_is_refused_by_a_real_process_too(case: Case, project: Project) -> None:
    case.harm(project.path)
    before = contents(project.path)
    done = project.run(sys.executable, "-m", *case.command.split())
    check_refusal(case, done.returncode, done.stderr)
    assert contents(project.path) == before


@pytest.mark.slow
@pytest.mark.parametrize("case", REMEDIED, ids=identity)
def test_the_remedy_that_is_named_is_one(
    case: Case, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.harm(project.path)
    monkeypatch.chdir(project.path)
    check_refusal(case, run_inside(case.command, monkeypatch), capsys.readouterr().err)
    for remedy in case.remedy:
        project.succeed("bash", "-c", remedy)
    assert not run_inside(case.command, monkeypatch), capsys.readouterr().err


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(CASES) >= 120
    assert len({identity(case) for case in CASES}) == len(CASES)


@pytest.mark.slow
def test_wrong_parameters_cost_no_result_even_without_the_check(project: Project) -> None:
    before = contents(project.path)
    project.edit("learning_rate: 0.003", "learning_rate: -1")
    assert project.run(sys.executable, "-m", "mnist", "check").returncode == 1
    done = project.run("dvc", "repro")
    assert done.returncode != 0
    assert "error: params.yaml: train.learning_rate: should be greater than 0, not -1" in done.stderr
    assert "Traceback" not in done.stderr
    project.succeed("git", "checkout", "-q", "params.yaml", "metrics")
    project.succeed("dvc", "checkout")  # dvc has removed the stage's outputs; its cache has them
    after = contents(project.path)
    assert {name: after.get(name) for name in before if not name.startswith(".dvc/tmp")} == {
        name: kept for name, kept in before.items() if not name.startswith(".dvc/tmp")
    }
