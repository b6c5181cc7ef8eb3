"""Sweeps: what a file may say, trials that no kill loses, and experiments that are real ones."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from mnist.commands import found, space, trials
from mnist.commands import sweep as command
from pipeline import database, files, params, sandbox, study, workers, yaml12
from pipeline.errors import InputError
from tests.conftest import PATIENCE, SHIPPED, Project, commit

FILE = """\
sweep: {trials: 2, seeds: [1, 2], objective: loss, sampler: tpe, seed: 0, pruning: false}
fixed: {train.epochs: 1}
search:
  train.learning_rate: {low: 0.01, high: 0.1, log: true}
"""
SHORT = FILE.replace("seeds: [1, 2]", "seeds: [1]")
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("learning_rate", "learning_rat", r"train\.learning_rat: unknown key; did you mean train\.learning_rate\?"),
        ("low: 0.01", "low: 0", r"train\.learning_rate: should be greater than 0, not 0|low should be above 0"),
        ("high: 0.1,", "high: 2000.0,", r"train\.learning_rate: should be less than or equal to 1000, not 2000"),
        ("high: 0.1,", "high: 0.001,", r"train\.learning_rate: low, 0\.01, should be less than high, 0\.001; fix them"),
        ("low: 0.01, high: 0.1, log: true", "choices: [0.01, 0.1]", r"train\.learning_rate: a number, .*give low and"),
        ("{low: 0.01, high: 0.1, log: true}", "0.1", r"train\.learning_rate: should be \{low: …, high: …\} or .* not 0"),
        ("low: 0.01, ", "", r"train\.learning_rate\.low: missing; every key is needed"),
        ("learning_rate", "batch_size", r"train\.batch_size: low and high should be integers; make them so"),
        ("learning_rate", "optimizer", r"train\.optimizer: has no numbers between low and high; give choices"),
        ("train.learning_rate: {", "train.optimizer: {choices: [sgd, adm]} #", r"train\.optimizer: .*did you mean adam"),
        ("train.learning_rate: {", "train.seed: {low: 1, high: 2} #", r"train\.seed: not for a sweep: sweep\.seeds has"),
        ("train.learning_rate: {", "normalise.validation: {low: 1, high: 2} #", r"other validation images .*; remove"),
        ("train.learning_rate: {", "dataset.path: {choices: [a, b]} #", r"trials on other data could not be compared"),
        ("train.epochs: 1", "train.epochs: 0", r"train\.epochs: should be greater than or equal to 1, not 0"),
        ("train.epochs", "train.learning_rate", r"train\.learning_rate: both fixed and searched; remove one of them"),
        ("{train.epochs: 1}", "[train.epochs]", r"fixed: should be keys of params\.yaml, not a list"),
        ("seeds: [1, 2]", "seeds: [1, 1]", r"sweep\.seeds: 1 comes twice, and would count twice; remove one"),
        ("seeds: [1, 2]", "seeds: []", r"sweep\.seeds: should "),
        ("{trials: 2", "{name: one two, trials: 2", r"sweep\.name: should be up to 60 letters, digits, - and _, not 'one two'; give"),
        ("trials: 2", "trials: 0", r"sweep\.trials: should be greater than or equal to 1, not 0"),
        ("trials: 2", "trails: 2", r"sweep\.trails: unknown key; did you mean trials\?"),
        ("sampler: tpe", "sampler: tp", r"sweep\.sampler: should be 'tpe' or 'random', not 'tp'; did you mean tpe\?"),
        ("search:", "searched:", r"searched: unknown key; did you mean search\?"),
        ("fixed: {", "fixed: {train.optimizer: adam, train.momentum: 0.5, ", r"momentum is for sgd; .*set train.momentum"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say_is_refused_in_a_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert FILE.count(old) == 1
    path = tmp_path / "one.yaml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(InputError, match=says) as caught:
        space.read(path, yaml12.read(SHIPPED))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_combination_that_the_schema_refuses_is_found_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(FILE + "  train.momentum: {low: 0.0, high: 0.9}\n  train.optimizer: {choices: [adam, sgd]}\n")
    with pytest.raises(InputError, match="momentum is for sgd; adam has its own"):
        space.read(path, yaml12.read(SHIPPED))


def test_without_validation_images_or_a_file_there_is_nothing_to_choose_by(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(FILE)
    tree = yaml12.read(SHIPPED)
    tree["normalise"]["validation"] = 0
    with pytest.raises(InputError, match=r"^params\.yaml: normalise\.validation: 0, .*; set it to"):
        space.read(path, tree)
    with pytest.raises(InputError, match=r"tow\.yaml: no such file; did you mean .*one\.yaml\?"):
        space.read(tmp_path / "tow.yaml", tree)


def test_a_file_whose_name_is_no_experiments_needs_another_name_in_it(tmp_path: Path) -> None:
    path = tmp_path / "one (copy).yaml"
    path.write_text(FILE)
    says = r"copy\)\.yaml: sweep\.name: should be .*, not 'one \(copy\)', as the file is called; give it such a name$"
    with pytest.raises(InputError, match=says):
        space.read(path, yaml12.read(SHIPPED))
    path.write_text(FILE.replace("{trials", "{name: '', trials"))
    with pytest.raises(InputError, match=r"sweep\.name: should be .*, not ''; give it such a name$"):
        space.read(path, yaml12.read(SHIPPED))
    path.write_text(FILE.replace("{trials", f"{{name: {'a' * 60}, trials"))
    assert space.read(path, yaml12.read(SHIPPED)).name == "a" * 60


def test_numbers_are_rounded_within_their_range() -> None:
    searched = space.Range(low=0.0123423, high=0.0987654)
    assert [trials.rounded(value, searched) for value in (0.0123424, 0.02345678, 0.0987653)] == [
        0.0123423, 0.02346, 0.0987654,
    ]  # fmt: skip
    assert trials.rounded(7, space.Range(low=1, high=9)) == 7
    assert trials.rounded("sgd", space.Choices(choices=["sgd", "adam"])) == "sgd"


def settings(count: int = 3, sampler: str = "tpe", log: bool = False, **identity: Any) -> study.Settings:
    """A study of one number."""
    return study.Settings(
        "one", count, {"train.learning_rate": FloatDistribution(0.01, 0.1, log=log)}, "minimize", study.Sampler(sampler, 0), True,
        {"mnist/training.py": "a", **identity},
    )  # fmt: skip


def opened(path: Path, mine: str = "here:/a", given: study.Settings | None = None, **options: str) -> study.Study:
    """A study in a file."""
    url = f"sqlite:///{path}" + "".join(f"?{key}={value}" for key, value in options.items())
    return study.Study(url, given or settings(), mine, SAID.append, threading.Event())


SAID: list[str] = []


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_killed_workers_trial_is_taken_with_its_parameters_and_the_rest_come_out_the_same(
    kind: str, tmp_path: Path
) -> None:
    found = []
    for name, kills in (("a.db", 0), ("b.db", 3)):
        drawn = []
        here = opened(tmp_path / name, given=settings(5, kind))
        while trial := here.claim():
            drawn.append((trial.number, here.parameters(trial)))
            if kills:  # and here the process ends
                kills -= 1
                here = opened(tmp_path / name, given=settings(5, kind))
                again = here.claim()
                assert again
                assert (again.number, here.parameters(again)) == drawn[-1]
                trial = again
            here.tell(trial, drawn[-1][1]["train.learning_rate"])
        found.append(drawn)
        assert [trial.state for trial in here.study.trials] == [TrialState.COMPLETE] * 5
    assert found[0] == found[1]
    assert [number for number, _ in found[0]] == list(range(5))
    assert len({str(values) for _, values in found[0]}) == 5


def test_no_two_workers_get_one_trial_and_the_first_result_counts(tmp_path: Path) -> None:
    one = opened(tmp_path / "a.db")
    first, second = one.claim(), one.claim()
    assert first
    assert second
    assert (first.number, second.number) == (0, 1)
    one.tell(first, 0.5)
    one.tell(first, 0.7)
    assert one.frozen(first).value == 0.5
    one.release(one.frozen(first))
    assert one.frozen(first).state == TrialState.COMPLETE
    more = opened(tmp_path / "a.db", given=settings(5))
    assert [trial.state.name for trial in more.trials()] == ["COMPLETE"] + ["WAITING"] * 4


def test_a_trial_whose_worker_shows_no_life_is_anothers_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(tmp_path / "a.db", given=settings(1))
    other = opened(tmp_path / "a.db", "there:/b", settings(1))
    trial = one.claim()
    assert trial
    assert other.claim() is None
    monkeypatch.setattr(study, "PATIENCE", -1.0)  # the while has passed
    one.beat(trial)
    assert other.claim() is None, "a sign of life"
    again = other.claim()
    assert again
    assert again.number == trial.number
    assert [other.claim(), other.claim()] == [None, None], "one's own is not taken from oneself"


def test_a_study_of_another_space_or_code_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "a.db")
    opened(tmp_path / "a.db")
    says = "^one: there is a search of this name already, with another mnist/training.py; give this one another sweep"
    with pytest.raises(InputError, match=says):
        opened(tmp_path / "a.db", given=settings(**{"mnist/training.py": "b"}))
    with pytest.raises(InputError, match=r"another search: train\.momentum; give"):
        opened(tmp_path / "a.db", given=settings(**{"search: train.momentum": {"low": 0}}))


def test_a_database_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = opened(tmp_path / "a.db", timeout="0.01")
    trial = here.claim()
    assert trial
    SAID.clear()
    holder = sqlite3.connect(tmp_path / "a.db", check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(database, "AGAIN", 0.01)
    teller = threading.Thread(target=here.tell, args=(trial, 0.5))
    teller.start()
    while not SAID:
        teller.join(0.01)
        assert teller.is_alive()
    holder.execute("ROLLBACK")
    teller.join()
    assert SAID == [
        "the search's database is away (database is locked); waiting until it is back",
        "the search's database is back",
    ]
    assert here.frozen(trial).value == 0.5
    holder.execute("BEGIN EXCLUSIVE")
    here.storage.stop.set()
    with pytest.raises(database.StopError):
        here.trials()
    holder.execute("ROLLBACK")


def test_a_database_that_cannot_be_used_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("not a database, and long enough to see that" * 10)
    with pytest.raises(InputError, match=r"^the search's database: file is not a database; move .*a\.db away$"):
        opened(tmp_path / "a.db")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{closed.getsockname()[1]}/none"
        with pytest.raises(InputError, match=r"^the search's database: conn.*; start it, or fix the address, and run"):
            database.connect(url)
    with pytest.raises(InputError, match=r"^the search's database: Could not parse .*; start it, or fix the address"):
        database.connect("nowhere")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """A folder with DVC's, to be in."""
    (folder / ".dvc/tmp").mkdir(parents=True)
    with contextlib.chdir(folder):
        yield


