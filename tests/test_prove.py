"""`prove`: a record that holds is proved from the raw data alone, of another one the first difference is named."""

import contextlib
import io
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import torch

from mnist.commands import fingerprint, prove
from pipeline import again, checkout, files, git, lock, revisions
from pipeline.errors import InputError
from tests.conftest import LONG, PATIENCE, STAGES, Project, commit, copy, needs_the_order
from tests.endtoend.test_checkouts import submodule
from tests.endtoend.test_interruptions import until
from tests.test_bad_input import contents, run_inside

MODEL = "models/model.safetensors"
SCRATCH = ".dvc/tmp/prove"


class Said(NamedTuple):
    """The exit status of a command, and what it printed."""

    status: object
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Project, str], Said]:
    """Run a command of the project in this process."""

    def inside(project: Project, command: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(project.path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_inside(f"mnist {command}", monkeypatch)
        assert not (project.path / SCRATCH).exists()
        return Said(status or 0, out.getvalue(), err.getvalue())

    return inside


Run = Callable[[Project, str], Said]


# DVC leaves in dvc.lock what it knows of a stage that was renamed or removed in dvc.yaml
RENAMED = """
  train-once:
    cmd: python -m stages.once
    params: {params.yaml: {train: {steps: 3}}}
    outs: [{path: models/old.safetensors, hash: md5, md5: 0123456789abcdef0123456789abcdef, size: 1}]
"""


def without_cache(project: Project) -> None:
    """Lose all that could take the place of a run."""
    for path in (".dvc/cache", "data/raw", "data/normalised", "models", ".resume"):
        shutil.rmtree(project.path / path)


def track_by_dvc(project: Project, remote: Path) -> None:
    """Let DVC keep the raw data instead of git, in a remote alone."""
    project.succeed("git", "rm", "-q", "-r", "--cached", "data/small")
    project.succeed("dvc", "add", "-q", "data/small")
    project.succeed("dvc", "remote", "add", "-q", "-d", "store", str(remote))
    project.succeed("dvc", "push", "-q", "data/small")
    commit(project, "data kept by DVC")
    shutil.rmtree(project.path / "data/small")


@pytest.mark.slow
@pytest.mark.parametrize("kept_by", ["git", "dvc"])
def test_the_committed_state_is_proved_from_the_raw_data_alone(
    kept_by: str, run: Run, project: Project, tmp_path: Path
) -> None:
    given = shutil.copy(project.path / MODEL, tmp_path / "given")
    if kept_by == "dvc":
        with (project.path / "dvc.lock").open("a") as file:
            file.write(RENAMED)
        track_by_dvc(project, tmp_path / "remote")
        without_cache(project)
    project.edit("learning_rate: 0.003", "learning_rate: 0.1")  # not committed, so nothing to prove
    left = project.path / SCRATCH / "1/data"  # by one that was killed
    left.mkdir(parents=True)
    before = contents(project.path)
    said = run(project, f"prove {given}" if kept_by == "git" else "prove")
    assert said.status == 0, said
    lines = said.out.splitlines()
    if kept_by == "git":
        assert re.fullmatch(rf"{given}: as recorded by [0-9a-f]{{7}} \d{{4}}-\d\d-\d\d run", lines[0])
    assert lines[-6:-1] == [f"running {stage}" for stage in STAGES]  # though in one of the two the cache has it all
    assert re.fullmatch(r"proved: 8 outputs, \d+ s, on " + re.escape(fingerprint.processor()), lines[-1])
    assert contents(project.path) == before


@pytest.mark.slow
def test_it_is_proved_in_a_submodule_too(run: Run, template: Project, tmp_path: Path) -> None:
    """Where `.git` is a file, and the repository lies in the outer one's."""
    said = run(Project(submodule(template, tmp_path)), "prove")
    assert said.status == 0, said
    assert said.out.splitlines()[-1].startswith("proved: 8 outputs, ")


def pixel(project: Project) -> None:
    path = project.path / "data/small/train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[16 + 14 * 28 + 14] ^= 255
    path.write_bytes(content)


def parameter(project: Project) -> None:
    project.edit("momentum: 0.0 ", "momentum: 0.1 ")


def line(project: Project) -> None:
    project.edit("        nn.ReLU(),\n        Linear(64,", "        nn.Tanh(),\n        Linear(64,", "mnist/models.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "first"), [(pixel, "data/raw"), (parameter, "metrics/history.csv"), (line, "metrics/history.csv")]
)
def test_a_run_of_something_else_is_not_proved_though_its_lock_is_edited_to_hide_it(
    change: Callable[[Project], None], first: str, run: Run, project: Project
) -> None:
    path = project.path / "dvc.lock"
    honest = lock.parse(path.read_bytes())
    change(project)
    project.repro("train")
    changed = project.succeed("git", "diff", "--name-only").split()
    project.succeed(
        "git", "checkout", "-q", "--", *(name for name in changed if name.startswith(("data/", "params", "mnist/")))
    )
    text = path.read_text().replace("momentum: 0.1", "momentum: 0.0")
    found = lock.parse(path.read_bytes())
    for stage, now in found.stages.items():
        then = {dep.path: dep.md5 for dep in honest.stages[stage].deps}
        for dep in now.deps:  # later stages, which did not run, are said to have
            text = text.replace(dep.md5, found.outputs().get(dep.path, then[dep.path]))
    path.write_text(text)
    commit(project, "run")
    recorded, made = lock.parse(text.encode()).outputs()[first], honest.outputs()[first]
    assert recorded != made
    said = run(project, "prove")
    assert said.status == 1
    assert said.err == f"error: HEAD: not proved: {first} is not what its dvc.lock records\n"
    lines = said.out[said.out.index(f"{first}\n") :].splitlines()
    assert lines[1:3] == [f"  recorded   {recorded}", f"  here       {made}"]
    assert lines[3] == "  libraries  as its requirements.txt pins them" or "pinned" in lines[3]
    assert lines[4].startswith(f"  processor  {fingerprint.processor()}")
    assert lines[5] == "  device     cpu"


def edit_lock(old: str, new: str) -> Callable[[Project], None]:
    """Replace a text of dvc.lock wherever it stands."""

    def edit(project: Project) -> None:
        path = project.path / "dvc.lock"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


def edit_metric(project: Project) -> None:
    path = project.path / "metrics/evaluate.json"
    path.write_text(path.read_text().replace('"n": 300', '"n": 301'))


def another_torch(project: Project) -> None:
    (pin,) = re.findall(r"torch==[\d.]+", (project.path / "dvc.lock").read_text())[:1]
    edit_lock(pin, "torch==1.0.0")(project)
    project.edit(f'"{pin}"', '"torch==1.0.0"', "pyproject.toml")


def trained_by_cuda(project: Project) -> None:
    project.edit("device: cpu ", "device: cuda ")
    edit_lock("device: cpu", "device: cuda")(project)


def data_elsewhere(folder: str) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        project.edit("path: data/small", f"path: {folder}")
        edit_lock("data/small", folder)(project)

    return edit


def forget_the_data(project: Project) -> None:
    project.succeed("git", "rm", "-q", "-r", "data/small")


def without_plots(project: Project) -> None:
    path = project.path / "dvc.lock"
    path.write_text(path.read_text().partition("  plot-predictions:")[0])


def without_dvc(project: Project) -> None:
    project.succeed("git", "rm", "-q", "-r", "--cached", ".dvc")
    with (project.path / ".gitignore").open("a") as ignored:
        ignored.write("/.dvc\n")


REFUSED = {
    "a metric is edited": (edit_metric, "HEAD: not proved: metrics/evaluate.json is not what its dvc.lock records"),
    "parameters without a run": (parameter, "HEAD: train.momentum has changed since its results were made, so .* out"),
    "a stage without a run": (without_plots, "HEAD: its dvc.lock has no run of plot-predictions; run `dvc repro` on"),
    "no run": (lambda project: (project.path / "dvc.lock").unlink(), "HEAD: has no dvc.lock, so no run of it is known"),
    "other libraries": (another_torch, r"HEAD: train: pyproject.toml: .*pins torch==1\.0\.0, but .* made by its own"),
    "data outside that are gone": (
        data_elsewhere("/no/where"),
        "HEAD: its data, /no/where, lie outside .* and are gone",
    ),
    "data beside": (data_elsewhere("../beside"), "HEAD: its data, ../beside, lie outside .*; a run from an absolute"),
    "data that nobody has": (forget_the_data, "HEAD: its data, data/small, are neither in git nor in DVC nor here"),
    "no repository of DVC's": (without_dvc, "HEAD: git has no folder .dvc of it, so DVC cannot run it; commit that"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_proved_is_refused_in_one_line_before_anything_runs(
    name: str, run: Run, project: Project
) -> None:
    harm, expected = REFUSED[name]
    harm(project)
    commit(project, "harm")
    said = run(project, "prove")
    assert said.status == 1
    assert re.fullmatch(f"error: {expected}.*\n", said.err), said.err
    assert "running" not in said.out


@needs_the_order
def test_instructions_that_torch_would_choose_by_itself_are_no_reason_for_a_difference(project: Project) -> None:
    edit_metric(project)
    commit(project, "harm")
    done = project.run("python", "-m", "mnist", "prove", ATEN_CPU_CAPABILITY="default")
    assert f"  processor  {fingerprint.processor()}" in done.stdout.splitlines(), done


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_run_on_a_gpu_needs_one(run: Run, project: Project) -> None:
    trained_by_cuda(project)
    commit(project, "another device")
    assert run(project, "prove").err == (
        "error: HEAD: trained on a CUDA device, and none is here; prove it where one is\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_run_on_a_gpu_is_proved_on_that_gpu(run: Run, project: Project) -> None:
    project.edit("device: cpu ", "device: cuda")
    project.repro()
    commit(project, "trained on a GPU")
    assert run(project, "prove").status == 0


def test_the_workspace_and_what_git_does_not_know_are_no_revisions(run: Run, project: Project) -> None:
    assert run(project, "prove workspace").err == "error: workspace: not a commit; commit what it has, and prove HEAD\n"
    assert run(project, "prove nothing").err.startswith("error: nothing: no such revision")


def test_a_file_leads_to_the_commit_that_records_its_very_bytes(
    run: Run, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    given = Path(shutil.copy(project.path / MODEL, tmp_path / "given"))
    ran = git.resolve("HEAD")
    md5 = lock.read().outputs()[MODEL]
    edit_lock(md5, "f" * 32)(project)  # the same run, on a machine that adds up in another order
    commit(project, "another machine")
    assert prove.of_file(given) == ran[:12]
    project.succeed("git", "checkout", "-q", "--orphan", "alone")
    commit(project, "all anew")
    project.succeed("git", "branch", "-D", "-q", "main")
    said = run(project, f"prove {given}")
    assert said.status == 1
    assert said.out.splitlines()[0] == f"{given}: {md5}"
    assert said.out.splitlines()[1].endswith(f"all anew: {'f' * 32}")
    assert re.fullmatch(rf"error: {given}: not proved: its bytes are not those that [0-9a-f]{{12}} records\n", said.err)
    edit_lock("momentum: 0.0", "momentum: 0.5")(project)
    project.succeed("git", "commit", "-q", "-a", "--amend", "-m", "other inputs")
    assert run(project, f"prove {given}").err == (
        f"error: {given}: no commit here records a run with its inputs; look in the repository that it comes from, or "
        "fetch its branches and tags\n"
    )


def entry(tree: lock.Lock, stage: str, kind: str) -> lock.Entry:
    """The last output or dependency of a stage."""
    found: lock.Entry = getattr(tree.stages[stage], kind)[-1]
    return found


def test_the_first_difference_is_found_wherever_it_is(template: Project) -> None:
    content = (template.path / "dvc.lock").read_bytes()
    true, other = lock.parse(content), lock.parse(content)
    assert again.difference(true, other, whole=True) is None
    places = [(stage, kind) for stage in reversed(true.stages) for kind in ("outs", "deps")]
    for stage, kind in places:  # from the last to the first
        changed = entry(other, stage, kind)
        changed.md5 = "0" * 32
        found = again.difference(true, other, whole=True)
        assert found == (changed.path, entry(true, stage, kind).md5, "0" * 32, "here")
        assert again.difference(other, true, whole=True) == (changed.path, "0" * 32, found.recorded, "here")
    other = lock.parse(content)
    other.stages["normalise"].params["params.yaml"]["normalise"]["seed"] = 1
    assert again.difference(true, other, whole=True) == ("params.yaml.normalise.seed", "0", "1", "here")


def test_a_stage_or_an_output_that_is_missing_differs(template: Project) -> None:
    content = (template.path / "dvc.lock").read_bytes()
    true, other = lock.parse(content), lock.parse(content)
    plots = other.stages.pop("plot-predictions")
    assert again.difference(true, other, whole=False) is None  # it has not run yet
    found, back = again.difference(true, other, whole=True), again.difference(other, true, whole=True)
    assert found
    assert back
    assert (found.found, back.recorded) == (None, None)
    other.stages["plot-predictions"] = plots
    other.stages["train"].outs.pop()
    assert again.difference(true, other, whole=True) == (MODEL, true.outputs()[MODEL], None, "here")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "says"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_stopped_half_way_it_leaves_nothing(number: signal.Signals, status: int, says: str, project: Project) -> None:
    project.edit("epochs: 2", f"epochs: {LONG}")
    edit_lock("epochs: 2", f"epochs: {LONG}")(project)
    commit(project, "more to train")
    before = contents(project.path)
    running = project.start("python", "-m", "mnist", "prove")
    until(running, "running train")
    started = psutil.Process(running.pid).children(recursive=True)
    assert started
    os.kill(running.pid, number)
    rest, _ = running.communicate()
    assert (running.returncode, rest) == (status, f"error: {says}\n")
    assert psutil.wait_procs(started, timeout=PATIENCE)[1] == []
    assert not (project.path / SCRATCH).exists()
    assert contents(project.path) == before


def brought(project: Project, name: str) -> Path:
    """A checkout of HEAD with its data, as `prove` makes it."""
    place = project.path / files.temporary() / name
    place.mkdir(parents=True)
    there = git.check_out(git.resolve("HEAD"), place)
    checkout.bring(revisions.Revision("HEAD"), place, there)
    return there


def test_data_that_no_other_clone_has_come_from_this_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)
    project.succeed("git", "rm", "-q", "-r", "--cached", "data/small")
    project.succeed("git", "commit", "-q", "-m", "data of this folder alone")
    there = brought(project, "folder") / "data/small"
    assert {file.name: file.read_bytes() for file in there.iterdir()} == {
        file.name: file.read_bytes() for file in (project.path / "data/small").iterdir()
    }


@pytest.mark.slow
def test_data_kept_by_dvc_come_from_its_cache_or_its_remote_or_one_line_says_so(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    before = {file.name: file.read_bytes() for file in (project.path / "data/small").iterdir()}
    track_by_dvc(project, tmp_path / "remote")
    there = brought(project, "by-cache") / "data/small"
    assert {file.name: file.read_bytes() for file in there.iterdir()} == before
    assert {file.resolve().is_relative_to(project.path / ".dvc/cache") for file in there.iterdir()} == {True}
    shutil.rmtree(project.path / ".dvc/cache")
    there = brought(project, "by-remote") / "data/small"
    assert {file.name: file.read_bytes() for file in there.iterdir()} == before
    shutil.rmtree(tmp_path / "remote")
    with pytest.raises(InputError, match=r"HEAD: its data, small, are neither in .*cache nor .*remote .*push them"):
        brought(project, "gone")


def test_a_project_in_a_larger_repository_is_checked_out_where_it_is_there(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings by which a clone has not all files, or others line ends."""
    inner = copy(project, tmp_path / "outer/digits")
    shutil.rmtree(inner.path / ".git")
    outer = Project(tmp_path / "outer")
    outer.succeed("git", "init", "-q")
    for name, value in {"user.name": "test", "user.email": "test@example.org", "core.autocrlf": "true"}.items():
        outer.succeed("git", "config", name, value)
    commit(outer, "all")
    outer.succeed("git", "sparse-checkout", "set", "digits/mnist")
    status = outer.succeed("git", "status", "--short")
    monkeypatch.chdir(inner.path)
    (tmp_path / "there").mkdir()
    there = git.check_out(git.resolve("HEAD"), tmp_path / "there")
    assert there == tmp_path / "there/digits"
    tracked = project.succeed("git", "ls-files").split()
    assert {name: (there / name).read_bytes() for name in tracked} == {
        name: (project.path / name).read_bytes() for name in tracked
    }
    assert sum(file.is_file() for file in (tmp_path / "there").rglob("*")) == len(tracked)
    assert outer.succeed("git", "status", "--short") == status
