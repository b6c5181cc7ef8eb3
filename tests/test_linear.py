"""The layer of one order: each of its products is the order written down, for whichever processor MKL computes."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mnist import linear, numerics
from tests import processors
from tests.conftest import ROOT, Project

# images, pixels or hidden units, outputs: what the recipes compute, last batches included, and other data sets
SHAPES = [
    *((images, *layer) for images in (64, 24, 32) for layer in ((784, 128), (128, 64), (64, 10))),
    *((images, *layer) for images in (128, 88, 96) for layer in ((784, 128), (128, 64), (64, 10), (576, 10))),
    *((images, 64, classes) for images in (1, 2, 7, 64) for classes in (2, 10, 26, 47, 62)),
    *((64, side * side, 128) for side in (8, 12, 20, 64)),
    *((images, 784, 128) for images in (1, 2, 17, 256, 1000)),
    (1000, 64, 10),
    (1000, 576, 10),
    (64, 193, 3),
    (64, 1, 1),
]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> object:
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(1)


def made(inputs: int, outputs: int) -> linear.Linear:
    """A layer whose weights are whole numbers, for which the reference is exact."""
    layer = linear.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(linear.whole_numbers(outputs, inputs))
        layer.bias.copy_(linear.whole_numbers(outputs))
    return layer


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_product_is_added_up_in_the_order_written_down(shape: tuple[int, int, int]) -> None:
    images, inputs, outputs = shape
    layer = made(inputs, outputs)
    x = linear.whole_numbers(images, inputs).requires_grad_()
    gradient = linear.whole_numbers(images, outputs)
    y = layer(x)
    y.backward(gradient)
    with torch.no_grad():
        assert torch.equal(y, linear.reference(x, layer.weight.t(), layer.bias))
        assert torch.equal(given(x.grad), linear.reference(gradient, layer.weight))
        assert torch.equal(given(layer.weight.grad), linear.reference(gradient.t(), x))
        assert torch.equal(given(layer.bias.grad), gradient.sum(0))
        assert torch.equal(layer(x), y), "another order without gradients"


def given(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def test_pixels_have_their_gradient_when_the_weights_are_not_trained() -> None:
    layer, x = made(784, 128).requires_grad_(False), linear.whole_numbers(64, 784).requires_grad_()
    layer(x).backward(gradient := linear.whole_numbers(64, 128))
    assert torch.equal(given(x.grad), linear.reference(gradient, layer.weight))


def test_the_numbers_of_the_trial_are_those_for_which_the_reference_is_exact_and_tells_orders_apart() -> None:
    numbers = linear.whole_numbers(200, 100)
    assert torch.equal(numbers, linear.whole_numbers(200, 100))
    assert torch.equal(numbers, numbers.round())
    assert (numbers.min() < -(2**12), numbers.max() > 2**12) == (True, True)  # products that float32 does not hold
    assert numbers.abs().max() <= 2**13


@pytest.mark.parametrize(
    ("large", "opposite", "lost"),
    [
        (0, 1, 0),
        (0, 191, 190),  # all between them in the first block
        (0, 192, 191 + 191),  # the rest of the first block, and of the second: their sums meet at the end
        (192, 383, 190),  # nothing of the first block, which is not added before
        (391, 399, 7 + 7),  # of the last block those before, too
    ],
)
def test_the_reference_is_the_order_that_the_docstring_tells(large: int, opposite: int, lost: int) -> None:
    """FPRev's experiment: of 400 terms two are large and opposite, and the ones that they absorb are lost."""
    terms = torch.ones(1, 400)
    terms[0, large], terms[0, opposite] = 2.0**30, -(2.0**30)
    assert linear.reference(terms, torch.ones(400, 1)).item() == 398 - lost


