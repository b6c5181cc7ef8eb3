"""What surrounds the code: the workflow of CI, the changelog, what git ignores, the rows of tests/breaking.py."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression
from ruamel.yaml import YAML

from pipeline import yaml12
from tests.breaking import BREAKS, Break
from tests.conftest import PIPELINE, RECIPES, ROOT, Project, commit, make_checkout

WORKFLOW = YAML(typ="safe").load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
JOBS = WORKFLOW["jobs"].values()
STEPS = [step for job in JOBS for step in job["steps"]]
COMPARISON = STEPS[-1]


def test_ci_runs_what_a_person_would() -> None:
    assert {"push", "pull_request"} <= set(WORKFLOW["on"])
    assert [step["run"] for step in STEPS if "run" in step] == [
        ".ci/run", ".ci/container", "make install", COMPARISON["run"],
    ]  # fmt: skip
    assert WORKFLOW["jobs"]["results"]["if"] == "github.event_name == 'pull_request'"
    for script in (".ci/run", ".ci/container", ".ci/pull-request"):
        assert os.access(ROOT / script, os.X_OK)
        subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_an_image_gets_what_a_clone_has_and_no_outputs() -> None:
    ignored = set((ROOT / ".dockerignore").read_text("utf-8").splitlines())
    assert {out for stage in PIPELINE.values() for out in stage.get("outs", [])} <= ignored
    assert {line.lstrip("/") for line in (ROOT / ".dvc/.gitignore").read_text("utf-8").split()} == {
        line.removeprefix(".dvc/") for line in ignored if line.startswith(".dvc/")
    }
    of_an_editor = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))["build"]
    assert f" AS {of_an_editor['target']}\n" in (ROOT / ".devcontainer" / of_an_editor["dockerfile"]).read_text("utf-8")


def test_dvc_ignores_no_folder_that_may_be_a_class() -> None:
    patterns = [line for line in (ROOT / ".dvcignore").read_text().splitlines() if line[0] != "#"]
    assert {"/.venv", "/mutants"} <= set(patterns)
    assert [pattern for pattern in patterns if pattern[0] not in "/._"] == []


@pytest.mark.slow
def test_results_of_a_pull_request_are_compared_if_they_hold(project: Project, tmp_path: Path) -> None:
    project.edit("learning_rate: 0.003", "learning_rate: 0.1")
    commit(project, "edited, not run")
    said, comment = proposed(project, tmp_path / "stale")
    assert (comment, said.count("\n")) == ("", 1)
    assert "train.learning_rate has changed since its results were made" in said
    project.repro()
    project.succeed("git", "commit", "-qa", "--amend", "--message", "another learning rate")
    said, comment = proposed(project, tmp_path / "honest")
    assert "| train.learning_rate | 0.003 | 0.1 |" in comment
    assert "proved: " in said


def proposed(project: Project, clone: Path) -> tuple[str, str]:
    """What CI's own line says and writes of a commit as a pull request, in a clone; results are in the cache alone."""
    project.succeed("git", "branch", "--force", "base", "HEAD~1")
    project.succeed("git", "clone", "-q", str(project.path), str(clone))
    Project(clone).succeed("dvc", "cache", "dir", "--local", str(project.path / ".dvc/cache"))
    summary = clone.with_suffix(".md")
    github = {"BASE": "base", "GITHUB_STEP_SUMMARY": str(summary)}
    done = Project(clone).run("bash", "-ec", COMPARISON["run"], **github, **project.forking())
    assert bool(done.returncode) == (not summary.read_text("utf-8")), done.stderr
    return done.stderr, summary.read_text("utf-8")


def test_ci_may_read_and_ends_and_uses_what_github_maintains() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [job for job in JOBS if "permissions" in job or not 0 < job["timeout-minutes"] <= 360] == []
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", action)] == []


def test_ci_has_a_python_that_the_project_takes() -> None:
    versions = {step["with"]["python-version"] for step in STEPS if "python-version" in step.get("with", {})}
    assert versions == {project()["requires-python"].removeprefix(">=")}


def project() -> dict[str, str]:
    """The table `project` of pyproject.toml."""
    table: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def test_the_version_has_a_heading_with_a_date_in_the_changelog() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(re.escape(f"[{project()['version']}]") + r" - \d{4}-\d\d-\d\d", headings[1])


@pytest.mark.slow
def test_who_changes_parameters_and_has_other_recipes_has_tests_that_pass(tmp_path: Path) -> None:
    """What holds the shipped figures says that it does not apply."""
    project = make_checkout(tmp_path / "skeleton")
    tree = yaml12.read(ROOT / "params.yaml")
    tree["dataset"]["path"] = "data/other"
    tree["normalise"]["validation"] = 7
    tree["train"] |= {"model": "cnn", "epochs": 1, "learning_rate": 0.1, "seed": 3, "schedule": "cosine"}
    (project.path / "params.yaml").write_text(json.dumps(tree))
    for name in RECIPES:
        (project.path / f"recipes/{name}.yaml").unlink()
    (project.path / "recipes/mine.yaml").write_text("# mine\ntrain: {epochs: 3}\n")
    table = project.path / "recipes/fingerprints.csv"
    table.write_text(table.read_text("utf-8").partition("\n")[0] + "\n")
    (project.path / "dvc.lock").unlink()
    shipped = "test_a_fresh_checkout_comes_to_the_committed_results"
    known = "test_every_shipped_recipe_has_a_known_fingerprint"
    which = f"{shipped} or test_recipes.py or {known} or names_the_recipe or harmed and recipe and section"
    said = project.succeed("python", "-m", "pytest", "-rs", "-k", which)  # which collects all of them first
    assert "params.yaml is not as shipped (tests/params.yaml)" in said
    for name in RECIPES:
        assert f"recipes/{name}.yaml is not there" in said


@pytest.mark.parametrize("link", [False, True], ids=["folder", "link"])
def test_git_ignores_an_environment_even_if_it_is_a_link(link: bool, tmp_path: Path) -> None:
    checkout = Project(tmp_path / "checkout")
    environment = tmp_path / "environment" if link else checkout.path / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").touch()
    checkout.path.mkdir(exist_ok=True)
    if link:
        (checkout.path / ".venv").symlink_to(environment)
    checkout.succeed("git", "init", "-q")
    (checkout.path / ".gitignore").write_text((ROOT / ".gitignore").read_text("utf-8"), "utf-8")
    assert checkout.succeed("git", "status", "--short") == "?? .gitignore\n"


@pytest.mark.slow
def test_each_row_selects_tests() -> None:
    listed = Project(ROOT).succeed("python", "-m", "pytest", "--collect-only").lower().splitlines()

    def selects(row: Break) -> bool:
        file, _, words = row.tests.partition(" -k ")
        chosen = Expression.compile(words.strip("'").lower())
        return any(not words or chosen.evaluate(name.__contains__) for name in listed if name.startswith(file))

    assert [name for name, row in BREAKS.items() if not selects(row)] == []


@pytest.mark.parametrize("row", BREAKS.values(), ids=list(BREAKS))
def test_what_a_row_breaks_and_the_tests_that_see_it_are_there(row: Break) -> None:
    assert row.old in (ROOT / row.file).read_text("utf-8")
    assert (ROOT / row.tests.split()[0]).is_file()
