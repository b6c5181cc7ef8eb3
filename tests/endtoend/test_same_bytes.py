"""The same inputs give the same bytes: in any folder, clone or experiment, whatever the environment says."""

import os
import re
from pathlib import Path

import pytest

from tests import processors
from tests.conftest import SCRIPTS, Project, copy, made_once, make_checkout

pytestmark = pytest.mark.slow

ENVIRONMENT = {  # what would decide on threads and instructions, and what belongs to a person
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_DYNAMIC": "FALSE",
    "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1",
    "COLUMNS": "20", "LANG": "tr_TR.UTF-8", "HOME": "/nowhere", "MPLBACKEND": "svg", "FORCE_COLOR": "1",
}  # fmt: skip


@pytest.fixture(scope="module")
def cnn(template: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    """A project of a small convolutional network on two threads, with all that a training has, and what it came to."""

    def make(path: Path) -> None:
        project = copy(template, path)
        for old, new in (("model: mlp", "model: cnn"), ("threads: 1", "threads: 2"), ("shift: 0", "shift: 2")):
            project.edit(old, new)
        for key, value in (("label_smoothing", 0.1), ("rotate", 10.0), ("average", 0.9)):
            project.edit(f"{key}: 0.0", f"{key}: {value}")
        project.edit("optimizer: sgd", "optimizer: adamw")
        project.succeed("git", "commit", "-qam", "a convolutional network")
        assert len(project.repro()) == 3
        project.succeed("git", "commit", "-qam", "run")

    project = made_once(tmp_path_factory, "cnn", make)
    return project, project.hashes()


def clone(project: Project, path: Path) -> Project:
    """A clone with an empty cache, in a folder of another name."""
    project.succeed("git", "clone", "-q", ".", str(path))
    return Project(path)


def test_another_clone_in_another_environment_on_one_core(cnn: tuple[Project, dict[str, str]], tmp_path: Path) -> None:
    project, hashes = cnn
    other = clone(project, tmp_path / "elsewhere and otherwise")
    core = min(os.sched_getaffinity(0))  # a container may not have the first
    other.succeed("bash", "-c", f"umask 077; exec taskset -c {core} dvc repro", **ENVIRONMENT)
    assert other.hashes() == hashes
    assert other.succeed("git", "status", "--porcelain") == ""


OTHER_DISK = """
mount -t tmpfs tmpfs ../cache
mount -t tmpfs -o ro tmpfs $HOME
if touch $HOME/file 2> /dev/null; then exit 9; fi
dvc cache dir --local ../cache
dvc config --local cache.type hardlink,symlink
dvc repro
test -L models/model.safetensors
python -m mnist verify
python -m mnist compare HEAD workspace
"""


def test_with_a_cache_on_another_disk_and_a_read_only_home(project: Project, tmp_path: Path) -> None:
    other = clone(project, tmp_path / "other")
    for name in ("cache", "home"):
        (tmp_path / name).mkdir()
    done = other.mounting(OTHER_DISK, HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert "A and B are right on the same 300 images" in done.stdout
    assert other.succeed("git", "status", "--porcelain") == ""


# runs a stage's function with all of the machinery around it replaced by next to nothing
BARE = """
import contextlib, importlib, pathlib, sys, types
from pipeline import console, group, inputs, params, resume, stage, yaml12

class Run:
    def __init__(self, section, before):
        self.params, self.before, self.key = section, before, before.key
    def look(self):
        pass
    def show(self, path, write):
        pass
    def output(self, path):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        return pathlib.Path(path)
    def folder(self, path):
        pathlib.Path(path).mkdir(parents=True)
        return pathlib.Path(path)

@contextlib.contextmanager
def run(name, section, schema):
    tree = yaml12.read(params.FILE)
    make = schema if section in ("dataset", "train") else types.SimpleNamespace  # those have values of their own
    yield Run(make(**tree[section]), inputs.note(name, tree, {}))

stage.run, console.say = run, lambda line: None
console.progress = lambda *_, **__: contextlib.nullcontext(lambda done: None)
group.joined = lambda *_: contextlib.nullcontext()
resume.checkpoint = lambda *_: contextlib.nullcontext(resume.Checkpoint(None))
name = sys.argv[1]
getattr(importlib.import_module(name), name.split(".")[1])()
"""


def test_the_machinery_has_no_part_in_the_results(cnn: tuple[Project, dict[str, str]], tmp_path: Path) -> None:
    project, hashes = cnn
    bare = clone(project, tmp_path / "bare")
    for script in SCRIPTS:
        bare.succeed("python", "-c", BARE, script)
    assert bare.hashes() == hashes


@pytest.mark.parametrize("processor", ["AMD EPYC Milan", "Intel Haswell"])
def test_on_another_processor(cnn: tuple[Project, dict[str, str]], processor: str, tmp_path: Path) -> None:
    project, hashes = cnn
    other = clone(project, tmp_path / "other")
    other.succeed("dvc", "repro", **processors.told(processor, tmp_path))
    assert other.hashes() == hashes
    assert other.succeed("git", "status", "--porcelain") == ""


def outputs(lock: str) -> list[tuple[str, str]]:
    """Each file or folder in a dvc.lock that is data, and its MD5."""
    return re.findall(r"path: ((?:data|models|metrics)/\S+)\n +hash: md5\n +md5: (\S+)", lock)


def test_two_experiments_at_the_same_time_each_in_a_folder_of_its_own(
    cnn: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    project, _ = cnn
    other = clone(project, tmp_path / "other")  # without a cache from which the results could come
    other.succeed("git", "config", "user.name", "test")
    other.succeed("git", "config", "user.email", "test@example.org")
    other.succeed("dvc", "exp", "run", "--queue", "-S", "plot.images=3,4")
    other.succeed("dvc", "exp", "run", "--run-all", "--jobs", "2")
    refs = other.succeed("git", "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/*").split()
    before, *both = (outputs(other.succeed("git", "show", f"{commit}:dvc.lock")) for commit in ("HEAD", *refs))
    assert (len(both), len(before)) == (2, 16)
    for found in both:
        differing = [path for path, md5 in found if (path, md5) not in before]
        assert differing == ["metrics/plots"], "only the pictures were asked to differ"


def test_the_committed_lock_is_that_of_the_code_and_the_parameters(tmp_path: Path) -> None:
    project = make_checkout(tmp_path / "checkout")
    due = project.run("dvc", "repro", "--dry", "--allow-missing")
    assert "Running stage" not in due.stdout, "dvc.lock is not current: run dvc repro and commit it"
    assert due.returncode == 0, due.stderr
