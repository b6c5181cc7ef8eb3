"""The training loop: the article's, to its losses, whatever feeds it."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn, optim
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision import transforms

from mnist import augmentation, dataset, linear, losses, models, results, training
from mnist.commands import settings
from mnist.hyperparameters import Hyperparameters
from mnist.results import Epoch, of_training
from pipeline import resume
from pipeline.errors import InputError
from tests.conftest import SHIPPED, first_of_mnist

DEFAULTS = settings.read(SHIPPED).train
# all that is off as shipped
EVERYTHING = {"shift": 2, "rotate": 10.0, "label_smoothing": 0.1, "average": 0.9}
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture(scope="module")
def split() -> dataset.Split:
    """The first images of MNIST: 13 batches, the last not full."""
    return dataset.Split(
        first_of_mnist("train-images-idx3-ubyte", 3, 800), first_of_mnist("train-labels-idx1-ubyte", 1, 800)
    )


@pytest.fixture(scope="module")
def few(split: dataset.Split) -> dataset.Split:
    """Three batches, the last of two images."""
    return dataset.Split(split.images[:130], split.labels[:130])


def chosen(**changes: Any) -> Hyperparameters:
    return Hyperparameters(**{**DEFAULTS.model_dump(), **changes})


def batches(images: torch.Tensor, labels: torch.Tensor, given: Hyperparameters) -> Iterator[Any]:
    """An epoch's batches, each in one piece."""
    return itertools.chain.from_iterable(training.batches(images, labels, given))


def fresh(model: str) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(models.Normalise(0.5, 0.5), models.NETWORKS[model](28, 28, 10))


def plain_losses(model: nn.Module, images: list[np.ndarray[Any, Any]], labels: list[int], rate: float) -> list[float]:
    """The article's loop: each image on its own through PIL and torchvision's transforms, `loss.item()` each step."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    for start in range(0, len(images), 64):
        batch = torch.stack([transform(Image.fromarray(image)) for image in images[start : start + 64]])
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(batch), torch.tensor(labels[start : start + 64]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("model", models.NETWORKS)
def test_step_by_step_the_losses_are_those_of_the_articles_loop(
    model: str, shift: int, split: dataset.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[float] = []

    def noted(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(logits, labels)
        found.append(loss.item())
        return loss

    monkeypatch.setitem(losses.LOSSES, "cross_entropy", noted)
    ours, theirs, idle = fresh(model), fresh(model)[1], fresh(model)[1]
    torch.manual_seed(5)
    given = chosen(epochs=1, learning_rate=0.05, shift=shift)
    (row,) = training.train(ours, given, split, None, resume.Checkpoint(None))
    torch.manual_seed(5)
    order = torch.randperm(800).tolist()
    offsets = torch.randint(2 * shift + 1, (2, 800), dtype=torch.uint8)
    images = [
        np.pad(split.images[k], shift)[down : down + 28, right : right + 28]
        for k, down, right in zip(order, *offsets.tolist(), strict=True)
    ]
    labels = [int(split.labels[k]) for k in order]
    expected = plain_losses(theirs.train(), images, labels, 0.05)
    assert len(found) == 13
    assert found == pytest.approx(expected, rel=1e-5)
    assert row.train_loss == pytest.approx(np.mean(expected), rel=1e-5)
    untrained = plain_losses(idle.train(), images, labels, 0.0)
    assert max(np.abs(np.subtract(found, untrained))) > 0.05  # so the steps count in what was compared


class Calls(TorchDispatchMode):
    """Counts what is called of torch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__.rstrip("_")] += 1
        return func(*args, **(kwargs or {}))


# those for which a GPU would have to finish all its work: a value that the program itself wants to know
READ_BACK = ["_local_scalar_dense", "nonzero", "equal"]
# those that torch leaves to MKL's vector library (ATen/cpu/vml.h), which has other last bits for each vendor
VENDORS = {
    "acos", "asin", "atan", "cos", "erf", "erfc", "erfinv", "exp", "log", "log10", "log2", "sin", "sqrt", "tan", "tanh",
}  # fmt: skip


