"""`dvc repro` from nothing, with nothing to do, and the commands that compare; each in a clone of its own."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import Figure, in_turn, ratios, seconds

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",  # a new project, unlike ours, would report each command over the network
}
SEED = "seed: {}\n          threads"  # as dvc.lock has train's
EXPERIMENTS = 200
# Linux counts what a process held before it became another program, which is its parent's memory: this one has little
STARTED = """
import os, sys
_, status, used = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
print(f"\\n{used.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""


def run(folder: Path, *command: str, given: str | None = None) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def measured(folder: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command; what came of it, and the most memory that it took, or one of its own processes, in MB."""
    started = [sys.executable, "-IS", "-c", STARTED, *command]
    done = subprocess.run(started, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    done.stdout, _, most = done.stdout.rstrip("\n").rpartition("\n")
    return done, int(most) * 1024 / 1e6


def clone(source: Path, folder: Path) -> Path:
    """A clone with an empty cache, in which one can commit."""
    run(source, "git", "clone", "-q", str(source), str(folder))
    run(folder, "git", "config", "user.name", "bench")
    run(folder, "git", "config", "user.email", "bench@example.org")
    return folder


def figures(project: Path, folder: Path) -> list[Figure]:
    """What `dvc repro` takes when everything is to be done, and when nothing is."""
    return [*from_nothing(project, folder), *nothing_to_do(project, folder)]


def from_nothing(source: Path, folder: Path) -> list[Figure]:
    """The default pipeline in a fresh clone; its ten epochs are timed by the lines they print in that very run."""
    totals, epochs = [], []
    for k in range(3):
        project = clone(source, folder / f"fresh{k}")
        start = time.perf_counter()
        with subprocess.Popen(["dvc", "repro"], cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as dvc:
            assert dvc.stdout
            printed = [time.perf_counter() for line in dvc.stdout if line.startswith("epoch ")]
        totals.append(time.perf_counter() - start)
        epochs.append((printed[-1] - printed[0]) / (len(printed) - 1) * len(printed))
    return [
        Figure("`dvc repro` in a fresh clone", totals, "s"),
        Figure("its ten epochs", epochs, "s"),
        Figure("`dvc repro` in a fresh clone ÷ its ten epochs", ratios(totals, epochs), "", "≤ 2.5", "≤ 1.8"),
    ]


def nothing_to_do(project: Path, folder: Path) -> list[Figure]:
    """`dvc repro` when all is done, against five stages that run `true`."""
    empty = folder / "empty"
    empty.mkdir()
    run(empty, "git", "init", "-q")
    run(empty, "dvc", "init", "-q")
    run(empty, "dvc", "config", "core.check_update", "false")
    (empty / "input").write_text("something")
    stages = {f"stage{k}": {"cmd": "true", "deps": ["input"]} for k in range(5)}
    (empty / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    run(empty, "dvc", "repro")
    run(project, "dvc", "repro")
    ours, floor = in_turn([lambda: run(project, "dvc", "repro"), lambda: run(empty, "dvc", "repro")], 9)
    return [
        Figure("`dvc repro` with nothing to do", ours, "s"),
        Figure("the same on five stages that run `true`", floor, "s"),
        Figure("nothing to do ÷ `true`", ratios(ours, floor), "", "≤ 1.10", "1.0"),
    ]


def comparing(project: Path, _: Path) -> list[Figure]:
    """`compare` of two revisions; `leaderboard` over many experiments, made up from the committed run."""
    run(project, "git", "commit", "--allow-empty", "-qm", "another")
    compare = [
        seconds(lambda: run(project, "python", "-m", "mnist", "compare", "HEAD~1", "HEAD", "--json")) for _ in range(6)
    ]
    make_up_experiments(project)
    leaderboard = [seconds(lambda: run(project, "python", "-m", "mnist", "leaderboard", "--json")) for _ in range(3)]
    return [
        Figure("`compare` of two revisions, warm", compare[1:], "s", "≤ 2.5"),
        Figure(f"`leaderboard` over {EXPERIMENTS} experiments", leaderboard, "s", "≤ 3"),
    ]


def make_up_experiments(project: Path) -> None:
    """Commits as DVC's experiments are kept: recipes of ten seeds each, each run with an accuracy of its own."""
    lock = run(project, "git", "show", "HEAD:dvc.lock")
    measured = json.loads(run(project, "git", "show", "HEAD:metrics/train.json"))
    parent = run(project, "git", "rev-parse", "HEAD").strip()
    stream = ""
    recorded = re.findall(r"path: metrics/train\.json\n +hash: md5\n +md5: (\w+)", lock)[0]
    for k in range(EXPERIMENTS):
        metrics = json.dumps({**measured, "validation_accuracy": 0.9 + k / 10_000})
        edits = {"batch_size: 64": f"batch_size: {64 + k // 10}", SEED.format(0): SEED.format(k % 10)}
        edits[recorded] = hashlib.md5(metrics.encode()).hexdigest()
        text = functools.reduce(lambda text, edit: text.replace(*edit), edits.items(), lock)
        files = {"dvc.lock": text, "metrics/train.json": metrics}
        stream += f"commit refs/exps/{parent[:2]}/{parent[2:]}/made-up-{k}\ncommitter b <b@example.org> {k} +0000\n"
        stream += f"data 1\nx\nfrom {parent}\n"
        for path, text in files.items():
            stream += f"M 644 inline {path}\ndata {len(text.encode())}\n{text}\n"
    run(project, "git", "fast-import", "--quiet", given=stream)


def queue(project: Path, folder: Path) -> list[Figure]:
    """Eight experiments with two workers, and with one; their outputs must be the same to the byte."""
    rates = ",".join(f"0.0{k}" for k in range(1, 9))
    times: list[float] = []
    results: list[list[str]] = []
    for jobs in ("2", "1"):
        copy = clone(project, folder / f"queue{jobs}")
        shutil.copytree(project / ".dvc/cache", copy / ".dvc/cache")
        run(copy, "dvc", "exp", "run", "--queue", "-S", f"train.learning_rate={rates}")
        # which waits in one process: `dvc queue status` again and again would take a good part of a core
        times.append(seconds(lambda: run(copy, "dvc", "exp", "run", "--run-all", "--jobs", jobs)))  # noqa: B023
        commits = run(copy, "git", "for-each-ref", "--format=%(objectname)", "refs/exps").split()
        results.append(sorted({run(copy, "git", "show", f"{commit}:dvc.lock") for commit in commits}))
    if results[0] != results[1] or len(results[0]) != 8:
        raise SystemExit("two workers came to other results than one")
    return [Figure("8 experiments, one worker ÷ two", [times[1] / times[0]], "", "≥ 1.6", note="the same bytes")]
