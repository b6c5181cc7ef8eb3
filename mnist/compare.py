"""Is the difference between two runs on the same test images more than chance?

All of it is paired: both runs answer the same images, so what counts are the images on which they disagree.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mnist import metrics, results
from mnist.console import InputError
from mnist.dataset import Array
from mnist.runs import Run

SIGNIFICANT = 0.05
RESAMPLES = 2000
SMALLEST_P = 1e-300
MOVED_CLASSES = 3  # shown


class Difference(NamedTuple):
    """B less A, with its 95 % interval."""

    value: float
    low: float
    high: float


def compare(a: Run, b: Run) -> dict[str, Any]:
    """What `--json` prints: accuracies, losses and recall of both, their differences (B less A), the exact p.

    Raises InputError if the two were not measured on the same test images and classes.
    """
    check_comparable(a, b)
    a_right, b_right = (run.predictions.predicted == run.predictions.actual for run in (a, b))
    accuracy = accuracy_difference(a_right, b_right)
    loss = loss_difference(*(results.image_losses(run.predictions) for run in (a, b)))
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    measured = [metrics.of_predictions(run.predictions) for run in (a, b)]
    return {
        "n": len(a_right),
        "a": summary(a, measured[0]),
        "b": summary(b, measured[1]),
        "accuracy_difference": accuracy.value,
        "difference_low": accuracy.low,
        "difference_high": accuracy.high,
        "only_a_right": only_a,
        "only_b_right": only_b,
        "p_value": mcnemar(only_a, only_b),
        "loss_difference": loss.value,
        "loss_difference_low": loss.low,
        "loss_difference_high": loss.high,
        "recall": {
            name: {"a": value, "b": measured[1]["recall"][name]} for name, value in measured[0]["recall"].items()
        },
        "params": {
            key: {"a": a.parameters.get(key), "b": b.parameters.get(key)}
            for key in dict.fromkeys([*a.parameters, *b.parameters])
            if a.parameters.get(key) != b.parameters.get(key)
        },
    }


def check_comparable(a: Run, b: Run) -> None:
    """Raise InputError if two runs did not answer the same images with the same classes."""
    if a.predictions.classes != b.predictions.classes:
        raise InputError(f"{a.revision} and {b.revision}: other classes; only runs on one data set can be compared")
    if a.test_files != b.test_files or len(a.predictions.actual) != len(b.predictions.actual):
        raise InputError(
            f"{a.revision} and {b.revision}: other test images ({a.dataset}, {b.dataset}); only runs measured on the "
            "same ones can be compared"
        )


def summary(run: Run, measured: dict[str, Any]) -> dict[str, Any]:
    """One run's own figures."""
    return {"revision": run.revision} | {
        name: measured[name] for name in ("accuracy", "accuracy_low", "accuracy_high", "loss")
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p that A and B err equally often (McNemar 1947), from the images that only one got right."""
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def accuracy_difference(a_right: Array, b_right: Array) -> Difference:
    """Difference of two accuracies on the same n images, given as bool (n,), with its 95 % interval.

    The interval is Wald's with one image added to either disagreement, by Bonett and Price (2012), “Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data”: it covers where Wald's own does
    not, with few disagreements.
    """
    n = len(a_right)
    gained, lost = ((np.sum(ours & ~theirs) + 1) / (n + 2) for ours, theirs in ((b_right, a_right), (a_right, b_right)))
    deviation = np.sqrt((gained + lost - (gained - lost) ** 2) / (n + 2))
    low, high = stats.norm.interval(0.95, gained - lost, deviation)
    return Difference((int(b_right.sum()) - int(a_right.sum())) / n, max(-1.0, float(low)), min(1.0, float(high)))


def loss_difference(a: Array, b: Array) -> Difference:
    """Difference of two mean losses on the same images, (n,) in nats, with its 95 % percentile bootstrap interval."""
    differences = b - a
    if not differences.any():
        return Difference(0.0, 0.0, 0.0)
    found = stats.bootstrap(
        (differences,), np.mean, n_resamples=RESAMPLES, batch=100, method="percentile", rng=np.random.RandomState(0)
    ).confidence_interval
    return Difference(float(differences.mean()), float(found.low), float(found.high))


def significant(found: dict[str, Any]) -> bool:
    """Whether the accuracies differ by more than chance would make them."""
    return bool(found["p_value"] < SIGNIFICANT)


def sentence(found: dict[str, Any]) -> str:
    """What a comparison means, for a person."""
    points, low, high = (100 * found[name] for name in ("accuracy_difference", "difference_low", "difference_high"))
    if found["only_a_right"] == found["only_b_right"] == 0:
        return f"A and B are right on the same {found['n']:,} images."
    if not significant(found):
        return (
            f"B differs by {points:+.2f} points, 95 % between {low:+.2f} and {high:+.2f}; "
            f"on these {found['n']:,} images that may be chance."
        )
    better, low, high = ("better", low, high) if points > 0 else ("worse", -high, -low)
    return (
        f"B is {better} by {abs(points):.2f} points, 95 % between {low:.2f} and {high:.2f}; "
        f"this is more than chance on these {found['n']:,} images; it does not say how another seed would do."
    )


def chance(p: float) -> str:
    """A p as text; one that floating point cannot hold is not 0."""
    return f"{p:.2g}" if p > SMALLEST_P else f"< {SMALLEST_P}"


def moved_most(found: dict[str, Any]) -> list[str]:
    """The classes whose recall differs most, if it does."""
    moved = {name: abs(recall["b"] - recall["a"]) for name, recall in found["recall"].items()}
    return sorted(filter(moved.get, moved), key=lambda name: -moved[name])[:MOVED_CLASSES]


def lines(found: dict[str, Any]) -> list[str]:
    """A comparison as lines of text."""
    a, b = found["a"], found["b"]
    width = max(len(key) for key in [*found["params"], "difference (paired)"])
    shown = [f"A: {a['revision']}   B: {b['revision']}   {found['n']:,} test images", ""]
    shown += [f"{key:{width}}  {value['a']} → {value['b']}" for key, value in found["params"].items()] or [
        "no parameter differs"
    ]
    shown.append("")
    for name, run in (("accuracy of A", a), ("accuracy of B", b)):
        shown.append(
            f"{name:{width}}  {run['accuracy']:.4f}  95 % {run['accuracy_low']:.4f} to {run['accuracy_high']:.4f}"
        )
    shown += [
        f"{'difference (paired)':{width}}  {found['accuracy_difference']:+.4f}  95 % {found['difference_low']:+.4f} to "
        f"{found['difference_high']:+.4f}",
        f"{'only A is right on':{width}}  {found['only_a_right']:,} images",
        f"{'only B is right on':{width}}  {found['only_b_right']:,} images",
        f"{'p (exact McNemar)':{width}}  {chance(found['p_value'])}",
        f"{'loss':{width}}  {a['loss']:.4f} → {b['loss']:.4f}  difference {found['loss_difference']:+.4f}  95 % "
        f"{found['loss_difference_low']:+.4f} to {found['loss_difference_high']:+.4f}",
    ]
    for name in moved_most(found):
        recall = found["recall"][name]
        shown.append(f"{f'recall of {name}':{width}}  {recall['a']:.4f} → {recall['b']:.4f}")
    return [*shown, "", sentence(found)]