@pytest.mark.parametrize("model", models.NETWORKS)
def test_nothing_is_read_back_at_each_step(model: str, split: dataset.Split) -> None:
    counts = []
    for size in (40, 80):  # 20 steps, and 10
        linear.cut_by_mkl.cache_clear()  # it looks once for each shape
        options = {**EVERYTHING, "average": 0.0}  # which counts its steps on the CPU
        with Calls() as calls:
            given = chosen(epochs=1, batch_size=size, **options)
            training.train(fresh(model), given, split, None, resume.Checkpoint(None))
        counts.append(sum(calls.counts[name] for name in READ_BACK))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("model", models.NETWORKS)
@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("optimizer", training.OPTIMIZERS)
def test_no_function_is_called_whose_last_bits_are_the_processors(
    model: str, loss: str, optimizer: str, few: dataset.Split
) -> None:
    options = {**EVERYTHING, "label_smoothing": 0.1 if loss == "cross_entropy" else 0.0}
    given = chosen(epochs=1, loss=loss, optimizer=optimizer, class_weights="balanced", parts=2, **options)
    with Calls() as calls:
        training.train(fresh(model), given, few, few, resume.Checkpoint(None))
    assert calls.counts["convolution_backward" if model == "cnn" else "mm"] > 0
    assert not VENDORS & set(calls.counts)


@needs_a_gpu
@pytest.mark.parametrize("model", models.NETWORKS)
def test_on_a_gpu_the_losses_are_those_of_the_cpu_and_the_same_each_time(model: str, split: dataset.Split) -> None:
    losses, held_out = [], []
    for device in ("cpu", "cuda", "cuda"):
        torch.manual_seed(0)
        given = chosen(epochs=2, learning_rate=0.01, device=device, **EVERYTHING)
        history = training.train(fresh(model), given, split, split, resume.Checkpoint(None))
        losses.append([row.train_loss for row in history])
        held_out.append([row.validation_loss for row in history])
    assert (losses[1], held_out[1]) == (losses[2], held_out[2])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert held_out[0] == pytest.approx(held_out[1], rel=1e-3)


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("model", models.NETWORKS),
        ("loss", losses.LOSSES),
        ("optimizer", training.OPTIMIZERS),
        ("schedule", training.SCHEDULES),
    ],
)
def test_every_word_that_params_accept_has_its_entry(key: str, table: dict[str, object]) -> None:
    assert list(table) == list(get_args(Hyperparameters.model_fields[key].annotation))


def test_every_image_comes_once_an_epoch_in_another_order_each_time() -> None:
    images, given = torch.arange(10, dtype=torch.uint8).reshape(10, 1, 1), chosen(batch_size=4)
    torch.manual_seed(0)
    first, second = (
        torch.cat([batch for batch, _ in batches(images, images.flatten(), given)]).flatten().tolist() for _ in range(2)
    )
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second != list(range(10))


