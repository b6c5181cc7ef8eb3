"""Fetching data sets with torchvision, from a server on loopback in place of its mirrors."""

import gzip
import hashlib
import http.server
import io
import json
import re
import socket
import struct
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets
from tqdm import tqdm

import mnist.raw
from mnist import idx
from mnist.formats import known, mirrors
from pipeline.errors import InputError
from pipeline.params import literals
from stages.download import Dataset
from tests.conftest import FASHION, Project, needs_fashion

IMAGES = np.arange(40 * 28 * 28).reshape(40, 28, 28).astype(np.uint8)
TEST_IMAGES = 255 - IMAGES
LABELS = np.tile(np.arange(10), 4).astype(np.uint8)
# tqdm's own lock is shared with forked processes: one that is killed amid a download would hold it for ever
tqdm.set_lock(threading.RLock())
WAY_ROUND = "try later, or get its four IDX files, set dataset.path to their folder and dataset.download to null"
NAMES = [f"{name}.gz" for name in (*mnist.raw.IMAGES.values(), *mnist.raw.LABELS.values())]
# a stage whose torchvision looks for its files elsewhere
ELSEWHERE = """
import json, runpy, sys
from torchvision import datasets
name, attributes = json.loads(sys.argv.pop())
for attribute, value in attributes.items():
    setattr(getattr(datasets, name), attribute, value)
runpy.run_module("stages.download", run_name="__main__")
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not report each request."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address of a web server on loopback, and the folder that it serves."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Where a fetched data set comes to lie."""
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def packed(array: np.ndarray, kind: int = 0x08) -> bytes:
    """A gzipped IDX file; kind 0x08 are bytes, 0x0C big-endian integers of 32 bits."""
    header = struct.pack(f">{1 + array.ndim}I", kind << 8 | array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8 if kind == 0x08 else ">i4").tobytes())


def md5(path: Path) -> str:
    """What torchvision compares with."""
    return hashlib.md5(path.read_bytes()).hexdigest()


def serve_four(folder: Path, images: np.ndarray = IMAGES, labels: np.ndarray = LABELS) -> list[tuple[str, str]]:
    """Write a small data set under MNIST's names; returns torchvision's list of resources."""
    for name in NAMES:
        (folder / name).write_bytes(
            packed(labels if "labels" in name else images if name.startswith("train") else TEST_IMAGES)
        )
    return [(name, md5(folder / name)) for name in NAMES]


def check_fetched(raw: Path, classes: list[str]) -> None:
    """The raw folder holds the images upright and LABELS from 0, described, and nothing else."""
    for split, images in (("train", IMAGES), ("test", TEST_IMAGES)):
        assert np.array_equal(idx.read(raw / mnist.raw.IMAGES[split], 3), images)
        assert np.array_equal(idx.read(raw / mnist.raw.LABELS[split], 1), LABELS % len(classes))
    assert mnist.raw.load(raw)[0].classes == classes
    assert [path.name for path in raw.parent.iterdir() if path.name.startswith(".")] == []


