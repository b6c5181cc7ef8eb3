"""One run, or two and their difference, as a page that needs nothing beside it."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from mnist import compare, metrics, plots, runs
from mnist.runs import Run

TEMPLATE = Path(__file__).with_suffix(".html")
SHOWN = 12  # images in a picture of predictions


def page(chosen: list[Run]) -> str:
    """The report on one run, or on two (A, B) that were measured on the same test images, as HTML.

    Raises InputError if two cannot be compared.
    """
    found = compare.compare(*chosen) if len(chosen) == 2 else None
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        title="Report on " + " and ".join(run.revision for run in chosen),
        dataset=chosen[0].dataset,
        n=len(chosen[0].predictions.actual),
        conclusion=compare.sentence(found) if found else None,
        runs=[{"name": f"{letter}: {run.revision}"} for letter, run in zip("AB", chosen, strict=False)],
        metrics=measured(chosen) + (differences(found) if found else []),
        parameters=parameters(chosen),
        figures=figures(chosen),
    )


def measured(chosen: list[Run]) -> list[tuple[str, list[str]]]:
    """A row for each metric, a cell for each run."""
    each = [metrics.of_predictions(run.predictions) for run in chosen]
    names = {"loss": "loss", "macro_f1": "macro F1", "calibration_error": "calibration error"}
    return [
        ("accuracy", [f"{m['accuracy']:.4f} (95 % {m['accuracy_low']:.4f}–{m['accuracy_high']:.4f})" for m in each]),
        *((label, [f"{m[name]:.4f}" for m in each]) for name, label in names.items()),
        *((f"recall of {name}", [f"{m['recall'][name]:.4f}" for m in each]) for name in each[0]["recall"]),
    ]


def differences(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Rows for what only a pair of runs has, in the column of B."""
    return [
        (label, ["", f"{found[value]:+.4f} (95 % {found[low]:+.4f} to {found[high]:+.4f})"])
        for label, value, low, high in (
            ("difference in accuracy", "accuracy_difference", "difference_low", "difference_high"),
            ("difference in loss", "loss_difference", "loss_difference_low", "loss_difference_high"),
        )
    ] + [
        ("images only this one is right on", [f"{found['only_a_right']:,}", f"{found['only_b_right']:,}"]),
        ("p (exact McNemar)", ["", compare.chance(found["p_value"])]),
    ]


def parameters(chosen: list[Run]) -> list[tuple[str, list[str], bool]]:
    """A row for each parameter, with whether the runs differ in it; those in which they do come first."""
    rows = []
    for key in dict.fromkeys(key for run in chosen for key in run.parameters):
        values = [str(run.parameters.get(key)) for run in chosen]
        rows.append((key, values, len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row[2])


def figures(chosen: list[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings, and below each its pictures: a caption and a PNG in base64."""
    plots.settle()
    images = runs.test_images(chosen[0].revision)
    first = range(min(SHOWN, len(images)))

    def mistakes(run: Run) -> Figure:
        index = plots.confident_mistakes(run.predictions, SHOWN)
        return plots.predictions(images, run.predictions, index, "The most confident mistakes")

    drawn: dict[str, Callable[[Run], Figure]] = {
        "Training": lambda run: plots.training(run.history),
        "Predictions": lambda run: plots.predictions(images, run.predictions, first, "The first test images"),
        "Mistakes": mistakes,
        "Confusion": lambda run: plots.confusion(run.predictions),
        "Calibration": lambda run: plots.calibration(run.predictions),
    }
    captions = [
        f"{letter}: {run.revision}" if len(chosen) > 1 else "" for letter, run in zip("AB", chosen, strict=False)
    ]
    found = [
        (heading, [(caption, png(draw(run))) for caption, run in zip(captions, chosen, strict=True)])
        for heading, draw in drawn.items()
    ]
    if len(chosen) == 2:
        flipped = plots.flipped(images, chosen[0].predictions, chosen[1].predictions)
        found.insert(0, ("Images on which they differ", [("", png(flipped))]))
    return found


def png(figure: Figure) -> str:
    """A figure as PNG in base64."""
    out = io.BytesIO()
    plots.save(figure, out)
    return base64.b64encode(out.getvalue()).decode()