def test_each_epoch_of_a_training_has_an_order_of_its_own(few: dataset.Split, monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[int] = []

    def noted(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        labels.extend(targets.tolist())
        return F.cross_entropy(logits, targets)

    monkeypatch.setitem(losses.LOSSES, "cross_entropy", noted)
    training.train(fresh("mlp"), chosen(epochs=3), few, None, resume.Checkpoint(None))
    epochs = [labels[start : start + 130] for start in range(0, 390, 130)]
    assert all(sorted(epoch) == sorted(few.labels.tolist()) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_labels_stay_with_their_images_whatever_the_shift(split: dataset.Split) -> None:
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    ink = {int(image.sum()): int(label) for image, label in zip(images[:50].int(), labels[:50], strict=True)}
    padded = F.pad(images[:50], (3, 3, 3, 3))
    for batch, targets in batches(
        padded, labels[:50], chosen(batch_size=16, shift=3)
    ):  # nothing is moved out of so wide a margin
        assert [ink[int(image.sum())] for image in batch.int()] == targets.tolist()


def test_shifts_move_by_up_to_their_reach_in_every_direction_and_bring_in_background() -> None:
    image = torch.zeros(1, 9, 9, dtype=torch.uint8)
    image[0, 4, 4] = 255
    torch.manual_seed(0)
    places = set()
    for _ in range(300):
        ((batch, _),) = batches(image, torch.zeros(1), chosen(shift=2))
        assert int(batch.count_nonzero()) == 1
        places.add(tuple(batch[0].nonzero()[0].tolist()))
    assert places == {(row, column) for row in range(2, 7) for column in range(2, 7)}


def test_turning_leaves_the_order_and_the_shifts_as_they_are(split: dataset.Split) -> None:
    images, labels = torch.zeros(50, 9, 9, dtype=torch.uint8), torch.from_numpy(split.labels[:50])
    images[:, 4, 4] = 255  # stays in the middle, however it is turned
    found = []
    for changes in ({}, {"rotate": 45.0}):
        torch.manual_seed(0)
        ((batch, targets),) = batches(images, labels, chosen(shift=2, **changes))
        found.append((batch.flatten(1).argmax(1).tolist(), targets.tolist()))
    assert found[0] == found[1]


def test_turning_goes_both_ways_up_to_its_reach(split: dataset.Split, monkeypatch: Any) -> None:
    given: list[Any] = []
    monkeypatch.setattr(augmentation, "turned", lambda images, *rest: given.append(rest) or images)
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    for _ in batches(images, labels, chosen(rotate=10.0)):
        pass
    assert {degrees for degrees, _ in given} == {10.0}
    turns = torch.cat([turn for _, turn in given])
    assert len(turns) == 800
    assert -1 <= turns.min() < -0.95
    assert 0.95 < turns.max() <= 1


def test_each_image_is_moved_by_its_own_offset(split: dataset.Split) -> None:
    down, right = torch.tensor([0, 1, 2, 4, 4]), torch.tensor([0, 4, 2, 1, 4])
    moved = augmentation.shifted(torch.from_numpy(split.images[:5]), 2, down, right).numpy()
    for image, row, column, found in zip(split.images[:5], down.tolist(), right.tolist(), moved, strict=True):
        assert np.array_equal(found, np.pad(image, 2)[row : row + 28, column : column + 28])


def test_validation_leaves_no_trace_in_what_is_learnt(few: dataset.Split, split: dataset.Split) -> None:
    """Not in batch norm's running statistics either, nor in the mode of the next epoch."""
    learnt = []
    for held_out in (None, split):
        model = fresh("cnn")
        torch.manual_seed(1)
        training.train(model, chosen(epochs=2), few, held_out, resume.Checkpoint(None))
        learnt.append(model.state_dict().values())
    assert all(torch.equal(without, with_) for without, with_ in zip(*learnt, strict=True))


def test_what_is_measured_is_a_mean_over_images_none_of_which_counts_for_another(split: dataset.Split) -> None:
    model = fresh("cnn")
    training.train(model, chosen(epochs=1, learning_rate=0.1), split, None, resume.Checkpoint(None))
    order = np.argsort(np.concatenate([split.labels, split.labels[:400]]), kind="stable")
    images, labels = (torch.tensor(np.concatenate([a, a[:400]])[order]) for a in (split.images, split.labels))
    assert len(images) % training.MEASURED_AT_ONCE == 200  # of other classes than the first thousand
    measured = training.measure(model.train(), images, labels)
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in images.split(300)])
    losses = F.cross_entropy(logits, labels.long(), reduction="none")
    right = [int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True)]
    assert measured == pytest.approx((losses.double().mean().item(), sum(right) / 1200), rel=1e-6)


