"""Data, models and the run cache go from one person to another through each kind of DVC's remotes, whatever happens."""

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import verify
from tests import remotes
from tests.conftest import Project, commit, copy
from tests.remotes import Remote, Wire

pytestmark = pytest.mark.slow
MODEL = "models/model.safetensors"  # 440 kB


@pytest.fixture(scope="module", params=remotes.KINDS)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A remote of each kind, with nothing in it; tests have stores of their own there."""
    if why := remotes.missing(request.param):
        pytest.skip(why)
    with remotes.serving(request.param, tmp_path_factory.mktemp(request.param) / "remote") as served:
        yield served


def cloned(project: Project, path: Path, remote: Remote) -> Project:
    """What another person has: a clone, and the right to use the remote."""
    project.succeed("git", "clone", "-q", str(project.path), str(path))
    other = Project(path)
    for key in ("user.name", "user.email"):
        other.succeed("git", "config", key, "other@example.org")
    remote.let_in(other)
    return other


def test_what_one_has_run_another_gets_and_what_the_other_tries_comes_back(
    project: Project, remote: Remote, tmp_path: Path
) -> None:
    hub = tmp_path / "hub"
    project.succeed("git", "init", "-q", "--bare", "-b", "main", str(hub))
    project.succeed("git", "remote", "add", "origin", str(hub))
    store = remote.add(project, "walk")
    commit(project, "a remote")
    for secret in remote.secrets.values():
        assert secret not in project.succeed("git", "grep", "-e", "", "HEAD", "--", ".dvc")
    project.succeed("git", "push", "-q", "-u", "origin", "main")
    project.succeed("dvc", "push", "--run-cache")
    assert remotes.differing(project, store) == []

    other = cloned(Project(hub), tmp_path / "other", remote)
    other.succeed("dvc", "pull", "--run-cache")
    assert other.hashes() == project.hashes()
    assert other.repro() == []
    assert remotes.differing(other, store) == []
    if remote.kind == "folder":  # whatever the remote, from here on it is the cache that counts
        (other.path / "dvc.lock").unlink()
        assert other.repro() == ["train", "evaluate"]  # git has their metrics, so DVC does not push them
    assert other.succeed("git", "status", "--porcelain") == ""
    other.succeed("dvc", "exp", "run", "-q", "--name", "faster", "-S", "train.learning_rate=0.1")
    other.succeed("dvc", "exp", "push", "origin", "faster")

    project.succeed("dvc", "exp", "pull", "origin", "faster")
    project.succeed("dvc", "exp", "apply", "faster")
    assert project.hashes() == other.hashes()
    assert "train.learning_rate  0.003 → 0.1" in project.mnist("compare", "HEAD", "faster")
    assert project.repro() == []
    commit(project, "faster")
    project.succeed("git", "push", "-q")
    project.succeed("dvc", "push", "--run-cache")
    assert remotes.differing(project, store) == []

    other.succeed("git", "checkout", "-q", ".")
    other.succeed("git", "pull", "-q")
    other.succeed("dvc", "pull", "--run-cache")
    assert other.repro() == []
    assert other.hashes() == project.hashes()


def test_two_push_at_once(project: Project, remote: Remote, tmp_path: Path) -> None:
    store = remote.add(project, "both")
    other = copy(project, tmp_path / "other")
    pushes = [each.start("dvc", "push", "--run-cache") for each in (project, other)]
    said = [push.communicate()[0] for push in pushes]
    assert [push.returncode for push in pushes] == [0, 0], said
    assert remotes.corrupt(project, store) == []
    assert remotes.differing(project, store) == []


def test_a_push_that_is_killed_leaves_nothing_wrong_and_the_next_one_completes_it(
    project: Project, remote: Remote
) -> None:
    whole = remotes.measure(project, remote, "whole")
    found = [remotes.push_killed(project, remote, f"killed{k}", whole * k // 3) for k in (1, 2)]
    assert [each.present > 20 for each in found] == [False, False]
    assert [(each.wrong, each.lost) for each in found] == [([], []), ([], [])]


def test_a_remote_that_stands_still_is_waited_for_and_ctrl_c_ends_that(project: Project, remote: Remote) -> None:
    if not remote.port:
        pytest.skip("a folder does not stand still on the way")
    limit = remotes.measure(project, remote, "quick") // 2
    for goes_on in (True, False):
        with Wire(remote.port, limit) as way:
            store = remote.add(project, f"slow{goes_on}", way.port)
            push = project.start("dvc", "push", "--run-cache")
            way.wait(push)
            assert remotes.differing(project, store) != []
            if goes_on:
                way.go_on.set()
            else:
                push.send_signal(signal.SIGINT)
            said, _ = push.communicate()
        assert remotes.corrupt(project, store) == []
        assert (remotes.differing(project, store) == []) == goes_on
        assert (push.returncode, said) == ((0, "28 files pushed\n") if goes_on else (252, INTERRUPTED))


INTERRUPTED = "ERROR: interrupted by the user\n"
PUSH = "exec dvc push --run-cache"


def test_a_full_remote_is_said_to_be_and_gets_the_rest_later(project: Project, remote: Remote, tmp_path: Path) -> None:
    store = remote.folder / "full"
    if remote.kind == "folder":
        remote.add(project, "full")
        store.mkdir()
        done = project.mounting(f"mount -t tmpfs -o size=600k tmpfs {store}; {PUSH}")
        assert "No space left on device" in done.stderr
    else:
        with remotes.serving(remote.kind, tmp_path / "server", "full") as small:
            there = small.add(project, "full")
            done = project.run("dvc", "push", MODEL)  # S3's client tries each object for a quarter of a minute
            shutil.copytree(there, store)
    assert done.returncode != 0
    assert "ERROR: failed to transfer" in done.stderr
    assert remotes.corrupt(project, store) == []
    remote.add(project, "full")
    project.succeed("dvc", "push", "--run-cache")
    assert remotes.differing(project, store) == []


def test_nothing_comes_to_a_read_only_remote_and_it_says_so(project: Project, remote: Remote, tmp_path: Path) -> None:
    store = remote.folder / "read-only"
    if remote.kind == "folder":
        remote.add(project, "read-only")
        store.mkdir()
        done = project.mounting(f"mount --bind {store} {store}; mount -o remount,ro,bind {store}; {PUSH}")
        assert "Read-only file system" in done.stderr
    else:
        with remotes.serving(remote.kind, tmp_path / "server", "read-only") as closed:
            store = closed.add(project, "read-only")
            done = project.run("dvc", "push", MODEL)
        assert ("Permission denied" if remote.kind == "ssh" else "Internal Error") in done.stderr
    assert done.returncode != 0
    assert remotes.count(store) == 0
    assert project.repro() == []


def test_a_remote_that_is_away_is_named_and_all_else_goes_on(project: Project, remote: Remote, tmp_path: Path) -> None:
    with Wire(0) as nobody:
        port = nobody.port
    store = remote.add(project, "away", port)
    commit(project, "a remote")
    if remote.port:
        done = project.run("dvc", "push", MODEL)
        assert done.returncode == 255
        assert re.search(f"(Connect call failed|Could not connect to the endpoint).*{port}", done.stderr)
    else:  # to push makes the folder
        done = cloned(project, tmp_path / "other", remote).run("dvc", "pull")
        assert done.returncode == 1
        assert "Some of the cache files do not exist neither locally nor on remote" in done.stderr
    assert remotes.count(store) == 0
    assert project.repro() == []


def test_a_damaged_object_is_found_and_can_be_replaced(project: Project, remote: Remote, tmp_path: Path) -> None:
    store = remote.add(project, "damaged")
    commit(project, "a remote")
    project.succeed("dvc", "push")
    objects = verify.objects(store / "files/md5")
    damaged = max(objects, key=lambda path: path.stat().st_size)  # of data/raw
    content = bytearray(damaged.read_bytes())
    content[500] ^= 1
    damaged.chmod(0o644)
    damaged.write_bytes(content)
    name = str(damaged.relative_to(store))

    trusting = cloned(project, tmp_path / "trusting", remote)
    trusting.succeed("dvc", "pull")
    assert trusting.succeed("dvc", "status") == "Data and pipelines are up to date.\n"
    assert f"{name}: not what its name says; data/raw/train-images" in trusting.inside("verify").stdout

    other = cloned(project, tmp_path / "other", remote)
    other.succeed("dvc", "remote", "modify", "--local", "store", "verify", "true")
    done = other.run("dvc", "pull")
    assert done.returncode == 1
    assert "Checkout failed for following targets:\ndata/raw" in done.stderr
    assert not (other.path / ".dvc/cache" / name).exists()
    assert ": 0 corrupt" in other.mnist("verify")

    damaged.unlink()
    assert "up to date" in project.succeed("dvc", "push"), "DVC takes what a folder's listing names for present"
    for path in objects:
        if path.suffix == ".dir":
            path.unlink()
    project.succeed("dvc", "push")
    assert remotes.corrupt(project, store) == []
    other.succeed("dvc", "pull")
    assert other.hashes() == project.hashes()
    assert other.repro() == []


def test_who_may_not_in_is_told_so(project: Project, remote: Remote) -> None:
    if not remote.secrets:
        pytest.skip("a folder has no secrets")
    store = remote.add(project, "secret")
    (project.path / ".dvc/config.local").unlink()
    done = project.run("dvc", "push")
    assert done.returncode == 255
    assert re.search("Too many authentication failures|Permission denied|Unable to locate credentials", done.stderr)
    assert remotes.count(store) == 0
    remote.let_in(project)
    project.succeed("dvc", "push")


@pytest.mark.parametrize("known", [True, False])
def test_a_tunnel_of_openssh_looks_at_the_servers_key_and_dvc_does_not(
    known: bool, project: Project, tmp_path: Path
) -> None:
    if why := remotes.missing("ssh"):
        pytest.skip(why)
    with remotes.serving("ssh", tmp_path / "remote") as remote:
        key = (tmp_path / "remote" / ("host_key.pub" if known else "key.pub")).read_text()
        hosts = tmp_path / "known_hosts"
        hosts.write_text(f"[{remotes.LOCALHOST}]:{remote.port} {key}")
        with Wire(0) as free:
            port = free.port
        options = f"-F none -o UserKnownHostsFile={hosts} -o StrictHostKeyChecking=yes -o ExitOnForwardFailure=yes"
        tunnel = project.start(
            "ssh", *options.split(), "-i", remote.secrets["keyfile"], "-p", str(remote.port), "-N",
            "-L", f"{port}:{remotes.LOCALHOST}:{remote.port}", remotes.LOCALHOST,
        )  # fmt: skip
        try:
            assert remotes.answers(port, tunnel) == known
            store = remote.add(project, "tunnel", port if known else remote.port)
            project.succeed("dvc", "push", "--run-cache")  # to whoever answers
            assert remotes.differing(project, store) == []
        finally:
            tunnel.terminate()
            said, _ = tunnel.communicate()
        assert ("Host key verification failed" in said) == (not known)


def test_without_a_remote_it_says_so(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    project.succeed("git", "clone", "-q", ".", str(other.path))
    for name, said in {"push": "no remote specified", "pull": "No remote provided and no default remote set"}.items():
        done = other.run("dvc", name)
        assert done.returncode == 1
        assert said in done.stderr
    done = project.run("dvc", "push", "--remote", "other")
    assert done.returncode == 1
    assert "remote 'other' doesn't exist" in done.stderr
