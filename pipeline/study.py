"""The trials of a search, in a database that workers of one machine or of many share, by Optuna.

Each trial is there from the start and waits; a worker takes the first, and what a killed one has left is taken by
another, with the parameters that it had. So none is lost, and none is counted twice.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from pipeline.database import Patient, connect
from pipeline.errors import InputError

BEAT = 10.0  # seconds between two signs of life of a trial's worker
PATIENCE = 60.0  # seconds without one after which its trial is another's
OWNER, BEATS = "worker", "beats"
OVER = (TrialState.COMPLETE, TrialState.PRUNED)

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Sampler(optuna.samplers.BaseSampler):
    """Draws a trial's parameters by a generator of its own, so that trials come out the same after any kill.

    Each key is drawn by itself, which is Optuna's default too.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.seed = seed

    # what draws several keys at once draws none
    def infer_relative_search_space(self, *_: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, *_: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        drawn = hashlib.sha256(f"{self.seed} {trial.number} {param_name}".encode()).digest()
        seed = int.from_bytes(drawn[:4], "big")
        sampler: optuna.samplers.BaseSampler = (
            optuna.samplers.RandomSampler(seed) if self.kind == "random" else optuna.samplers.TPESampler(seed=seed)
        )
        return sampler.sample_independent(study, trial, param_name, param_distribution)


@dataclass(frozen=True)
class Settings:
    """What a study is, and what it is bound to: `identity` by key, where another value is another study."""

    name: str
    trials: int
    space: dict[str, BaseDistribution]
    direction: Literal["minimize", "maximize"]
    sampler: Sampler
    pruning: bool
    identity: dict[str, Any]


class Study:
    """A study in a database; all trials of it that `mine` had are free from the start."""

    def __init__(
        self, url: str, settings: Settings, mine: str, say: Callable[[str], None], stop: threading.Event
    ) -> None:
        self.settings = settings
        self.mine = mine
        self.local = url.startswith("sqlite:")
        self.storage = Patient(connect(url), say, stop)  # type: ignore[abstract]
        self.seen: dict[int, tuple[Any, float]] = {}
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=settings.name,
            direction=settings.direction,
            sampler=settings.sampler,
            pruner=optuna.pruners.MedianPruner() if settings.pruning else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self.id = self.storage.get_study_id_from_name(settings.name)
        self.bind()
        waiting = optuna.trial.create_trial(state=TrialState.WAITING)
        for _ in range(
            settings.trials - len(self.trials())
        ):  # if others do that too, there are more: nobody takes them
            self.storage.create_new_trial(self.id, waiting)
        for trial in self.trials():
            if trial.state == TrialState.RUNNING and (self.local or trial.user_attrs.get(OWNER) == mine):
                self.release(trial)

    def bind(self) -> None:
        """Raise InputError if the study is of other code, data or parameters."""
        bound = self.study.user_attrs.get("identity")
        if bound is None:
            self.study.set_user_attr("identity", self.settings.identity)
            bound = self.study.user_attrs["identity"]
        ours = self.settings.identity
        if others := [key for key in {**bound, **ours} if bound.get(key) != ours.get(key)]:
            raise InputError(
                f"{self.settings.name}: there is a search of this name already, with another {others[0]}"
                f"{f' and {len(others) - 1} more differences' * (len(others) > 1)}; give this one another sweep.name, "
                "or put that back"
            )

    def trials(self) -> list[FrozenTrial]:
        """The trials of this search, as they are now."""
        return self.study.get_trials(deepcopy=False)[: self.settings.trials]

    def frozen(self, trial: Trial) -> FrozenTrial:
        """A trial as it is now."""
        return self.storage.get_trial(trial._trial_id)

    def finished(self) -> bool:
        """Whether all trials are over."""
        return all(trial.state in OVER for trial in self.trials())

    def claim(self) -> Trial | None:
        """Take the first trial that nobody is at; None if there is none at the moment."""
        with self.storage.lock:
            for trial in self.trials():
                if trial.state == TrialState.RUNNING and self.stale(trial):
                    self.release(trial)
            for trial in self.trials():
                # true for one worker alone, whatever others do at the same time
                if trial.state == TrialState.WAITING and self.storage.set_trial_state_values(
                    trial._trial_id, TrialState.RUNNING
                ):
                    self.storage.set_trial_user_attr(trial._trial_id, OWNER, self.mine)
                    return Trial(self.study, trial._trial_id)
        return None

    def stale(self, trial: FrozenTrial) -> bool:
        """Whether a trial's worker has given no sign of life for long, by this machine's clock alone."""
        sign, now = [trial.user_attrs.get(OWNER), trial.user_attrs.get(BEATS)], time.monotonic()
        known = self.seen.get(trial.number)
        if known is None or known[0] != sign or known[1] < self.storage.returned:
            self.seen[trial.number] = sign, now
            return False
        return sign[0] != self.mine and now - known[1] > PATIENCE

    def release(self, trial: FrozenTrial) -> None:
        """Let others have a trial."""
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):  # its worker lives, after all
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def parameters(self, trial: Trial) -> dict[str, Any]:
        """The parameters of a trial: those that it has, or else new ones."""
        return {key: suggested(trial, key, distribution) for key, distribution in self.settings.space.items()}

    def beat(self, trial: Trial) -> None:
        """Show that a trial's worker lives."""
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial.set_user_attr(BEATS, time.time())

    def report(self, trial: Trial, value: float, step: int) -> None:
        """Tell how a trial goes; a second time, as after a kill, tells nothing new."""
        if step not in self.frozen(trial).intermediate_values:
            trial.report(value, step)

    def tell(self, trial: Trial, value: float | None) -> None:
        """End a trial with its value; None prunes it. The first to do so counts."""
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        self.study.tell(trial, value, state=state, skip_if_finished=True)


def suggested(trial: Trial, key: str, distribution: BaseDistribution) -> Any:
    """The value of a trial for a key."""
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(key, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(key, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(key, distribution.choices)