class Counting(torch.nn.Module):
    """Gives every image the class 0, and keeps how many came together."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.counts.append(len(images))
        return F.one_hot(torch.zeros(len(images), dtype=torch.long), 2).float()


@pytest.mark.parametrize(("shape", "most"), [((28, 28), 1000), ((28, 28, 3), 1000), ((1000, 1000), 7)])
def test_a_thousand_images_are_measured_at_a_time_and_of_large_ones_fewer(shape: tuple[int, ...], most: int) -> None:
    model, images = Counting(), torch.zeros((1, *shape), dtype=torch.uint8).expand(1500, *(-1 for _ in shape))
    training.measure(model, images, torch.zeros(1500, dtype=torch.uint8))
    assert max(model.counts) == most
    assert sum(model.counts) == 1500


def test_cross_entropy_and_nll_are_the_same_and_mse_is_as_by_hand() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 1, 0, 1, 0])  # a batch may lack a class
    assert torch.allclose(losses.LOSSES["nll"](logits, labels), losses.LOSSES["cross_entropy"](logits, labels))
    by_hand = 0.0
    for row, label in zip(logits.double(), labels, strict=True):
        odds = row.exp()
        by_hand += sum((float(odds[k] / odds.sum()) - int(k == label)) ** 2 for k in range(3))
    assert losses.LOSSES["mse"](logits, labels).item() == pytest.approx(by_hand / 18, rel=1e-5)


def test_smoothed_labels_give_a_share_to_all_classes_alike() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 3, 0])
    wanted = F.one_hot(labels, 4) * 0.7 + 0.3 / 4
    by_hand = -(wanted * logits.log_softmax(1)).sum(1).mean()
    assert training.objective(chosen(label_smoothing=0.3), labels)(logits, labels).item() == pytest.approx(
        by_hand.item()
    )
    for loss, function in losses.LOSSES.items():
        assert training.objective(chosen(loss=loss), labels) is function


@pytest.mark.parametrize(
    "changes", [*({"loss": name} for name in losses.LOSSES), {"label_smoothing": 0.2}], ids=lambda each: str(each)
)
def test_balanced_classes_weigh_as_if_the_images_of_rare_ones_were_repeated(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 2, dtype=torch.uint8)
    times = torch.tensor([1, 2, 3])[labels.long()]
    logits = torch.randn(11, 3, requires_grad=True)
    given = chosen(class_weights="balanced", **changes)
    weighted = training.objective(given, labels)(logits, labels.long())
    plain = training.objective(chosen(**changes), labels)
    repeated = plain(logits.repeat_interleave(times, 0), labels.long().repeat_interleave(times))
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (weighted, repeated)]
    torch.testing.assert_close(weighted, repeated)
    torch.testing.assert_close(*gradients)


def test_a_batch_of_one_class_counts_by_its_weight() -> None:
    torch.manual_seed(0)
    labels, logits = torch.tensor([0] * 6 + [1] * 2, dtype=torch.uint8), torch.randn(4, 2)
    loss = training.objective(chosen(class_weights="balanced"), labels)
    for label, weight in ((0, 8 / 12), (1, 8 / 4)):
        targets = torch.full((4,), label)
        assert loss(logits, targets).item() == pytest.approx(weight * F.cross_entropy(logits, targets).item())


def test_a_class_without_an_image_has_no_weight() -> None:
    losses.check_classes({"a": 1, "b": 2})
    with pytest.raises(InputError, match=r"train\.class_weights: the class 'b' has no training images, .*; set it to"):
        losses.check_classes({"a": 1, "b": 0})


def test_a_rare_class_is_found_more_often_if_classes_are_balanced(split: dataset.Split) -> None:
    """Eights among ones, one to twenty, of 800 digits; the validation loss is that of images as they come."""
    ones, eights = (np.flatnonzero(split.labels == k) for k in (1, 8))
    index = np.concatenate([ones[:60], eights[:3]])
    rare, others = (
        dataset.Split(split.images[of], np.asarray(split.labels[of] == 8, np.uint8)) for of in (index, eights[3:])
    )
    recall = {}
    for weights in (None, "balanced"):
        torch.manual_seed(3)
        model = nn.Sequential(models.Normalise(0.5, 0.5), models.NETWORKS["mlp"](28, 28, 2))
        given = chosen(class_weights=weights, learning_rate=0.02, epochs=4, batch_size=16)
        row = training.train(model, given, rare, others, resume.Checkpoint(None))[-1]
        images, labels = (torch.from_numpy(array) for array in (others.images, others.labels))
        assert (row.validation_loss, row.validation_accuracy) == training.measure(model, images, labels)
        recall[weights] = row.validation_accuracy or 0
    assert recall["balanced"] > recall[None] + 0.3, recall


@pytest.mark.parametrize("changes", [{"label_smoothing": 0.5}, {"loss": "mse"}, {"class_weights": "balanced"}], ids=str)
def test_the_validation_loss_is_cross_entropy_whatever_is_trained_on(
    changes: dict[str, Any], few: dataset.Split
) -> None:
    """So recipes can be held against each other, as by `leaderboard --by loss` and by a sweep."""
    model = fresh("mlp")
    (row,) = training.train(model, chosen(epochs=1, **changes), few, few, resume.Checkpoint(None))
    images, labels = torch.from_numpy(few.images), torch.from_numpy(few.labels)
    with torch.no_grad():
        logits = model.eval()(images)
    assert row.validation_loss == pytest.approx(F.cross_entropy(logits, labels.long()).item(), rel=1e-6)
    assert row.validation_accuracy == int((logits.argmax(1) == labels).sum()) / len(labels)


@pytest.mark.parametrize("model", models.NETWORKS)
def test_averaged_weights_are_what_is_measured_and_kept(model: str, few: dataset.Split) -> None:
    """Batch norm's running statistics are averaged with them."""
    ours = fresh(model)
    states: list[dict[str, torch.Tensor]] = []

    def note(steps: int) -> None:
        if steps:
            states.append({name: value.clone() for name, value in ours.state_dict().items()})

    given = chosen(epochs=2, learning_rate=0.05, average=0.75)
    history = training.train(ours, given, few, few, resume.Checkpoint(None), advance=note)
    assert len(states) == 6
    expected = states[0]
    for state in states[1:]:
        expected = {name: 0.75 * value + 0.25 * state[name] for name, value in expected.items()}
    kept = ours.state_dict()
    for name, value in expected.items():
        if kept[name].is_floating_point():
            torch.testing.assert_close(kept[name], value, rtol=1e-5, atol=1e-6)
    assert not any(torch.equal(kept[name], states[-1][name]) for name, _ in ours.named_parameters())
    images, labels = torch.from_numpy(few.images), torch.from_numpy(few.labels)
    assert tuple(history[-1][3:]) == training.measure(ours, images, labels)


