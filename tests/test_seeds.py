"""What is said of recipes from runs with several seeds."""

import numpy as np
import pytest
from scipy import stats

from mnist import seeds


def test_two_recipes_are_held_against_each_other_by_welchs_t() -> None:
    ours, theirs = [0.91, 0.93, 0.92], [0.95, 0.96, 0.955, 0.951]
    t = stats.ttest_ind(ours, theirs, equal_var=False).statistic
    assert seeds.worse_than_best([ours, theirs], None) == [pytest.approx(2 * stats.t.cdf(t, 2)), None]


def test_accuracies_are_held_against_the_chance_of_the_images_too() -> None:
    ours, theirs = [0.91, 0.93, 0.92], [0.95, 0.96, 0.955]
    each = [np.var(results, ddof=1) / 3 for results in (ours, theirs)]
    by_images = (0.08 + 0.045) / 1000  # both err, and never on the same image
    freedom = 2 * (sum(each) + by_images) ** 2 / sum(np.square(each))
    p = 2 * stats.t.cdf(-0.035 / np.sqrt(sum(each) + by_images), freedom)
    assert seeds.worse_than_best([ours, theirs], 1000) == [pytest.approx(p), None]


def test_with_more_recipes_any_pair_might_have_come_to_be_compared() -> None:
    recipes = [[0.95, 0.96, 0.955, 0.951], [0.91, 0.93, 0.92], [0.3, 0.4, 0.2]]
    _, near, far = seeds.worse_than_best(recipes, None)
    alone = [seeds.p_value(each, recipes[0], None) or 0 for each in recipes[1:]]
    assert [near, far] == pytest.approx([1 - (1 - p) ** 3 for p in alone])


def test_a_single_run_makes_no_claim_and_none_is_made_of_it() -> None:
    lucky, best, other = [0.999], [0.95, 0.96, 0.955], [0.91, 0.93, 0.92]
    assert seeds.worse_than_best([lucky, best, other], 9) == [None, None, seeds.p_value(other, best, 9)]
    assert seeds.worse_than_best([lucky, [0.5]], 9) == [None, None]
    assert seeds.worse_than_best([[0.9, 0.9], [0.9, 0.9]], 9) == [None, None]


def test_the_spread_of_one_of_the_two_is_enough() -> None:
    ours, theirs = [0.8, 0.82, 0.81], [0.9, 0.9]
    expected = 2 * stats.t.cdf(stats.ttest_1samp(ours, 0.9).statistic, 1)
    assert seeds.p_value(ours, theirs, None) == seeds.p_value(theirs, ours, None) == pytest.approx(expected)


@pytest.mark.parametrize("spreads", [np.ones(20), np.geomspace(1, 4, 20)])
@pytest.mark.parametrize("runs", [(3, 3), (5, 5), (2, 10)])
def test_of_equal_recipes_the_first_is_seldom_called_better(runs: tuple[int, int], spreads: np.ndarray) -> None:
    """At most 5 % of the times, that is, however the 20 spread; 11 of 100 would be by chance in 1 % of the times."""
    random = np.random.RandomState(runs[1])
    wrong = 0
    for _ in range(100):
        recipes = [random.normal(0, spread, runs[k % 2]).tolist() for k, spread in enumerate(spreads)]
        wrong += any(p is not None and p < 0.05 for p in seeds.worse_than_best(recipes, None))
    assert wrong <= 10


def test_nor_is_it_on_the_luck_of_the_images() -> None:
    """Recipes that are equally good on all images, of which each errs on some of its own."""
    random = np.random.RandomState(0)
    wrong = 0
    for _ in range(100):
        hard = random.random_sample((5, 1, 2000)) < 0.1
        right = random.random_sample((5, 10, 2000)) > np.where(hard, 0.8, 0.01)
        wrong += any(p is not None and p < 0.05 for p in seeds.worse_than_best(right.mean(2).tolist(), 2000))
    assert wrong <= 10
