"""The model as an ONNX file, for programs without torch."""

import importlib.util
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import typer

from mnist import dataset
from mnist.commands import trained
from mnist.dataset import Array
from pipeline import console, files
from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from mnist.models import Description

NEEDED = ("onnx", "onnxruntime")
OPSET = 20  # of ONNX 1.15, which programs of the last years read
RANDOM = 1000  # images, where there are no test images
BATCH = 1000  # images, of large ones fewer


class Agreement(NamedTuple):
    """On how many of which images a file was held against its model, and the largest difference of logits."""

    images: int
    which: str
    largest: float


def export(
    output: Annotated[Path, typer.Argument(help="The file to write, OUT.onnx.", callback=console.writable)],
    revision: Annotated[
        str, typer.Option(help="Take the model of a commit, tag, branch or experiment.")
    ] = trained.WORKSPACE,
) -> None:
    """Write the model as ONNX: raw pixels, uint8 (n, height, width) or (n, height, width, 3), to logits, (n, classes).

    It is held against the model on the test images before it gets its name. Needs onnx and onnxruntime.

    Example: python -m mnist export model.onnx
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise InputError(f"{missing[0]}: not installed; `pip install -r requirements.txt` brings what export needs")
    from mnist import numerics

    numerics.pin(threads=1)
    model, description = trained.read(revision)
    content = serialised(model, description)
    images, which = to_compare(description)
    found = compare(content, model, images, which)
    files.replace(output, content)
    print(
        f"{output}: the same class on all {found.images:,} {found.which}, logits differ by {found.largest:.1g} at most"
    )


def serialised(model: "nn.Module", description: "Description") -> bytes:
    """The content of the ONNX file of a model, with its description; the same for the same model."""
    import onnx
    import torch

    from mnist import models

    pixels = torch.zeros(2, *description.image_shape, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder, "model.onnx")
        # The exporter that takes this one's place needs seconds, and writes the paths of this machine's files.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            without_order(model), (pixels,), path, dynamo=False, opset_version=OPSET, input_names=["pixels"],
            output_names=["logits"], dynamic_axes={"pixels": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
        graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {models.METADATA: description.model_dump_json()})
    onnx.checker.check_model(graph, full_check=True)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def without_order(model: "nn.Module") -> "nn.Module":
    """The same weights in torch's own layers: ONNX has no word for the order of a sum."""
    import copy

    from torch import nn

    from mnist.linear import Linear

    plain = copy.deepcopy(model)
    for module in list(plain.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Linear):
                own = nn.Linear(layer.in_features, layer.out_features)
                own.load_state_dict(layer.state_dict())
                setattr(module, name, own)
    return plain.eval()


def to_compare(description: "Description") -> tuple[Array, str]:
    """Images for the model, uint8 (n, …), and what they are: the test images, if they are of its kind."""
    from mnist import models

    try:
        models.check_fits(description, dataset.statistics())
        return dataset.load("test").images, "test images"
    except InputError:
        chance = np.random.RandomState(0)
        images = chance.randint(256, size=(RANDOM, *description.image_shape)).astype(np.uint8)
        return images, "random images, as data/normalised has no test images for it"


def compare(content: bytes, model: "nn.Module", images: Array, which: str) -> Agreement:
    """Run an ONNX file beside its model. Raises InputError if they do not give each image the same class."""
    import onnxruntime
    import torch

    onnxruntime.set_default_logger_severity(3)  # errors alone
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    largest, unlike = 0.0, 0
    with torch.no_grad():
        count = min(BATCH, dataset.at_once(images[:1].nbytes))
        for start in range(0, len(images), count):
            batch = np.array(images[start : start + count])
            ours, theirs = model(torch.from_numpy(batch)).numpy(), session.run(None, {"pixels": batch})[0]
            largest = max(largest, float(abs(ours - theirs).max()))
            unlike += int((ours.argmax(1) != theirs.argmax(1)).sum())
    if unlike:
        raise InputError(
            f"export: onnxruntime gives {unlike:,} of {len(images):,} {which} another class than the model, so no file "
            "is written; say so to the authors, with the processor"
        )
    return Agreement(len(images), which, largest)