def test_averaging_changes_no_step(few: dataset.Split) -> None:
    losses = []
    for average in (0.0, 0.9):
        torch.manual_seed(0)
        history = training.train(fresh("cnn"), chosen(epochs=2, average=average), few, few, resume.Checkpoint(None))
        losses.append([row.train_loss for row in history])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("loss", ["cross_entropy", "nll", "mse"])
@pytest.mark.parametrize(
    ("optimizer", "rate", "momentum"), [("sgd", 0.05, 0.9), ("adam", 0.002, 0.0), ("adamw", 0.002, 0.0)]
)
@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
def test_every_combination_learns(
    loss: str, optimizer: str, rate: float, momentum: float, schedule: str, split: dataset.Split
) -> None:
    if (loss, optimizer) == ("mse", "sgd"):
        rate *= 20  # the gradients of a mean over ten classes are that much smaller
    given = chosen(loss=loss, optimizer=optimizer, learning_rate=rate, momentum=momentum, schedule=schedule, epochs=3)
    torch.manual_seed(1)
    history = training.train(fresh("mlp"), given, split, split, resume.Checkpoint(None))
    assert history[-1].train_loss < 0.9 * history[0].train_loss
    assert history[-1].validation_accuracy is not None
    assert history[-1].validation_accuracy > 0.5


