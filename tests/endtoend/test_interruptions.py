"""Runs that end before they should: nothing half-written, nothing paid for is lost, the same bytes in the end.

`python -m tests.endtoend.test_interruptions` kills a hundred runs in place of a few.
"""

import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mnist import results
from tests.conftest import LONG, SCRIPTS, Project, commit, copy, made_once, make_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with more to train, in which nothing has run."""
    return made_once(tmp_path_factory, "long", make_long)


def make_long(path: Path) -> Project:
    project = make_project(path)
    project.edit("epochs: 2", f"epochs: {LONG}")
    project.edit("average: 0.0", "average: 0.9")
    project.edit("validation: 200", "validation: 1000")  # so an epoch is short
    commit(project, "more epochs")
    return project


@pytest.fixture(scope="module")
def uninterrupted(long: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes out when nothing happens."""
    return made_once(tmp_path_factory, "uninterrupted", lambda path: run_through(long, path)).hashes()


def run_through(long: Project, path: Path) -> dict[str, str]:
    project = copy(long, path)
    project.repro()
    return project.hashes()


def killed(project: Project, chance: random.Random, most: int, *, dvc_alone: bool) -> bool:
    """Run `dvc repro`, SIGKILL it or its whole process group at random; False if it was done before.

    The moment is up to a second after one of the first `most` lines that it prints, so that it does not depend on the
    speed of the machine which stage it hits.
    """
    running = project.start("dvc", "repro")
    assert running.stdout
    for _ in range(chance.randint(1, most)):
        if not running.stdout.readline():
            running.communicate()
            return False
    time.sleep(chance.uniform(0, 1))
    running.kill() if dvc_alone else os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    return True


def repaired(project: Project) -> bool:
    """DVC writes some of its files in place and may refuse what a kill leaves of one; remove what `check` names."""
    for damaged in itertools.count():
        checked = project.inside("check")
        if checked.returncode == 0:
            return damaged > 0
        found = re.match(r"error: (?:(dvc\.lock|\.dvc/tmp/rwlock): not whole|.*: empty.*`(.*)`$)", checked.stderr)
        assert found, checked.stderr
        (project.path / found[1]).unlink() if found[1] else project.succeed("bash", "-ec", found[2])
    raise AssertionError


