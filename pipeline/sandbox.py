"""Runs of a stage with other parameters, in a checkout beside the workspace, kept as experiments of DVC's.

`dvc exp run --temp` makes a new checkout for each run, and takes twice the processor time. Here a worker keeps its own:
it shares DVC's cache and the states of killed trainings with the workspace, and nothing that DVC locks.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

from pipeline import checkout, definition, files, git, lock, params, processes, verify, yaml12
from pipeline.errors import InputError

POLL = 0.1  # seconds between two looks at a run
REF = "refs/exps/{}/{}/{}"  # of an experiment, as DVC has it: its base's hash in two parts, and its name


class Cost(NamedTuple):
    """What a run took, in seconds of the clock and of processors, and whether it came to its end."""

    wall: float
    processor: float
    whole: bool


class StageError(Exception):
    """A stage failed; the message is its own."""


class Sandbox:
    """A checkout of a commit in a folder, in which the stage `target` is run again and again."""

    def __init__(self, folder: Path, commit: str, target: str, content: str) -> None:
        self.folder = folder.resolve()
        self.commit = commit
        self.target = target
        self.content = content  # of params.yaml
        self.stages = definition.behind(target)
        self.project = self.folder / git.run("rev-parse", "--show-prefix").strip()
        self.root = self.make()

    def make(self) -> Path:
        """Make the folder, unless it is there already; returns where DVC's repository begins in it."""
        done = self.folder / ".made"
        known = done.is_file() and done.read_text() == self.commit
        if not known:
            files.remove(self.folder)
            self.folder.mkdir(parents=True)
            git.check_out(self.commit, self.folder)
        cache = verify.cache().parents[1].resolve()
        root = checkout.configure(self.commit[:12], self.folder, self.project, cache)
        if known:
            return root
        states = files.temporary().parents[1].resolve() / ".resume"  # as `pipeline.resume` has it
        states.mkdir(exist_ok=True)
        (root / ".resume").symlink_to(states)
        if any(path.is_file() for path in self.project.rglob("*.dvc")):  # data that git does not have
            try:
                self.wait(self.start("checkout", "--allow-missing"), lambda: False)
            except StageError as failure:
                raise InputError(
                    f"{self.commit[:12]}: its data cannot be brought into a worker's checkout: {failure}; see that "
                    "`dvc checkout` does it here, and commit what that takes"
                ) from failure
        done.write_text(self.commit)
        return root

    def run(self, values: dict[str, Any], enough: Callable[[], bool]) -> Cost:
        """Run the stage with these values of params.yaml, until `enough` says to kill it.

        Raises StageError, in the stage's own words, if it fails.
        """
        self.reset(values)
        return self.wait(self.start("repro", self.target), enough)

    def reset(self, values: dict[str, Any]) -> None:
        """Bring the checkout to where a run begins: nothing of the last one, nor of what a kill has left half."""
        (self.project / params.FILE).write_bytes(params.edited(self.content, values, params.FILE))
        recorded = next(git.contents([(self.commit, str(lock.FILE))]))
        stages = yaml12.parse(recorded, lock.FILE)["stages"] if recorded else {}
        stages.pop(self.target, None)  # and what it makes goes; the record of later stages is out of date, which shows
        text = yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)
        (self.project / lock.FILE).write_text(text, "utf-8")
        before = [entry for name, entry in self.stages.items() if name != self.target]
        kept_outputs = {path for entry in before for path in definition.outputs(entry)}
        for entry in definition.read().stages.values():
            for path in definition.outputs(entry).keys() - kept_outputs:
                files.remove(self.project / path)
        for note in ("rwlock", "rwlock.lock", "lock"):
            files.remove(self.root / ".dvc/tmp" / note)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start DVC with this interpreter; it ends with this process."""
        with (self.folder / ".log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "pipeline.child", str(os.getpid()), *arguments],
                cwd=self.project, env=checkout.environment(self.folder), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self, process: subprocess.Popen[bytes], enough: Callable[[], bool]) -> Cost:
        """Wait for a process and all that it has started, and kill them when `enough` says so."""
        began, used = time.perf_counter(), 0.0
        try:
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                if not used and enough():
                    used = processor(process.pid)
                    processes.end(process.pid)
                time.sleep(POLL)
        except BaseException:  # a signal as well
            processes.end(process.pid)
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if used or process.returncode == 0:
            used = used or ended[2].ru_utime + ended[2].ru_stime
            return Cost(time.perf_counter() - began, used, process.returncode == 0)
        said = (self.folder / ".log").read_text("utf-8", errors="replace").splitlines()
        raise StageError(checkout.failure(said).strip().removeprefix("error: "))

    def save(self, name: str, instead: str = "") -> str:
        """Keep the last run as an experiment, as `dvc exp save` would; returns its commit.

        `instead` is the commit that had this name before. Raises InputError if another one has it by now.
        """
        index = self.folder / ".git-index.partial"
        environment = {"GIT_INDEX_FILE": str(index)}
        there = ["-C", str(self.project), f"--git-dir={git.run('rev-parse', '--absolute-git-dir').strip()}"]
        there.append(f"--work-tree={self.folder}")
        options = [
            path
            for entry in self.stages.values()
            for path, how in definition.outputs(entry).items()
            if how.get("cache") is False
        ]
        for arguments in (
            ["read-tree", self.commit],
            ["add", "--update", "."],
            ["add", "--force", "--", str(params.FILE), str(lock.FILE), *options],
        ):
            git.checked(*there, *arguments, environment=environment)
        tree = git.checked(*there, "write-tree", environment=environment).decode().strip()
        index.unlink()
        message = f"dvc: commit experiment {name}"
        commit = git.run("commit-tree", "-p", self.commit, "-m", message, tree).strip()
        reference = REF.format(self.commit[:2], self.commit[2:], name)
        if instead and git.execute("show-ref", "--verify", "--quiet", reference).returncode:  # it began elsewhere
            old = ["--format=%(refname)", f"--points-at={instead}", REF.format("*", "*", name)]
            git.run("update-ref", "-d", git.run("for-each-ref", *old).strip(), instead)
            instead = ""
        done = git.execute("update-ref", reference, commit, instead or "0" * len(commit))
        if done.returncode and git.experiments().get(name, instead) != instead:
            raise InputError(f"{name}: another experiment has this name by now; `dvc exp remove {name}`")
        if done.returncode:
            reason = " ".join(done.stderr.decode(errors="replace").split())
            raise InputError(
                f"{name}: git does not keep this experiment ({reason}); put that right, and run this again"
            )
        return commit


def processor(pid: int) -> float:
    """Seconds of processors that a process and all that it has started have used so far; not 0."""
    used = 1e-9
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                used += sum(each.cpu_times()[:4])
    return used