@pytest.mark.parametrize(("name", "kind"), [("sgd", optim.SGD), ("adam", optim.Adam), ("adamw", optim.AdamW)])
def test_an_optimizer_does_what_torchs_own_does(name: str, kind: Any, split: dataset.Split) -> None:
    given = chosen(optimizer=name, momentum=0.9 if name == "sgd" else 0.0, weight_decay=0.01)
    ours, theirs = fresh("mlp"), fresh("mlp")
    more = {"momentum": 0.9} if name == "sgd" else {}
    optimizers = [
        training.make_optimizer(ours, given),
        kind(theirs.parameters(), lr=given.learning_rate, weight_decay=0.01, fused=True, **more),
    ]
    images, labels = torch.tensor(split.images[:64]), torch.tensor(split.labels[:64]).long()
    for model, optimizer in zip((ours, theirs), optimizers, strict=True):
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def rate(schedule: str, step: int, total: int, highest: float) -> float:
    """The learning rate of one of `total` steps, counted from 0."""
    if schedule == "constant":
        return highest
    if schedule == "cosine":
        start, end, share = highest, 0.0, step / total
    elif step <= (top := 0.3 * total - 1):  # Smith and Topin's one cycle, with torch's figures
        start, end, share = highest / 25, highest, step / top
    else:
        start, end, share = highest, highest / 250_000, (step - top) / (total - 1 - top)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
def test_each_step_has_its_own_learning_rate_and_all_have_the_momentum_that_is_set(
    schedule: str, few: dataset.Split
) -> None:
    given = chosen(schedule=schedule, epochs=6, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    ours, theirs = fresh("mlp"), fresh("mlp")
    torch.manual_seed(1)
    history = training.train(ours, given, few, None, resume.Checkpoint(None))
    rates = [rate(schedule, step, 18, 0.1) for step in range(18)]
    assert [row.learning_rate for row in history] == pytest.approx(rates[2::3])
    torch.manual_seed(1)
    speeds = [torch.zeros_like(weights) for weights in theirs.parameters()]
    images, labels = torch.from_numpy(few.images), torch.from_numpy(few.labels)
    endless = (batch for _ in range(6) for batch in batches(images, labels, given))
    for (batch, targets), now in zip(endless, rates, strict=True):
        gradients = torch.autograd.grad(F.cross_entropy(theirs(batch), targets), list(theirs.parameters()))
        with torch.no_grad():
            for weights, speed, gradient in zip(theirs.parameters(), speeds, gradients, strict=True):
                weights.sub_(now * speed.mul_(0.9).add_(gradient + 0.01 * weights))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_schedules_end_where_they_should(split: dataset.Split) -> None:
    rates = {
        schedule: [
            row.learning_rate
            for row in training.train(
                fresh("mlp"),
                chosen(schedule=schedule, epochs=4, learning_rate=0.1),
                split,
                None,
                resume.Checkpoint(None),
            )
        ]
        for schedule in ("constant", "one_cycle", "cosine")
    }
    assert rates["constant"] == [0.1] * 4
    assert rates["one_cycle"][0] > rates["one_cycle"][-1]
    assert rates["one_cycle"][-1] < 1e-4
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    assert rates["cosine"][-1] < 1e-3


def test_a_loss_that_is_no_longer_finite_names_epoch_and_step(split: dataset.Split) -> None:
    with pytest.raises(InputError, match=r"epoch 1, step \d+: the \w+ (is|are) no longer finite.*train\.learning_rate"):
        training.train(
            fresh("mlp"), chosen(learning_rate=1000.0, weight_decay=1000.0), split, None, resume.Checkpoint(None)
        )


@pytest.mark.parametrize(
    ("losses", "bias", "says"),
    [
        ([1.0, math.nan, math.inf], 0.0, "step 2: the loss is"),
        ([1.0, math.inf], math.nan, "step 2: the loss is"),
        ([1.0, 2.0, 3.0], math.inf, "step 3: the weights are"),
    ],
)
def test_the_first_step_that_is_not_finite_is_named(losses: list[float], bias: float, says: str) -> None:
    model, row = nn.Linear(1, 1), Epoch(7, 0.1, 1.5, 1.0, 0.5)
    training.check_finite(model, torch.tensor([1.0, 2.0]), row)
    model.bias.data.fill_(bias)
    with pytest.raises(InputError) as error:
        training.check_finite(model, torch.tensor(losses), row)
    remedy = "no longer finite; no model is written: lower train.learning_rate"
    assert str(error.value) == f"train: epoch 7, {says} {remedy}"


def test_a_validation_loss_that_is_not_finite_ends_the_training(
    few: dataset.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.F, "cross_entropy", lambda logits, _: logits.sum() / 0)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"^train: epoch 1, step 3: the validation loss is no longer finite; "):
        training.train(fresh("mlp"), chosen(epochs=1), few, few, resume.Checkpoint(None))


