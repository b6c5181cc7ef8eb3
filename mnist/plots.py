"""The pictures of a run. Colours are Okabe and Ito's, which colour-blind people can tell apart; no torch is needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist.dataset import Array
from mnist.results import Epoch, Predictions, calibration_bins

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#B0B0B0"
SHOWN_CLASSES = 10  # bars beside an image
NUMBERED_CLASSES = 12  # up to so many, the confusion matrix has its counts written in
COLUMNS = 3


def save(figure: Figure, out: Path | BinaryIO) -> None:
    """Write a PNG whose bytes depend on the figure alone."""
    figure.savefig(out, format="png", metadata={"Software": None})


def settle() -> None:
    """Let neither the user's matplotlib settings nor the system's fonts have a say in the pictures."""
    mpl.rcdefaults()
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
    mpl.rcParams["text.parse_math"] = False  # a dollar in the name of a class is a dollar
    mpl.rcParams["axes.titley"] = 1.0  # where titles stay anyway: looking for a better place takes long
    bundled = mpl.get_data_path()
    fonts = font_manager.fontManager
    fonts.ttflist = [font for font in fonts.ttflist if font.fname.startswith(bundled)]


def predictions(images: Array, results: Predictions, index: Sequence[int], title: str) -> Figure:
    """Each chosen image, uint8 (height, width), beside the probabilities of its likeliest classes."""
    rows = max(1, -(-len(index) // COLUMNS))
    bars = min(SHOWN_CLASSES, len(results.classes))
    height = 0.7 + rows * (0.75 + 0.14 * bars)
    figure = Figure(figsize=(10, height))
    figure.suptitle(title, y=1 - 0.15 / height, va="top")
    names = 0.06 * max(len(name) for name in results.classes)  # room for the longest, as a share of a column
    grid = figure.subplots(rows, 2 * COLUMNS, width_ratios=[1, 1] * COLUMNS, squeeze=False)
    figure.subplots_adjust(0.01, 0.3 / height, 0.965, 1 - 0.65 / height, wspace=0.1 + names, hspace=0.35)
    for axes in grid.flat[2 * len(index) :]:
        axes.set_axis_off()
    for k, picture, chart in zip(index, grid.flat[::2], grid.flat[1::2], strict=False):
        show_image(picture, images[k])
        show_probabilities(chart, results, k)
    return figure


def show_image(axes: Axes, image: Array) -> None:
    """One image, dark on light as it was written."""
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    axes.set_axis_off()


def show_probabilities(axes: Axes, results: Predictions, k: int) -> None:
    """Bars for the likeliest classes, in the order of the classes; the title says what was right."""
    actual, predicted = int(results.actual[k]), int(results.predicted[k])
    chances = results.probabilities[k]
    likeliest = np.sort(np.argsort(-chances, kind="stable")[:SHOWN_CLASSES])
    if actual not in likeliest:
        likeliest = np.sort(np.append(likeliest[:-1], actual))
    places = np.arange(len(likeliest))
    colours = [BLUE if c == actual else VERMILLION if c == predicted else GREY for c in likeliest]
    axes.barh(places, chances[likeliest], color=colours)
    axes.set_yticks(places, [results.classes[c] for c in likeliest], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xticks=[0, 1])
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    name = results.classes[predicted]
    text = f"{name} ✓" if actual == predicted else f"{name}, not {results.classes[actual]}"
    axes.set_title(text, fontsize=9, color=BLUE if actual == predicted else VERMILLION)


def confident_mistakes(results: Predictions, count: int) -> list[int]:
    """The images that were taken for something else with the highest probability, the surest first."""
    wrong = np.flatnonzero(results.actual != results.predicted)
    sureness = results.probabilities[wrong].max(1)
    return [int(k) for k in wrong[np.argsort(-sureness, kind="stable")][:count]]


def flipped(images: Array, a: Predictions, b: Predictions) -> Figure:
    """The images that only A, then those that only B is right on, up to 24 each; the titles say what they said."""
    a_right, b_right = a.predicted == a.actual, b.predicted == b.actual
    figure = Figure(figsize=(10, 7.5))
    halves: Any = figure.subfigures(2, 1)
    place = {"hspace": 0.6, "top": 0.82, "bottom": 0.02, "left": 0.01, "right": 0.99}
    for half, name, chosen in ((halves[0], "A", a_right & ~b_right), (halves[1], "B", b_right & ~a_right)):
        index = np.flatnonzero(chosen)
        half.suptitle(f"Only {name} is right on {len(index):,} images" + (", the first of them" * (len(index) > 24)))
        grid = half.subplots(3, 8, gridspec_kw=place)
        for axes in grid.flat:
            axes.set_axis_off()
        for k, axes in zip(index, grid.flat, strict=False):
            show_image(axes, images[k])
            axes.set_title(f"A: {a.classes[a.predicted[k]]}, B: {b.classes[b.predicted[k]]}", fontsize=7)
    return figure


def confusion(results: Predictions) -> Figure:
    """How many images of each class were taken for which; shades are shares of the row."""
    classes = len(results.classes)
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (results.actual, results.predicted), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(7.5, 7), layout="constrained")
    axes = figure.subplots()
    shades = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shades, label="share of the actual class", shrink=0.8)
    small = classes > NUMBERED_CLASSES
    size = 6 if small else 9
    turn = 90 if max(map(len, results.classes)) > 2 else 0
    axes.set_xticks(range(classes), results.classes, rotation=turn, fontsize=size)
    axes.set_yticks(range(classes), results.classes, fontsize=size)
    axes.set(xlabel="predicted", ylabel="actual", title="Confusion of the test images")
    axes.spines[:].set_visible(False)
    for actual, predicted in np.argwhere(counts) if not small else ():
        colour = "white" if shares[actual, predicted] > 0.5 else "black"
        axes.text(predicted, actual, str(counts[actual, predicted]), ha="center", va="center", color=colour, fontsize=8)
    return figure


def training(history: list[Epoch]) -> Figure:
    """Loss, and with a validation split accuracy, by epoch."""
    epochs = [row.epoch for row in history]
    validated = history[0].validation_loss is not None
    figure = Figure(figsize=(9, 3.6))
    panels = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
    figure.subplots_adjust(0.06, 0.13, 0.99, 0.92, wspace=0.15)
    panels[0].plot(epochs, [row.train_loss for row in history], "o-", color=BLUE, ms=4, label="training")
    panels[0].set(title="Mean loss", xlabel="epoch")
    if validated:
        losses = [row.validation_loss or 0.0 for row in history]
        panels[0].plot(epochs, losses, "s--", color=VERMILLION, ms=4, label="validation")
        panels[1].plot(epochs, [row.validation_accuracy or 0.0 for row in history], "s--", color=VERMILLION, ms=4)
        panels[1].set(title="Accuracy on the validation images", xlabel="epoch")
    panels[0].set_ylim(0)  # of both lines
    panels[0].legend(frameon=False)
    for axes in panels:
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
    return figure


def calibration(results: Predictions) -> Figure:
    """Is the model right as often as it is sure? Accuracy by confidence, and how many images there are of each."""
    count, confidence, accuracy = calibration_bins(results)
    figure = Figure(figsize=(6, 6))
    top, bottom = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    figure.subplots_adjust(0.12, 0.08, 0.98, 0.9, hspace=0.08)
    top.plot([0, 1], [0, 1], color=GREY, label="as often as it is sure")
    top.plot(confidence, accuracy, "o", color=BLUE, clip_on=False, label="this model, with 95 % intervals")
    top.vlines(confidence, *wilson(accuracy, count), BLUE, linewidth=1)
    top.set(ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    top.set_title("Is the model right as often as it is sure?", pad=25)
    top.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    top.grid(alpha=0.3)
    bottom.bar(confidence, count, width=0.05, color=BLUE)
    bottom.set(xlabel="confidence (the largest probability)", ylabel="images", yscale="log", ylim=(0.5, None))
    bottom.yaxis.set_major_formatter("{x:,.0f}")  # the usual one writes powers, which are not drawn without parse_math
    bottom.minorticks_off()
    return figure


def wilson(share: Array, n: Array) -> tuple[Array, Array]:
    """The 95 % interval of Wilson (1927) around each share of n images: its lower and its upper ends."""
    z2_n = 1.959964**2 / n
    middle, half = share + z2_n / 2, np.sqrt(z2_n * (share * (1 - share) + z2_n / 4))
    return (middle - half) / (1 + z2_n), (middle + half) / (1 + z2_n)