def test_kmnist_comes_with_the_names_of_its_characters(
    mirror: tuple[str, Path], raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    monkeypatch.setattr(datasets.KMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.KMNIST, "resources", serve_four(folder))
    mirrors.fetch("kmnist", raw.parent / "fetched", raw)
    check_fetched(raw, ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"])


def test_fashion_mnist_comes_with_its_names_in_full(
    mirror: tuple[str, Path], raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", serve_four(folder))
    mirrors.fetch("fashion-mnist", raw.parent / "fetched", raw)
    check_fetched(raw, known.KNOWN["fashion-mnist"]["classes"])


def test_mnist_comes_from_the_second_mirror_when_the_first_is_gone(
    mirror: tuple[str, Path], raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{address}gone/", address])
    monkeypatch.setattr(datasets.MNIST, "resources", serve_four(folder))
    mirrors.fetch("mnist", raw.parent / "fetched", raw)
    check_fetched(raw, list("0123456789"))


def test_qmnist_gives_the_first_of_its_eight_columns(
    mirror: tuple[str, Path], raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    columns = np.stack([LABELS, *(np.full(40, 1000 + k) for k in range(7))], 1)
    resources = {}
    for split in ("train", "test"):
        images, labels = folder / f"qmnist-{split}-images-idx3-ubyte.gz", folder / f"qmnist-{split}-labels-idx2-int.gz"
        images.write_bytes(packed(IMAGES if split == "train" else TEST_IMAGES))
        labels.write_bytes(packed(columns, kind=0x0C))
        resources[split] = [(f"{address}{path.name}", md5(path)) for path in (images, labels)]
    monkeypatch.setattr(datasets.QMNIST, "resources", resources)
    mirrors.fetch("qmnist", raw.parent / "fetched", raw)
    check_fetched(raw, list("0123456789"))


@pytest.mark.parametrize("split", ["letters", "digits", "balanced", "byclass", "bymerge", "mnist"])
def test_emnist_comes_upright_and_its_letters_count_from_0(
    mirror: tuple[str, Path], raw: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    address, folder = mirror
    classes = [name for name in datasets.EMNIST.classes_split_dict[split] if name != "N/A"]
    labels = np.arange(3 * len(classes)) % len(classes)
    images = np.arange(len(labels) * 28 * 28).reshape(-1, 28, 28).astype(np.uint8)
    of = {"train": (images, labels), "test": (255 - images, labels[::-1])}
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for part, (upright, from_0) in of.items():
            archive.writestr(f"gzip/emnist-{split}-{part}-images-idx3-ubyte.gz", packed(upright.transpose(0, 2, 1)))
            archive.writestr(f"gzip/emnist-{split}-{part}-labels-idx1-ubyte.gz", packed(from_0 + (split == "letters")))
    monkeypatch.setattr(datasets.EMNIST, "url", f"{address}gzip.zip")
    monkeypatch.setattr(datasets.EMNIST, "md5", md5(folder / "gzip.zip"))
    mirrors.fetch(f"emnist-{split}", raw.parent / "fetched", raw)
    description, fetched_images, fetched_labels = mnist.raw.load(raw)
    assert description.classes == classes
    for part, (upright, from_0) in of.items():
        assert np.array_equal(fetched_images[part], upright)
        assert np.array_equal(fetched_labels[part], from_0)


@pytest.mark.parametrize("name", literals(Dataset.model_fields["download"].annotation))
def test_every_word_that_params_accept_is_asked_of_a_mirror(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr("urllib.request._opener", None)  # made by an earlier test, without the proxy
    with pytest.raises(InputError) as raised:
        mirrors.open_torchvision(name, str(tmp_path), "train")
    reason = r"(.*Connection refused.*|Error downloading.*)"
    assert re.fullmatch(rf"dataset\.download: {name} cannot be fetched \({reason}\); {WAY_ROUND}", str(raised.value))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EOFError(), "EOFError"),
        (RuntimeError("a page\n  of\tHTML: " + 300 * "<p>"), "a page of HTML: " + 94 * "<p>" + "<p"),
    ],
)
def test_what_a_mirror_brings_about_is_told_in_one_short_line(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        print("Failed to download (trying next):")
        raise error

    monkeypatch.setattr(datasets, "KMNIST", broken)
    with pytest.raises(InputError) as raised:
        mirrors.open_torchvision("kmnist", "fetched", "train")
    assert str(raised.value) == f"dataset.download: kmnist cannot be fetched ({reason}); {WAY_ROUND}"
    assert capsys.readouterr() == ("", "")


class Screen(io.StringIO):
    """A terminal, or a file."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_of_a_download_is_shown_on_a_terminal_and_nowhere_else(
    terminal: bool,
    mirror: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, folder = mirror
    monkeypatch.setattr(datasets.KMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.KMNIST, "resources", serve_four(folder))
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    mirrors.open_torchvision("kmnist", str(tmp_path / "fetched"), "train")
    assert ("100%" in screen.getvalue()) == terminal
    assert bool(screen.getvalue()) == terminal
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@needs_fashion
def test_all_of_fashion_mnist_is_fetched_and_is_the_original(mirror: tuple[str, Path], project: Project) -> None:
    address, folder = mirror
    for name in NAMES:
        (folder / name).symlink_to(FASHION / name)
    # the same content as torchvision's, gzipped again, so with other checksums
    place = {"mirrors": [address], "resources": [(name, md5(folder / name)) for name in NAMES]}
    project.edit("download: null", "download: fashion-mnist")
    project.succeed("python", "-c", ELSEWHERE, json.dumps(["FashionMNIST", place]))
    description = mnist.raw.load(project.path / "data/raw")[0]
    original = known.KNOWN["fashion-mnist"]
    assert description.classes == original["classes"]
    assert {name: facts["sha256"] for name, facts in description.files.items()}.items() <= original.items()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["unreachable", "not found", "a page", "cut"])
def test_a_mirror_that_fails_is_one_line_with_the_way_round(
    mirror: tuple[str, Path], project: Project, damage: str
) -> None:
    address, folder = mirror
    resources = serve_four(folder)
    if damage == "a page":
        (folder / NAMES[0]).write_text("<html>moved</html>")
    if damage == "cut":
        (folder / NAMES[0]).write_bytes((folder / NAMES[0]).read_bytes()[:100])
    if damage == "not found":
        (folder / NAMES[0]).unlink()
    if damage == "unreachable":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    project.edit("download: null", "download: kmnist")
    before = project.hashes()
    place = {"mirrors": [address], "resources": resources}
    done = project.run("python", "-c", ELSEWHERE, json.dumps(["KMNIST", place]))
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: dataset.download: kmnist cannot be fetched (")
    assert "set dataset.path to their folder" in line
    assert project.hashes() == before
    assert list((project.path / "data").glob(".*.partial")) == []


def test_a_mirror_that_says_nothing_is_given_up(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(mirrors, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(datasets.KMNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        with pytest.raises(InputError, match=r"dataset\.download: kmnist cannot be fetched \(.*timed out"):
            mirrors.fetch("kmnist", raw.parent / "fetched", raw)


@pytest.mark.parametrize("labels", [LABELS[:-1], np.zeros_like(LABELS), LABELS + 90])
def test_a_fetched_data_set_is_checked_like_any_other(
    mirror: tuple[str, Path], raw: Path, monkeypatch: pytest.MonkeyPatch, labels: np.ndarray
) -> None:
    address, folder = mirror
    monkeypatch.setattr(datasets.KMNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.KMNIST, "resources", serve_four(folder, labels=labels))
    with pytest.raises(InputError):
        mirrors.fetch("kmnist", raw.parent / "fetched", raw)