def test_two_sweeps_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    with inside(tmp_path):
        with (
            workers.alone(),
            pytest.raises(InputError, match=rf"\(process {os.getpid()}\); .* --storage$"),
            workers.alone(),
        ):
            pass
        with workers.alone():
            pass


def test_params_yaml_is_edited_and_keeps_its_comments() -> None:
    content = SHIPPED.read_text()
    new = params.edited(content, {"train.learning_rate": 0.05, "dataset.download": None}, "x.yaml").decode()
    assert new.replace("0.05 ", "0.003", 1) == content
    with pytest.raises(InputError, match=r"^x\.yaml: trian: not a section of params\.yaml with keys below it; fix it$"):
        params.edited(content, {"trian.epochs": 1}, "x.yaml")


def swept(project: Project, content: str = SHORT, name: str = "one") -> Project:
    """A project with a sweep's file."""
    (project.path / f"sweeps/{name}.yaml").write_text(content)
    return project


def sweep(project: Project, *options: str) -> str:
    """A sweep that has to succeed."""
    return project.succeed("python", "-m", "mnist", "sweep", "sweeps/one.yaml", *options)


def table(project: Project) -> list[tuple[int, str, float, dict[str, Any]]]:
    """All trials of a study: number, state, value and parameters."""
    trials = optuna.load_study(study_name="one", storage=f"sqlite:///{project.path}/sweeps/one.db").trials
    return [(each.number, each.state.name, each.value or 0, each.params) for each in trials]


