"""Ink on paper: how much of it is where in a picture, whatever the paper's shade and light.

The paper is a quadratic surface, fitted so that the ink does not bend it; what deviates from it, mostly to one side, is
ink, whether darker than the paper or brighter.
"""

import numpy as np

from mnist.dataset import Array
from mnist.pictures import LEAST_CONTRAST
from pipeline.errors import InputError

CLEAREST = 4  # standard deviations of the paper's noise by which ink differs from it
EDGE = 0.5  # of the usual ink: from here on it is a stroke
SAMPLES = 40  # pixels a side from which the paper is known
BENDING = ((3, 4), (3, 8), (3, 8), (6, 8), (6, 12), (6, 12), (6, 24), (6, 24), (6, 24))  # terms; contrast / near it
NO_DIGIT = "no digit found; draw one larger or darker, on plain paper"


def ink(shades: Array) -> Array:
    """How much ink there is, float32 (h, w): 0 is paper, 1 the usual ink. Raises InputError if there is none."""
    found = shades - paper(shades)
    found *= np.sign((found * found * found).sum())  # most of what is far from the paper is ink
    noise = np.percentile(abs(found), 25) / 0.3186  # its standard deviation, were it normal; half may be ink
    least = max(3 * noise, LEAST_CONTRAST / 2)
    usual = least
    for _ in range(5):
        above = found[found > max(least, usual * EDGE)]
        usual = above.mean() if len(above) else 0
    if usual < max(LEAST_CONTRAST, CLEAREST * noise):
        raise InputError(NO_DIGIT)
    return np.asarray((found / usual).clip(0))


def paper(shades: Array) -> Array:
    """The paper's shades without the ink: a quadratic surface, float32 (h, w).

    It begins as flat as the picture's border, where there is the least ink, and bends in steps towards what is near it:
    what lies far off, as ink does, has little weight.
    """
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shades.shape)
    rows, columns = (slice(None, None, -(-side // SAMPLES)) for side in shades.shape)
    sample = shades[rows, columns].ravel().astype(np.float32)
    v, u = (each.ravel() for each in np.meshgrid(y[rows], x[columns], indexing="ij"))
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    contrast = max(1.0, float(np.ptp(sample)))
    off = sample - np.median(border(shades))
    for count, part in BENDING:
        weighted = terms[:count] / (off * off + (contrast / part) ** 2)
        products = weighted @ terms[:count].T
        products += 1e-6 * np.trace(products) * np.eye(count, dtype=np.float32)  # of a single row it would be singular
        factors = np.linalg.solve(products, weighted @ sample)
        off = sample - factors @ terms[:count]
    level, right, down, right2, both, down2 = factors
    return np.asarray((level + down * y + down2 * y * y)[:, None] + (right + both * y)[:, None] * x + right2 * x * x)


def border(shades: Array) -> Array:
    """The outermost pixels."""
    return np.concatenate([shades[0], shades[-1], shades[:, 0], shades[:, -1]])
