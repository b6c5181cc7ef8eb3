"""Inputs that change while a stage runs: its result is refused and not recorded."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from mnist.commands import settings
from pipeline import files, params, resume, stage, yaml12
from pipeline import running as running_now
from pipeline.errors import InputError
from tests.conftest import LONG, PATIENCE, PIPELINE, SHIPPED, Project, from_on

PARAMS = params.flat(yaml12.read(SHIPPED))
ANOTHER: dict[str, Any] = {  # a valid value that differs, where one more is not valid
    "dataset.path": "data/other", "dataset.download": "mnist", "normalise.mean": 0.4, "normalise.std": 0.4,
    "train.model": "cnn", "train.loss": "nll", "train.optimizer": "adam", "train.schedule": "cosine",
    "train.device": "cuda", "train.momentum": 0.5, "train.label_smoothing": 0.5, "train.average": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def root(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run; each test puts back what it edits."""
    path = tmp_path_factory.mktemp("guard") / "project"
    shutil.copytree(template.path, path, ignore=shutil.ignore_patterns(".git", "cache"))
    shutil.copytree(path / "data/small", path / "data/other")
    return path


@contextlib.contextmanager
def put_back(path: Path) -> Iterator[bytes]:
    """Gives a file's content, and puts it back afterwards with the times it had."""
    content, times = path.read_bytes(), path.stat()
    try:
        yield content
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def running(name: str) -> contextlib.AbstractContextManager[stage.Run[Any]]:
    """Run a stage around what the test does."""
    (section,) = (key for key in PIPELINE[name]["params"] if isinstance(key, str))
    return stage.run(name, section, settings.Settings.model_fields[section].annotation)


def refused(name: str, edit: Any) -> str:
    """Run the stage `name` around `edit`; returns the refusal."""
    with pytest.raises(InputError, match="changed while the stage ran") as raised, running(name) as run:  # noqa: PT012
        run.output("metrics/never.json").write_text("{}")
        edit()
    assert not Path("metrics/never.json").exists()
    assert not list(Path("metrics").glob(".*.partial"))
    assert str(raised.value).endswith("run dvc repro again")
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name in PIPELINE for key in PARAMS if key.split(".")[0] in PIPELINE[name]["params"]],
)
def test_a_parameter_of_the_stage(name: str, key: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    editor = YAML()
    tree = editor.load(Path("params.yaml"))
    section, word = key.split(".")
    tree[section][word] = ANOTHER.get(key, tree[section][word] + 1 if key not in ANOTHER else None)

    def edit() -> None:
        with Path("params.yaml").open("w") as out:
            editor.dump(tree, out)

    with put_back(Path("params.yaml")):
        assert refused(name, edit).startswith(f"{name}: params.yaml: {key}")


@pytest.mark.parametrize(
    ("name", "library", "pins"),
    [
        ("train", b"torch", "numbers"),
        ("evaluate", b"torch", "numbers"),
        ("plot-predictions", b"matplotlib", "drawing"),
    ],
)
def test_a_pinned_library_of_the_stage(
    name: str, library: bytes, pins: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    file = Path("pyproject.toml")
    with put_back(file) as before:
        edited = before.replace(b'"%b==' % library, b'"%b>=' % library)
        assert f"{pins} changed" in refused(name, lambda: file.write_bytes(edited))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "path"), [(name, path) for name in PIPELINE for path in PIPELINE[name]["deps"]])
