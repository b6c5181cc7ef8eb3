"""A training that several processes share comes to the bytes that one comes to, whatever happens to them.

`python -m tests.endtoend.test_processes` kills one of them in twenty trainings in place of two.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import LONG, Project, commit, copy, made_once, make_project

pytestmark = pytest.mark.slow
TRAINED = ("models/model.safetensors", "metrics/history.csv", "metrics/train.json")
PARTS = 3


def trained(project: Project) -> dict[str, str]:
    return {name: digest for name, digest in project.hashes().items() if name in TRAINED}


def share(project: Project, processes: int) -> None:
    """Have so many processes train."""
    text = re.sub(r"^(# )?machine:(?s:.*)", "", (project.path / "params.yaml").read_text(), flags=re.MULTILINE)
    (project.path / "params.yaml").write_text(f"{text}machine:\n  processes: {processes}\n  patience: 60\n")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which one process has trained `cnn`, with its batch norm, in parts; not to be changed."""
    return made_once(tmp_path_factory, "parts", train_in_parts)


def train_in_parts(path: Path) -> Project:
    project = make_project(path)
    project.edit("model: mlp", "model: cnn")
    project.edit("validation: 200", "validation: 1000")  # so an epoch is short
    project.edit("\n  device: cpu", f"\n  parts: {PARTS}\n  device: cpu")
    project.edit("epochs: 2", "epochs: 1")
    project.repro()
    commit(project, "in parts")
    return project


@pytest.fixture
def again(alone: Project, tmp_path: Path) -> Project:
    """A copy of it that has yet to train."""
    project = copy(alone, tmp_path / "project")
    forget(project)
    return project


def test_more_processes_come_to_the_same_bytes_and_are_no_reason_to_train_again(alone: Project, again: Project) -> None:
    share(again, 2)
    again.succeed("dvc", "repro", "--force", "--single-item", "train")
    assert trained(again) == trained(alone)
    assert again.repro() == []
    assert again.succeed("git", "status", "--short") == " M params.yaml\n"
    assert "machine.processes" in again.mnist("compare", "HEAD", "workspace").split("accuracy")[0]


def ranks(launcher: int) -> dict[int, int]:
    """The processes that share a training, by rank."""
    found: dict[int, int] = {}
    for process in psutil.Process(launcher).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has just ended
            if rank := process.environ().get("RANK"):
                found[int(rank)] = process.pid
    return found


def ranks_once_they_train(running: subprocess.Popen[str], processes: int) -> dict[int, int]:
    """The processes that share a training, which are all there when it has said how its first epoch went."""
    assert running.stdout
    while not running.stdout.readline().startswith("epoch"):  # on few cores it says first that it has few
        assert running.poll() is None
    found = ranks(running.pid)
    assert set(found) == set(range(processes))
    return found


def lines_until_one_is_killed(project: Project, rank: int, after: int = 4) -> list[str]:
    """Train, kill a process after so many lines, and return what was printed; none is left."""
    running = project.start("python", "-m", "stages.train")
    assert running.stdout
    lines = [running.stdout.readline() for _ in range(after)]
    pids = ranks(running.pid)
    os.kill(pids[rank], signal.SIGKILL)
    lines += running.communicate()[0].splitlines(keepends=True)
    assert running.returncode == 1
    psutil.wait_procs([psutil.Process(pid) for pid in pids.values() if psutil.pid_exists(pid)], timeout=600)
    assert not any(map(psutil.pid_exists, pids.values()))
    return lines


def lengthen(project: Project) -> dict[str, str]:
    """Make it many epochs of `mlp`; returns what an uninterrupted training has come to, and forgets that."""
    project.edit("model: cnn", "model: mlp")
    project.edit("epochs: 1", f"epochs: {LONG}")
    project.succeed("python", "-m", "stages.train")
    uninterrupted = trained(project)
    forget(project)
    return uninterrupted


def forget(project: Project) -> None:
    """Remove what was trained, and the states on the way to it."""
    shutil.rmtree(project.path / ".resume")
    for name in TRAINED:
        (project.path / name).unlink(missing_ok=True)


def test_whichever_is_killed_the_others_end_with_it_and_any_number_goes_on(alone: Project, tmp_path: Path) -> None:
    project = copy(alone, tmp_path / "project")
    uninterrupted = lengthen(project)
    for processes, rank in ((2, 1), (3, 0)):
        share(project, processes)
        *_, last = lines = lines_until_one_is_killed(project, rank)
        assert last == (
            f"error: train: process {rank} of {processes} was ended by SIGKILL; run dvc repro again: it goes on after "
            "the last epoch\n"
        )
        assert [line for line in lines if not re.match("epoch|going on|train: 3 processes of 1", line)] == [last]
        assert not list(project.path.rglob("*.partial"))
    share(project, 1)
    assert project.succeed("python", "-m", "stages.train").startswith("going on after epoch ")
    assert trained(project) == uninterrupted


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_terminated_alone_is_a_line_too(rank: int, again: Project) -> None:
    again.edit("epochs: 1", f"epochs: {LONG}")
    share(again, 2)
    running = again.start("python", "-m", "stages.train")
    os.kill(ranks_once_they_train(running, 2)[rank], signal.SIGTERM)
    assert running.communicate()[0].splitlines()[-1] == "error: terminated"
    assert running.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_ends_them_all_with_one_line(number: int, word: str, again: Project) -> None:
    again.edit("epochs: 1", f"epochs: {LONG}")
    share(again, 2)
    running = again.start("python", "-m", "stages.train")
    pids = ranks_once_they_train(running, 2)
    os.killpg(running.pid, number)
    assert running.communicate()[0].splitlines()[-1] == f"error: {word}"
    assert running.returncode == 128 + number
    assert not any(map(psutil.pid_exists, pids.values()))
    assert not (again.path / "metrics/history.csv").exists()


