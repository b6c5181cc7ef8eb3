"""Results older than what made them, where `dvc status` says nothing of it, or the same of those that are current."""

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mnist.commands.check import untracked
from pipeline import inputs, lock, stale, verify
from pipeline.revisions import Revision
from tests.conftest import Project, commit
from tests.test_compare import refused

SAME = "A and B are right on the same 300 images."
RUN = lock.Stage(
    cmd="python -m stages.train --epochs 2",
    deps=[lock.Entry(path="data/small", md5="0" * 32)],
    params={"params.yaml": {"train": {"epochs": 2}}, "pyproject.toml": {"project.dependencies": ["numpy"]}},
)
SECTION, FILE = ["train"], {"pyproject.toml": ["project.dependencies"]}
VALUES = {"dataset": {"path": "data/small"}, "train": {"epochs": 2, "resume": True}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"cmd": "python -m stages.train --epochs ${train.epochs}"}, []),
        ({"cmd": "python -m stages.train --epochs ${dataset.epochs}"}, ["cmd"]),
        ({"cmd": "python -m stages.train --epochs 3"}, ["cmd"]),
        ({"cmd": ["python -m stages.train --epochs 2"]}, ["cmd"]),
        ({"deps": ["${dataset.path}"]}, []),
        ({"deps": ["./data/small/"]}, []),
        ({"deps": []}, []),
        ({"deps": None}, []),
        ({"deps": ["data/small", "mnist/extra.py"]}, ["mnist/extra.py is new"]),
        ({"params": SECTION}, []),
        ({"params": [*SECTION, "plot"]}, ["plot is new"]),
        ({"params": [{"pyproject.toml": ["project.dependencies", "project.name"]}]}, ["project.name is new"]),
        ({"params": [{"other.yaml": ["a"]}]}, ["a is new"]),
        ({"params": [{"params.yaml": None}]}, []),
    ],
)
def test_what_dvc_yaml_says_that_a_stage_was_not_run_with_is_named(change: dict[str, Any], expected: list[str]) -> None:
    entry = {"cmd": RUN.cmd, "deps": ["data/small"], "params": [*SECTION, FILE], "always_changed": True, **change}
    assert list(stale.redefined(entry, RUN, VALUES)) == expected


def test_a_command_is_filled_in_as_dvc_does_it() -> None:
    ran = RUN.model_copy(update={"cmd": ["a --resume true", "b data/small"]})
    entry = {"cmd": ["a --resume ${train.resume}", "b ${dataset.path}"]}
    assert list(stale.redefined(entry, ran, VALUES)) == []


def test_what_was_made_again_after_what_was_made_from_it_is_named() -> None:
    made = lock.Lock(schema="2.0", stages={})
    for k, (read, written) in enumerate(("ra", "ab", "bc")):
        dep, out = lock.Entry(path=read, md5=f"{k}" * 32), lock.Entry(path=written, md5=f"{k + 1}" * 32)
        made.stages[written] = lock.Stage(cmd="true", deps=[dep], outs=[out])
    assert made.mixed("c") == []
    made.stages["a"].outs[0].md5 = "9" * 32
    assert made.mixed("c") == made.mixed("b") == ["a"]
    assert made.mixed("a") == []


def entry(project: Project, stage: str, line: str) -> None:
    """Add a line to a stage's entry of dvc.yaml."""
    project.edit(f"  {stage}:\n    cmd:", f"  {stage}:\n    {line}\n    cmd:", "dvc.yaml")


def follow(project: Project, line: str) -> None:
    """Run the command that a message names."""
    project.succeed("bash", "-ec", re.findall("`(.*?)`", line)[-1])


@pytest.mark.slow
def test_results_of_a_stage_that_dvc_always_runs_are_current_until_what_made_them_changes(project: Project) -> None:
    for stage in ("download", "evaluate"):
        entry(project, stage, "always_changed: true")
    assert project.succeed("dvc", "status", "evaluate").split() == ["evaluate:", "always", "changed"]
    commit(project, "always run")
    assert SAME in project.mnist("compare", "HEAD~1", "workspace")
    assert "report.html" in project.mnist("report")
    assert "cache: 25 of 25 objects" in project.mnist("check")
    project.edit("evaluate:\n  batch_size: 1000", "evaluate:\n  batch_size: 999")
    line = refused(project)
    assert "workspace: evaluate.batch_size has changed since its results were made" in line
    follow(project, line)
    assert SAME in project.mnist("compare")
    project.edit("answers to images.", "answers to some images.", "mnist/predict.py")
    assert "workspace: mnist/predict.py has changed" in refused(project)
    commit(project, "edited, not run")
    assert "HEAD: mnist/predict.py has changed" in refused(project, "HEAD~1", "HEAD")


@pytest.fixture
def fetching(project: Project) -> Project:
    """One whose data are made by a stage that depends on nothing."""
    stage = "  fetch:\n    cmd: cp -r ${train.device}/store data/small\n    outs: [data/small]\n"
    project.edit("stages:\n", f"stages:\n{stage}", "dvc.yaml")
    project.succeed("bash", "-ec", "git rm -rq --cached data/small; mkdir cpu; mv data/small cpu/store")
    assert project.repro() == ["fetch"]
    commit(project, "fetched")
    return project


