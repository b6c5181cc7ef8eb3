"""What a model file says: what it is, what it was trained on, and which commits record that run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist.commands import fingerprint, trained
from pipeline import console, git, lock, origin
from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import nn


def show(
    file: Annotated[Path, typer.Argument(help="A model file.")] = trained.FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print where a model comes from: its network, data set, parameters, and the commits that record its run.

    Example: python -m mnist show models/model.safetensors
    """
    found = of(file)
    print(console.as_json(found) if as_json else "\n".join(lines(found)))


def of(file: Path) -> dict[str, Any]:
    """What `--json` prints. Raises InputError if the file is damaged or none of ours."""
    from mnist import models

    model, description = trained.read() if file == trained.FILE else models.read(file)
    return {
        "file": str(file),
        **description.model_dump(exclude={"parameters"}),
        "layers": layers(model, description.image_shape),
        "size": sum(weight.numel() for weight in model.parameters()),
        "parameters": description.parameters,
        "fingerprint": fingerprint.of(model.state_dict()),
        **commits(description.inputs),
    }


def layers(model: "nn.Module", shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Each layer's kind, the shape of its output for one image, and how many parameters it has."""
    import torch
    from torch import nn

    found = []
    x = torch.zeros(1, *shape, dtype=torch.uint8)
    with torch.no_grad():
        for layer in (module for module in model.modules() if not isinstance(module, nn.Sequential)):
            x = layer(x)
            size = sum(weight.numel() for weight in layer.parameters())
            found.append({"kind": type(layer).__name__, "output": list(x.shape[1:]), "size": size})
    return found


def commits(inputs: str) -> dict[str, Any]:
    """The last and the first commit that record a run with these inputs, in a line each; None if none does.

    `why` then says where to look.
    """
    try:
        records = origin.records()
        last, first = (next(origin.recording(inputs, among), None) for among in (records, reversed(records)))
        if last and first:
            return {"last": git.headline(last.commit), "first": git.headline(first.commit), "why": None}
        here = inputs in {stage.key for stage in lock.read().stages.values()}
        why = f"{lock.FILE} here does, and is not committed" if here else origin.remedy()
    except InputError as error:  # as outside of a repository
        why = str(error)
    return {"last": None, "first": None, "why": why}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """What is known of a model as lines of text."""
    height, width, *channels = found["image_shape"]
    images = f"images of {height}×{width} pixels" + " in colour" * len(channels)
    yield f"{found['file']}: {found['model']}, {found['size']:,} parameters, for {images}"
    yield ""
    yield "layer           output  parameters"
    for layer in found["layers"]:
        output = "×".join(map(str, layer["output"]))
        size = f"{layer['size']:,}" if layer["size"] else ""
        yield f"{layer['kind']:12}{output:>10}{size:>12}".rstrip()
    yield ""
    facts = {
        "classes": ", ".join(found["classes"]),
        "data set": f"{found['dataset']}, {'' if found['handwriting'] else 'not '}handwriting",
        "parameters": ", ".join(f"{name} {shown(value)}" for name, value in found["parameters"].items()),
        "torch": found["torch"],
        "fingerprint": found["fingerprint"],
        "inputs": found["inputs"],
        "recorded by": found["last"] or f"no commit here; {found['why']}",
    }
    if found["first"] != found["last"]:
        facts["first by"] = found["first"]
    for name, value in facts.items():
        yield f"{name:13}{value}"


def shown(value: Any) -> str:
    """A parameter as params.yaml has it."""
    return value if isinstance(value, str) else json.dumps(value)
