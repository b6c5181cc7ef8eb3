"""Recipes ranked over their seeds."""

import csv
import json

import pytest
from scipy import stats

from mnist import leaderboard
from tests.conftest import Project, commit


@pytest.mark.slow
def test_runs_that_differ_in_their_seed_alone_are_one_recipe(project: Project) -> None:
    for seed in (1, 2):
        project.succeed("dvc", "exp", "run", "-q", "-S", f"train.seed={seed}", "-S", "train.epochs=1")
    project.succeed("git", "checkout", "-q", ".")
    (project.path / "notes.txt").write_text("the same run in another commit counts once")
    commit(project, "notes")
    ranked = json.loads(project.succeed("python", "-m", "mnist", "leaderboard", "--json"))
    assert ranked[0]["accuracy_mean"] >= ranked[1]["accuracy_mean"]
    one, two = sorted(ranked, key=lambda row: row["params"]["train.epochs"])
    assert [one["params"], two["params"]] == [{"train.epochs": 1}, {"train.epochs": 2}]
    assert (one["n"], two["n"]) == (2, 1)
    assert (two["accuracy_std"], two["p_value"]) == (None, None)
    assert one["best"] >= one["accuracy_mean"]
    shown = project.succeed("python", "-m", "mnist", "leaderboard")
    assert "train.epochs: 1" in shown
    assert "±" in shown
    narrow = project.succeed("python", "-m", "mnist", "leaderboard", COLUMNS="60")
    assert leaderboard.spread(one["loss_mean"], one["loss_std"]) in narrow
    table = list(csv.DictReader(project.succeed("python", "-m", "mnist", "leaderboard", "--csv").splitlines()))
    assert [row["n"] for row in table] == [str(row["n"]) for row in ranked]


def test_the_second_is_held_against_the_leader_by_welchs_t() -> None:
    ours, theirs = [0.91, 0.93, 0.92], [0.95, 0.96, 0.955, 0.951]
    assert leaderboard.welch(ours, theirs) == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    assert leaderboard.welch(ours, [0.95]) is None
    assert leaderboard.welch([0.9, 0.9], [0.9, 0.9]) is None


@pytest.mark.slow
def test_a_project_without_results_says_how_to_get_them(fresh: Project) -> None:
    done = fresh.run("python", "-m", "mnist", "leaderboard")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no commit or experiment has dvc.lock")
