"""A batch's gradient from its parts: the same bits however many processes share them, and what the whole batch has."""

import contextlib
import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist import dataset, models, parts, training
from pipeline import resume
from pipeline.errors import InputError
from tests.test_training import chosen, fresh

BATCHES = 2


class Member:
    """One of a group of threads, which meet to gather."""

    def __init__(self, rank: int, rows: list[Tensor], meeting: threading.Barrier) -> None:
        self.rank, self.size, self.rows, self.meeting = rank, len(rows), rows, meeting

    def gather(self, mine: Tensor) -> Tensor:
        self.rows[self.rank] = mine
        self.meeting.wait()
        every = torch.stack(self.rows)
        self.meeting.wait()
        return every


def run(model: nn.Module, way: parts.Whole, images: int) -> dict[str, Tensor]:
    """What some batches leave at a model: the last loss and gradients, and the buffers."""
    source = torch.Generator().manual_seed(images)
    for _ in range(BATCHES):
        pixels = torch.randint(256, (images, 28, 28), generator=source, dtype=torch.uint8)
        labels = torch.randint(10, (images,), generator=source)
        model.train().zero_grad()
        for first, behind in way.cut(0, images):
            loss = F.cross_entropy(model(pixels[first:behind]), labels[first:behind])
            loss.backward()
            way.keep(loss, behind - first)
        loss = way.add()
    gradients = {f"{name}.grad": weights.grad for name, weights in model.named_parameters() if weights.grad is not None}
    # a fused optimizer takes them to lie in memory as its weights do
    assert [each.stride() for each in gradients.values()] == [weights.stride() for weights in model.parameters()]
    return {"loss": loss, **gradients, **dict(model.named_buffers())}


def in_parts(model: nn.Module, count: int, processes: int, images: int) -> dict[str, Tensor]:
    """The same of a model whose batches are cut into parts that so many share, who must agree on it."""
    rows, meeting = [torch.empty(0)] * processes, threading.Barrier(processes, timeout=600)

    def member(rank: int) -> dict[str, Tensor]:
        own = copy.deepcopy(model)
        return run(own, parts.of_batches(own, count, Member(rank, rows, meeting)), images)

    with ThreadPoolExecutor(processes) as pool:
        first, *others = pool.map(member, range(processes))
    for other in others:
        assert_same(first, other)
    return first


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Hold two states against each other, bit by bit, signs of zeros and memory formats included."""
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
        assert torch.equal(tensor.signbit(), other[name].signbit()), name
        assert tensor.stride() == other[name].stride(), name


@pytest.mark.parametrize("images", [3, 13, 64])  # fewer than parts; not divisible by them; so
@pytest.mark.parametrize("model", models.NETWORKS)
def test_the_bits_do_not_depend_on_how_many_share_the_parts(model: str, images: int) -> None:
    alone = in_parts(fresh(model), 5, 1, images)
    for processes in (2, 3, 5):
        assert_same(alone, in_parts(fresh(model), 5, processes, images))


@pytest.mark.parametrize("images", [3, 13, 64])
def test_the_parts_add_up_to_the_whole(images: int) -> None:
    whole, cut = (run(model := fresh("mlp"), parts.of_batches(model, count, parts.ALONE), images) for count in (1, 5))
    assert whole.keys() == cut.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(cut[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
        assert cut[name].stride() == tensor.stride()


def test_batch_norm_knows_its_part_only_and_remembers_the_mean_of_all() -> None:
    model = nn.Sequential(models.Normalise(0.5, 0.5), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(784, 10))
    found = run(model, parts.of_batches(model, 4, parts.ALONE), 6)  # parts of one image and of two
    source, mean = torch.Generator().manual_seed(6), torch.zeros(1)
    for _ in range(BATCHES):
        pixels = torch.randint(256, (6, 28, 28), generator=source, dtype=torch.uint8)
        torch.randint(10, (6,), generator=source)
        weighted = sum(len(part) * part.mean() for part in model[0](pixels).tensor_split([1, 3, 4]))
        mean = 0.9 * mean + 0.1 * weighted / 6
    torch.testing.assert_close(found["1.running_mean"], mean)
    assert found["1.num_batches_tracked"] == BATCHES
    assert torch.equal(found["0.mean"], torch.tensor(0.5)), "what training does not move stays to the bit"


def test_there_is_a_part_for_each_process() -> None:
    with pytest.raises(InputError, match=r"params\.yaml: train\.parts: 2 of a batch for 3 processes; set it to 3 or m"):
        parts.of_batches(fresh("mlp"), 2, Member(0, [torch.empty(0)] * 3, threading.Barrier(3)))


def test_processes_that_draw_for_themselves_are_refused() -> None:
    draws = torch.get_rng_state()
    rows, meeting = [draws, torch.cat([draws[:-1], draws[-1:] ^ 1])], threading.Barrier(1)
    with pytest.raises(InputError, match="different random numbers; draw for all images of an epoch at once"):
        parts.check_draws(Member(0, rows, meeting), "cpu")
    parts.check_draws(Member(0, [draws, draws], meeting), "cpu")


@pytest.mark.parametrize(
    ("images", "count", "refused"),
    [(64, 1, False), (65, 1, True), (66, 1, False), (71, 4, True), (72, 4, False), (64, 33, True), (1, 1, True)],
)
def test_a_pass_of_one_image_is_refused_where_batch_norm_has_one_value_of_it(
    images: int, count: int, refused: bool
) -> None:
    of = chosen(model="cnn", batch_size=64, parts=count)
    parts.check_passes(models.cnn(28, 28, 10), torch.zeros(1, 1, 28, 28), images, of)  # the last layer has 2×2
    network = models.cnn(20, 20, 10)
    state = copy.deepcopy(network.state_dict())
    cut = f", in {count} parts," if count > 1 else ""
    says = f"^params.yaml: train.batch_size: 64 of {images} images{cut} leaves a single image for a pass"
    with pytest.raises(InputError, match=says) if refused else contextlib.nullcontext():
        parts.check_passes(network, torch.zeros(1, 1, 20, 20), images, of)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_training_says_so_before_it_begins() -> None:
    split = dataset.Split(np.zeros((65, 20, 20), np.uint8), np.zeros(65, np.uint8))
    model = nn.Sequential(models.Normalise(), models.cnn(20, 20, 10))
    with pytest.raises(InputError, match="a single image for a pass, which cnn cannot learn from"):
        training.train(model, chosen(model="cnn", batch_size=64), split, None, resume.Checkpoint(None))
