"""What may be wrong with the files of git and DVC: definitions, locks, pins, cache."""

# ruff: noqa: E501 – a row a case reads better than a screen a case

from pathlib import Path

from pipeline import lock
from tests.cases import CHECK, EVALUATE, PLOT, PREDICTIONS, TRAIN, Case
from tests.conftest import Project, commit
from tests.harms import (
    folder,
    given,
    gone,
    in_turn,
    instead,
    swap,
    text,
)  # fmt: skip

DAMAGED = [(CHECK, "cut off"), ("mnist compare", "of a list"), ("mnist compare", "of numbers")]  # with a remedy named


def committed(root: Path) -> None:
    """Commit everything that git does not ignore."""
    commit(Project(root), "as it is")


def by_dvc(root: Path) -> None:
    """Have DVC keep the data folder in place of git."""
    (dep,) = (
        dep for dep in lock.parse((root / lock.FILE).read_bytes()).stages["download"].deps if dep.path == "data/small"
    )
    (root / "data/small.dvc").write_text(f"outs: [{{md5: {dep.md5}, nfiles: {dep.nfiles}, hash: md5, path: small}}]\n")
    Project(root).succeed("bash", "-ec", "echo /small > data/.gitignore; git rm -rq --cached data/small; git add data")


def an_object(root: Path) -> Path:
    """A file of DVC's cache."""
    return min(path for path in (root / ".dvc/cache/files/md5").glob("*/*") if path.suffix != ".dir")


