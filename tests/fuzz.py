"""Feed the readers of foreign bytes with what coverage-guided fuzzing comes up with, until one breaks a promise.

A script, not a test, as atheris is not among the project's pins; what it finds becomes a test. To run it for five
minutes on one of idx, params and model, in a folder of its own for what it finds:

python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
PYTHONPATH=.:.venv/lib/python3.11/site-packages /tmp/fuzz/bin/python tests/fuzz.py params -max_total_time=300
"""

import json
import math
import struct
import sys
import tempfile
from pathlib import Path

import atheris

from mnist.commands import settings

TARGET = sys.argv.pop(1) if len(sys.argv) > 1 else "none"
with atheris.instrument_imports(include=["mnist", "gzip", "yaml", "pipeline"]):
    import gzip

    from mnist import idx
    from pipeline.errors import InputError

    if TARGET == "model":
        from mnist import models

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz"))
ROOT = Path(__file__).parents[1]


def fuzz_idx(data: bytes) -> None:
    """Bytes as a plain file, as a gzip file, or as what a gzip file holds: refused, or copied as they are."""
    kind, dimensions, content = data[:1], 3 if data[1:2] > b"\x7f" else 1, data[2:]
    source, target = FOLDER / ("plain" if kind < b"\x55" else "packed.gz"), FOLDER / "target"
    source.write_bytes(gzip.compress(content, 1, mtime=0) if kind > b"\xaa" else content)
    idx.unpack(source, target, dimensions)
    copied = target.read_bytes()
    found = copied[3]  # of images, three dimensions or four
    shape = struct.unpack_from(f">{found}I", copied, 4)
    assert len(copied) == 4 + 4 * found + math.prod(shape)
    assert idx.read(target, dimensions).shape == shape
    if source.suffix != ".gz" or kind > b"\xaa":
        assert copied == content


def fuzz_params(data: bytes) -> None:
    """Bytes as params.yaml: refused, or within every limit of the schema."""
    path = FOLDER / "params.yaml"
    path.write_bytes(data)
    chosen = settings.read(path)
    assert math.isfinite(chosen.train.learning_rate)
    json.dumps(chosen.model_dump(), allow_nan=False)


def fuzz_model(data: bytes) -> None:
    """Bytes as a model file: refused, or a model that takes the images it says."""
    import torch

    path = FOLDER / "model.safetensors"
    path.write_bytes(data)
    model, description = models.read(path)
    logits = model(torch.zeros((1, *description.image_shape), dtype=torch.uint8))
    assert logits.shape == (1, len(description.classes))


def promise(data: bytes) -> None:
    """Nothing but InputError may come out, and its message must be readable."""
    try:
        {"idx": fuzz_idx, "params": fuzz_params, "model": fuzz_model}[TARGET](data)
    except InputError as error:
        refusal = str(error)
    else:
        return
    assert str(FOLDER) in refusal or "train.model" in refusal, refusal
    assert len(refusal) < 1000, refusal


def small_model() -> bytes:
    """A model file of four pixels and two classes."""
    description = models.Description(
        model="mlp",
        image_shape=(2, 2),
        classes=["a", "b"],
        dataset="",
        handwriting=True,
        parameters={},
        torch="2",
        inputs="",
    )
    models.write(models.build(description), description, FOLDER / "model.safetensors")
    return (FOLDER / "model.safetensors").read_bytes()


def seeds() -> list[bytes]:
    """Whole files to start from."""
    labels = b"\x00" + struct.pack(">II", 0x801, 3) + bytes([1, 2, 3])
    images = b"\xff" + struct.pack(">IIII", 0x803, 2, 2, 2) + bytes(8)
    colours = b"\xff" + struct.pack(">IIIII", 0x804, 2, 2, 2, 3) + bytes(24)
    plain = [kind + content for kind in (b"\x00", b"\xff") for content in (labels, images, colours)]
    packed = [b"\x66" + content[:1] + gzip.compress(content[1:]) for content in (labels, images)]
    return {
        "idx": lambda: plain + packed,
        "params": lambda: [path.read_bytes() for path in [ROOT / "params.yaml", *ROOT.glob("recipes/*.yaml")]],
        "model": lambda: [small_model()],
    }[TARGET]()


if __name__ == "__main__":
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        (corpus / str(number)).write_bytes(seed)
    print(f"files in {FOLDER}", file=sys.stderr)
    atheris.Setup([*sys.argv, str(corpus), f"-artifact_prefix={FOLDER}/"], promise)
    atheris.Fuzz()
