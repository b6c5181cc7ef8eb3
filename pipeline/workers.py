"""Workers that carry out the trials of a study, each in a sandbox of its own; every run is kept as an experiment."""

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, Trial

from pipeline import files, git, verify
from pipeline.database import StopError
from pipeline.errors import InputError
from pipeline.sandbox import Cost, Sandbox, StageError
from pipeline.study import BEAT, Settings, Study

IDLE = 1.0  # seconds between two looks for a trial, where others have all
FOLDER = "sweep"


class Kind(Protocol):
    """What a search has to know of the stage that it runs."""

    @property
    def seeds(self) -> list[int]:
        """The seeds that each trial is run with."""

    @property
    def longest(self) -> int:
        """The most steps that a run may have."""

    def values(self, found: dict[str, Any], seed: int) -> dict[str, Any]:
        """What to set in params.yaml for a trial's parameters and a seed."""

    def progress(self, project: Path) -> list[float]:
        """What to prune by, after each step so far of the run that goes on there; by the study's direction."""

    def steps(self, values: dict[str, Any]) -> int:
        """How many steps a run with these values has."""

    def read(self, commit: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """The results of an experiment that was run with these values; None if it has none. Raises InputError."""

    def value(self, results: list[dict[str, Any]]) -> float:
        """A trial's value by the results of its runs."""

    def hopeless(self, message: str) -> bool:
        """Whether a stage that failed so did because of its parameters, and not because of something else."""


@dataclass
class Search:
    """All that the workers of a process share."""

    settings: Settings
    kind: Kind
    target: str
    content: str  # of params.yaml
    url: str
    say: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    running: dict[int, Trial] = field(default_factory=dict)

    def run(self, count: int, done: Callable[[FrozenTrial], None]) -> Study:
        """Carry out what is left of the study with so many workers; `done` is told of each trial that is over."""
        commit = git.resolve("HEAD")
        for empty in verify.unfinished(verify.cache()):  # a killed DVC's: no run would get past them
            with contextlib.suppress(OSError):
                empty.rmdir()
        mine = f"{socket.gethostname()}:{Path.cwd()}"
        study = Study(self.url, self.settings, mine, self.say, self.stop)
        ended: list[Future[None]] = []
        with ThreadPoolExecutor(count + 1) as pool:
            try:
                workers = [pool.submit(self.work, study, commit, number, done) for number in range(count)]
                beat = pool.submit(self.beat, study)
                while len(ended) < count and not any(each.exception() for each in ended) and not beat.done():
                    # in slices, as a signal is only seen in between
                    ended = list(wait(workers, timeout=1, return_when=FIRST_EXCEPTION).done)
            finally:
                self.stop.set()
        for each in [*workers, beat]:
            if (error := each.exception()) and not isinstance(error, StopError):
                raise error
        self.stop.clear()  # what is asked of the study from now on may wait for its database again
        return study

    def beat(self, study: Study) -> None:
        """Show from time to time that the trials' workers live."""
        with contextlib.suppress(StopError):
            while not self.stop.wait(BEAT):
                for trial in list(self.running.values()):
                    study.beat(trial)

    def work(self, study: Study, commit: str, number: int, done: Callable[[FrozenTrial], None]) -> None:
        """Carry out one trial after the other, as long as there are any."""
        place = files.temporary() / FOLDER / f"worker{number}"
        sandbox = Sandbox(place, commit, self.target, self.content)
        while not self.stop.is_set() and not study.finished():
            trial = study.claim()
            if trial is None:
                self.stop.wait(IDLE)
                continue
            self.running[number] = trial
            try:
                self.carry_out(study, trial, sandbox)
                done(study.frozen(trial))
            except optuna.exceptions.UpdateFinishedTrialError:
                pass  # another worker took this one for dead, and was faster
            finally:
                self.running.pop(number)

    def carry_out(self, study: Study, trial: Trial, sandbox: Sandbox) -> None:
        """Run a trial with each seed, until it is pruned."""
        found = study.parameters(trial)
        known = dict(trial.user_attrs)
        results = []
        for index, seed in enumerate(self.kind.seeds):
            key = f"seed {seed}"
            if key not in known:
                values = self.kind.values(found, seed)
                name = f"{self.settings.name}-{trial.number:03}-s{seed}"
                result = self.experiment(study, trial, sandbox, name, values, index)
                if result is None:
                    return study.tell(trial, None)
                trial.set_user_attr(key, result)
                known[key] = result
            results.append(known[key])
            if index + 1 < len(self.kind.seeds) and trial.should_prune():
                return study.tell(trial, None)
        return study.tell(trial, self.kind.value(results))

    def experiment(
        self, study: Study, trial: Trial, sandbox: Sandbox, name: str, values: dict[str, Any], index: int
    ) -> dict[str, Any] | None:
        """The results of an experiment: of one that a killed worker has left, else of a run; None prunes the trial."""
        before = git.experiments().get(name, "")
        if before and (result := self.kind.read(before, values)):
            return result
        if before:
            self.say(f"{name}: its results are damaged; it is run again")
        first, last = index * self.kind.longest, self.kind.steps(values)

        def enough() -> bool:
            if self.stop.is_set():
                return True
            steps = self.kind.progress(sandbox.project)
            for step, value in enumerate(steps, first):
                study.report(trial, value, step)
            return 0 < len(steps) < last and trial.should_prune()

        try:
            cost = sandbox.run(values, enough)
        except StageError as failure:
            if self.kind.hopeless(str(failure)):
                trial.set_user_attr("failed", str(failure))
                return None
            raise InputError(f"{name}: cannot be run: {failure}") from failure
        if not cost.whole and self.stop.is_set():
            raise StopError
        if not cost.whole:
            trial.set_user_attr("pruned", {"wall": cost.wall, "processor": cost.processor})
            return None
        enough()
        return self.finished(sandbox.save(name, before), values, cost)

    def finished(self, commit: str, values: dict[str, Any], cost: Cost) -> dict[str, Any]:
        """The results of an experiment that has just been run."""
        result = self.kind.read(commit, values)
        assert result
        return {**result, "wall": cost.wall, "processor": cost.processor}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Raise InputError if a search goes on in this folder, else keep others from beginning one."""
    path = files.temporary() / f"{FOLDER}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise InputError(
                f"a sweep is going on in this folder (process {file.read() or 'unknown'}); wait until it has ended, or "
                "take a clone, which can share its trials by --storage"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
