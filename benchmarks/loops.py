"""The training loop against the article's and against its own matrix products; one thread each, one epoch a turn."""

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import article_loop
from benchmarks.figures import Figure, in_turn, ratios
from benchmarks.pipeline import run
from mnist import dataset, models, training
from mnist.commands import settings
from pipeline import resume

REPETITIONS = 5


def figures(project: Path, _: Path) -> list[Figure]:
    """Run on a project's data/raw and data/normalised, made with recipe `article`."""
    run(project, "python", "-m", "mnist", "recipe", "article")
    run(project, "dvc", "repro", "normalise")
    with contextlib.chdir(project):
        return of_this_folder()


def of_this_folder() -> list[Figure]:
    """The rows of the table."""
    torch.set_num_threads(1)
    losses: dict[str, list[float]] = {"article": [], "train": []}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "MNIST").mkdir()
        Path(folder, "MNIST/raw").symlink_to(Path("data/raw").resolve())
        batches = article_loop.loader(Path(folder))
        train = training_run(epochs=1)
        sides = [
            lambda: losses["article"].append(article_loop.train(batches)),
            lambda: losses["train"].append(train(resume.Checkpoint(None))),
            products,
        ]
        article, ours, floor = in_turn(sides, REPETITIONS)
    for theirs, own in zip(losses["article"], losses["train"], strict=True):
        if abs(theirs - own) > 0.01 * theirs:  # the same initial weights, another order of images
            raise SystemExit(f"not a fair race: the article's loop comes to a loss of {theirs}, train's to {own}")
    same = f"losses {losses['article'][0]:.3f} and {losses['train'][0]:.3f}"
    return [
        Figure("article's loop, an epoch", article, "s"),
        Figure("`train`'s loop, an epoch", ours, "s"),
        Figure("its matrix products alone", floor, "s", note="27.2 GFLOP"),
        Figure("article's loop ÷ `train`'s", ratios(article, ours), "", "≥ 8", "≥ 13", same),
        Figure("`train`'s loop ÷ its matrix products", ratios(ours, floor), "", "≤ 2.2", "≤ 1.5"),
        Figure("saving resume state, share of training", [saving() for _ in range(3)], "%", "≤ 1 %"),
    ]


def training_run(**changes: Any) -> Callable[[resume.Checkpoint], float]:
    """Training as the stage does it, with changes to its parameters, all prepared; a call returns the last loss."""
    chosen = settings.read().train.model_copy(update=changes)
    statistics, split = dataset.statistics(), dataset.load("train")

    def train(checkpoint: resume.Checkpoint) -> float:
        model, _ = models.create(chosen, statistics)
        return training.train(model, chosen, split, None, checkpoint)[-1].train_loss

    return train


def products(images: int = 60_000, size: int = 64) -> None:
    """The products of an epoch: for each layer forward, gradient of weights, and of inputs but for the first."""
    layers = [(784, 128), (128, 64), (64, 10)]
    inputs = [torch.randn(size, wide) for wide, _ in layers]
    outputs = [torch.randn(size, narrow) for _, narrow in layers]
    weights = [torch.randn(narrow, wide) for wide, narrow in layers]
    for _ in range(-(-images // size)):
        for k, (x, y, w) in enumerate(zip(inputs, outputs, weights, strict=True)):
            torch.mm(x, w.t())
            torch.mm(y.t(), x)
            if k:
                torch.mm(y, w)


class Timed(resume.Checkpoint):
    """A checkpoint that knows how long saving took."""

    seconds = 0.0

    def save(self, parts: dict[str, Any], history: list[Any]) -> None:
        start = time.perf_counter()
        super().save(parts, history)
        self.seconds += time.perf_counter() - start


def saving() -> float:
    """Per cent of five epochs that saving their state takes."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Timed(Path(folder, "state"))
        train = training_run(epochs=5)
        start = time.perf_counter()
        train(checkpoint)
        return 100 * checkpoint.seconds / (time.perf_counter() - start)
