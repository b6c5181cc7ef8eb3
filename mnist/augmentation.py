"""Training images that are no copies: moved and turned at random."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def shifted(images: Tensor, reach: int, down: Tensor, right: Tensor) -> Tensor:
    """Move each image by its own offset minus `reach`; pixels shifted in are background (0)."""
    _, height, width = images.shape
    padded = F.pad(images, (reach, reach, reach, reach))
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # every possible crop, as a view
    return windows[torch.arange(len(images), device=images.device), down, right]


def turned(images: Tensor, degrees: float, turn: Tensor) -> Tensor:
    """Rotate each image about its centre by `turn` × `degrees`.

    `images`: uint8 (n, height, width), as is the result; `turn`: float32 (n,) from -1 to 1. Pixels are interpolated,
    and background (0) from outside. Where one comes from is found without a sine, of which each processor's library
    has its own last bit: only sums, products and quotients, from the tangent of half the angle.
    """
    _, height, width = images.shape
    half = (turn * math.tan(math.radians(degrees) / 2)).view(-1, 1, 1)
    square = half * half
    cosine, sine = (1 - square) / (1 + square), 2 * half / (1 + square)
    x = torch.arange(1 - width, width, 2, device=images.device)  # from the centre, in half pixels
    y = torch.arange(1 - height, height, 2, device=images.device).view(-1, 1)
    grid = torch.stack([(cosine * x - sine * y) / width, (sine * x + cosine * y) / height], 3)
    return F.grid_sample(images.unsqueeze(1).float(), grid, align_corners=False).round_().byte().squeeze(1)