VERSIONED = [
    Case("another torch pinned", TRAIN, swap("pyproject.toml", ('"torch==', '"torch==9')), "pins torch==9.*run `make`"),
    Case("an unknown library pinned", TRAIN, swap("pyproject.toml", ('"torch==', '"torchy==')), "torchy.*run `make`"),
    Case("pyproject.toml broken", TRAIN, swap("pyproject.toml", ("numbers = [", "numbers = ")),
         "pyproject.toml: not valid", remedy=("git restore pyproject.toml",)),
    Case("pyproject.toml of another project", EVALUATE, text("pyproject.toml", ""), "pyproject.toml: project.optional"),
    Case("no dvc.yaml", TRAIN, gone("dvc.yaml"), r"dvc\.yaml: cannot be read: .*git restore"),
    Case("dvc.yaml broken", TRAIN, swap("dvc.yaml", ("stages:", "stages: [")),
         r"dvc\.yaml, line \d+, .*not valid YAML"),
    Case("a stage lost", PLOT, swap("dvc.yaml", ("plot-predictions:", "plot:")),
         r"dvc\.yaml: stages: plot-predictions: missing"),
    Case("no dvc.yaml", CHECK, gone("dvc.yaml"), r"dvc\.yaml: cannot be read: ", remedy=("git restore dvc.yaml",)),
    Case("dvc.yaml broken", CHECK, swap("dvc.yaml", ("stages:", "stages: [")), r"dvc\.yaml, line \d+, .*not valid YAML"),
    *(Case(f"stages that are {found}", CHECK, text("dvc.yaml", found), rf"dvc\.yaml: stages{place}\b.*: .*`git restore dvc.yaml`",
           remedy=("git restore dvc.yaml",) if found == "stages: 7" else ())
      for found, place in {"stages: 7": "", "stages: {train: 7}": r"\.train", "stages: {train: {deps: 7}}": r"\.train\.deps",
                           "stages: {train: {deps: [7]}}": r"\.train\.deps\.0", "stages: {a: {params: [7]}}": r"\.a\.params\.0",
                           "stages: {a: {foreach: [1], do: {}}}": r"\.a\.foreach", "stages: {a: {wdir: b}}": r"\.a\.wdir",
                           "stages: {a: {params: }}": r"\.a\.params", "stages: {a: {outs: 7}}": r"\.a\.outs"}.items()),
    Case("no stage of its name", TRAIN, text("dvc.yaml", "stages: {}"), r"dvc\.yaml: stages: train: missing"),
    Case("parameters in a file that is not there", PLOT, swap("dvc.yaml", ("      - plot\n", "      - plot\n      - more.yaml: [a]\n")),
         r"more\.yaml: cannot be read"),
    *(Case(f"dvc.lock {name}", command, text("dvc.lock", content),
           r"dvc\.lock(: not whole|, line 1: a merge conflict; .*`git checkout)",
           remedy=("git checkout HEAD dvc.lock",) if name == "empty" else ())
      for name, content in {"of a conflict": "<<<<<<< HEAD\na: 1\n", "empty": "", "a list": "[]", "of one stage": "stages: 1",
                            "in Latin-1": b"caf\xe9: 1"}.items()
      for command in (CHECK, "mnist verify")),
    *(Case(f"DVC's rwlock {name}", CHECK, in_turn(folder(".dvc/tmp"), text(".dvc/tmp/rwlock", content)),
           r"\.dvc/tmp/rwlock: not whole.* `rm \.dvc/tmp/rwlock` when no dvc is running",
           remedy=("rm .dvc/tmp/rwlock",) if name == "empty" else ())
      for name, content in {"empty": "", "cut off": '{"write": {"', "of other bytes": b"\xff\xfe"}.items()),
    *(Case(f"pyproject.toml {name}", CHECK, harm, f"pyproject.toml: {says}",
           remedy=("git restore pyproject.toml",) if name == "lost" else ()) for name, says, harm in (
        ("broken", "not valid TOML", text("pyproject.toml", "[")),
        ("lost", "cannot be read", gone("pyproject.toml")),
        ("empty", "project.*: missing", text("pyproject.toml", "")),
        ("of a number", "numbers: should be a list",
         swap("pyproject.toml", ('numbers = ["numpy', 'numbers = 7\nmore = ["numpy'))),
        ("of words", "dependencies: dvc is great: not a requirement", swap("pyproject.toml", ("dvc==", "dvc is great\", \"dvc=="))),
    )),
    Case("a table of fingerprints of other columns", "mnist fingerprint", text("recipes/fingerprints.csv", "a,b\n"),
         "fingerprints.csv: not a table", remedy=("git checkout HEAD recipes/fingerprints.csv",)),
    Case("no table of fingerprints", "mnist fingerprint", gone("recipes/fingerprints.csv"), "fingerprints.csv: cannot be read",
         remedy=("git checkout HEAD recipes/fingerprints.csv",)),
    Case("predictions lost everywhere", "mnist report", in_turn(gone(PREDICTIONS), gone(".dvc/cache")),
         r"workspace: metrics/predictions\.csv is neither in git nor in DVC's cache or remote", remedy=("dvc repro",)),
    *(Case(f"a .dvc file {name}", command, in_turn(by_dvc, text("data/small.dvc", content)), rf"data/small\.dvc{says}",
           remedy=("git restore data/small.dvc",) if (command, name) in DAMAGED else ())
      for name, content, by_us, by_dvcs_schema in (
        ("cut off", "outs: [", r", line \d, .*not valid YAML", "', YAML file structure is corrupted"),
        ("of a list", "[a]", ": holds a list", "' validation failed"),
        ("of a number", "outs: 7", ": outs: ", "' validation failed"),
        ("of numbers", "outs: [7]", r": outs\.0: ", "' validation failed"),
        ("of another kind", "a: 1", ": outs: ", "' validation failed"),
        ("of no UTF-8", b"\xff\0", ": byte 0 is not UTF-8", "', is not valid utf-8"),
        ("in conflict", "<<<<<<< HEAD\n", ", line 1: a merge conflict", ", line 1: a merge conflict"),
      ) for command, says in (("mnist compare", by_us), (CHECK, by_dvcs_schema))),
    Case("a .dvc file of nothing", "mnist compare", in_turn(by_dvc, text("data/small.dvc", "outs: []")), r"data/small\.dvc: outs: ",
         remedy=("git restore data/small.dvc",)),
    Case("a .dvc file without an MD5", "mnist compare", in_turn(by_dvc, text("data/small.dvc", "outs: [{path: small}]")),
         "workspace: data/small has changed since its results were made", remedy=("dvc repro",)),
    Case("a committed .dvc file of a number", "mnist compare", in_turn(by_dvc, text("data/small.dvc", "outs: 7"), committed),
         r"HEAD: data/small\.dvc: outs: .*; fix it in a new commit, or name another revision"),
    Case("another .dvc file of a number", CHECK, text("data/another.dvc", "outs: 7"), r"data/another\.dvc' validation failed"),
    Case("parameters edited since the run", "mnist compare", given("epochs: 2", "epochs: 1"), "train.epochs has changed since",
         remedy=("dvc repro",)),
    Case("a folder for an object", "mnist verify", lambda root: instead(
        str(an_object(root).relative_to(root)), Path.mkdir)(root), r"cache.* 1 corrupt; ",
        remedy=("python -m mnist verify --remove", "dvc repro")),
    Case("no right to read an object", "mnist verify --remove", lambda root: an_object(root).chmod(0),
         r"cache.* 1 cannot be read and are left alone; give yourself access"),
]  # fmt: skip
