"""One training run: the article's training loop, with a faster data path.

What makes it several times as fast as the usual loop (benchmarks/results.md) is how images reach it: not one at a time
through a data set, a transform and a loader, but a batch gathered at once from one array and normalised by the model.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.optim import swa_utils

from mnist import augmentation, dataset, parts, speed
from mnist.hyperparameters import Hyperparameters
from mnist.losses import objective
from mnist.results import Epoch
from pipeline.errors import InputError

MEASURED_AT_ONCE = 1000  # validation images, of large ones fewer


class Checkpoint(Protocol):
    """Keeps the state of a training after each epoch: the parts that have a `state_dict`, and the history."""

    def restore(self, parts: dict[str, Any]) -> list[Any]:
        """Bring `parts` to where the last saved epoch left them; returns the history."""

    def save(self, parts: dict[str, Any], history: list[Any]) -> None:
        """Keep the state."""


def train(
    model: nn.Module,
    chosen: Hyperparameters,
    training: dataset.Split,
    validation: dataset.Split | None,
    checkpoint: Checkpoint,
    report: Callable[[list[Epoch]], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
    group: parts.Group = parts.ALONE,
) -> list[Epoch]:
    """Train `model` in place, resuming after the last epoch in `checkpoint`; returns one row per epoch.

    `report` is told all rows after an epoch, `advance` how many steps there were more. All randomness comes from
    torch's CPU generator. The processes of a `group` come to the same result, and the first of them reports it.
    Raises InputError, naming epoch and step, when the loss or a weight is no longer finite.
    """
    speed.keep_memory()
    images, labels = on_device(training, chosen.device)
    held_out = on_device(validation, chosen.device) if validation else None
    loss_function = objective(chosen, labels)
    model.to(chosen.device)
    optimizer = make_optimizer(model, chosen)
    schedule = SCHEDULES[chosen.schedule](optimizer, chosen.learning_rate, chosen.epochs * steps(chosen, training))
    average = averaged(model, chosen.average) if chosen.average else None
    state = {"model": model, "optimizer": optimizer, "schedule": schedule, **({"average": average} if average else {})}
    history = [Epoch(*row) for row in checkpoint.restore(state)]
    parts.check_passes(model, images[:1], len(images), chosen)
    gradient = parts.of_batches(model, chosen.parts, group)
    advance(len(history) * steps(chosen, training))

    for epoch in range(len(history) + 1, chosen.epochs + 1):
        model.train()
        losses = torch.zeros(steps(chosen, training), device=chosen.device)
        for step, pieces in enumerate(batches(images, labels, chosen, gradient.cut)):
            optimizer.zero_grad()
            for batch, targets in pieces:  # one, unless train.parts says otherwise
                logits = model(batch)
                loss = loss_function(logits, targets)
                loss.backward()
                gradient.keep(loss, len(batch))
            losses[step] = gradient.add()  # read back once an epoch, so that a GPU need not wait at each step
            optimizer.step()
            if average:
                average.update_parameters(model)
            learning_rate = optimizer.param_groups[0]["lr"]
            schedule.step()
            advance(1)
        result = average.module if average else model
        measured = measure(result, *held_out, group) if held_out else (None, None)
        parts.check_draws(group, chosen.device)
        history.append(Epoch(epoch, learning_rate, losses.double().mean().item(), *measured))
        if group.rank == 0:
            check_finite(model, losses, history[-1])
            checkpoint.save(state, [tuple(row) for row in history])
            report(history)
    if average:
        model.load_state_dict(average.module.state_dict())
    return history


def averaged(model: nn.Module, decay: float) -> swa_utils.AveragedModel:
    """A copy of `model` that follows it: at each step, its weights keep `decay` of themselves and take the rest.

    So do the running statistics of batch norm, which belong to the weights that they were measured with.
    """
    return swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True)


def check_device(device: str) -> None:
    """Raise InputError if the machine lacks what `device` asks for."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: train.device: cuda: there is no CUDA device here; set it to cpu")


def steps(chosen: Hyperparameters, training: dataset.Split) -> int:
    """Steps an epoch, one for each batch."""
    return math.ceil(len(training.images) / chosen.batch_size)


