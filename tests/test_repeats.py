"""Two recipes held against each other over their seeds."""

import json
import re
from typing import Any

import numpy as np
import pytest

from mnist import predictions, seeds
from mnist.dataset import Array
from mnist.predictions import FILE, Predictions
from pipeline import lock
from tests.conftest import SMALL, Project, commit


def test_the_difference_of_two_recipes_is_that_of_their_means() -> None:
    random = np.random.RandomState(0)
    a, b = random.random_sample((3, 1000)) < 0.8, random.random_sample((4, 1000)) < 0.9
    found = seeds.difference(a, b)
    assert found.value == pytest.approx(b.mean() - a.mean())
    assert found.low < found.value < found.high
    assert seeds.difference(b, a) == pytest.approx((-found.value, -found.high, -found.low))
    same = np.ones((2, 10), bool)
    assert seeds.difference(same, same) == (0, 0, 0)


@pytest.mark.parametrize(("a", "b"), [([1, 0, 0], [1, 1]), ([1, 1], [1, 1])])
def test_one_image_says_nothing_of_recipes(a: list[int], b: list[int]) -> None:
    found = seeds.difference(*(np.array(side, bool)[:, None] for side in (a, b)))
    assert found == (pytest.approx(np.mean(b) - np.mean(a)), -1, 1)


@pytest.mark.parametrize(("runs", "spread"), [(2, 0.02), (3, 0.02), (3, 0.0), (8, 0.002)])
def test_its_interval_covers_as_often_as_it_says_whether_seeds_or_images_decide(runs: int, spread: float) -> None:
    """An image is easy or hard for all runs; a run is right on the easy ones more or less often."""
    random = np.random.RandomState(runs)
    covered = 0
    for _ in range(400):
        easy = random.random_sample(1000) < 0.7
        sides = []
        for accuracy in (0.8, 0.85):
            skill = random.normal(accuracy, spread, (runs, 1))
            sides.append(random.random_sample((runs, 1000)) < np.where(easy, skill, 0.5 * skill))
        found = seeds.difference(*sides)
        covered += found.low <= 0.05 * (0.7 + 0.3 * 0.5) <= found.high
    assert 0.92 <= covered / 400 <= 0.99


def run_again(project: Project, seed: int, right: Array) -> None:
    """Commit a run that is made up: with this seed, and right on these test images."""
    table, locked = project.path / FILE, project.path / lock.FILE
    known = predictions.read([str(k) for k in range(10)], table)
    predicted = np.where(right, known.actual, (known.actual + 1) % 10)
    chances = np.full((len(right), 10), 0.05, np.float32)
    chances[np.arange(len(right)), predicted] = 0.55
    table.unlink()  # it may be a link to the cache
    predictions.write(Predictions(known.classes, known.actual, predicted, chances), table)
    content = locked.read_text()
    for old, new in {
        r"(path: metrics/predictions\.csv\n +hash: md5\n +md5: )\w+": lock.digest(table.read_bytes()),
        r"( seed: )\d+(?=\n +threads)": seed,
    }.items():
        content, count = re.subn(old, rf"\g<1>{new}", content)
        assert count
    locked.write_text(content)
    parameters = project.path / "params.yaml"
    parameters.write_text(re.sub(r"(seed: )\d+(?= +# of the initial)", rf"\g<1>{seed}", parameters.read_text()))
    project.succeed("git", "add", "-f", str(FILE))
    commit(project, f"seed {seed}")


def other_recipe(project: Project, rate: str = "0.003") -> None:
    """A learning rate of ten times this from here on."""
    for file in ("params.yaml", "dvc.lock"):
        project.edit(f"learning_rate: {rate}", f"learning_rate: {float(rate) * 10:g}", file)


def compared(project: Project, *names: str) -> Any:
    return json.loads(project.mnist("compare", *names, "--json"))["recipes"]


def answers(correct: int) -> Array:
    return np.arange(SMALL["test"]) < correct


@pytest.mark.slow
def test_recipes_with_several_seeds_are_compared_by_all_that_git_knows(project: Project) -> None:
    first = [200, 203, 196]
    for seed, correct in enumerate(first, 1):
        run_again(project, seed, answers(correct))
    other_recipe(project)
    run_again(project, 1, answers(262))
    assert compared(project, "HEAD~1", "HEAD") is None, "one run of B is no recipe"
    done = project.inside("compare", "HEAD~1", "HEAD", "--gate-recipe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: HEAD~1 and HEAD: --gate-recipe needs the results of two seeds ")
    run_again(project, 2, answers(258))
    found = compared(project, "HEAD~2", "HEAD")
    expected = seeds.difference(*(np.array([answers(k) for k in side]) for side in (first, [262, 258])))
    assert (found["a"]["n"], found["b"]["n"]) == (4, 2), "the project's own run is one of A"
    own = compared(project, "HEAD", "HEAD~2")
    assert own["difference_low"] == pytest.approx(-found["difference_high"])
    assert found["b"] == {
        "n": 2,
        "accuracy_mean": pytest.approx(260 / 300),
        "accuracy_std": pytest.approx(8**0.5 / 300),
    }
    assert found["accuracy_difference"] > expected.value, "that run is less accurate"
    assert compared(project, "HEAD~1", "HEAD") is None, "they are runs of one recipe"
    project.mnist("compare", "HEAD~1", "HEAD", "--gate-recipe")


@pytest.mark.slow
def test_the_gate_of_recipes_judges_by_them_and_the_last_sentence_says_so(project: Project) -> None:
    other_recipe(project)
    for seed, correct in ((1, 260), (2, 262), (3, 258)):
        run_again(project, seed, answers(correct))
    project.succeed("git", "tag", "better")
    other_recipe(project, "0.03")
    for seed, correct in ((1, 200), (2, 204), (3, 262)):
        run_again(project, seed, answers(correct))
    # this one network of B is better, its recipe is not
    project.mnist("compare", "better", "HEAD", "--gate")
    project.mnist("compare", "HEAD", "better", "--gate-recipe")
    assert "that may be the chance of seeds and images" in project.mnist("compare", "better", "HEAD", "--gate-recipe")
    run_again(project, 3, answers(208))
    run_again(project, 4, answers(199))
    done = project.inside("compare", "better", "HEAD", "--gate-recipe")
    assert (done.returncode, done.stderr) == (
        1, "error: HEAD: its recipe is significantly less accurate than that of better; --gate-recipe stops it\n",
    )  # fmt: skip
    assert re.search(r"The recipe of B is worse by \d+\.\d\d points, 95 % between .*; this is more than", done.stdout)
    assert "accuracy over seeds" in done.stdout
    project.mnist("compare", "HEAD", "better", "--gate-recipe")


@pytest.mark.slow
def test_a_run_whose_predictions_are_gone_is_left_out_of_its_recipe(project: Project) -> None:
    run_again(project, 1, answers(200))
    run_again(project, 2, answers(203))
    project.succeed("git", "rm", "-q", "--cached", str(FILE))
    project.succeed("git", "commit", "-q", "--amend", "--no-edit")  # a cache never had them
    gone = project.succeed("git", "rev-parse", "HEAD")[:7]
    run_again(project, 3, answers(196))
    other_recipe(project)
    for seed, correct in ((1, 262), (2, 258)):
        run_again(project, seed, answers(correct))
    done = project.inside("compare", "HEAD~2", "HEAD", "--json")
    assert re.fullmatch(rf"{gone}: left out of its recipe; {gone}.*\n", done.stderr)
    assert json.loads(done.stdout)["recipes"]["a"]["n"] == 3, "with the project's own run"
