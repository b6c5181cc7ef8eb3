"""`show` says what a model file is, and which commits record the run that made it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mnist import models
from mnist.commands import fingerprint, settings, show
from mnist.dataset import Statistics
from pipeline import lock, origin
from tests.conftest import SHIPPED, Project, commit
from tests.test_bad_input import run_inside

FILE = Path("models/model.safetensors")
TEN = {split: dict.fromkeys("0123456789", 5) for split in ("train", "validation", "test")}


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str) -> str:
    """What the command prints, which succeeds."""
    assert not run_inside(f"mnist show {arguments}", monkeypatch)
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_it_prints_what_the_file_and_git_know(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.path)
    model, description = models.read(FILE)
    found: dict[str, Any] = json.loads(printed(capsys, monkeypatch, "--json"))
    assert {name: found[name] for name in description.model_dump() if name != "image_shape"} == (
        description.model_dump(exclude={"image_shape"})
    )
    assert found["fingerprint"] == fingerprint.of(model.state_dict())
    assert found["size"] == sum(layer["size"] for layer in found["layers"]) == 109_386
    assert [(layer["kind"], layer["output"], layer["size"]) for layer in found["layers"][2:4]] == [
        ("Linear", [128], 100_480),
        ("ReLU", [128], 0),
    ]
    head = project.succeed("git", "log", "-1", "--format=%h %cs %s").strip()
    assert (found["last"], found["first"], found["why"]) == (head, head, None)
    text = printed(capsys, monkeypatch, str(FILE))
    assert f"\nrecorded by  {head}\n" in text
    assert "first by" not in text
    for word in (
        "mlp, 109,386 parameters",
        "Linear             128     100,480",
        found["inputs"],
        "epochs 2",
        "small, ",
    ):
        assert word in text


def test_the_layers_of_each_network_add_up() -> None:
    for kind in models.NETWORKS:
        chosen = settings.read(SHIPPED).train.model_copy(update={"model": kind})
        model, _ = models.create(chosen, Statistics("odd", list("0123456789"), True, (28, 24), 0.1, 0.3, TEN))
        found = show.layers(model.eval(), (28, 24))
        assert found[0] == {"kind": "Normalise", "output": [1, 28, 24], "size": 0}
        assert found[-1]["output"] == [10]
        assert sum(layer["size"] for layer in found) == sum(weight.numel() for weight in model.parameters())


def test_the_newest_and_the_first_commit_of_any_branch_tag_or_experiment_are_found(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    inputs = models.read(FILE)[1].inputs
    first = project.succeed("git", "log", "-1", "--format=%h %cs %s").strip()
    text = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text(text.replace("epochs: 2", "epochs: 3"))
    commit(project, "other parameters")
    assert show.commits(inputs) == {"last": first, "first": first, "why": None}
    Path("dvc.lock").write_text("schema: [")
    commit(project, "damaged")
    assert next(origin.recording(inputs, origin.records())).commit.startswith(first[:7])
    Path("dvc.lock").write_text(text)
    newest = int(project.succeed("git", "log", "-1", "--format=%ct")) + 24 * 60 * 60  # whatever the year is
    project.succeed("git", "commit", "-q", "-a", "-m", "again", GIT_COMMITTER_DATE=f"@{newest} +0000")
    day = project.succeed("git", "log", "-1", "--format=%cs").strip()
    project.succeed("git", "update-ref", f"refs/exps/ab/{'c' * 38}/one", "HEAD")  # as DVC keeps an experiment
    project.succeed("git", "reset", "-q", "--hard", "HEAD~1")
    found = show.commits(inputs)
    assert found["first"] == first
    assert found["last"].endswith(f" {day} again")
    key = lock.parse(text.encode()).stages["evaluate"].key
    assert len(list(origin.recording(key, origin.records()))) == 3  # its inputs are those of the other commits too


def test_a_run_that_no_commit_records_is_not_claimed_to_be_there(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.path)
    text = Path("dvc.lock").read_text()
    project.succeed("git", "rm", "-q", "--cached", "dvc.lock")
    project.succeed("git", "commit", "-q", "--amend", "-m", "no run")
    assert "\nrecorded by  no commit here; dvc.lock here does, and is not committed\n" in printed(
        capsys, monkeypatch, ""
    )
    Path("dvc.lock").write_text(text.replace("epochs: 2", "epochs: 3"))
    said = "\nrecorded by  no commit here; look in the repository that it comes from, or fetch its branches and tags\n"
    assert said in printed(capsys, monkeypatch, "")
    commit(project, "another run")
    project.succeed("git", "clone", "-q", "--depth", "1", f"file://{project.path}", str(tmp_path / "shallow"))
    given = shutil.copy(FILE, tmp_path / "given")
    monkeypatch.chdir(tmp_path / "shallow")
    assert "no commit here; this clone is shallow, `git fetch --unshallow" in printed(capsys, monkeypatch, str(given))
    monkeypatch.chdir(tmp_path)
    assert re.search("no commit here; git rev-list: .*not a git repository", printed(capsys, monkeypatch, str(given)))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("given", b"", "given: not a whole safetensors file"),
        ("given", b"\x02\0\0\0\0\0\0\0{}", "given: has no entry “mnist” in its metadata, so is not this project's"),
        ("other", None, "other: cannot be read (No such file or directory)"),
        (str(FILE), None, f"{FILE}: no model yet; `dvc checkout` brings"),
    ],
)
def test_what_is_no_model_gets_one_line(
    name: str,
    content: bytes | None,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    assert run_inside(f"mnist show {name}", monkeypatch) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {says}")
    assert said.err.count("\n") == 1