def test_they_end_when_what_started_them_is_killed(again: Project) -> None:
    again.edit("epochs: 1", f"epochs: {LONG}")
    share(again, 2)
    running = again.start("python", "-m", "stages.train")
    processes = [psutil.Process(pid) for pid in ranks_once_they_train(running, 2).values()]
    running.kill()
    running.communicate()
    _, left = psutil.wait_procs(processes, timeout=600)
    assert not left


def test_an_error_is_said_once_and_leaves_nothing(again: Project) -> None:
    again.edit("learning_rate: 0.003", "learning_rate: 1000")
    again.edit("weight_decay: 0.0", "weight_decay: 1000")
    share(again, 3)
    done = again.run("python", "-m", "stages.train")
    assert done.returncode == 1
    assert re.fullmatch(
        r"(train: 3 processes of 1 threads on .*\n)?error: train: epoch 1, step .*finite; .*\n", done.stderr
    )
    assert trained(again) == {}


def test_that_there_are_too_few_gpus_is_said_once(again: Project) -> None:
    again.edit("device: cpu ", "device: cuda ")
    share(again, 3)
    done = again.run("python", "-m", "stages.train", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert [
        line for line in done.stderr.splitlines() if not line.startswith("train: 3 processes of 1 threads on ")
    ] == [
        "error: params.yaml: train.device: cuda: 0 CUDA devices here, and each process needs one of its own; set it to "
        "cpu, or start fewer"
    ]
    assert trained(again) == {}


def by_hand(project: Project, rank: int, port: int) -> subprocess.Popen[str]:
    """Start one of two processes as a scheduler of several machines does."""
    return project.start(
        "python", "-m", "stages.train", RANK=str(rank), LOCAL_RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_a_peer_with_other_inputs_is_refused_at_the_start(again: Project, tmp_path: Path) -> None:
    peer = copy(again, tmp_path / "peer")
    peer.edit("learning_rate: 0.003", "learning_rate: 0.1")
    port = free_port()
    first, second = by_hand(again, 0, port), by_hand(peer, 1, port)
    assert first.communicate()[0] == (
        "error: train: process 1 has other inputs than process 0: params.yaml: train.learning_rate; give both the same "
        "commit, parameters and data\n"
    )
    assert second.communicate()[0] == ""
    assert (first.returncode, second.returncode) == (1, 1)


def test_a_peer_that_does_not_come_is_not_waited_for_for_ever(again: Project) -> None:
    share(again, 1)
    again.edit("patience: 60", "patience: 2")
    for rank in (0, 1):
        running = by_hand(again, rank, free_port())
        (line,) = running.communicate()[0].splitlines()
        assert re.fullmatch(r"error: train: the other processes cannot be reached \(.*\); start them together", line)
        assert running.returncode == 1


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """Two network namespaces, as two machines with a cable between them: 10.87.0.1 and 10.87.0.2."""
    names = [f"mnist{os.getpid()}{letter}" for letter in "ab"]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "cable", "netns", names[1])
        except subprocess.CalledProcessError as error:  # root of a container need not have all of root's rights
            pytest.skip(f"this system lets nobody make networks of their own: {error.stderr.strip()}")
        for number, name in enumerate(names, 1):
            ip("-n", name, "address", "add", f"10.87.0.{number}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


def ip(*command: str) -> None:
    subprocess.run(["ip", *command], stderr=subprocess.PIPE, text=True, check=True)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="needs root's right to make networks"
)
def test_two_machines_by_torchruns_rendezvous(
    alone: Project, again: Project, tmp_path: Path, machines: list[str]
) -> None:
    other = copy(again, tmp_path / "other")
    here, there = (
        project.start(
            "ip", "netns", "exec", machine, "torchrun", "--nnodes", "2", "--nproc-per-node", "1",
            "--rdzv-backend", "c10d", "--rdzv-endpoint", "10.87.0.1:29500", "--local-addr", f"10.87.0.{number}",
            "--rdzv-conf", f"is_host={number == 1}", "-m", "stages.train", GLOO_SOCKET_IFNAME="cable",
        )
        for number, (project, machine) in enumerate(zip((again, other), machines, strict=True), 1)
    )  # fmt: skip
    said = [running.communicate()[0] for running in (here, there)]
    assert [here.returncode, there.returncode] == [0, 0], said
    found = [project for project in (again, other) if trained(project)]
    assert len(found) == 1, "the first process alone writes"
    assert trained(found[0]) == trained(alone)


def main(count: int = 20) -> None:
    """Kill a process of `count` trainings at a random moment, and have any number go on."""
    with tempfile.TemporaryDirectory() as folder:
        project = train_in_parts(Path(folder, "project"))
        uninterrupted = lengthen(project)
        chance = random.Random()
        same = 0
        for k in range(count):
            share(project, before := chance.randint(2, PARTS))
            rank, epochs = chance.randrange(before), chance.randint(1, LONG // 4)
            lines_until_one_is_killed(project, rank, epochs)
            share(project, after := chance.randint(1, PARTS))
            assert "going on after epoch " in project.succeed("python", "-m", "stages.train")
            same += trained(project) == uninterrupted
            forget(project)
            print(
                f"{k + 1}: process {rank} of {before} killed after {epochs} lines, {after} go on; {same} ended in the "
                "uninterrupted bytes",
                flush=True,
            )
    sys.exit(same != count)


if __name__ == "__main__":
    main()
