"""The pictures of a run. Colours are Okabe and Ito's, which colour-blind people can tell apart; no torch is needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist.dataset import Array
from mnist.predictions import Predictions, calibration_bins, confusion_matrix, wilson
from mnist.results import Epoch

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#B0B0B0"
SHOWN_CLASSES = 10  # bars beside an image
NUMBERED_CLASSES = 12  # up to so many, the confusion matrix has its counts written in
LONGEST = 16  # letters of a class's name that there is room for
COLUMNS = 3
SIDE = 1.5  # inches, of an image beside its bars


def save(figure: Figure, out: Path | BinaryIO) -> None:
    """Write a PNG whose bytes depend on the figure alone."""
    figure.savefig(out, format="png", metadata={"Software": None})


def settle() -> None:
    """Make the pictures independent of the user's matplotlib settings and fonts."""
    mpl.rcdefaults()
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
    mpl.rcParams["text.parse_math"] = False  # a dollar in the name of a class is a dollar
    mpl.rcParams["axes.titley"] = 1.0  # where titles stay anyway: looking for a better place takes long
    bundled = mpl.get_data_path()
    fonts = font_manager.fontManager
    fonts.ttflist = [font for font in fonts.ttflist if font.fname.startswith(bundled)]


def canvas(height: float) -> tuple[Figure, Axes]:
    """A figure 10 inches wide and its one blank axes, which counts inches from the left and from the top."""
    figure = Figure(figsize=(10, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def short(classes: Sequence[str]) -> list[str]:
    """The names of classes, of long ones the beginning."""
    return [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in classes]


def predictions(
    images: Array, results: Predictions, index: Sequence[int], title: str, captions: Sequence[str] | None = None
) -> Figure:
    """Each chosen image, uint8 (height, width) or (…, 3), beside the probabilities of its likeliest classes.

    `captions`, one per image, take the place of its number, prediction and verdict.
    """
    figure, axes = canvas(0.4 + (SIDE + 0.6) * max(1, -(-len(index) // COLUMNS)))
    axes.text(5, 0.25, title if index else f"{title}: none", ha="center", va="center", fontsize=11)
    room = 0.15 + 0.06 * max(map(len, short(results.classes)))  # for the names, in inches
    pitch = SIDE / min(SHOWN_CLASSES, len(results.classes))
    for place, k in enumerate(index):
        row, column = divmod(place, COLUMNS)
        left, top = 0.15 + 3.3 * column, 0.7 + (SIDE + 0.6) * row
        show_image(axes, images[k], left, top, SIDE)
        caption = captions[k] if captions else None
        show_probabilities(axes, results, k, left + SIDE + room, top, 3 - SIDE - room, pitch, caption)
    return figure


def show_image(axes: Axes, image: Array, left: float = 0, top: float = 0, side: float = 1) -> None:
    """One image, dark on light as it was written or in its colours, in the middle of a square of the axes."""
    height, width = (side * pixels / max(image.shape[:2]) for pixels in image.shape[:2])
    left, top = left + (side - width) / 2, top + (side - height) / 2
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, extent=(left, left + width, top + height, top))
    axes.set_axis_off()


def show_probabilities(
    axes: Axes,
    results: Predictions,
    k: int,
    left: float = 0,
    top: float = 0,
    width: float = 1,
    pitch: float = 1,
    caption: str | None = None,
) -> None:
    """Bars for the likeliest classes, in their order, `pitch` apart; one as long as `width` is a probability of 1."""
    names = short(results.classes)
    actual, predicted = int(results.actual[k]), int(results.predicted[k])
    chances = results.probabilities[k]
    likeliest = np.argsort(-chances, kind="stable")[:SHOWN_CLASSES]
    if actual not in likeliest:
        likeliest[-1] = actual
    likeliest.sort()
    places = top + pitch * (np.arange(len(likeliest)) + 0.5)
    bottom, gap = top + pitch * len(likeliest), 0.03 * pitch * len(likeliest)
    colours = [BLUE if c == actual else VERMILLION if c == predicted else GREY for c in likeliest]
    axes.plot([left, left, left + width], [top, bottom, bottom], color="black", linewidth=0.8)
    axes.hlines(places, left, left + width * chances[likeliest], colours, linewidth=8)
    for c, place in zip(likeliest, places, strict=True):
        axes.text(left - 0.04 * width, place, names[c], ha="right", va="center", fontsize=7)
    for chance in (0, 1):
        axes.text(left + chance * width, bottom + gap, str(chance), ha="center", va="top", fontsize=7)
    verdict, colour = (" ✓", BLUE) if actual == predicted else (f", not {names[actual]}", VERMILLION)
    axes.text(left + width, top - gap, caption or f"#{k}: {names[predicted]}{verdict}", ha="right", color=colour)
    axes.yaxis.set_inverted(True)
    axes.set_axis_off()


def confident_mistakes(results: Predictions, count: int) -> list[int]:
    """The images that were taken for something else with the highest probability, the surest first."""
    wrong = np.flatnonzero(results.actual != results.predicted)
    sureness = results.probabilities[wrong].max(1)
    return [int(k) for k in wrong[np.argsort(-sureness, kind="stable")][:count]]


def confusion(results: Predictions) -> Figure:
    """How many images of each class were taken for which; mistakes are shaded by their share of the row."""
    names = short(results.classes)
    classes = len(names)
    counts = confusion_matrix(results)
    mistakes = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(mistakes, np.nan)
    # no shade so light that it passes for white, nor so dark that black cannot be read on it
    oranges = mpl.colormaps["Oranges"](np.linspace(0.15, 0.7, 256))
    shades = mpl.colors.ListedColormap(oranges, under="white", bad="#DDDDDD")
    longest = max(map(len, names))
    room = 0.06 + 0.01 * longest  # for the names, as a share of the figure
    figure = Figure(figsize=(7.5, 7))
    axes, bar = figure.subplots(1, 2, width_ratios=[24, 1])
    figure.subplots_adjust(room, room, 0.91, 0.94, wspace=0.05)
    drawn = axes.imshow(mistakes, shades, vmin=1e-12, vmax=np.nanmax(mistakes) or 1, aspect="auto")  # 0 is white
    figure.colorbar(drawn, cax=bar, label="mistakes, as a share of the actual class")
    numbered = classes <= NUMBERED_CLASSES
    size = 9 if numbered else 6
    axes.set_xticks(range(classes), names, rotation=90 if longest > 2 else 0, fontsize=size)
    axes.set_yticks(range(classes), names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="actual", title="What the test images were taken for")
    for actual, predicted in np.argwhere(counts) if numbered else ():
        axes.text(predicted, actual, f"{counts[actual, predicted]:,}", ha="center", va="center", fontsize=8)
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


def of_run(images: Array, answers: Predictions, history: list[Epoch], count: int) -> dict[str, Figure]:
    """All pictures of a run, by the names of their files; `count` predictions in those that show images."""
    first, mistakes = range(min(count, len(images))), confident_mistakes(answers, count)
    return {
        "predictions": predictions(images, answers, first, "The first test images"),
        "mistakes": predictions(images, answers, mistakes, "The most confident mistakes"),
        "confusion": confusion(answers),
        "training": training(history),
        "calibration": calibration(answers),
    }
