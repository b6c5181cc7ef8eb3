"""What does a sweep bring, and what does it survive? python -m benchmarks.sweeping [samplers] [workers] [kills]

`samplers`: twenty trials of sweeps/mlp.yaml by TPE, and as many by chance as cost the same, three times. `workers`:
trials per minute of two and of one. `kills`: a sweep killed at twenty random moments and begun again. In clones of the
last commit, in half an hour; prints the tables of docs/choosing.md.
"""

import contextlib
import random
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
import yaml

from benchmarks import pipeline
from mnist import numerics
from pipeline import yaml12

ROOT = Path(__file__).parents[1]
TIMES, KILLS, TRIALS, MORE = 3, 20, 6, 2
PARTS = ["samplers", "workers", "kills"]


def variant(project: Path, name: str, **changes: object) -> list[str]:
    """The command of a sweep like sweeps/mlp.yaml, but for what changes."""
    tree = yaml12.read(project / "sweeps/mlp.yaml")
    tree["sweep"] |= changes
    (project / f"sweeps/{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    return ["python", "-m", "mnist", "sweep", f"sweeps/{name}.yaml"]


def trials(project: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    """The trials of a sweep."""
    return optuna.load_study(study_name=name, storage=f"sqlite:///{project}/sweeps/{name}.db").trials


def samplers(project: Path) -> None:
    """Search by TPE and then by chance, which gets more trials until they have cost as much processor time."""
    columns = ["loss", "accuracy", "trials", "processor"]
    print(f"\n| sampler's seed | TPE: {' | '.join(columns)} | by chance: {' | '.join(columns)} |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for seed in range(TIMES):
        budget, cells = 0, [str(seed)]
        for sampler in ("tpe", "random"):
            name, spent, count = f"{sampler}{seed}", -1, 20
            while spent < budget:
                command = variant(project, name, sampler=sampler, seed=seed, trials=count)
                spent = int(re.findall(r"(\d+) s of processors", pipeline.run(project, *command, "--workers", "2"))[0])
                done, count = count, count + MORE
            budget = spent
            whole = [trial for trial in trials(project, name) if trial.state.name == "COMPLETE"]
            best = min(whole, key=lambda trial: float(trial.value or 0))
            accuracy = best.user_attrs["seed 1"]["accuracy"]
            cells += [f"{best.value:.4f}", f"{accuracy:.4f}", str(done), f"{spent} s"]
        print(f"| {' | '.join(cells)} |", flush=True)


def workers(project: Path) -> None:
    """Trials per minute of one worker and of two, in turn, by the trials' own times; their checkouts are there."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for time_of in range(TIMES):
        for count, found in rates.items():
            name = f"by{count}{time_of}"
            options = {"sampler": "random", "seed": 10 * time_of + count}
            pipeline.run(project, *variant(project, name, trials=count, **options), "--workers", str(count))
            command = variant(project, name, trials=count + TRIALS, **options)
            pipeline.run(project, *command, "--workers", str(count))
            timed = trials(project, name)[count:]
            began, ended = (
                [each for trial in timed if (each := getattr(trial, f"datetime_{what}"))]
                for what in ("start", "complete")
            )
            found.append(60 * TRIALS / (max(ended) - min(began)).total_seconds())
    for count, found in rates.items():
        print(f"{count} workers: {', '.join(f'{rate:.1f}' for rate in found)} trials a minute")
    ratios = [two / one for one, two in zip(*rates.values(), strict=True)]
    print(f"two ÷ one: {', '.join(f'{ratio:.2f}' for ratio in ratios)}", flush=True)


def kills(project: Path) -> None:
    """Kill a sweep at random moments, and see that each trial was carried out once."""
    moments, name = random.Random(0), "killed"
    command = variant(project, name, trials=20, seeds=[1, 2])
    for _ in range(KILLS):
        with subprocess.Popen(command, cwd=project, env=pipeline.ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(1, 30))  # from the start to some trials
            process.send_signal(signal.SIGKILL)
    before = sum(trial.state.is_finished() for trial in trials(project, name))
    pipeline.run(project, *command)
    states = [trial.state.name for trial in trials(project, name)]
    kept = pipeline.run(project, "git", "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").split()
    mine = [each for each in kept if each.startswith(f"{name}-")]
    recorded = sum(key.startswith("seed ") for trial in trials(project, name) for key in trial.user_attrs)
    print(
        f"{KILLS} kills, after which {before} of 20 trials were over; then {len(states)} trials: "
        f"{states.count('COMPLETE')} complete, {states.count('PRUNED')} pruned; {recorded} runs recorded, "
        f"{len(mine)} experiments, {len(set(mine))} names",
        flush=True,
    )


def main(parts: list[str]) -> None:
    """Run the parts."""
    numerics.pin(threads=1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        project = pipeline.clone(ROOT, Path(folder, "project"))
        for part in (samplers, workers, kills):
            if part.__name__ in parts:
                part(project)


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
