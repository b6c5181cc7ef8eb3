"""The images on which two runs differ."""

import numpy as np
from matplotlib.figure import Figure

from mnist import plots
from mnist.dataset import Array
from mnist.predictions import Predictions


def draw(images: Array, a: Predictions, b: Predictions) -> Figure:
    """The images that only A, then those that only B is right on, up to 24 each; the titles say what they said."""
    names = plots.short(a.classes)
    a_right, b_right = a.predicted == a.actual, b.predicted == b.actual
    figure, axes = plots.canvas(10.2)
    for y, name, chosen in ((0.25, "A", a_right & ~b_right), (5.25, "B", b_right & ~a_right)):
        index = np.flatnonzero(chosen)
        title = f"Only {name} is right on {len(index):,} images" + ("; here are the first 24" * (len(index) > 24))
        axes.text(5, y, title, ha="center", va="center", fontsize=11)
        for place, k in enumerate(index[:24]):
            row, column = divmod(place, 8)
            left, top = 0.1 + 1.24 * column, y + 0.7 + 1.5 * row
            plots.show_image(axes, images[k], left, top, 0.95)
            said = f"#{k}\nA: {names[a.predicted[k]]}\nB: {names[b.predicted[k]]}"
            axes.text(left, top - 0.45, said, va="top", fontsize=7)
    return figure
