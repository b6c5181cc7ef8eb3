"""What is said of recipes from runs with several seeds."""

import numpy as np
import pytest
from scipy import stats

from mnist import seeds


def test_two_recipes_are_held_against_each_other_by_welchs_t() -> None:
    ours, theirs = [0.91, 0.93, 0.92], [0.95, 0.96, 0.955, 0.951]
    p = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    assert seeds.worse_than_best([ours, theirs]) == [pytest.approx(p), None]


def test_with_more_recipes_any_pair_might_have_come_to_be_compared() -> None:
    recipes = [[0.95, 0.96, 0.955, 0.951], [0.91, 0.93, 0.92], [0.3, 0.4, 0.2]]
    _, near, far = seeds.worse_than_best(recipes)
    alone = [stats.ttest_ind(each, recipes[0], equal_var=False).pvalue for each in recipes[1:]]
    assert [near, far] == pytest.approx([1 - (1 - p) ** 3 for p in alone])


def test_a_single_run_makes_no_claim_and_none_is_made_of_it() -> None:
    lucky, best, other = [0.999], [0.95, 0.96, 0.955], [0.91, 0.93, 0.92]
    assert seeds.worse_than_best([lucky, best, other]) == [None, None, seeds.welch(best, other)]
    assert seeds.worse_than_best([lucky, [0.5]]) == [None, None]
    assert seeds.worse_than_best([[0.9, 0.9], [0.9, 0.9]]) == [None, None]


@pytest.mark.filterwarnings("ignore:Precision loss")  # scipy's, of the spread that is none
def test_the_spread_of_one_of_the_two_is_enough() -> None:
    ours, theirs = [0.8, 0.82, 0.81], [0.9, 0.9]
    expected = stats.ttest_1samp(ours, 0.9).pvalue
    assert seeds.welch(ours, theirs) == seeds.welch(theirs, ours) == pytest.approx(expected)


@pytest.mark.parametrize("spreads", [np.ones(20), np.geomspace(1, 4, 20)])
@pytest.mark.parametrize("runs", [3, 5])
def test_of_equal_recipes_the_first_is_seldom_called_better(runs: int, spreads: np.ndarray) -> None:
    """At most 5 % of the times, that is, however the 20 spread; 11 of 100 would be by chance in 1 % of the times."""
    random = np.random.RandomState(runs)
    wrong = 0
    for _ in range(100):
        recipes = (random.normal(size=(20, runs)) * spreads[:, None]).tolist()
        wrong += any(p is not None and p < 0.05 for p in seeds.worse_than_best(recipes))
    assert wrong <= 10
