"""Recipes ranked over their seeds."""

import csv
import json
import re

import pytest
from scipy import stats

from mnist.commands import leaderboard
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


def committed(project: Project, message: str, *edits: tuple[str, str, str]) -> None:
    """Commit a run that is made up: each edit is a file, an old text and a new one."""
    for file, old, new in edits:
        path = project.path / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
    commit(project, message)


def ranked(project: Project) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(project.succeed("python", "-m", "mnist", "leaderboard", "--json"))
    return found


@pytest.mark.slow
def test_a_seed_counts_once_with_its_newest_result(project: Project) -> None:
    accuracy = json.loads((project.path / "metrics/evaluate.json").read_text())["accuracy"]
    evaluate = ("metrics/evaluate.json", f'"accuracy": {accuracy}', '"accuracy": 0.5')
    committed(project, "the same parameters, other code", evaluate)
    (row,) = ranked(project)
    assert (row["n"], row["accuracy_mean"]) == (1, 0.5)


@pytest.mark.slow
def test_runs_on_other_data_are_not_taken_together_nor_held_against_each_other(project: Project) -> None:
    lock = (project.path / "dvc.lock").read_text("utf-8")
    digest = re.findall(r"path: data/raw\n +hash: md5\n +md5: (\w+)", lock)[0]
    for seed in (1, 2, 3, 4):
        edits = [("dvc.lock", f" seed: {seed - 1}\n          threads", f" seed: {seed}\n          threads")]
        if seed == 3:
            edits.append(("dvc.lock", digest, "0" * 32))
        committed(project, "another seed, and from the third on other data", *edits)
    rows = ranked(project)
    assert {row["n"] for row in rows} == {2, 3}
    assert [row["p_value"] for row in rows] == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("content", ['{"n": 1', "[]", '{"accuracy": "high", "loss": 1}', "caf\xe9"])
def test_a_damaged_commit_is_left_out_with_a_line_that_names_it(content: str, project: Project) -> None:
    before = ranked(project)
    (project.path / "metrics/evaluate.json").write_text(content, "latin-1")
    commit(project, "damaged")
    done = project.run("python", "-m", "mnist", "leaderboard", "--json")
    assert json.loads(done.stdout) == before
    head = project.succeed("git", "rev-parse", "HEAD")[:7]
    assert done.stderr == f"{head}: its dvc.lock or metrics/evaluate.json is damaged; left out\n"


@pytest.mark.slow
def test_a_project_without_results_says_how_to_get_them(fresh: Project) -> None:
    done = fresh.run("python", "-m", "mnist", "leaderboard")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no commit or experiment has dvc.lock")
