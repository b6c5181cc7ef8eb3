"""Recipes, each run with several seeds: which is better?

A run's result is its recipe's mean and its seed's luck, so one run of each says nothing.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mnist.dataset import Array
    from mnist.paired import Difference


def spread(values: list[float]) -> tuple[float, float | None]:
    """Mean and standard deviation; of one value there is none."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def worse_than_best(recipes: list[list[float]], images: int | None) -> list[float | None]:
    """For each recipe, given by the results of its runs, higher is better: p that it is as good as the best.

    None for the best itself, and for what its runs cannot say: there is one, or nothing varies. The best was picked
    because it leads, so any pair could have come to be compared: p is that of the largest of all k (k − 1) / 2
    differences, by Welch's t, for spreads that differ, and Šidák's inequality (Tamhane 1977, “Multiple comparisons in
    model I one-way ANOVA with unequal variances”, T2). The Games–Howell test is tighter, and with three to five seeds
    errs in 7 % of the cases where 5 % are claimed: `python -m benchmarks.choosing`.

    Results that are accuracies on so many `images` are held against the chance of these too. What that does to a
    difference is not known without each answer; it is most where no two recipes err on the same image.
    """
    several = [results for results in recipes if len(results) > 1]
    if not several:
        return [None] * len(recipes)
    best = max(several, key=np.mean)
    pairs = len(several) * (len(several) - 1) // 2
    alone = [None if results is best else p_value(results, best, images) for results in recipes]
    return [None if p is None else float(-np.expm1(pairs * np.log1p(-min(p, 1 - 1e-16)))) for p in alone]


def p_value(ours: list[float], theirs: list[float], images: int | None) -> float | None:
    """Two-sided p that two recipes reach the same mean; None if their spread over seeds is not known.

    By Welch's t. Where one recipe has fewer runs than the other, with the fewest degrees of freedom that it can have:
    as many as he gives are too many for two runs against ten.
    """
    if min(len(ours), len(theirs)) < 2 or np.ptp(ours) == np.ptp(theirs) == 0:
        return None
    from scipy import stats  # takes a moment

    each = [np.var(results, ddof=1) / len(results) for results in (ours, theirs)]
    by_seeds = sum(each)
    by_images = (2 - np.mean(ours) - np.mean(theirs)) / images if images else 0.0
    variance = by_seeds + by_images
    fewest = min(len(ours), len(theirs)) - 1
    freedom = fewest * variance**2 / (sum(np.square(each)) if len(ours) == len(theirs) else by_seeds**2)
    return float(2 * stats.t.sf(abs(np.mean(ours) - np.mean(theirs)) / np.sqrt(variance), freedom))


def difference(a: "Array", b: "Array") -> "Difference":
    """How far recipe B is from A in accuracy, with its 95 % interval, from bool (runs, images): which were right.

    Both the seeds and the images might have been others, so two variances add up: that of the runs' accuracies, and
    that of the images' differences, less what the runs' disagreement on an image has put into both. The interval is
    Welch's, whose degrees of freedom are few where the seeds decide and many where the images do. A single image says
    nothing of others, so the interval is then of all that is possible.
    """
    from scipy import stats  # takes a moment

    from mnist.paired import Difference

    value = float(b.mean() - a.mean())
    if a.shape[1] == 1:
        return Difference(value, -1.0, 1.0)
    by_seeds = [runs.mean(1).var(ddof=1) / len(runs) for runs in (a, b)]
    disagreement = sum(runs.var(0, ddof=1).mean() / len(runs) for runs in (a, b))
    by_images = max(0.0, (b.mean(0) - a.mean(0)).var(ddof=1) - disagreement) / a.shape[1]
    variance = sum(by_seeds) + by_images
    if not variance:
        return Difference(value, value, value)
    freedom = variance**2 / (
        sum(each**2 / (len(runs) - 1) for each, runs in zip(by_seeds, (a, b), strict=True))
        + by_images**2 / (a.shape[1] - 1)
    )
    if min(len(a), len(b)) == 2 and sum(by_seeds):  # Welch's are too many then
        freedom = min(freedom, (variance / sum(by_seeds)) ** 2)
    low, high = stats.t.interval(0.95, freedom, value, np.sqrt(variance))
    return Difference(value, float(low), float(high))