@pytest.mark.parametrize(
    ("model", "optimizer", "momentum", "device"),
    [
        ("mlp", "sgd", 0.9, "cpu"),
        pytest.param("cnn", "adam", 0.0, "cpu", marks=pytest.mark.slow),
        pytest.param("cnn", "sgd", 0.9, "cuda", marks=needs_a_gpu),
    ],
)
def test_going_on_from_a_checkpoint_comes_to_the_same_history_and_weights(
    model: str, optimizer: str, momentum: float, device: str, split: dataset.Split, few: dataset.Split, tmp_path: Path
) -> None:
    given = chosen(
        model=model, optimizer=optimizer, momentum=momentum, learning_rate=0.02, schedule="one_cycle", epochs=3,
        device=device, **EVERYTHING,
    )  # fmt: skip

    trained: list[int] = []

    def outcome(checkpoint: resume.Checkpoint, stop_after: int | None) -> str:
        network = fresh(model)
        torch.manual_seed(2)

        def report(rows: list[Epoch]) -> None:
            assert [row.epoch for row in rows] == [*range(1, len(rows) + 1)]
            trained.append(len(rows))
            if len(rows) == stop_after:
                raise KeyboardInterrupt

        try:
            history = training.train(network, given, few if model == "mlp" else split, split, checkpoint, report)
        except KeyboardInterrupt:
            return ""
        return json.dumps([history, {name: value.tolist() for name, value in network.state_dict().items()}])

    whole = outcome(resume.Checkpoint(None), None)
    for stop_after in (1, 2):
        assert outcome(resume.Checkpoint(tmp_path / "state"), stop_after) == ""
    assert outcome(resume.Checkpoint(tmp_path / "state"), None) == whole
    assert trained == [1, 2, 3, 1, 2, 3]


def test_the_metrics_of_a_training_are_those_of_its_last_epoch(tmp_path: Path) -> None:
    history = [Epoch(k, 0.1, 0.9 / k, 0.8 / k, 0.7 + k / 100) for k in (1, 2, 3)]
    results.write_metrics(of_training(history, 5), tmp_path / "train.json")
    assert json.loads((tmp_path / "train.json").read_text()) == {
        "epochs": 3,
        "train_loss": 0.3,
        "validation_loss": 0.266667,
        "validation_accuracy": 0.73,
        "validation_images": 5,
    }
    assert str(history[1]) == "epoch 2: training loss 0.4500, validation loss 0.4000, accuracy 0.7200"


def test_without_a_validation_split_nothing_is_said_of_it(few: dataset.Split, tmp_path: Path) -> None:
    (row,) = training.train(fresh("mlp"), chosen(epochs=1), few, None, resume.Checkpoint(None))
    assert str(row) == f"epoch 1: training loss {row.train_loss:.4f}"
    results.write_metrics(of_training([row], 0), tmp_path / "train.json")
    assert (tmp_path / "train.json").read_text() == f'{{\n  "epochs": 1,\n  "train_loss": {row.train_loss:.6g}\n}}\n'


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_device_that_is_not_there_is_not_trained_on() -> None:
    training.check_device("cpu")
    with pytest.raises(InputError, match=r"^params\.yaml: train\.device: cuda: there is no CUDA device here; .* cpu$"):
        training.check_device("cuda")
