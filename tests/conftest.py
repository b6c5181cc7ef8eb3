"""A real project in a folder of its own: the working tree's files, git, DVC, a small data set."""

import atexit
import contextlib
import fcntl
import hashlib
import io
import locale
import math
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from filelock import FileLock

import mnist.raw
from mnist import idx, numerics
from mnist.dataset import Array
from pipeline import files, yaml12
from tests import forked

numerics.pin(threads=1)  # before any test imports torch
MEMORY, PLENTY = Path("/dev/shm"), 8 << 30  # bytes


def write_to_memory() -> None:
    """Have tests write to memory where there is plenty: they copy hundreds of projects.

    Measured on the fast part of test_bad_input, in turns: 38 and 46 s instead of 48 and 66.
    """
    if not MEMORY.is_dir() or "PYTEST_DEBUG_TEMPROOT" in os.environ:
        return
    system = os.statvfs(MEMORY)
    free = min(system.f_bavail * system.f_frsize, psutil.virtual_memory().available)
    if free > PLENTY and not system.f_flag & os.ST_NOEXEC:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


write_to_memory()

ROOT = Path(__file__).parents[1]
# a repository of somebody else's, as in a container, is still listed; git reads these two files whatever its settings
GIT_SETTINGS = f"""[safe]
\tdirectory = {ROOT}
[core]
\texcludesFile = {os.devnull}
\tattributesFile = {os.devnull}
"""
SETTINGS = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR",
            "DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR")  # fmt: skip


def leave_the_users_settings_alone() -> None:
    """Have git and DVC read nothing of the user's or the system's, and tell nobody: else commits are signed, say.

    Also in this process, and in a folder that pytest's workers share with the process that starts them. Below it is
    what DVC keeps of each repository too: in /var/tmp, where that is by default, nobody would remove it.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "gitconfig").write_text(GIT_SETTINGS)
    values = (str(folder / "gitconfig"), "1", str(folder / "global"), str(folder / "system"), "1", str(folder / "site"))
    os.environ.update(zip(SETTINGS, values, strict=True))


leave_the_users_settings_alone()
SHIPPED = ROOT / "tests/params.yaml"  # what tests start from; the project's own file is anybody's to edit
as_shipped = pytest.mark.skipif(
    yaml12.read(ROOT / "params.yaml") != yaml12.read(SHIPPED),
    reason="params.yaml is not as shipped (tests/params.yaml), and this holds the shipped figures",
)
RECIPES = ["article", "best", "cnn", "default", "mlp"]  # as shipped; there may be more or fewer, of anybody's
OWN_ORDER = numerics.own_order("cpu")  # why results here cannot be the committed ones, if they cannot
needs_the_order = pytest.mark.skipif(OWN_ORDER is not None, reason=f"{OWN_ORDER}: other results are expected here")
FASHION = Path("/usr/share/datasets/fashion-mnist")
needs_fashion = pytest.mark.skipif(not FASHION.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium; on Debian: apt-get install chromium")
SMALL = {"train": 1200, "test": 300}
PATIENCE = 3600  # seconds: on the slowest and busiest machine, only what hangs takes so long
PIPE = 4096  # bytes: 57 lines of an epoch; a reader takes 114 at a time
LONG = 200  # epochs, a line each
OUTPUTS = ["data/raw", "data/normalised", "models", "metrics"]
PIPELINE = yaml12.read(ROOT / "dvc.yaml")["stages"]
STAGES = list(PIPELINE)  # in the order in which they run
SCRIPTS = [f"stages.{name.replace('-', '_')}" for name in STAGES]


def needs_recipe(name: str) -> pytest.MarkDecorator:
    """Skip a test of a shipped recipe that is no longer there."""
    return pytest.mark.skipif(not (ROOT / f"recipes/{name}.yaml").exists(), reason=f"recipes/{name}.yaml is not there")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the pages, whose tests take longest: begun last, one process would work and the others wait."""
    items.sort(key=lambda item: "test_docs" not in item.nodeid)


