"""One gradient from the parts of a batch, added in one order however many processes compute them.

Training with N processes usually comes to other weights than with one: which images are summed together, and in which
order, follows from N. Here the number of parts is a hyper-parameter. Each part's mean loss, gradient and batch norm are
computed as if it were alone, and every process adds up all parts in their order: the idea of EasyScale (Li et al.,
SC 2023, arXiv 2208.14228). So the number of processes decides how long a training takes, and nothing else.
"""

import copy
import itertools
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from mnist.hyperparameters import Hyperparameters
from pipeline.errors import InputError

COUNTER = "num_batches_tracked"
Range = tuple[int, int]  # of images: the first, and the one behind the last


class Group(Protocol):
    """The processes that share a training."""

    rank: int  # of this process, from 0
    size: int

    def gather(self, mine: Tensor) -> Tensor:
        """What each process has, (size, …), by rank; `mine` has the same shape in all of them."""


class Alone:
    """One process that shares with nobody."""

    rank = 0
    size = 1

    def gather(self, mine: Tensor) -> Tensor:
        """What it has itself."""
        return mine.unsqueeze(0)


ALONE: Group = Alone()


class Whole:
    """A batch in one piece: its gradient is what autograd leaves."""

    @staticmethod
    def cut(first: int, behind: int) -> Iterator[Range]:
        """The ranges of images, of a batch's, that this process takes, each for one pass through the network."""
        yield first, behind

    def keep(self, loss: Tensor, images: int) -> None:
        """Note what autograd has left after one of them: their mean loss, and how many images they were."""
        del images
        self.loss = loss.detach()

    def add(self) -> Tensor:
        """Leave the whole batch's gradient at the weights; returns its mean loss."""
        return self.loss


class Parts(Whole):
    """A batch in parts, whose sizes differ by one image at most; the processes take them in their order.

    Batch norm knows a part's images only, and its running statistics move to the mean of where each part moves them.
    """

    def __init__(self, model: nn.Module, parts: int, group: Group) -> None:
        self.group = group
        self.parts = parts
        self.shares = torch.arange(parts).tensor_split(group.size)  # which parts each process takes
        norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self.weights = list(model.parameters())
        self.running = [buffer for norm in norms for name, buffer in norm.named_buffers() if name != COUNTER]
        self.counters = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        # of each part, all times its images: gradients, running statistics, the loss, and 1
        self.sizes = [tensor.numel() for tensor in (*self.weights, *self.running)] + [1, 1]
        self.rows = torch.zeros(max(map(len, self.shares)), sum(self.sizes), device=self.weights[0].device)
        self.start()

    def start(self) -> None:
        """Make ready for a batch."""
        self.rows.zero_()  # a last batch may have fewer images than parts
        self.kept = 0
        self.before = [buffer.clone() for buffer in (*self.running, *self.counters)]

    def cut(self, first: int, behind: int) -> Iterator[Range]:  # type: ignore[override]
        share = self.shares[self.group.rank].tolist()
        bounds = [first + (behind - first) * k // self.parts for k in [*share, share[-1] + 1]]
        return ((start, end) for start, end in itertools.pairwise(bounds) if start < end)

    def keep(self, loss: Tensor, images: int) -> None:
        gradients = [weights.grad for weights in self.weights if weights.grad is not None]
        found = (*gradients, *self.running, loss.detach(), torch.ones_like(loss))
        torch.cat([value.reshape(-1) for value in found], out=self.rows[self.kept]).mul_(images)
        self.kept += 1
        for buffer, value in zip((*self.running, *self.counters), self.before, strict=True):
            buffer.copy_(value)  # each part begins where the batch began
        for weights in self.weights:
            weights.grad = None

    def add(self) -> Tensor:
        every = self.group.gather(self.rows)
        total = torch.zeros_like(self.rows[0])
        for rows, share in zip(every, self.shares, strict=True):
            for row in rows[: len(share)]:
                total += row
        total /= total[-1].clone()
        found = total.split(self.sizes)
        for weights, value in zip(self.weights, found, strict=False):
            weights.grad = torch.empty_like(weights).copy_(value.view(weights.shape))  # in the memory format of theirs
        for buffer, value in zip(self.running, found[len(self.weights) :], strict=False):
            buffer.copy_(value.view(buffer.shape))
        for counter in self.counters:
            counter += 1
        self.start()
        return total[-2]


def of_batches(model: nn.Module, parts: int, group: Group) -> Whole:
    """How a batch's gradient is come by. Raises InputError as `check` does."""
    check(parts, group.size)
    return Whole() if parts == 1 else Parts(model, parts, group)


def check(parts: int, processes: int) -> None:
    """Raise InputError if there are fewer parts than processes to compute them."""
    if processes > parts:
        raise InputError(
            f"params.yaml: train.parts: {parts} of a batch for {processes} processes; set it to {processes} or more, "
            "which is another recipe, or start fewer"
        )


def check_passes(model: nn.Module, one: Tensor, images: int, chosen: Hyperparameters) -> None:
    """Raise InputError if a pass may have one of the training images only, and the network cannot learn from `one`.

    Batch norm cannot from one value a channel, as of an image that is one pixel by then.
    """
    last = images % chosen.batch_size or min(images, chosen.batch_size)
    if last // chosen.parts > 1:
        return
    try:
        with torch.random.fork_rng([]), torch.no_grad():
            copy.deepcopy(model).train()(one)
    except ValueError as error:
        cut = f", in {chosen.parts} parts," if chosen.parts > 1 else ""
        raise InputError(
            f"params.yaml: train.batch_size: {chosen.batch_size} of {images:,} images{cut} leaves a single image for a "
            f"pass, which {chosen.model} cannot learn from ({error}); set it to another number"
        ) from error


def check_draws(group: Group, device: str) -> None:
    """Raise InputError if the processes have not drawn the same random numbers: their next epochs would differ."""
    drawn = group.gather(torch.get_rng_state().to(device))
    if not (drawn == drawn[0]).all():
        raise InputError(
            "train: the processes have drawn different random numbers; draw for all images of an epoch at once, as "
            "`batches` in mnist/training.py does, or set machine.processes to 1"
        )