def test_killed_at_random_moments_it_comes_to_the_same_bytes(
    long: Project, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    project = copy(long, tmp_path / "project")
    chance = random.Random(0)
    # each run comes a bit further, as what has been finished or saved is not done again; the first cannot be done
    assert killed(project, chance, 10, dvc_alone=True)
    repaired(project)
    for kill, lines in enumerate((10, 30, 60)):
        killed(project, chance, lines, dvc_alone=kill % 2 == 0)
        repaired(project)
    project.repro()
    assert project.hashes() == uninterrupted
    assert project.succeed("dvc", "status") == "Data and pipelines are up to date.\n"
    assert list(project.path.rglob(".*.partial")) == []


@pytest.mark.parametrize("left", [0, 20, 8192])  # DVC writes as many bytes at a time
def test_killed_while_it_writes_its_lock_it_takes_what_was_finished_from_the_cache(left: int, project: Project) -> None:
    lock = project.path / "dvc.lock"
    before, whole = project.hashes(), lock.read_bytes()
    lock.write_bytes(whole[:left])
    if project.run("dvc", "status").returncode != 0:
        checked = project.inside("check")
        assert checked.returncode == 1
        assert "`git checkout HEAD dvc.lock`" in checked.stderr
        assert project.hashes() == before
        (project.succeed("git", "checkout", "HEAD", "dvc.lock") if left else lock.unlink())
    assert project.repro() == []
    assert (project.hashes(), lock.read_bytes()) == (before, whole)


def test_killed_before_it_wrote_an_entry_of_its_run_cache_it_runs_once_that_is_removed(project: Project) -> None:
    before = project.hashes()
    for entry in (project.path / ".dvc/cache/runs").glob("*/*/*"):
        entry.unlink()
    (project.path / "dvc.lock").unlink()
    assert "NoneType" in project.run("dvc", "repro").stderr, "DVC repairs that itself now: check need not look for it"
    assert repaired(project)
    project.repro()
    assert project.hashes() == before


def after(line: str) -> int:
    """The epoch after which a training says that it goes on."""
    return int(line.removeprefix("going on after epoch ").partition(",")[0])


def until(process: subprocess.Popen[str], start: str) -> str:
    """Read a process's output up to a line that starts so; returns that line."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(start):
            return line
    pytest.fail(f"no line starts with {start!r}")


def test_training_goes_on_from_its_last_epoch_whatever_has_ended_it(
    long: Project, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    project = copy(long, tmp_path / "project")
    project.repro("normalise")
    shown, done = project.path / results.HISTORY, 0
    for number, status, says in (
        (signal.SIGINT, 130, "error: interrupted\n"),
        (signal.SIGTERM, 143, "error: terminated\n"),
        (signal.SIGKILL, -9, ""),
    ):
        running = project.start("python", "-m", "stages.train")
        if done:
            done = after(until(running, "going on after epoch "))
        until(running, f"epoch {done + 3}:")
        assert len(results.read_history(shown)) >= done + 3, "the curve can be watched"
        os.killpg(running.pid, number)
        rest, _ = running.communicate()
        assert running.returncode == status
        assert "".join(line for line in rest.splitlines(keepends=True) if not line.startswith("epoch")) == says
        assert not (project.path / "models/model.safetensors").exists()
        killed = number == signal.SIGKILL
        assert shown.exists() == killed
        assert killed or list(project.path.rglob(".*.partial")) == []
        done += 3
    refused = project.inside("report").stderr
    assert ": dvc.lock has no metrics/predictions.csv; " in refused, "what a killed run leaves is no result"
    assert after(project.succeed("python", "-m", "stages.train").splitlines()[0]) >= done
    hashes = project.hashes()
    assert {path: hashes[path] for path in hashes if path in uninterrupted} == {
        path: digest for path, digest in uninterrupted.items() if path in hashes
    }


def test_damaged_state_is_set_aside_and_other_parameters_state_is_not_used(long: Project, tmp_path: Path) -> None:
    project = copy(long, tmp_path / "project")
    project.edit(f"epochs: {LONG}", "epochs: 2")
    project.repro("train")
    hashes = project.hashes()
    (state,) = (project.path / ".resume").glob("*/state")
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    done = project.run("python", "-m", "stages.train")
    assert "damaged, so training starts over" in done.stderr
    assert "going on" not in done.stdout
    assert state.with_suffix(".damaged").exists()
    assert project.hashes() == hashes
    project.edit("seed: 0                # of", "seed: 1                # of")
    assert "going on" not in project.succeed("python", "-m", "stages.train")


def test_interrupted_while_it_imports_it_says_no_more_than_that(project: Project) -> None:
    chance = random.Random(0)
    for _ in range(6):
        running = project.start("python", "-X", "importtime", "-m", "stages.train")
        until(running, "import time:")
        assert running.stdout
        for _ in range(chance.randrange(150, 1500)):  # as many modules later
            if not running.stdout.readline():
                break
        os.killpg(running.pid, signal.SIGINT)
        rest, _ = running.communicate()
        assert "Traceback" not in rest, rest
        assert running.returncode in (-signal.SIGINT, 130, 0)


def test_what_a_killed_check_has_unpacked_goes_with_the_next_one(project: Project) -> None:
    left = project.path / "data/.check.partial"
    left.mkdir()
    (left / "images").touch()
    project.mnist("check")
    assert not left.exists()


SMALL_DISK = """
    mount -t tmpfs -o size=$(($(du -sk data/raw | cut -f1) + 600))k tmpfs small-disk &&
    cp -a data/raw small-disk && mount --bind small-disk data && exec python -m stages.normalise
"""


def test_a_disk_that_fills_up_while_arrays_are_written_gives_one_line(project: Project) -> None:
    (project.path / "small-disk").mkdir()
    before = project.hashes()
    done = project.mounting(SMALL_DISK)
    assert done.returncode == 1, done.stderr
    assert done.stderr == "error: normalise, reading or writing: No space left on device; make room on the disk\n"
    assert project.hashes() == before


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_full_disk_gives_one_line_and_leaves_what_was_there(script: str, project: Project) -> None:
    """A limit on the size of files, as a disk cannot be filled in a test."""
    project.edit("seed: 0                # of", "seed: 1                # of")
    before = project.hashes()
    done = project.run("bash", "-c", f"ulimit -f 20; exec python -m {script}")
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert project.hashes() == before
    assert list(project.path.rglob(".*.partial")) == []


def test_a_folder_that_cannot_be_written_to_gives_one_line(project: Project) -> None:
    before = project.hashes()
    folder = project.path / "metrics"
    folder.chmod(0o555)
    powers = "-dac_override,-dac_read_search"  # root is not held up by permissions unless it gives this up
    command = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    done = project.run(*command, "python", "-m", "stages.evaluate")
    folder.chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1
    assert project.hashes() == before


def main(count: int = 100) -> None:
    """Kill `count` runs at random moments, one kill each, and compare what each comes to with an uninterrupted one."""
    with tempfile.TemporaryDirectory() as folder:
        long = make_long(Path(folder, "long"))
        hashes = run_through(long, Path(folder, "uninterrupted"))
        chance = random.Random()
        same = interrupted = repaired = 0
        for k in range(count):
            project = copy(long, Path(folder, "killed"))
            interrupted += killed(project, chance, LONG + 20, dvc_alone=k % 2 == 0)
            repaired += repaired(project)
            project.repro()
            same += project.hashes() == hashes
            shutil.rmtree(project.path)
            print(
                f"{k + 1}: {interrupted} killed before they were done, {same} ended in the same bytes, "
                f"{repaired} of them after a file of DVC's was removed as `check` says",
                flush=True,
            )
    sys.exit(same != count)


if __name__ == "__main__":
    main()
