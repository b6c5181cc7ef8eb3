"""What may have become of what the stages have made, and what a run may meet."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import os
import re
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

from mnist import idx
from tests.cases import (
    CHECK,
    DOWNLOAD,
    EVALUATE,
    HISTORY,
    IMAGES,
    LABELS,
    MODEL,
    NORMALISE,
    PLOT,
    PREDICTIONS,
    RAW,
    READY,
    TRAIN,
    Case,
    small,
)
from tests.conftest import Project
from tests.harms import (
    array,
    as_pickle,
    cut,
    given,
    gone,
    grow,
    in_turn,
    instead,
    model,
    patch,
    swap,
    text,
    zipped,
)  # fmt: skip


def tiny(root: Path) -> None:
    """Make the data set one of images of 7 × 7 pixels."""
    for name in (IMAGES, "t10k-images-idx3-ubyte"):
        idx.write(root / small(name), np.array(idx.read(root / small(name), 3)[:, 10:17, 10:17]))


def unlikely(root: Path) -> None:
    """Have the second line of the predictions name another class than the likeliest."""
    lines = (root / PREDICTIONS).read_text().splitlines()
    index, actual, predicted, *chances = lines[1].split(",")
    lines[1] = ",".join([index, actual, str((int(predicted) + 1) % 10), *chances])
    (root / PREDICTIONS).write_text("\n".join(lines) + "\n")


def recorded(root: Path) -> None:
    """Have DVC take what lies there for what its stages made."""
    Project(root).succeed("dvc", "commit", "-f")


def change_row(path: Path, value: str) -> None:
    """Replace the last cell of the second line."""
    lines = path.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:-1], value])
    path.write_text("\n".join(lines) + "\n")


RESULTS = [
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
        ("images in colour", "normalise.mean does not fit", lambda _, description: description.update(image_shape=[28, 28, 3])),
        ("images of four channels", "image_shape", lambda _, description: description.update(image_shape=[28, 28, 4])),
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
    Case("a pipe for classes.txt", DOWNLOAD, lambda root: os.mkfifo(root / small("classes.txt")),
         r"classes\.txt: not a"),
    Case("a pipe for the model", EVALUATE, instead(MODEL, os.mkfifo), "model.safetensors: neither a file nor a folder"),
    *(Case(f"the folder {folder}", command, given("path: data/small", f"path: {folder}"),
           f"{folder}: contains or lies inside data/raw, which the stage download replaces; choose another folder")
      for folder in ("data/raw", "data", "data/raw/in") for command in (CHECK, DOWNLOAD)),
    Case("no folder though it is to be fetched", CHECK, swap("params.yaml", ("data/small", "data/none"),
         ("download: null", "download: kmnist")), "dataset.path: data/none: no such file or folder; DVC asks for it"),
    Case("images too small for the network", CHECK, in_turn(tiny, given("model: mlp", "model: cnn")),
         "cnn needs images of 8×8 pixels or more, not 7×7; set it to mlp"),
    Case("all pixels the same", CHECK, in_turn(given("std: 0.5", "std: auto"),
         patch(small(IMAGES), 16, bytes(1200 * 784))), "normalise.std: auto: all training pixels are the same; set"),
    Case("a validation loss that diverges", TRAIN, swap("params.yaml", ("loss: cross_entropy", "loss: mse"),
         ("_rate: 0.003", "_rate: 1000.0"), ("decay: 0.0", "decay: 100.0"), ("size: 64", "size: 334"),
         ("epochs: 2", "epochs: 1")), "epoch 1, step 3: the validation loss is no longer finite; no model is written"),
    Case("a model whose answers overflow", EVALUATE, model(lambda weights, _: weights["normalise.std"].fill(1e-45)),
         "answers are not finite: .*; lower train.learning_rate"),
    Case("a model of integers", EVALUATE, model(lambda weights, _: weights.update(
        {"network.1.bias": np.zeros(128, np.int32)})), "network.1.bias does not fit its description; `dvc repro`"),
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
    Case("a module that Python cannot read", CHECK, text("mnist/predict.py", "def f(:\n"), r"mnist/predict\.py: invalid syntax",
         remedy=("git restore mnist/predict.py",)),
    Case("a pipe for data", NORMALISE, instead(RAW, os.mkfifo), "data/raw: neither a file nor a folder",
         remedy=("rm data/raw", "dvc repro")),
    Case("statistics.json of fewer classes", TRAIN, swap(f"{READY}/statistics.json", ('    "9"\n', ''), ('"8",\n', '"8"\n')),
         r"statistics\.json: counts: not of each class",
         remedy=("dvc repro",)),
    Case("statistics.json of no pixels", EVALUATE, lambda root: (root / READY / "statistics.json").write_text(
        re.sub(r'"image_shape": \[\s*28,', '"image_shape": [0,', (root / READY / "statistics.json").read_text())),
        r"statistics\.json: image_shape.*`dvc repro`"),
    *(Case(f"statistics.json of {what} channels", EVALUATE, lambda root, end=end: (root / READY / "statistics.json").write_text(
        re.sub(r'("image_shape": \[\s*28,\s*28)', rf'\1, {end}', (root / READY / "statistics.json").read_text())),
        rf"statistics\.json: {says}.*`dvc repro`")
      for what, end, says in (("three", "3", "mean: not a number for each channel"), ("four", "4", "image_shape: .*height and width, and 3"))),
    *(Case(f"an array of the shape {shape}", TRAIN, lambda root, shape=shape: (root / READY / "train_images.npy").write_bytes(
        (root / READY / "train_images.npy").read_bytes().replace(b"(1000, 28, 28)", shape.encode())),
        r"train_images\.npy: cannot be used .*`dvc repro`")
      for shape in ("(-100, 28, 28)", "(1000, 28, 28[", "(9**9, 28, 28)", "(10**30,28,28)")),
]  # fmt: skip
