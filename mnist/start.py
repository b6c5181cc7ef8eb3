"""Fine-tuning: a training that begins with the weights of another model file."""

from pathlib import Path

from torch import nn

from mnist import models
from pipeline.errors import InputError

KEY = "train.start_from"


def read(path: Path, model: str, image_shape: tuple[int, ...] | None = None) -> tuple[nn.Module, models.Description]:
    """The model in the file to start from.

    Raises InputError if there is none, or if it is another network than `model` or for images of another shape, where
    that is known.
    """
    if not path.is_file():
        tracked = path.with_name(f"{path.name}.dvc")
        brings = f"`dvc checkout {tracked}` or `dvc pull {tracked}` brings it"
        raise refused(f"{path}: no such file; {brings if tracked.is_file() else 'name one that is there, or null'}")
    try:
        found, description = models.read(path)
    except InputError as error:
        what = str(error).removesuffix(f"; {models.REMEDY}")
        raise refused(f"{what}; name a model file of this project, as `dvc repro` writes them") from error
    if description.model != model:
        raise refused(f"{path}: is {description.model}, not {model}; set train.model to {description.model}")
    if image_shape and description.image_shape != tuple(image_shape):
        ours, theirs = ("×".join(map(str, shape)) for shape in (image_shape, description.image_shape))
        channels = f", dataset.channels to {description.channels}" * (len(image_shape) != len(description.image_shape))
        raise refused(
            f"{path}: is for images of {theirs}, and the data set has {ours}; set dataset.image_size to "
            f"{list(description.image_shape[:2])}{channels}"
        )
    return found, description


def begin(model: nn.Module, description: models.Description, path: Path) -> str:
    """Give a fresh model the weights of a file; returns a line that says which.

    Mean and standard deviation stay those of its own data. Where the file has other classes, so does the last linear
    layer. Raises InputError as `read` does, or if more layers than the last depend on the classes.
    """
    found, described = read(path, description.model, description.image_shape)
    weights = {name: tensor for name, tensor in found.state_dict().items() if not name.startswith("normalise.")}
    said = f"starting from {path}, which was trained on {described.dataset}"
    if described.classes != description.classes:
        *_, head = ["", *(name for name, layer in model.named_modules() if isinstance(layer, nn.Linear))]
        weights = {name: tensor for name, tensor in weights.items() if not (head and name.startswith(f"{head}."))}
        said += f"; its classes are others, so the last layer, {head}, is drawn afresh"
    try:
        model.load_state_dict({**model.state_dict(), **weights})
    except RuntimeError as error:
        raise refused(
            f"{path}: has other classes, and more of {description.model} than its last linear layer depends on them; "
            "name a file with the same, or null"
        ) from error
    return said


def refused(what: str) -> InputError:
    """The error for a file that cannot be started from."""
    return InputError(f"params.yaml: {KEY}: {what}")