def from_on(first: str) -> list[str]:
    """A stage and those that read what it makes, directly or not, in the order in which they run."""
    made: set[str] = set()
    found = []
    for name, stage in PIPELINE.items():
        if name == first or made & set(stage["deps"]):
            found.append(name)
            for kind in ("outs", "metrics"):
                made |= {path for out in stage.get(kind, []) for path in ([out] if isinstance(out, str) else out)}
    return found


SHELL = ("bash", "-ec")  # what a person types
OUTER = ("DVC_", "PYTEST_", "PYTHONUNBUFFERED")  # variables; the last is in images, and people do not have it


class Project:
    """A checkout to work on: run commands in it, edit its parameters, look at what came out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a user would in an activated environment, and wait for it; stdin is empty."""
        if (command[0] in ("dvc", "python") or command[:2] == SHELL) and not environment:
            environment = self.forking()
        return subprocess.run(
            command, cwd=self.path, env=self.environment(**environment), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command and return at once; its output can be read, and it leads a process group of its own.

        A training of LONG epochs cannot be done before the test reads on: the pipe holds fewer lines.
        """
        process = subprocess.Popen(
            command, cwd=self.path, env=self.environment(**environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        assert process.stdout
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE)
        return process

    @staticmethod
    def environment(**additional: str) -> dict[str, str]:
        """The environment of an activated virtual environment, without what an outer DVC, pytest or image has set."""
        kept = {name: value for name, value in os.environ.items() if name in SETTINGS or not name.startswith(OUTER)}
        return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **additional}

    def forking(self) -> dict[str, str]:
        """What makes `dvc` and `python -m` start sooner, and decides nothing else; see tests/forked.py."""
        return {"PATH": f"{forked.commands()}:{self.environment()['PATH']}"}

    def succeed(self, *command: str, **environment: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def mounting(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script that may mount file systems, for itself alone; where nobody may, the test is skipped."""
        namespace = ("unshare", "--map-root-user", "--mount")
        if self.run(*namespace, "true").returncode:
            pytest.skip("this system lets nobody mount a disk of their own")
        return self.run(*namespace, "bash", "-euc", script, **environment)

    def inside(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m mnist` with these arguments, in this process, which has loaded the libraries already."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
            pytest.MonkeyPatch.context() as patched,
        ):  # fmt: skip
            status = run_inside(shlex.join(["mnist", *arguments]), patched)
        return subprocess.CompletedProcess(arguments, int(str(status or 0)), out.getvalue(), err.getvalue())

    def mnist(self, *arguments: str) -> str:
        """`python -m mnist` with these arguments, in this process; it must succeed; returns what it printed."""
        done = self.inside(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def repro(self, *options: str) -> list[str]:
        """`dvc repro`, which must succeed; returns the stages whose command ran."""
        return re.findall(r"^Running stage '(.*)':$", self.succeed("dvc", "repro", *options), re.MULTILINE)

    def edit(self, old: str, new: str, file: str = "params.yaml") -> None:
        """Replace the one occurrence of a text in a file."""
        path = self.path / file
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        files.replace(path, text.replace(old, new).encode())

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of every output file."""
        files = [file for folder in OUTPUTS for file in (self.path / folder).rglob("*") if file.is_file()]
        return {
            str(file.relative_to(self.path)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(files)
            if file.name != ".gitignore"
        }


def run_inside(command: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run `python -m command` in this process; returns its exit status."""
    module, *arguments = shlex.split(command)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    monkeypatch.delitem(sys.modules, "mnist.__main__" if module == "mnist" else module, raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as caught:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return caught.value.code


def of_a_browser(home: Path) -> dict[str, str]:
    """The environment of a Chromium that leaves nothing in the user's own folders."""
    home.mkdir(exist_ok=True)
    return {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | {"HOME": str(home)}


@pytest.fixture
def ascii_locale() -> Iterator[None]:
    """A locale in which files are ASCII where no encoding is given."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    yield
    locale.setlocale(locale.LC_CTYPE, before)


def write_small(folder: Path) -> None:
    """The first images of MNIST as a data set of plain IDX files."""
    folder.mkdir(parents=True)
    for names, dimensions in ((mnist.raw.IMAGES, 3), (mnist.raw.LABELS, 1)):
        for split, name in names.items():
            idx.write(folder / name, first_of_mnist(name, dimensions, SMALL[split]))


def first_of_mnist(name: str, dimensions: int, count: int) -> Array:
    """The first images or labels of one of MNIST's files; the rest, a second's work, stays packed."""
    source = ROOT / f"data/mnist/{name}.gz"
    with idx.reading(source) as stream:
        _, shape = idx.header(stream, source, dimensions)
        content = stream.read(count * math.prod(shape[1:]))
    return np.frombuffer(bytearray(content), np.uint8).reshape(count, *shape[1:])


def make_checkout(path: Path, *, without: tuple[str, ...] = ()) -> Project:
    """Copy the project's own files, as they are in the working tree, and make them a git and DVC repository."""
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    if not listed:
        pytest.skip("git ignores this folder, as it does that of `make mutate`")
    for name in listed.splitlines():
        if not name.startswith(without) and (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    project = Project(path)
    for command in (
        ["git", "init", "-q", "-b", "main", "--template="],
        ["git", "config", "user.name", "test"],
        ["git", "config", "user.email", "test@example.org"],
    ):
        project.succeed(*command)
    commit(project, "checkout")
    return project


def make_project(path: Path) -> Project:
    """A checkout in which nothing has run, with a small data set and little to do, whatever params.yaml says."""
    project = make_checkout(
        path, without=("data/mnist/", "tests/", "benchmarks/", "docs/", "dvc.lock", "metrics/train.", "metrics/ev")
    )
    write_small(path / "data/small")
    shutil.copy(SHIPPED, path / "params.yaml")
    (path / "recipes/one.yaml").write_text("# a recipe of the tests\ntrain: {epochs: 15}\n")
    project.edit("path: data/mnist ", "path: data/small ")
    project.edit("validation: 5000", "validation: 200")
    project.edit("epochs: 10", "epochs: 2")
    commit(project, "a small project")
    return project


def commit(project: Project, message: str) -> None:
    """Commit everything that git does not ignore."""
    project.succeed("git", "add", "-A")
    project.succeed("git", "commit", "-q", "-m", message)


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Project:
    """A project that the first of pytest's workers makes, and the others wait for."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            make(folder)
            Project(folder).run("git", "gc", "-q")  # copies are of fewer files, each of which takes its time
            done.touch()
    return Project(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with its shipped parameters, run on all of MNIST as by `make`; not to be changed, only copied."""

    def make(path: Path) -> None:
        project = make_checkout(path)
        shutil.copy(SHIPPED, path / "params.yaml")
        project.succeed("git", "commit", "-qa", "--allow-empty", "-m", "the shipped parameters")
        assert project.repro() == STAGES

    return made_once(tmp_path_factory, "finished", make)


def copy(project: Project, path: Path) -> Project:
    """The same in another folder, without what DVC has noted of the old one."""
    shutil.copytree(
        project.path,
        path,
        symlinks=True,
        ignore=lambda folder, _: ["tmp"] if folder.endswith(".dvc") else [],
    )
    return Project(path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One small project that has been run and committed; tests get copies of it."""

    def make(path: Path) -> None:
        project = make_project(path)
        assert project.repro() == STAGES
        commit(project, "run")

    return made_once(tmp_path_factory, "template", make)


@pytest.fixture(scope="session")
def faster(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project with another, better run in its workspace; not to be changed, only copied."""

    def make(path: Path) -> None:
        project = copy(template, path)
        project.edit("learning_rate: 0.003", "learning_rate: 0.1")
        project.repro()

    return made_once(tmp_path_factory, "faster", make)


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A small project that has been run and committed, to do anything with."""
    return copy(template, tmp_path / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A small project in which nothing has run."""
    return make_project(tmp_path / "project")