@pytest.mark.parametrize("function", [linear.reference, linear.product])
def test_a_product_is_not_rounded_before_it_is_added(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b = torch.tensor([[-1.0, 8191.0]]), torch.tensor([[8191.0**2 - 1], [8191.0]])
    assert function(a, b).item() == 1  # float32 cannot hold the square, and would round it to one less


def test_it_is_torchs_layer_up_to_rounding_and_has_its_weights() -> None:
    torch.manual_seed(0)
    ours = linear.Linear(784, 128)
    torch.manual_seed(0)
    theirs = nn.Linear(784, 128)
    assert all(torch.equal(ours.state_dict()[name], weights) for name, weights in theirs.state_dict().items())
    x = torch.randn(64, 784)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert repr(ours) == repr(theirs)


def test_it_may_have_no_bias() -> None:
    ours, theirs = (kind(20, 5, bias=False) for kind in (linear.Linear, nn.Linear))
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(7, 20)
    for layer in (ours, theirs):
        layer(x).square().sum().backward()
    assert ours.weight.grad is not None
    assert theirs.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_this_machine_keeps_the_order() -> None:
    """Where it cannot, the tests here fail, and this one says why; the pipeline says so too, and goes on."""
    assert numerics.own_order("cpu") is None


@pytest.mark.parametrize(
    ("pinned", "value", "device", "why"),
    [
        ("ATEN_CPU_CAPABILITY", "default", "cpu", "this processor has no AVX2"),
        ("MKL_CBWR", "COMPATIBLE", "cpu", "this build of torch adds up in an order of its own"),
        ("MKL_CBWR", "AUTO,STRICT", "cuda", "cuda adds up in an order of its own"),
    ],
)
def test_a_machine_with_another_order_says_so_and_goes_on(pinned: str, value: str, device: str, why: str) -> None:
    script = (
        f"from mnist import numerics; numerics.INSTRUCTION_SETS[{pinned!r}] = {value!r}; numerics.pin(1); "
        f"numerics.warn('train', {device!r})"
    )
    done = Project(ROOT).run(sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"train: {why}, so results may differ in their last digits from other machines'\n"


def test_a_warning_is_one_line_and_there_is_none_without_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    numerics.warn("train", "cpu")
    assert bool(capsys.readouterr().err) == bool(numerics.own_order("cpu"))
    numerics.warn("train", "cuda")
    assert capsys.readouterr() == (
        "",
        "train: cuda adds up in an order of its own, so results may differ in their last digits from other machines'\n",
    )


def test_pinning_leaves_the_environment_no_say_and_torch_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    tuning = [f"{prefix}SOMETHING" for prefix in ("OMP_", "GOMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_", "ATEN_")]
    for name in [*tuning, "NO_OMP_", "MK"]:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    torch.set_deterministic_debug_mode("default")
    numerics.pin(threads=3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 3
    assert {name for name in [*tuning, "NO_OMP_", "MK"] if name in os.environ} == {"NO_OMP_", "MK"}
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert numerics.INSTRUCTION_SETS.items() <= os.environ.items()
    assert torch.get_deterministic_debug_mode() == 2
    assert torch.utils.deterministic.fill_uninitialized_memory is False
    assert torch.backends.cudnn.benchmark is False
    assert torch.backends.cudnn.allow_tf32 is False
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    with pytest.raises(RuntimeError, match=r"^numerics\.pin\(\) must come before torch is imported$"):
        numerics.pin(threads=1)


STEPS = """
import json, sys
from mnist import numerics
numerics.pin(int(sys.argv[1]))
import torch
from mnist import linear, models
from mnist.commands import fingerprint
from torch import nn
found = []
for kind in (linear.Linear, nn.Linear):
    models.Linear = kind
    for batch, classes in ((64, 10), (200, 47)):
        torch.manual_seed(0)
        model = nn.Sequential(models.Normalise(0.5, 0.5), models.mlp(28, 28, classes))
        images, labels = torch.randint(256, (2 * batch + 1, 28, 28)).byte(), torch.randint(classes, (2 * batch + 1,))
        for x, y in zip(images.split(batch), labels.split(batch)):
            model.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for weights in model.parameters():
                    weights -= 0.1 * weights.grad
        found.append(fingerprint.of(model.state_dict()))
print(json.dumps(found))
"""


@pytest.mark.slow
def test_mkls_kernels_for_other_processors_come_to_the_same_weights(tmp_path: Path) -> None:
    """Some steps of training by the kernels for AMD's and for Intel's processors, with AVX2 and with what is there."""
    found = {}
    for number, processor in enumerate(processors.NAMES):
        threads = str(number % 2 + 1)
        printed = Project(ROOT).succeed("python", "-c", STEPS, threads, **processors.told(processor, tmp_path))
        found[processor] = json.loads(printed)
    ours, torchs = ({tuple(run[half]) for run in found.values()} for half in (slice(2), slice(2, 4)))
    assert len(ours) == 1, found
    assert len(torchs) > 1, "the kernels are the same, so this has tried nothing"
