"""What may be wrong with an input, one module for each kind of input: test_bad_input.py tries all of it."""

from typing import NamedTuple

from tests.harms import Harm

CHECK, RECIPE = "mnist check", "mnist recipe one"
DOWNLOAD, NORMALISE, TRAIN, EVALUATE, PLOT = (
    f"stages.{name}" for name in ("download", "normalise", "train", "evaluate", "plot_predictions")
)
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
SIZE = {IMAGES: 16 + 1200 * 784, LABELS: 8 + 1200}
RAW, READY, MODEL = "data/raw", "data/normalised", "models/model.safetensors"
PREDICTIONS, HISTORY = "metrics/predictions.csv", "metrics/history.csv"


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


def small(name: str) -> str:
    """A file of the data folder."""
    return f"data/small/{name}"