def batches(
    images: Tensor,
    labels: Tensor,
    chosen: Hyperparameters,
    cut: Callable[[int, int], Iterable[parts.Range]] = parts.Whole.cut,
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """One epoch: every image once, in random order; the pieces that `cut` makes of each batch, the last one smaller.

    They are uint8 (size, …) and int64 (size,).
    """
    device = images.device
    order = torch.randperm(len(images)).to(device)
    moves = torch.randint(2 * chosen.shift + 1, (2, len(images) if chosen.shift else 0), dtype=torch.uint8).to(device)
    turns = torch.rand(len(images) if chosen.rotate else 0).mul_(2).sub_(1).to(device)

    def piece(first: int, behind: int) -> tuple[Tensor, Tensor]:
        index = order[first:behind]
        batch = images.index_select(0, index)
        if chosen.rotate:
            batch = augmentation.turned(batch, chosen.rotate, turns[first:behind])
        if chosen.shift:
            batch = augmentation.shifted(batch, chosen.shift, *moves[:, first:behind].long())
        return batch, labels.index_select(0, index).long()

    for start in range(0, len(images), chosen.batch_size):
        yield itertools.starmap(piece, cut(start, min(start + chosen.batch_size, len(images))))


def measure(model: nn.Module, images: Tensor, labels: Tensor, group: parts.Group = parts.ALONE) -> tuple[float, float]:
    """Mean cross-entropy and accuracy on images that are not trained on; each process of the group takes some of them.

    Cross-entropy whatever is trained on, and of labels as they are, so that recipes can be held against each other.
    """
    model.eval()
    count = min(MEASURED_AT_ONCE, dataset.at_once(images[:1].nbytes))
    pieces = list(zip(*(tensor.split(count) for tensor in (images, labels)), strict=True))
    found = torch.zeros(len(pieces), 2, dtype=torch.float64, device=images.device)
    with torch.no_grad():
        for number, (batch, targets) in list(enumerate(pieces))[group.rank :: group.size]:
            logits = model(batch)
            found[number, 0] = F.cross_entropy(logits, targets.long()) * len(batch)
            found[number, 1] = (logits.argmax(1) == targets).sum()
    losses, correct = group.gather(found).sum(0).t().tolist()  # of each piece, one process has more than zeros
    return sum(losses) / len(images), sum(correct) / len(images)


def check_finite(model: nn.Module, losses: Tensor, row: Epoch) -> None:
    """Raise InputError if the training has diverged in an epoch: by its losses, one a step, its end, or its row."""
    step = len(losses)
    if not (finite := losses.isfinite()).all():
        step, what = int(finite.int().argmin()) + 1, "the loss is"
    elif not all(weights.isfinite().all() for weights in model.state_dict().values()):
        what = "the weights are"
    elif row.validation_loss is not None and not math.isfinite(row.validation_loss):
        what = "the validation loss is"
    else:
        return
    raise InputError(
        f"train: epoch {row.epoch}, step {step}: {what} no longer finite; no model is written: "
        "lower train.learning_rate"
    )


def on_device(split: dataset.Split, device: str) -> tuple[Tensor, Tensor]:
    """The arrays as tensors: on the CPU the mapped file itself, on a GPU a copy in its memory."""
    return torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device)


def make_optimizer(model: nn.Module, chosen: Hyperparameters) -> optim.Optimizer:
    """The optimizer, fused: the default one takes longer than the matrix products it follows."""
    kind, own = OPTIMIZERS[chosen.optimizer]
    options = chosen.model_dump(include={"weight_decay", *own})
    return speed.eager(kind)(model.parameters(), lr=chosen.learning_rate, fused=True, **options)


# by the words of params.yaml; an optimizer with the hyper-parameters that it alone has
OPTIMIZERS: dict[str, tuple[type[optim.Optimizer], set[str]]] = {
    "sgd": (optim.SGD, {"momentum"}),
    "adam": (optim.Adam, set()),
    "adamw": (optim.AdamW, set()),
}
SCHEDULES: dict[str, Callable[[optim.Optimizer, float, int], optim.lr_scheduler.LRScheduler]] = {
    "constant": lambda optimizer, _, __: optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
    "one_cycle": lambda optimizer, highest, total: optim.lr_scheduler.OneCycleLR(
        optimizer, highest, total, cycle_momentum=False
    ),
    "cosine": lambda optimizer, _, total: optim.lr_scheduler.CosineAnnealingLR(optimizer, total),
}
