"""Training images that are no copies: moved and turned at random. They are uint8 (n, height, width), or (…, 3)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def shifted(images: Tensor, reach: int, up: Tensor, left: Tensor) -> Tensor:
    """Move each image `up` - `reach` pixels up and `left` - `reach` left; what is shifted in is background (0)."""
    height, width = images.shape[1:3]
    padded = F.pad(images, (0, 0) * (images.ndim - 3) + (reach, reach, reach, reach))
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # every possible crop, as a view
    moved = windows[torch.arange(len(images), device=images.device), up, left]
    return moved if images.ndim == 3 else moved.movedim(1, 3)  # an unfolded dimension comes last


def turned(images: Tensor, degrees: float, turn: Tensor) -> Tensor:
    """Rotate each image about its centre by 2 atan(`turn` tan(`degrees` / 2)), which is close to `turn` × `degrees`.

    `turn`: float32 (n,) from -1 to 1. Pixels are interpolated, and background (0) from outside. Where one comes from is
    found without a sine, of which each processor's library has its own last bit: only sums, products and quotients,
    from the tangent of half the angle.
    """
    height, width = images.shape[1:3]
    half = (turn * math.tan(math.radians(degrees) / 2)).view(-1, 1, 1)
    square = half * half
    cosine, sine = (1 - square) / (1 + square), 2 * half / (1 + square)
    x = torch.arange(1 - width, width, 2, device=images.device)  # from the centre, in half pixels
    y = torch.arange(1 - height, height, 2, device=images.device).view(-1, 1)
    grid = torch.stack([(cosine * x - sine * y) / width, (sine * x + cosine * y) / height], 3)
    planes = images.unsqueeze(1) if images.ndim == 3 else images.movedim(3, 1)
    found = F.grid_sample(planes.float(), grid, align_corners=False).round_().byte()
    return found.squeeze(1) if images.ndim == 3 else found.movedim(1, 3)