def test_a_dependency_of_the_stage(name: str, path: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    file = Path(path.replace("${dataset.path}", "data/small"))
    file = next(entry for entry in sorted(file.iterdir()) if entry.is_file()) if file.is_dir() else file
    with put_back(file) as before:
        assert f": {file} changed" in refused(name, lambda: file.write_bytes(before + b"\n"))


def test_a_file_more_or_fewer_in_a_folder_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    note = Path("data/small/note")
    assert "data/small/note" in refused("download", lambda: note.write_text("more"))
    assert "data/small/note" in refused("download", note.unlink)


def test_an_edit_taken_back_before_the_end_still_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    plots = Path("mnist/plots.py")
    with put_back(plots) as before:

        def there_and_back() -> None:
            plots.write_bytes(b"raise SystemExit")
            plots.write_bytes(before)

        assert "mnist/plots.py" in refused("plot-predictions", there_and_back)


def test_data_replaced_by_equal_data_are_the_same_and_written_to_they_are_not(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run of the stage that makes them may replace them; whoever writes to them may take it back."""
    monkeypatch.chdir(root)
    file = Path("data/normalised/train_images.npy")
    with put_back(file) as before:
        with running("train"):
            files.replace(file, before)
        assert str(file) in refused("train", lambda: os.utime(file, ns=(0, 0)))
        assert str(file) in refused("train", lambda: files.replace(file, before[::-1]))


def test_no_state_is_kept_of_a_training_whose_inputs_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever puts the data back would go on from what others have trained."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_ROOT", str(root))
    file = Path("data/normalised/train_images.npy")

    def train() -> None:
        with resume.checkpoint(run.key, run.look) as checkpoint:
            checkpoint.save({}, [1])
            file.write_bytes(before[:-1])
            checkpoint.save({}, [1, 2])

    with put_back(file) as before:
        with pytest.raises(InputError, match=f"{file} changed while the stage ran"), running("train") as run:
            train()
        with resume.checkpoint(run.key, run.look) as checkpoint:
            assert checkpoint.restore({}) == [1]


def test_what_the_stage_does_not_declare_may_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with put_back(Path("params.yaml")) as before, put_back(Path("mnist/plots.py")), running("evaluate"):
        Path("params.yaml").write_bytes(before.replace(b"epochs: 2", b"epochs: 3 # more"))
        os.utime("mnist/plots.py")


@pytest.mark.slow
def test_code_edited_before_the_stage_has_taken_note_of_it_may_have_been_imported(project: Project) -> None:
    """The script itself is, for one. While the stage waits for another run of it there is all the time for an edit."""
    with files.locked(project.path / ".dvc/tmp/evaluate.lock", "this test"):
        running = project.start("python", "-m", "stages.evaluate")
        assert running.stdout
        assert "another process is using it" in running.stdout.readline()
        project.edit("python -m stages.evaluate", "python -m  stages.evaluate", "stages/evaluate.py")
    shown, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert shown.startswith("error: evaluate: stages/evaluate.py changed while the stage ran")
    project.succeed("python", "-m", "stages.evaluate")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("params.yaml", f"epochs: {LONG}", "epochs: 5", "params.yaml: train.epochs"),
        ("mnist/training.py", "MEASURED_AT_ONCE = 1000", "MEASURED_AT_ONCE = 999", "mnist/training.py"),
    ],
)
def test_dvc_records_nothing_of_a_run_whose_inputs_changed(
    file: str, old: str, new: str, named: str, project: Project
) -> None:
    project.edit("epochs: 2", f"epochs: {LONG}")
    lock = (project.path / "dvc.lock").read_bytes()
    running = project.start("dvc", "repro")
    assert running.stdout
    shown = []
    for line in running.stdout:
        shown.append(line)
        if line.startswith("epoch 1:"):
            project.edit(old, new, file)
    assert running.wait() != 0
    assert any(f"{named} changed while the stage ran" in line for line in shown), shown
    assert not any(line.startswith(f"epoch {LONG}:") for line in shown), "it ends as soon as it sees that"
    assert (project.path / "dvc.lock").read_bytes() == lock
    parameters = project.path / "params.yaml"
    parameters.write_text(parameters.read_text().replace(f"epochs: {LONG}", "epochs: 5"))
    assert project.repro() == from_on("train")
    assert json.loads((project.path / "metrics/train.json").read_text())["epochs"] == 5


@pytest.mark.slow
def test_a_second_repro_at_the_same_time_is_refused_and_both_are_right(project: Project) -> None:
    project.edit("epochs: 2", f"epochs: {LONG}")
    running = project.start("dvc", "repro")
    assert running.stdout
    while not running.stdout.readline().startswith("epoch 1:"):
        assert running.poll() is None
    second = project.run("dvc", "repro")
    assert second.returncode != 0
    assert "is busy" in second.stderr
    compared = project.inside("compare")
    assert (compared.returncode, compared.stdout) == (1, "")
    assert "workspace: a run has been going on since" in compared.stderr
    assert f"(process {running.pid})" in compared.stderr
    assert compared.stderr.endswith("wait until it has ended\n")
    rest = running.stdout.read()
    assert running.wait() == 0, rest
    assert project.repro() == []
    assert project.succeed("dvc", "status") == "Data and pipelines are up to date.\n"


def test_notes_of_processes_that_are_gone_are_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert running_now.writers() == []
    ended = Project(tmp_path).start("true")
    ended.communicate()
    running_now.notes().parent.mkdir(parents=True)
    notes = {path: {"pid": pid, "cmd": "dvc repro"} for path, pid in (("a", ended.pid), ("b", os.getpid()))}
    running_now.notes().write_text(json.dumps({"write": notes, "read": {"c": [{"pid": 1, "cmd": "dvc repro"}]}}))
    assert [process.pid for process in running_now.writers()] == [os.getpid()]
    os.utime(running_now.notes(), (1, 1))  # before this process began, so its number was another's then
    assert running_now.writers() == []


def trains(process: psutil.Process) -> bool:
    """Whether it is the stage, and has not just ended."""
    with contextlib.suppress(psutil.Error):
        return "stages.train" in " ".join(process.cmdline())
    return False


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_stage_ends_with_the_dvc_that_started_it(shell: str, at_once: bool, project: Project) -> None:
    """bash gives its place to the stage that it starts; Debian's sh stays between DVC and the stage.

    Killed at once, DVC is gone before the stage has looked who started it.
    """
    project.edit("epochs: 2", f"epochs: {LONG}")
    running = project.start("dvc", "repro", SHELL=shell)
    assert running.stdout
    while not running.stdout.readline().startswith("> python -m stages.train" if at_once else "epoch 1:"):
        assert running.poll() is None
    children: list[psutil.Process] = []
    while not any(map(trains, children)):
        assert running.poll() is None
        children = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.communicate(timeout=PATIENCE)  # the stage holds the pipe until it ends
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []
    assert not (project.path / "models/model.safetensors").exists(), "it has gone on to its end"


@pytest.mark.slow
def test_two_processes_never_train_on_one_state(project: Project) -> None:
    project.edit("epochs: 2", f"epochs: {LONG}")
    first = project.start("python", "-m", "stages.train")
    assert first.stdout
    while not first.stdout.readline().startswith("epoch 1:"):
        assert first.poll() is None
    second = project.start("python", "-m", "stages.train")
    assert second.stdout
    assert "another process is using it" in second.stdout.readline()
    first.kill()
    first.communicate()
    shown, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0
    assert shown.startswith("going on after epoch")
