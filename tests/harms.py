"""Ways to harm a project: each makes a function that takes the project's folder and does it."""

import gzip
import io
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from PIL import Image

Harm = Callable[[Path], object]


def text(path: str, content: str | bytes) -> Harm:
    """Make a file hold something else altogether."""
    return lambda root: (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


def swap(path: str, *pairs: tuple[str, str]) -> Harm:
    """Replace the first occurrence of each text in a file."""

    def harm(root: Path) -> None:
        content = (root / path).read_text("utf-8")
        for old, new in pairs:
            assert old in content, f"{path} lacks {old!r}"
            content = content.replace(old, new, 1)
        (root / path).write_text(content, "utf-8")

    return harm


def given(old: str, new: str) -> Harm:
    """Replace a text in params.yaml."""
    return swap("params.yaml", (old, new))


def around(before: str | bytes, after: str | bytes = b"") -> Harm:
    """Put something before and after all of params.yaml."""
    first, last = (part.encode() if isinstance(part, str) else part for part in (before, after))
    return lambda root: (root / "params.yaml").write_bytes(first + (root / "params.yaml").read_bytes() + last)


def patch(path: str, offset: int, content: bytes) -> Harm:
    """Overwrite some bytes of a file; a negative offset counts from its end."""

    def harm(root: Path) -> None:
        whole = bytearray((root / path).read_bytes())
        start = offset % len(whole)
        whole[start : start + len(content)] = content
        (root / path).write_bytes(whole)

    return harm


def cut(path: str, size: int) -> Harm:
    """Keep the first `size` bytes of a file, or all but the last ones if negative."""
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:size])


def grow(path: str, content: bytes) -> Harm:
    """Add bytes to a file's end."""
    return lambda root: (root / path).write_bytes((root / path).read_bytes() + content)


def gone(path: str) -> Harm:
    """Remove a file or folder."""
    return lambda root: shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()


def folder(path: str) -> Harm:
    """Make a folder, if it is not there."""
    return lambda root: (root / path).mkdir(exist_ok=True)


def instead(path: str, make: Callable[[Path], object]) -> Harm:
    """Remove a file or folder and make something else in its place."""
    return in_turn(gone(path), lambda root: make(root / path))


def in_turn(*harms: Harm) -> Harm:
    """One harm after the other."""
    return lambda root: [harm(root) for harm in harms]


def packed(path: str, change: Callable[[bytes], bytes]) -> Harm:
    """Gzip a file and change the gzipped bytes."""

    def harm(root: Path) -> None:
        plain = root / path
        plain.with_name(f"{plain.name}.gz").write_bytes(change(gzip.compress(plain.read_bytes(), mtime=0)))
        plain.unlink()

    return harm


def loop(path: Path) -> None:
    """A symbolic link to itself."""
    path.symlink_to(path.name)


def array(path: str, make: Callable[[Any], Any]) -> Harm:
    """Rewrite an array, made from what it was."""
    return lambda root: np.save(root / path, make(np.load(root / path)))


def model(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Harm:
    """Rewrite the model file after a change to its weights and its description."""

    def harm(root: Path) -> None:
        path = root / "models/model.safetensors"
        content = path.read_bytes()
        (length,) = struct.unpack_from("<Q", content)
        description = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["mnist"])
        weights = safetensors.numpy.load(content)
        change(weights, description)
        path.write_bytes(safetensors.numpy.save(weights, {"mnist": json.dumps(description)}))

    return harm


def drawn(path: str, side: int = 100, *bars: int) -> Harm:
    """A white picture with black bars at these columns, half as high as it is."""

    def harm(root: Path) -> None:
        image = Image.new("L" if bars else "1", (side, side), 255)
        for left in bars:
            image.paste(0, (left, side // 4, left + side // 20, side * 3 // 4))
        image.save(root / path)

    return harm


def zipped() -> bytes:
    """A file that NumPy takes for an archive of arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"")
    return buffer.getvalue()


def as_pickle(value: object) -> bytes:
    """What torch.save used to write."""
    return pickle.dumps(value)