@pytest.mark.slow
def test_results_that_begin_with_a_stage_without_dependencies_are_current_until_its_command_changes(
    fetching: Project,
) -> None:
    assert SAME in fetching.mnist("compare", "HEAD~1", "workspace")
    assert SAME in fetching.mnist("compare", "HEAD~1", "HEAD")
    assert "report.html" in fetching.mnist("report", "HEAD")
    fetching.edit("learning_rate: 0.003", "learning_rate: 0.1")
    assert "workspace: train.learning_rate has changed" in refused(fetching)
    fetching.succeed("git", "checkout", "-q", "params.yaml")
    fetching.edit("cmd: cp -r", "cmd: cp -rL", "dvc.yaml")
    says = "dvc.yaml (stages: fetch: cmd) has changed since its results were made"
    assert f"workspace: {says}" in refused(fetching)
    commit(fetching, "another command, not run")
    assert f"HEAD: {says}" in refused(fetching, "HEAD~1", "HEAD")
    done = fetching.inside("report", "HEAD")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"HEAD: {says}" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("keeper", ["git", "nobody", "dvc"])
def test_results_of_a_frozen_stage_are_older_than_data_edited_since(keeper: str, project: Project) -> None:
    if keeper != "git":
        project.succeed("bash", "-ec", "git rm -rq --cached data/small; echo small >> data/.gitignore")
    if keeper == "dvc":
        project.succeed("dvc", "add", "-q", "data/small")
    entry(project, "download", "frozen: true")
    commit(project, "frozen")
    assert SAME in project.mnist("compare")
    labels = project.path / "data/small/train-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.unlink()  # a link into the cache, if DVC keeps it
    labels.write_bytes(whole[:-1] + bytes([(whole[-1] + 1) % 10]))
    line = refused(project)
    assert "workspace: data/small has changed since its results were made" in line
    assert line.endswith("; take `frozen: true` off download in dvc.yaml and run `dvc repro` first\n")
    if keeper == "git":
        project.edit("    frozen: true\n", "", "dvc.yaml")
        follow(project, line)
        assert "A: HEAD   B: workspace" in project.mnist("compare")
        commit(project, "edited and run")
        project.succeed("git", "rm", "-q", "data/small/t10k-labels-idx1-ubyte")
        commit(project, "fewer files, not run")
        assert "HEAD: data/small has changed since its results were made" in refused(project, "HEAD~1", "HEAD")


@pytest.mark.slow
def test_results_of_a_frozen_stage_are_no_run_of_data_made_again_before_it(project: Project) -> None:
    ranked = project.mnist("leaderboard", "--csv")
    project.succeed("dvc", "freeze", "-q", "train")
    project.edit("mean: 0.5", "mean: 0.4")
    assert project.repro("evaluate") == ["normalise", "evaluate"]
    assert "workspace: data/normalised has changed since its results were made" in refused(project)
    commit(project, "run but for the training")
    line = refused(project, "HEAD~1", "HEAD")
    assert "HEAD: data/normalised has changed since its results were made" in line
    done = project.inside("leaderboard", "--csv")
    assert done.stdout == ranked
    head = project.succeed("git", "rev-parse", "HEAD")[:7]
    assert done.stderr == f"{head}: data/normalised was made again after what was made from it; left out\n"


def test_data_in_a_folder_that_dvc_tracks_are_seen_to_change_from_commit_to_commit(project: Project) -> None:
    names = ["data/own/letters", "data/own/letters/train-labels-idx1-ubyte"]
    shutil.copytree(project.path / "data/small", project.path / names[0])
    (project.path / "data/own/other").write_text("not read")
    found = []
    with contextlib.chdir(project.path):
        for end in ("", "\1"):
            with Path(names[1]).open("a") as file:
                file.write(end)
            project.succeed("dvc", "add", "-q", "data/own")
            commit(project, "data in a folder that DVC tracks")
            assert [untracked(name) for name in names] == [None, None]
            found.append([lock.Entry(path=path, md5=md5) for path, md5 in inputs.digests(names).items()])
        for name, here in {"HEAD~1": found[0], "HEAD": found[1]}.items():
            revision = Revision(name)
            for recorded in found:
                assert [stale.digest(revision, entry) for entry in recorded] == [entry.md5 for entry in here]
        listing = verify.cached(str(lock.parse_tracked(Path("data/own.dvc").read_bytes(), "own")))
        listing.unlink()
        assert [stale.digest(revision, entry) for entry in found[0]] == [entry.md5 for entry in found[0]], "who knows"
        Path("data/own.dvc").rename("data/own/letters.dvc")
        project.succeed("git", "rm", "-q", "--cached", "data/own.dvc")
        assert untracked(names[1]) == "commit data/own/letters.dvc"
