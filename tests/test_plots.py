"""The pictures: what they show, asked of the figures themselves or of their pixels."""

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from mnist import plots, results
from mnist.commands import flipped
from mnist.dataset import Array
from mnist.predictions import Predictions, calibration_bins, wilson
from mnist.results import Epoch
from pipeline import yaml12
from tests.conftest import ROOT, Project

DIGITS = list("0123456789")
LETTERS = [chr(code) for code in (*range(48, 58), *range(65, 91), *range(97, 123))]  # as many as EMNIST has
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Ankle boot", "a coat that has a very long name", "$a$"]
PLOTS = yaml12.read(ROOT / "dvc.yaml")["plots"]
HISTORY = [Epoch(1, 0.1, 2.0, 2.5, 0.5), Epoch(2, 0.1, 1.0, 1.25, 0.75)]
IMAGES = np.random.RandomState(0).randint(0, 256, (1000, 6, 4), np.uint8)


@pytest.fixture(autouse=True)
def _settled() -> None:
    plots.settle()


def made_up(names: list[str], seed: int = 0) -> Predictions:
    """What a model that is often right could say of IMAGES."""
    random = np.random.RandomState(seed)
    actual = np.random.RandomState(9).randint(0, len(names), len(IMAGES))
    chances = random.dirichlet([0.1] * len(names), len(IMAGES))
    chances[np.arange(len(IMAGES)), actual] += random.exponential(1, len(IMAGES))
    chances = (chances / chances.sum(1, keepdims=True)).astype(np.float32)
    return Predictions(names, actual, chances.argmax(1), chances)


def of_counts(counts: list[list[int]]) -> Predictions:
    """Predictions with this confusion matrix."""
    pairs = np.repeat(list(np.ndindex(np.shape(counts))), np.ravel(counts), axis=0)
    chances = np.eye(len(counts), dtype=np.float32)[pairs[:, 1]]
    return Predictions(LETTERS[: len(counts)], pairs[:, 0], pairs[:, 1], chances)


def mistakes(results: Predictions) -> Figure:
    return plots.predictions(IMAGES, results, plots.confident_mistakes(results, 12), "Mistakes")


PICTURES: dict[str, Callable[[Predictions], Figure]] = {
    "predictions": lambda results: plots.predictions(IMAGES, results, range(12), "Images"),
    "mistakes": mistakes,
    "flipped": lambda results: flipped.draw(IMAGES, results, made_up(results.classes, 1)),
    "confusion": plots.confusion,
    "training": lambda _: plots.training(HISTORY),
    "calibration": plots.calibration,
}


def texts(figure: Figure) -> list[Text]:
    """All texts that can be seen: an axis has labels beyond its ends, too."""
    figure.draw_without_rendering()
    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        beyond |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in beyond]


