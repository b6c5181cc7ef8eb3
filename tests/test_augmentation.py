"""Images that are turned: by the angle that they should, whatever the machine."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.utils._python_dispatch import TorchDispatchMode

from mnist import augmentation
from tests.conftest import first_of_mnist


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return torch.from_numpy(first_of_mnist("train-images-idx3-ubyte", 3, 40))


def turned(images: torch.Tensor, degrees: float, turn: float) -> torch.Tensor:
    return augmentation.turned(images, degrees, torch.full((len(images),), turn))


def test_an_image_that_is_not_turned_is_the_same(digits: torch.Tensor) -> None:
    assert torch.equal(turned(digits, 30.0, 0.0), digits)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (10, 14)])
def test_a_quarter_turn_moves_every_pixel_to_its_place(height: int, width: int, digits: torch.Tensor) -> None:
    images = digits[:, 9 : 9 + height, 7 : 7 + width] if height < 28 else digits
    found = turned(images, 90.0, 1.0)
    right = (width - height) // 2
    square = slice(right, right + height)
    assert torch.equal(found[:, :, square], images[:, :, square].rot90(1, (1, 2)))


@pytest.mark.parametrize("turn", [1.0, 0.7, -0.5])
def test_each_pixel_is_as_scipy_interpolates_it(turn: float, digits: torch.Tensor) -> None:
    found = turned(digits, 20.0, turn)
    half = turn * math.tan(math.radians(20) / 2)
    angle = 2 * math.atan(half)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    centre = np.array([13.5, 13.5])
    for image, ours in zip(digits.numpy(), found.numpy(), strict=True):
        padded = np.pad(image.astype(float), 1)  # background fades in from one pixel outside
        theirs = ndimage.affine_transform(padded, matrix, centre + 1 - matrix @ (centre + 1), order=1)[1:-1, 1:-1]
        assert np.abs(theirs - ours).max() <= 0.51, "half of a grey level, from rounding"


@pytest.mark.parametrize("degrees", [20.0, 90.0])
def test_the_tangent_of_half_the_angle_is_a_share_of_the_largest(degrees: float, digits: torch.Tensor) -> None:
    """The angle is that share only nearly: half a turn of 90° is 53°, of 20° it is 10.08°."""
    angle = math.degrees(2 * math.atan(0.5 * math.tan(math.radians(degrees) / 2)))
    assert angle == pytest.approx({20.0: 10.08, 90.0: 53.13}[degrees], abs=0.01)
    assert (turned(digits, degrees, 0.5).int() - turned(digits, angle, 1.0)).abs().max() <= 1


def test_an_image_is_moved_up_and_left_by_what_exceeds_the_reach(digits: torch.Tensor) -> None:
    one = torch.ones(len(digits), dtype=torch.long)
    assert torch.equal(augmentation.shifted(digits, 1, up=2 * one, left=one)[:, :-1], digits[:, 1:])
    assert torch.equal(augmentation.shifted(digits, 1, up=one, left=0 * one)[..., 1:], digits[..., :-1])


def test_an_image_has_its_own_angle_whatever_is_turned_with_it(digits: torch.Tensor) -> None:
    torch.manual_seed(0)
    turn = torch.rand(40).mul(2).sub(1)
    together = augmentation.turned(digits, 15.0, turn)
    for k in (0, 7, 39):
        alone = augmentation.turned(digits[k : k + 1], 15.0, turn[k : k + 1])
        assert torch.equal(together[k], alone[0])


def test_each_channel_of_a_colour_is_moved_as_a_grey_image_is(digits: torch.Tensor) -> None:
    channels = [digits[:, 3:23], digits.flip(0)[:, 3:23], 255 - digits[:, 3:23]]  # 20×28
    colours = torch.stack(channels, 3)
    torch.manual_seed(0)
    turn = torch.rand(40).mul(2).sub(1)
    moves = torch.randint(7, (2, 40))
    assert not torch.equal(moves[0], moves[1])
    for change in (
        lambda images: augmentation.turned(images, 15.0, turn),
        lambda images: augmentation.shifted(images, 3, *moves),
    ):
        found = change(colours)
        assert found.shape == colours.shape
        assert torch.equal(found, torch.stack([change(channel) for channel in channels], 3))


def test_the_number_of_threads_is_no_part_of_it(digits: torch.Tensor) -> None:
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(turned(digits, 15.0, 0.3))
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


class Called(TorchDispatchMode):
    """The names of torch's operations that were called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_no_operation_has_last_bits_that_depend_on_the_processor(digits: torch.Tensor) -> None:
    """Sums and products of two numbers are rounded alike everywhere; sines and sums of many are not."""
    with Called() as called:
        turned(digits, 15.0, 0.3)
    elementwise = {"mul", "add", "sub", "rsub", "div", "round_", "grid_sampler_2d"}
    layout = {"full", "view", "arange", "stack", "cat", "unsqueeze", "squeeze", "_to_copy"}
    assert called.names <= elementwise | layout
