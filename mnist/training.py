"""One training run: the article's training loop, with a faster data path.

What makes it several times as fast as the usual loop (benchmarks/results.md) is how images reach it: not one at a time
through a data set, a transform and a loader, but a whole batch gathered from one array and normalised at once by the
model.
"""

import contextlib
import ctypes
import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from mnist import dataset, params
from mnist.console import InputError
from mnist.results import Epoch
from mnist.resume import Checkpoint

Loss = Callable[[Tensor, Tensor], Tensor]
MEASURED_AT_ONCE = 1000  # validation images
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def train(
    model: nn.Module,
    chosen: params.Train,
    training: dataset.Split,
    validation: dataset.Split | None,
    checkpoint: Checkpoint,
    report: Callable[[Epoch], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Epoch]:
    """Train `model` in place, from the last epoch that `checkpoint` knows of on; returns a row for every epoch.

    `report` is called after an epoch, `advance` after a step. All randomness comes from torch's CPU generator.
    Raises InputError, naming epoch and step, when the loss or a weight is no longer finite.
    """
    keep_memory()
    device = torch.device(chosen.device)
    images, labels = on_device(training, device)
    held_out = on_device(validation, device) if validation else None
    loss_function = LOSSES[chosen.loss]
    model.to(device)
    optimizer = make_optimizer(model, chosen)
    schedule = make_schedule(optimizer, chosen, chosen.epochs * steps(chosen, training))
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    history = [Epoch(*row) for row in checkpoint.restore(parts)]

    for epoch in range(len(history) + 1, chosen.epochs + 1):
        model.train()
        losses = torch.zeros(steps(chosen, training), device=device)
        for step, (batch, targets) in enumerate(batches(images, labels, chosen.batch_size, chosen.shift)):
            optimizer.zero_grad()
            logits = model(batch)
            loss = loss_function(logits, targets)
            loss.backward()
            optimizer.step()
            learning_rate = optimizer.param_groups[0]["lr"]
            schedule.step()
            losses[step] = loss.detach()  # read back once an epoch, so that a GPU need not wait at each step
            advance(1)
        check_finite(model, losses, epoch)
        measured = measure(model, *held_out, loss_function) if held_out else (None, None)
        if measured[0] is not None and not math.isfinite(measured[0]):
            raise diverged(epoch, len(losses), "the validation loss is")
        history.append(Epoch(epoch, learning_rate, losses.double().mean().item(), *measured))
        checkpoint.save(parts, [tuple(row) for row in history])
        report(history[-1])
    return history


def check_device(device: str) -> None:
    """Raise InputError if the machine lacks what `device` asks for."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: train.device: cuda: there is no CUDA device here; set it to cpu")


def steps(chosen: params.Train, training: dataset.Split) -> int:
    """Steps an epoch, one for each batch."""
    return math.ceil(len(training.images) / chosen.batch_size)


def batches(images: Tensor, labels: Tensor, size: int, shift: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: every image once, in random order; uint8 (size, height, width) and int64 (size,), the last fewer."""
    order = torch.randperm(len(images)).to(images.device)
    offsets = torch.randint(2 * shift + 1, (2, len(images) if shift else 0), dtype=torch.uint8).to(images.device)
    for start in range(0, len(images), size):
        index = order[start : start + size]
        batch = images.index_select(0, index)
        if shift:
            batch = shifted(batch, shift, *offsets[:, start : start + size].long())
        yield batch, labels.index_select(0, index).long()


def shifted(images: Tensor, reach: int, down: Tensor, right: Tensor) -> Tensor:
    """Move each image by its own offset less `reach`; what comes in from outside is background, 0."""
    _, height, width = images.shape
    padded = F.pad(images, (reach, reach, reach, reach))
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # every possible crop, as a view
    return windows[torch.arange(len(images), device=images.device), down, right]


def measure(model: nn.Module, images: Tensor, labels: Tensor, loss_function: Loss) -> tuple[float, float]:
    """Mean loss and accuracy on images that are not trained on."""
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    with torch.no_grad():
        for batch, targets in zip(*(tensor.split(MEASURED_AT_ONCE) for tensor in (images, labels)), strict=True):
            logits = model(batch)
            loss += loss_function(logits, targets.long()) * len(batch)
            correct += (logits.argmax(1) == targets).sum()
    return loss.item() / len(images), correct.item() / len(images)


def check_finite(model: nn.Module, losses: Tensor, epoch: int) -> None:
    """Raise InputError if the training has diverged."""
    finite = losses.isfinite()
    if finite.all() and all(weights.isfinite().all() for weights in model.state_dict().values()):
        return
    step = int(finite.int().argmin()) + 1 if not finite.all() else len(losses)
    what = "the loss is" if not finite.all() else "the weights are"
    raise diverged(epoch, step, what)


def diverged(epoch: int, step: int, what: str) -> InputError:
    """The error for a training that cannot go on."""
    return InputError(
        f"train: epoch {epoch}, step {step}: {what} no longer finite; no model is written: lower train.learning_rate"
    )


def on_device(split: dataset.Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """The arrays as tensors: on the CPU the mapped file itself, on a GPU a copy in its memory."""
    return torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device)


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """What cross-entropy is, spelled out: the negative logarithm of the softmax probability of the label."""
    return F.nll_loss(F.log_softmax(logits, 1), labels)


def mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error between the softmax probabilities and the one-hot label."""
    return F.mse_loss(logits.softmax(1), F.one_hot(labels, logits.shape[1]).float())


LOSSES: dict[str, Loss] = {"cross_entropy": F.cross_entropy, "nll": nll, "mse": mse}


def keep_memory() -> None:
    """Have glibc keep memory that is freed: else a convolution's results go back to the system and are fetched anew.

    That costs thousands of page faults a step, a fifth of the time or more.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)


def make_optimizer(model: nn.Module, chosen: params.Train) -> optim.Optimizer:
    """The optimizer, fused: the default one takes longer than the matrix products it follows."""
    weights, rate, decay = model.parameters(), chosen.learning_rate, chosen.weight_decay
    if chosen.optimizer == "sgd":
        return eager(optim.SGD)(weights, rate, momentum=chosen.momentum, weight_decay=decay, fused=True)
    return eager(optim.Adam if chosen.optimizer == "adam" else optim.AdamW)(
        weights, rate, weight_decay=decay, fused=True
    )


def eager(kind: type[optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """The optimizer's class less its dealings with torch.compile and the profiler.

    The former's import takes a second, at the first use; the latter take as long at each step as the arithmetic.
    """
    bare = {name: getattr(kind, name).__wrapped__ for name in ("add_param_group", "load_state_dict", "state_dict")}
    step = torch.no_grad()(kind.step.__wrapped__)  # type: ignore[attr-defined]
    step.hooked = True  # tells the class that the profiler's hook is there already
    return type(kind.__name__, (kind,), {**bare, "step": step, "zero_grad": zero_grad})


def zero_grad(optimizer: optim.Optimizer) -> None:
    """Forget the gradients of the last step."""
    for group in optimizer.param_groups:
        for weights in group["params"]:
            weights.grad = None


def make_schedule(optimizer: optim.Optimizer, chosen: params.Train, total: int) -> optim.lr_scheduler.LRScheduler:
    """The schedule of the learning rate over `total` steps."""
    if chosen.schedule == "one_cycle":
        return optim.lr_scheduler.OneCycleLR(optimizer, chosen.learning_rate, total, cycle_momentum=False)
    if chosen.schedule == "cosine":
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    return optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