def names(project: Project) -> list[str]:
    """The names of all experiments."""
    return sorted(project.succeed("git", "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").split())


def test_data_that_are_not_as_committed_are_refused_before_anything_runs(fresh: Project) -> None:
    def ready(path: str, says: str = "") -> None:
        with contextlib.chdir(fresh.path), pytest.raises(InputError, match=says) if says else contextlib.nullcontext():
            command.check_committed(yaml12.parse(SHIPPED.read_bytes().replace(b"data/mnist", path.encode()), path))

    labels = "data/small/train-labels-idx1-ubyte"
    letters = shutil.copytree(fresh.path / "data/small", fresh.path / "data/own/letters")
    ready("data/small")
    (fresh.path / labels).write_text("another")
    ready("data/small", f"^{labels}: not as committed, and a sweep runs what is; commit it, or take it back$")
    fresh.succeed("git", "checkout", "-q", labels)
    (fresh.path / "data/small/note").write_text("new")
    ready("data/small", "^data/small/note: not as committed")
    ready("data/own/letters", "^data/own/letters: the sweep's workers do not find it; `dvc add data/own/letters`")
    fresh.succeed("dvc", "add", "-q", "data/own")
    ready("data/own/letters", r"^data/own/letters: the sweep's workers do not find it; commit data/own\.dvc$")
    commit(fresh, "data that DVC tracks")
    ready("data/own/letters")
    (letters / "train-labels-idx1-ubyte").write_text("another")
    ready(
        "data/own/letters", r"^data/own: not as data/own\.dvc has it, .*; `dvc add data/own` and commit that, or `dvc "
    )
    fresh.succeed("dvc", "add", "-q", "data/own")
    ready("data/own/letters", r"^data/own\.dvc: not as committed")


