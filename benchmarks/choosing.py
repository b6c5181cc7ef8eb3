"""Do the claims about recipes hold? Simulated, as truth is known there: python -m benchmarks.choosing

Twenty recipes, as they come out of a small search. Prints the tables of docs/choosing.md, in minutes.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from mnist import seeds

RECIPES, TIMES, CLAIMED = 20, 1000, 0.05
ACCURACY, SEEDS, IMAGES = 0.93, 0.009, 10_000  # mean, deviation over seeds and test images, as of docs/experiments.md
HELD_OUT = 5_000
OWN = 0.16  # a recipe's own luck with an image: two of them then disagree on 5 % of the images
Array = np.ndarray


class Rate(NamedTuple):
    """How often something happened."""

    hits: int
    times: int

    def __str__(self) -> str:
        return f"{100 * self.hits / self.times:.1f} %"


def smallest(results: list[Array]) -> tuple[float, float]:
    """The smallest p of the best of recipes, each (runs,), against another: Welch's, and Games and Howell's."""
    best = max(results, key=np.mean)
    others = [each for each in results if each is not best]
    alone = [float(stats.ttest_ind(each, best, equal_var=False).pvalue) for each in others]
    other = others[int(np.argmin(alone))]
    variances = [each.var(ddof=1) / len(each) for each in (best, other)]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (best, other), strict=True))
    distance = (best.mean() - other.mean()) / np.sqrt(sum(variances) / 2)
    return min(alone), float(stats.studentized_range.sf(distance, len(results), freedom))


def wrongly_better(runs: tuple[int, int], ratio: float, images: bool) -> list[Rate]:
    """How often the best of equal recipes is called better than another: by Welch's t, Games–Howell, and here.

    Every other recipe has `runs[1]` runs, and the widest spread over seeds is `ratio` times the narrowest. `images`: by
    accuracies on the same images, of which each recipe finds others hard.
    """
    random = np.random.RandomState(sum(runs))
    hits = np.zeros(3, int)
    for _ in range(TIMES):
        results = [random.normal(0, 0.0015 * ratio ** (k / RECIPES), runs[k % 2]) for k in range(RECIPES)]
        if images:
            results = [ACCURACY + each + random.normal(0, OWN / np.sqrt(HELD_OUT)) for each in results]
        ours = seeds.worse_than_best([each.tolist() for each in results], HELD_OUT if images else None)
        hits += np.array([*smallest(results), min(p for p in ours if p is not None)]) < CLAIMED
    return [Rate(int(each), TIMES) for each in hits]


def luck(runs: int) -> dict[str, tuple[float, float, float]]:
    """By how much the test accuracy of the best of equal recipes is too high, in points, with its standard error.

    Against what its networks would reach on all images there could be; and what the recipe would with other seeds.
    """
    random = np.random.RandomState(runs)
    found: dict[str, list[tuple[float, float]]] = {"on the test images": [], "on the validation images": []}
    for _ in range(TIMES):
        true = random.normal(ACCURACY, SEEDS, (RECIPES, runs)).clip(0, 1)
        test, held_out = (random.binomial(n, true) / n for n in (IMAGES, HELD_OUT))
        for by, results in zip(found, (test, held_out), strict=True):
            best = results.mean(1).argmax()
            found[by].append((test[best].mean() - true[best].mean(), test[best].mean() - ACCURACY))
    points = {by: 100 * np.array(each) for by, each in found.items()}
    return {by: (*each.mean(0), each[:, 0].std() / np.sqrt(TIMES)) for by, each in points.items()}


def covered(runs: int, images: int, spread: float) -> Rate:
    """How often the interval of `seeds.difference` has the true difference of two recipes in it.

    Each image has a difficulty of its own for each recipe, and each run a skill of its own.
    """
    random = np.random.RandomState(runs)
    offsets = random.normal(0, 1.5, (2, 200_000))
    common = random.normal(2.5, 2, 200_000)
    skills = np.linspace(-4, 4, 801) * spread  # to average over, as a normal
    weights = np.exp(-0.5 * (skills / spread) ** 2)
    right = [
        np.average([logistic(common[:20_000] + own[:20_000] + skill).mean() for skill in skills[::40]],
                   weights=weights[::40])
        for own in offsets
    ]  # fmt: skip
    hits = 0
    for _ in range(TIMES):
        drawn = random.randint(20_000, size=images)
        answers = []
        for own in offsets:
            chance = logistic(common[drawn] + own[drawn] + random.normal(0, spread, (runs, 1)))
            answers.append(random.random_sample(chance.shape) < chance)
        found = seeds.difference(*answers)
        hits += found.low <= right[1] - right[0] <= found.high
    return Rate(hits, TIMES)


def logistic(x: Array) -> Array:
    """The probability of a logit."""
    return np.asarray(1 / (1 + np.exp(-x)))


def main() -> None:
    """Print the tables."""
    print(f"The best of {RECIPES} equal recipes is called better than another one, {TIMES:,} times simulated:\n")
    print("| runs each | spreads | images | Welch's t against it | Games–Howell | here |\n|--:|---|---|--:|--:|--:|")
    for runs, ratio, images in (
        ((3, 3), 1, False), ((3, 3), 4, False), ((5, 5), 1, False), ((5, 5), 4, False), ((2, 10), 2, False),
        ((3, 3), 1, True), ((5, 5), 1, True), ((10, 10), 1, True),
    ):  # fmt: skip
        name = f"{runs[0]}" if runs[0] == runs[1] else f"{runs[0]} or {runs[1]}"
        kind = ("equal" if ratio == 1 else f"up to {ratio} : 1", "the same luck" if not images else "luck of their own")
        print(
            f"| {name} | {' | '.join(kind)} | {' | '.join(map(str, wrongly_better(runs, ratio, images)))} |", flush=True
        )
    print("\nIts test accuracy is too high by so many points:\n")
    print("| runs each | chosen | for its networks | for its recipe |\n|--:|---|--:|--:|")
    for runs in (1, 3):
        for by, (networks, recipe, error) in luck(runs).items():
            print(f"| {runs} | {by} | {networks:+.3f} ± {error:.3f} | {recipe:+.3f} |", flush=True)
    print("\nThe interval of 95 % for the difference of two recipes has the true one in it:\n")
    print("| runs each | images | seeds | so often |\n|--:|--:|---|--:|")
    for runs in (3, 5, 10):
        for images, spread in ((10_000, 0.1), (2_000, 0.02)):
            name = "differ much" if spread == 0.1 else "differ little"
            print(f"| {runs} | {images:,} | {name} | {covered(runs, images, spread)} |", flush=True)


if __name__ == "__main__":
    main()