def written(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def cells(figure: Figure, *places: tuple[int, int]) -> list[Array]:
    """The colours of cells of the confusion matrix, beside their counts, RGB from 0 to 255."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba()).astype(int)
    at = [figure.axes[0].transData.transform((predicted + 0.3, actual - 0.3)) for actual, predicted in places]
    return [pixels[len(pixels) - 1 - int(y), int(x), :3] for x, y in at]


@pytest.mark.parametrize(
    ("picture", "names"),
    [
        *itertools.product(["predictions", "training", "calibration"], [DIGITS]),
        *itertools.product(["mistakes", "flipped", "confusion"], [["a", "b"], CLOTHES]),
        ("confusion", LETTERS),
    ],
)
def test_texts_are_plain_and_stay_on_the_page_and_off_each_other(picture: str, names: list[str]) -> None:
    figure = PICTURES[picture](made_up(names))
    found = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert len(found) > 3
    for text, box in found:
        assert "mathdefault" not in text
        assert "$\\" not in text
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    for (one, a), (other, b) in itertools.combinations(found, 2):
        assert min(a.x1, b.x1) <= max(a.x0, b.x0) or min(a.y1, b.y1) <= max(a.y0, b.y0), f"{one!r} covers {other!r}"


@pytest.mark.parametrize("picture", ["mistakes", "flipped", "confusion"])
def test_a_dollar_in_the_name_of_a_class_is_drawn(picture: str) -> None:
    found = texts(PICTURES[picture](made_up(["$a$", "a"])))
    with_dollars = [text for text in found if "$a$" in text.get_text()]
    assert with_dollars
    for text in with_dollars:
        width = text.get_window_extent().width
        text.set_text(text.get_text().replace("$", "0"))  # a digit is as wide as a dollar
        assert width == pytest.approx(text.get_window_extent().width, abs=2)


def intervals(results: Predictions) -> Array:
    """The ends of the bars that calibration draws, (bins, 2)."""
    bars = plots.calibration(results).axes[0].findobj(LineCollection)
    assert len(bars) == 1
    return np.array(bars[0].get_segments())[:, :, 1]


def test_calibration_shows_the_interval_of_wilson() -> None:
    """The shares p at which what was found lies 1.96 standard deviations off."""
    results = made_up(DIGITS)
    count, _, accuracy = calibration_bins(results)
    ends = intervals(results)
    off, variance = ends - accuracy[:, None], ends * (1 - ends) / count[:, None]
    assert off**2 == pytest.approx(1.959964**2 * variance)
    assert np.all(ends[:, 0] < ends[:, 1])
    low, high = wilson(np.array([0.0, 0.5]), np.array([1, 10]))
    assert low == pytest.approx([0, 0.236593], abs=1e-6)
    assert high == pytest.approx([0.793451, 0.763407], abs=1e-6)


def test_a_single_image_proves_less_than_a_thousand() -> None:
    chances = np.array([[0.4, 0.35, 0.25]] + [[0.9, 0.05, 0.05]] * 1000, np.float32)
    zeros = np.zeros(1001, int)
    one, thousand = np.diff(intervals(Predictions(list("abc"), zeros, zeros, chances))).ravel()
    assert one > 0.7
    assert thousand < 0.01


@pytest.mark.parametrize(("count", "expected"), [(4, ["1"]), (1500, ["1", "10", "100", "1,000"])])
def test_counts_of_images_are_written_out(count: int, expected: list[str]) -> None:
    chances = np.array([[0.6, 0.4]] * 2 + [[0.9, 0.1]] * count, np.float32)
    zeros = np.zeros(count + 2, int)
    figure = plots.calibration(Predictions(list("ab"), zeros, zeros, chances))
    axis = figure.axes[1].yaxis
    seen = texts(figure)
    labels = [tick.label1 for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())]
    assert [label.get_text() for label in labels if label in seen] == expected


def test_a_mistake_of_one_in_a_hundred_is_seen_beside_one_of_a_half() -> None:
    figure = plots.confusion(of_counts([[99, 1, 0], [0, 50, 50], [0, 0, 100]]))
    empty, rare, common, right = cells(figure, (0, 2), (0, 1), (1, 2), (0, 0))
    assert empty.tolist() == [255, 255, 255]
    assert np.abs(rare - empty).max() > 40
    assert np.abs(common - rare).max() > 80
    assert len(set(right)) == 1, "what is right is grey"
    assert {"99", "1", "50", "100"} <= set(written(figure))


@pytest.mark.slow
def test_both_confusion_matrices_have_the_actual_class_down_the_side(project: Project) -> None:
    """DVC's chart and our picture, as scikit-learn's: a row for each actual class, the first one on top."""
    axes = plots.confusion(made_up(DIGITS)).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    shown = json.loads(project.succeed("dvc", "plots", "show", "Confusion", "--json"))
    (chart,) = (each["content"] for each in shown["data"]["Confusion"])
    across, down = (chart["spec"]["encoding"][way] for way in "xy")
    assert (across["field"], across["title"]) == ("predicted", "predicted")
    assert (down["field"], down["title"], down["sort"]) == ("actual", "actual", "ascending")


def test_dvcs_curves_and_ours_are_of_the_same_figures_in_the_same_order_and_words() -> None:
    declared = {name: plot for each in PLOTS if isinstance(each, dict) for name, plot in each.items()}
    panels = plots.training(HISTORY).axes
    for name, panel in zip(("Loss", "Accuracy"), panels, strict=True):
        chart = declared[name]
        ((file, columns),) = chart["y"].items()
        assert file == str(results.HISTORY)
        assert (chart["x"], chart["y_label"]) == (panel.get_xlabel(), panel.get_title().lower())
        drawn = [list(line.get_ydata()) for line in panel.get_lines()]
        columns = [columns] if isinstance(columns, str) else columns
        assert drawn == [[getattr(row, column) for row in HISTORY] for column in columns]
    words = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert [f"{word.removesuffix('ing')}_loss" for word in words] == declared["Loss"]["y"][str(results.HISTORY)]


def test_dvc_shows_every_picture_that_the_report_has() -> None:
    listed = [each for each in PLOTS if isinstance(each, str)]
    assert listed == [f"metrics/plots/{name}.png" for name in plots.of_run(IMAGES, made_up(DIGITS), HISTORY, 3)]


def test_mistakes_have_a_scale_of_their_own() -> None:
    few, many = (cells(plots.confusion(of_counts([[100 - n, n], [0, 100]])), (0, 1))[0] for n in (1, 50))
    assert few.tolist() == many.tolist()


@pytest.mark.parametrize("classes", [2, 62])
def test_without_a_mistake_only_the_diagonal_is_coloured(classes: int) -> None:
    figure = plots.confusion(of_counts((7 * np.eye(classes, dtype=int)).tolist()))
    above, below, on = cells(figure, (0, 1), (1, 0), (1, 1))
    assert above.tolist() == below.tolist() == [255, 255, 255]
    assert on.max() < 240
    assert written(figure).count("7") == (2 if classes == 2 else 2 * LETTERS.count("7"))


def test_confident_mistakes_are_the_surest_first() -> None:
    results = made_up(DIGITS)
    wrong = [k for k in range(len(IMAGES)) if results.actual[k] != results.predicted[k]]
    surest = sorted(wrong, key=lambda k: -results.probabilities[k].max())
    assert len(wrong) > 20
    for count in (1, 12, len(wrong), len(IMAGES)):
        assert plots.confident_mistakes(results, count) == surest[:count]


def test_a_model_without_mistakes_has_none_to_show() -> None:
    perfect = of_counts([[5, 0], [0, 5]])
    assert plots.confident_mistakes(perfect, 3) == []
    assert "Mistakes: none" in written(mistakes(perfect))


def test_each_mistake_is_titled_with_its_index_in_predictions_csv() -> None:
    results = made_up(DIGITS)
    found = written(mistakes(results))
    for k in plots.confident_mistakes(results, 12):
        assert found.count(f"#{k}: {results.predicted[k]}, not {results.actual[k]}") == 1


def test_each_flipped_image_is_titled_with_its_index() -> None:
    a, b = made_up(DIGITS), made_up(DIGITS, 1)
    found = written(flipped.draw(IMAGES, a, b))
    for right, wrong in ((a, b), (b, a)):
        for k in np.flatnonzero((right.predicted == right.actual) & (wrong.predicted != wrong.actual))[:24]:
            assert found.count(f"#{k}\nA: {a.predicted[k]}\nB: {b.predicted[k]}") == 1


def test_of_many_classes_the_actual_and_the_predicted_one_are_shown() -> None:
    chances = np.linspace(0, 1, 62, dtype=np.float32)[None]  # the last is the likeliest, the first the least likely
    results = Predictions(LETTERS, np.array([0]), np.array([61]), chances / chances.sum())
    found = written(plots.predictions(IMAGES, results, [0], "An image"))
    assert {"0", "z", "y", "#0: z, not 0"} <= set(found)
    assert len([name for name in found if name in LETTERS[2:]]) == plots.SHOWN_CLASSES - 1


def test_both_losses_lie_within_their_panel() -> None:
    panel = plots.training(HISTORY).axes[0]
    low, high = panel.get_ylim()
    assert low == 0
    assert high > 2.5