def made(project: Project) -> sandbox.Sandbox:
    """The checkout of a worker of a sweep in a project."""
    commit = project.succeed("git", "rev-parse", "HEAD").strip()
    place = project.path / ".dvc/tmp/sweep/worker0"
    return sandbox.Sandbox(place, commit, trials.STAGE, (project.path / params.FILE).read_text())


def test_why_an_experiment_cannot_be_kept_is_said_as_it_is(project: Project) -> None:
    with contextlib.chdir(project.path):
        here = made(project)
        first = here.save("one-000-s1")
        with pytest.raises(InputError, match=r"^one-000-s1: another experiment has this name by now; `dvc"):
            here.save("one-000-s1")
        assert here.save("one-000-s1", first) in project.succeed(
            "git", "rev-parse", f"refs/exps/{base(project)}/one-000-s1"
        )
        Path(f".git/refs/exps/{base(project)}/one-001-s1.lock").touch()
        with pytest.raises(
            InputError, match=r"^one-001-s1: git does not keep this experiment \(.*File exists.*\); put th"
        ):
            here.save("one-001-s1")


def test_a_search_that_is_over_is_reported_though_its_database_is_away_just_then(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(project)
    monkeypatch.setattr(database, "AGAIN", 0.01)
    url = f"sqlite:///{project.path}/sweeps/one.db"
    holder = sqlite3.connect(project.path / "sweeps/one.db", isolation_level=None)
    said = []

    def say(line: str) -> None:
        said.append(line)
        if "is away" in line:
            holder.execute("ROLLBACK")

    with contextlib.chdir(project.path):
        kind = trainings(project)
        given = command.study_of(kind)
        here = study.Study(url, given, "here:/a", print, threading.Event())
        while trial := here.claim():
            here.parameters(trial)
            trial.set_user_attr("seed 1", {"loss": 0.5})
            here.tell(trial, 0.5)
        content = (project.path / params.FILE).read_text()
        search = workers.Search(given, kind, trials.STAGE, content, f"{url}?timeout=0.01", say)
        done = search.run(1, print)
        holder.execute("BEGIN EXCLUSIVE")
        assert "best: trial 0, validation loss 0.5000" in found.report(done, kind)
    assert [line.partition("(")[0] for line in said] == [
        "the search's database is away ",
        "the search's database is back",
    ]


def test_a_trial_that_diverged_is_not_counted_as_pruned(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(SHORT)
    tree = yaml12.read(SHIPPED)
    here = opened(tmp_path / "a.db")
    for attribute, value in (("failed", None), ("pruned", None), ("seed 1", 0.5)):
        trial = here.claim()
        assert trial
        here.parameters(trial)
        trial.set_user_attr(attribute, {"loss": value})
        here.tell(trial, value)
    lines = found.report(here, trials.Trainings(space.read(path, tree), tree))
    assert lines[0].startswith("3 trials, 1 of them pruned, 1 diverged; all runs together took")


def test_a_search_that_can_show_no_sign_of_life_ends_with_the_reason(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(project, SHORT.replace("trials: 2", "trials: 1").replace("epochs: 1", "epochs: 50"))
    monkeypatch.setattr(workers, "BEAT", 0.01)
    with contextlib.chdir(project.path):
        kind = trainings(project)
        given = command.study_of(kind)
        opened(Path("sweeps/one.db"), given=given)
        with contextlib.closing(sqlite3.connect("sweeps/one.db")) as holder:
            fails = "SELECT zeroblob(2000000000)"  # more than SQLite can have
            when = "BEFORE INSERT ON trial_user_attributes WHEN NEW.key = 'beats'"
            holder.execute(f"CREATE TRIGGER none {when} BEGIN {fails}; END")
        search = workers.Search(given, kind, trials.STAGE, params.FILE.read_text(), "sqlite:///sweeps/one.db", print)
        with pytest.raises(InputError, match=r"^the search's database: .*string or blob too big; see its log$"):
            search.run(1, print)
    assert names(project) == []


def test_data_that_a_workers_checkout_cannot_have_are_an_error_in_a_line(project: Project) -> None:
    (project.path / "data/own.dvc").write_text("outs: none\n")
    project.succeed("git", "add", "data/own.dvc")
    project.succeed("git", "commit", "-q", "-m", "damaged")
    says = (
        "^[0-9a-f]{12}: its data cannot be brought into a worker's checkout: .*own.*; see that `dvc checkout` does it"
    )
    with contextlib.chdir(project.path), pytest.raises(InputError, match=says) as caught:
        made(project)
    assert "\n" not in str(caught.value)


def test_the_best_recipe_is_printed_as_sections_of_params_yaml() -> None:
    values = {"train.epochs": 2, "normalise.mean": "auto", "train.class_weights": None, "train.start_from": "1e5"}
    lines = found.as_yaml(values)
    assert lines[:3] == ["train:", "  epochs: 2", "  class_weights: null"]
    assert params.flat(yaml12.parse("\n".join(lines).encode(), "printed")) == values


@pytest.mark.parametrize("half", ["train: [1", "train:", "train: {epochs: 1}"])
def test_params_yaml_half_edited_meanwhile_is_refused_in_a_line_and_stays(
    half: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params.FILE.write_text(half)
    with pytest.raises(InputError, match=r"^params\.yaml[:,] ") as caught:
        command.write({"train.epochs": 1}, Path("sweeps/one.yaml"))
    assert "\n" not in str(caught.value)
    assert params.FILE.read_text() == half
    params.FILE.write_bytes(SHIPPED.read_bytes())
    with pytest.raises(InputError, match=r"^sweeps/one\.yaml: train\.epochs: should be "):
        command.write({"train.epochs": 0}, Path("sweeps/one.yaml"))
    command.write({"train.epochs": 7}, Path("sweeps/one.yaml"))
    assert yaml12.read(params.FILE)["train"]["epochs"] == 7


def test_a_damaged_experiment_that_began_with_another_commit_is_replaced(project: Project) -> None:
    with contextlib.chdir(project.path):
        before = made(project).save("one-000-s1")
        project.succeed("git", "commit", "-q", "--allow-empty", "-m", "another")
        again = made(project).save("one-000-s1", before)
    refs = project.succeed("git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").split()
    assert refs == [f"refs/exps/{base(project)}/one-000-s1", again]


@pytest.mark.slow
@pytest.mark.parametrize("dvc", [".", "project"])
def test_in_a_larger_repository_a_worker_shares_states_and_clears_what_a_kill_has_locked(
    dvc: str, fresh: Project, tmp_path: Path
) -> None:
    outer = Project(tmp_path / "outer")
    shutil.copytree(fresh.path, outer.path / "project", ignore=shutil.ignore_patterns(".git"))
    outer.succeed("git", "init", "-q", "-b", "main")
    outer.succeed("git", "config", "user.name", "test")
    outer.succeed("git", "config", "user.email", "test@example.org")
    if dvc == ".":
        shutil.move(outer.path / "project/.dvc", outer.path)
        shutil.copy(outer.path / "project/.dvcignore", outer.path)
    commit(outer, "a project in a folder")
    with contextlib.chdir(outer.path / "project"):
        place = files.temporary() / "sweep/worker0"
        for _ in range(2):  # made, and found again
            content = params.FILE.read_text()
            here = sandbox.Sandbox(place, outer.succeed("git", "rev-parse", "HEAD").strip(), trials.STAGE, content)
            locks = here.folder / dvc / ".dvc/tmp"
            locks.mkdir(exist_ok=True)
            (locks / "rwlock").write_text("half")
            assert here.run({"train.epochs": 1}, lambda: False).whole
    assert [path.is_dir() for path in (outer.path / dvc).glob(".resume/*") if len(path.name) == 64] == [True]


@pytest.mark.slow
def test_code_that_is_not_committed_and_data_that_workers_lack_are_refused(project: Project) -> None:
    swept(project)
    project.edit("MEASURED_AT_ONCE = 1000", "MEASURED_AT_ONCE = 500", "mnist/training.py")
    done = project.inside("sweep", "sweeps/one.yaml")
    assert done.stderr == (
        "error: mnist/training.py: not as committed, and a sweep runs what is; commit it, or take it back\n"
    )
    project.succeed("git", "checkout", "-q", ".")
    shutil.copytree(project.path / "data/small", project.path / "data/other")
    project.edit("path: data/small", "path: data/other")
    done = project.inside("sweep", "sweeps/one.yaml")
    assert "data/other: the sweep's workers do not find it; `dvc add data/other`, or commit it" in done.stderr
    assert names(project) == []
    project.succeed("dvc", "add", "-q", "data/other")
    commit(project, "data that DVC tracks")
    sweep(project)
    assert len(names(project)) == 2


@pytest.mark.slow
def test_each_run_is_an_experiment_to_rank_apply_and_finish(project: Project) -> None:
    swept(project, SHORT.replace("trials: 2", "trials: 3"))
    printed = sweep(project, "--workers", "2", "--apply")
    assert len(re.findall(r"^trial \d: loss \d\.\d{4}; learning_rate 0\.\d+$", printed, re.MULTILINE)) == 3
    assert names(project) == ["one-000-s1", "one-001-s1", "one-002-s1"]
    rows = table(project)
    assert [row[:2] for row in rows] == [(0, "COMPLETE"), (1, "COMPLETE"), (2, "COMPLETE")]
    best = min(rows, key=lambda row: row[2])
    name, rate = f"one-{best[0]:03}-s1", float(f"{best[3]['train.learning_rate']:.4g}")
    assert f"best: trial {best[0]}, validation loss {best[2]:.4f}\n" in printed
    assert f"train:\n  epochs: 1\n  learning_rate: {rate}\n" in printed
    assert (project.path / "sweeps/one.png").read_bytes().startswith(b"\x89PNG")
    assert project.succeed("git", "status", "--short") == " M params.yaml\n?? sweeps/one.yaml\n"
    section = yaml12.read(project.path / "params.yaml")["train"]
    assert (section["learning_rate"], section["epochs"], section["seed"]) == (rate, 1, 0)
    ranked = json.loads(project.mnist("leaderboard", "--by", "loss", "--json"))
    assert len(ranked) == 4
    assert sorted(row["loss_mean"] for row in ranked)[:3] == pytest.approx(sorted(row[2] for row in rows), rel=1e-4)
    test = project.run("git", "show", f"refs/exps/{base(project)}/{name}:metrics/evaluate.json")
    assert test.returncode != 0, "no trial has looked at the test images"
    project.succeed("git", "checkout", "-q", "params.yaml")
    project.succeed("dvc", "exp", "apply", name)
    assert project.repro() == ["evaluate", "plot-predictions"], "what was trained need not be trained again"
    assert json.loads((project.path / "metrics/train.json").read_text())["validation_loss"] == pytest.approx(best[2])
    done = sweep(project, "--workers", "2")
    assert "trial" not in done.splitlines()[0][:6], "nothing is left to do"
    spoil(project, name)
    (project.path / "sweeps/one.db").unlink()
    refused = project.run("python", "-m", "mnist", "sweep", "sweeps/one.yaml")
    assert f"{name}: its results are damaged; it is run again\n" in refused.stderr
    assert refused.returncode == 0
    assert table(project) == rows


def base(project: Project) -> str:
    """The part of an experiment's ref that names the commit it began with."""
    head = project.succeed("git", "rev-parse", "HEAD").strip()
    return f"{head[:2]}/{head[2:]}"


def spoil(project: Project, name: str) -> None:
    """Damage the metrics of an experiment."""
    ref = f"refs/exps/{base(project)}/{name}"
    project.succeed("git", "stash", "-q")
    project.succeed("git", "checkout", "-q", "--detach", ref)
    (project.path / "metrics/train.json").write_text("{")
    project.succeed("git", "commit", "-qam", "damaged")
    project.succeed("git", "update-ref", ref, "HEAD")
    project.succeed("git", "checkout", "-q", "main")


CHANGES = {
    "mnist/models.py": ("mnist/models.py", "\n\n", "\n\n\n"),
    "data/small": ("data/small/train-labels-idx1-ubyte", "\0", "\1"),
    "pyproject.toml: project.optional-dependencies.numbers": (
        "pyproject.toml",
        '"safetensors==',
        '"zstd", "safetensors==',
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_experiment_of_other_code_data_or_libraries_is_no_trials_result(what: str, project: Project) -> None:
    ran = project.succeed("git", "rev-parse", "HEAD").strip()
    project.succeed("git", "update-ref", f"refs/exps/{base(project)}/one-000-s1", ran)
    swept(project)
    (project.path / "data/small/.not.partial").write_text("ignored, as .dvcignore says")
    (project.path / ".git/info").mkdir(exist_ok=True)
    (project.path / ".git/info/exclude").write_text(".DS_Store")
    for folder in ("data/small", "mnist/formats"):
        (project.path / folder / ".DS_Store").write_text("ignored by git, so workers have none")
    with contextlib.chdir(project.path):
        assert (trainings(project).read(ran, {}) or {}).keys() == {"accuracy", "loss"}
        file, old, new = CHANGES[what]
        content = Path(file).read_bytes()
        Path(file).write_bytes(content.replace(old.encode(), new.encode(), 1))
        says = (
            f"^one-000-s1: an experiment of this name was run with another {re.escape(what)}, as by a sweep whose study"
        )
        with pytest.raises(InputError, match=says):
            trainings(project).read(ran, {})


def trainings(project: Project) -> trials.Trainings:
    """The trainings of a project's sweep, as they are told when it begins."""
    tree = yaml12.read(project.path / params.FILE)
    return trials.Trainings(space.read(Path("sweeps/one.yaml"), tree), tree)


@pytest.mark.slow
def test_a_trial_worse_than_others_is_ended_after_an_epoch_and_leaves_nothing_half(project: Project) -> None:
    content = FILE.replace("trials: 2", "trials: 6").replace("false", "true").replace("epochs: 1", "epochs: 2000")
    swept(project, content)
    with contextlib.chdir(project.path):
        given = command.study_of(trainings(project))
        others = opened(project.path / "sweeps/one.db", given=given)
        for _ in range(5):
            trial = others.claim()
            assert trial
            others.parameters(trial)
            for step in range(300):
                others.report(trial, 1e-9, step)
            others.tell(trial, 1e-9)
    printed = sweep(project)
    assert printed.startswith("trial 5: pruned; learning_rate 0.")
    assert "6 trials, 1 of them pruned" in printed
    assert names(project) == []
    assert not list(project.path.glob(".dvc/tmp/sweep/worker0/models/*.safetensors"))
    assert [
        process for process in psutil.process_iter(["cwd"]) if str(project.path) in (process.info["cwd"] or "")
    ] == []


@pytest.mark.slow
def test_killed_at_five_random_moments_it_goes_on_and_no_trial_is_lost_or_counted_twice(project: Project) -> None:
    swept(project, FILE)
    moments, hit = random.Random(0), 0
    for _ in range(5):
        before = written(project)
        process = project.start("python", "-m", "mnist", "sweep", "sweeps/one.yaml")
        while written(project) == before and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0, 2.5))
        hit += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert hit, "all were done, whatever was sent"
    sweep(project)
    assert names(project) == ["one-000-s1", "one-000-s2", "one-001-s1", "one-001-s2"]
    undisturbed = opened(project.path / "undisturbed.db", given=settings(2, log=True))
    for number, state, value, parameters in table(project):
        losses = [result(project, f"one-{number:03}-s{seed}")["validation_loss"] for seed in (1, 2)]
        assert (state, value) == ("COMPLETE", pytest.approx(sum(losses) / 2))
        trial = undisturbed.claim()
        assert trial
        assert (trial.number, undisturbed.parameters(trial)) == (number, parameters)
        undisturbed.tell(trial, value)


def written(project: Project) -> int:
    """When the search's database was last written to: when it is made, and as a worker takes a trial."""
    database = project.path / "sweeps/one.db"
    return database.stat().st_mtime_ns if database.exists() else 0


def result(project: Project, name: str) -> dict[str, float]:
    """What an experiment came to on the validation images."""
    content = project.succeed("git", "show", f"refs/exps/{base(project)}/{name}:metrics/train.json")
    found: dict[str, float] = json.loads(content)
    return found


@contextlib.contextmanager
def postgres() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A PostgreSQL on loopback: its address, and what kills and starts it. It runs as no root, so not in pytest's folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        arguments = {
            "init": ["init", "-o", "--auth=trust --username=sweep --no-sync"],
            "start": ["start", "-l", f"{folder}/log", "-o", f"-h 127.0.0.1 -p {port} -c unix_socket_directories= -F"],
            "kill": ["stop", "-m", "immediate"],
        }

        def control(what: str) -> None:
            command = [*as_user, str(POSTGRES[-1] / "pg_ctl"), "-w", "-D", f"{folder}/data", *arguments[what]]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

        control("init")
        control("start")
        try:
            yield f"postgresql://sweep@127.0.0.1:{port}/postgres", control
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # as it is down already
                control("kill")


@pytest.mark.slow
@pytest.mark.skipif(not POSTGRES, reason="needs Debian's package postgresql")
def test_workers_of_two_clones_share_a_database_that_may_be_killed(project: Project, tmp_path: Path) -> None:
    swept(project, SHORT.replace("trials: 2", "trials: 4"))
    project.succeed("dvc", "remote", "add", "-q", "-d", "shared", str(tmp_path / "remote"))
    commit(project, "a sweep")
    project.succeed("dvc", "push", "-q")
    project.succeed("git", "clone", "-q", "--bare", str(project.path), str(tmp_path / "bare"))
    clones = []
    for name in ("a", "b"):
        clone = Project(tmp_path / name)
        project.succeed("git", "clone", "-q", str(tmp_path / "bare"), str(clone.path))
        clone.succeed("git", "config", "user.name", name)
        clone.succeed("git", "config", "user.email", f"{name}@example.org")
        clone.succeed("dvc", "pull", "-q")
        clones.append(clone)
    with postgres() as (url, control):
        running = [
            clone.start("python", "-m", "mnist", "sweep", "sweeps/one.yaml", "--storage", url) for clone in clones
        ]
        outputs = [process.stdout for process in running if process.stdout]
        assert ["trial" in output.readline() for output in outputs] == [True, True]  # both have begun
        control("kill")
        said = ""
        while "is away" not in said:
            line = outputs[0].readline()
            assert line, said
            said += line
        control("start")
        printed = [process.communicate(timeout=PATIENCE)[0] for process in running]
        assert [process.returncode for process in running] == [0, 0], printed
        trials = optuna.load_study(study_name="one", storage=url.replace("postgresql:", "postgresql+psycopg:")).trials
    assert [(each.number, each.state.name) for each in trials[:4]] == [(number, "COMPLETE") for number in range(4)]
    assert {each.state.name for each in trials[4:]} <= {"WAITING"}, "where both put them there, the others stay"
    for clone in clones:
        assert names(clone), "both had work"
        clone.succeed("dvc", "exp", "push", "-q", "origin", *names(clone))
    project.succeed("dvc", "exp", "pull", "-q", str(tmp_path / "bare"), *[f"one-{number:03}-s1" for number in range(4)])
    assert names(project) == sorted([*names(clones[0]), *names(clones[1])])
    assert len(json.loads(project.mnist("leaderboard", "--json"))) == 5
