"""Recipes ranked over their seeds."""

import csv
import hashlib
import json
import re
from pathlib import Path
from statistics import mean, stdev

import pytest
import typer
import yaml
from scipy import stats

from mnist.commands import leaderboard
from mnist.commands.leaderboard import Group
from pipeline import yaml12
from pipeline.errors import InputError
from tests.conftest import ROOT, SHIPPED, Project, commit


@pytest.mark.slow
def test_runs_that_differ_in_their_seed_alone_are_one_recipe(project: Project) -> None:
    for seed in (1, 2):
        project.succeed("dvc", "exp", "run", "-q", "-S", f"train.seed={seed}", "-S", "train.epochs=1")
    project.succeed("git", "checkout", "-q", ".")
    (project.path / "notes.txt").write_text("the same run in another commit counts once")
    commit(project, "notes")
    ranked = json.loads(project.mnist("leaderboard", "--json"))
    assert ranked[0]["accuracy_mean"] >= ranked[1]["accuracy_mean"]
    one, two = sorted(ranked, key=lambda row: row["params"]["train.epochs"])
    assert [one["params"], two["params"]] == [{"train.epochs": 1}, {"train.epochs": 2}]
    assert (one["n"], two["n"]) == (2, 1)
    assert (two["accuracy_std"], two["p_value"]) == (None, None)
    assert one["best"] >= one["accuracy_mean"]
    shown = project.mnist("leaderboard")
    assert "train.epochs: 1" in shown
    assert "±" in shown
    narrow = project.succeed("python", "-m", "mnist", "leaderboard", COLUMNS="60")
    assert leaderboard.spread(one["loss_mean"], one["loss_std"]) in narrow
    table = list(csv.DictReader(project.mnist("leaderboard", "--csv").splitlines()))
    assert [row["n"] for row in table] == [str(row["n"]) for row in ranked]


def test_the_second_is_held_against_the_leader_by_welchs_t() -> None:
    ours, theirs = [0.91, 0.93, 0.92], [0.95, 0.96, 0.955, 0.951]
    assert leaderboard.welch(ours, theirs) == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    assert leaderboard.welch(ours, [0.95]) is None
    assert leaderboard.welch([0.9, 0.9], [0.9, 0.9]) is None


MLP = Group({"train.model": "mlp", "train.shift": 0, "data/raw": "abc"}, [0.91, 0.93, 0.92], [0.3, 0.2, 0.28])
CNN = Group({"train.model": "cnn", "train.shift": 0, "data/raw": "abc"}, [0.99, 0.985], [0.03, 0.05])


def test_a_row_has_the_mean_the_deviation_over_seeds_and_the_best() -> None:
    assert MLP.row(CNN) == {
        "n": 3,
        "accuracy_mean": pytest.approx(mean(MLP.accuracy)),
        "accuracy_std": pytest.approx(stdev(MLP.accuracy)),
        "loss_mean": pytest.approx(mean(MLP.loss)),
        "loss_std": pytest.approx(stdev(MLP.loss)),
        "best": 0.93,
        "p_value": pytest.approx(stats.ttest_ind(MLP.accuracy, CNN.accuracy, equal_var=False).pvalue),
    }


def test_what_one_run_alone_cannot_say_is_left_open() -> None:
    row = Group(MLP.parameters, [0.9], [0.3]).row(CNN)
    assert [name for name, value in row.items() if value is None] == ["accuracy_std", "loss_std", "p_value"]
    assert MLP.row(MLP)["p_value"] is None, "the leader is not held against itself"


def test_recipes_are_held_against_the_first_on_the_same_data() -> None:
    easy = Group({**CNN.parameters, "data/raw": "xyz"}, [0.999, 0.998], [0.01, 0.02])
    p_values = [row["p_value"] for row in leaderboard.rows([easy, CNN, MLP])]
    assert p_values == [None, None, MLP.row(CNN)["p_value"]]


@pytest.mark.filterwarnings("ignore:Precision loss")  # scipy's, of the spread that is none
def test_the_spread_of_one_of_the_two_is_enough_to_hold_them_against_each_other() -> None:
    ours, theirs = [0.8, 0.82, 0.81], [0.9, 0.9]
    expected = stats.ttest_1samp(ours, 0.9).pvalue
    assert leaderboard.welch(ours, theirs) == pytest.approx(expected)
    assert leaderboard.welch(theirs, ours) == pytest.approx(expected)


def test_rows_show_the_parameters_in_which_recipes_differ() -> None:
    older = Group({"train.model": "mlp", "data/raw": "abc"}, [0.9], [0.4])
    table = leaderboard.rows([CNN, MLP, older])
    assert [row["params"] for row in table] == [
        {"train.model": "cnn", "train.shift": 0},
        {"train.model": "mlp", "train.shift": 0},
        {"train.model": "mlp", "train.shift": None},
    ]
    assert table[1]["p_value"] == MLP.row(CNN)["p_value"]
    assert "\r" not in leaderboard.written(table)
    written = list(csv.reader(leaderboard.written(table).splitlines()))
    assert written[0] == ["train.model", "train.shift", *CNN.row(CNN)]
    assert written[1][:4] == ["cnn", "0", "2", str(mean(CNN.accuracy))]
    assert leaderboard.written(leaderboard.rows([CNN])).splitlines()[0] == ",".join(CNN.row(CNN))


@pytest.mark.parametrize("columns", [100, 62])
def test_the_table_folds_names_where_it_is_narrow_and_never_figures(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    table = leaderboard.rows([CNN, MLP, Group({**CNN.parameters, "train.optimizer": "adamw"}, [0.9], [0.4])])
    leaderboard.show(table)
    head, *shown, note = capsys.readouterr().out.splitlines()
    assert head.split() == ["parameters", "runs", "accuracy", "loss", "best", "p"]
    assert any("train.optimizer: adamw" in line for line in shown) == (columns == 100)
    rows = [re.sub("^train.model: (cnn|mlp)?", "", line).split() for line in shown if "train.model" in line]
    assert rows == [
        ["2", "0.9875", "±", "0.0035", "0.0400", "±", "0.0141", "0.9900"],
        ["3", "0.9200", "±", "0.0100", "0.2600", "±", "0.0529", "0.9300", f"{table[1]['p_value']:.2g}"],
        ["1", "0.9000", "0.4000", "0.9000"],
    ]
    assert note.endswith("mean ± standard deviation over seeds; p: Welch's t against the first")


class History(Project):
    """A repository to put made-up results into, and the dvc.lock from which they are made up."""

    def __init__(self, path: Path, lock: str) -> None:
        super().__init__(path)
        self.lock = lock


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """One without a commit."""
    lock, shipped = yaml12.read(ROOT / "dvc.lock"), yaml12.read(SHIPPED)
    for stage in lock["stages"].values():
        stage["params"]["params.yaml"] = {name: shipped[name] for name in stage["params"]["params.yaml"]}
    project = History(tmp_path, yaml.safe_dump(lock, sort_keys=False))
    project.succeed("git", "init", "-q", "-b", "main")
    project.succeed("git", "config", "user.name", "test")
    project.succeed("git", "config", "user.email", "test@example.org")
    (tmp_path / "metrics").mkdir()
    monkeypatch.chdir(tmp_path)
    return project


def result(
    history: History, accuracy: float, seed: int, model: str = "mlp", edit: tuple[str, str] = ("stages:", "stages:")
) -> None:
    """Commit the committed results, of the shipped parameters, as if they were of another run."""
    lock = history.lock
    for name, old, new in (("seed", "0\n          threads", f"{seed}\n          threads"), ("model", "mlp", model)):
        assert lock.count(f"          {name}: {old}") == 1
        lock = lock.replace(f"          {name}: {old}", f"          {name}: {new}")
    assert edit[0] in lock
    (history.path / "dvc.lock").write_text(lock.replace(*edit), "utf-8")
    measured(history, json.dumps({"accuracy": accuracy, "loss": 1 - accuracy}))
    commit(history, f"{model} {seed}")


def measured(project: Project, metrics: str) -> None:
    """Have a project's evaluate.json hold something else, as dvc.lock records it."""
    (project.path / "metrics/evaluate.json").write_text(metrics, "latin-1")
    lock = project.path / "dvc.lock"
    digest = hashlib.md5(metrics.encode("latin-1")).hexdigest()
    text, count = re.subn(
        r"(path: metrics/evaluate\.json\n +hash: md5\n +md5: )\w+", rf"\g<1>{digest}", lock.read_text()
    )
    assert count == 1
    lock.write_text(text)


def test_the_recipe_with_the_best_mean_leads_whatever_its_best_run(history: History) -> None:
    for model, seed, accuracy in (("cnn", 0, 0.98), ("cnn", 1, 0.5), ("mlp", 0, 0.9), ("mlp", 1, 0.92)):
        result(history, accuracy, seed, model)
    ranked = leaderboard.groups()
    assert [(group.parameters["train.model"], group.accuracy) for group in ranked] == [
        ("mlp", [0.92, 0.9]),
        ("cnn", [0.5, 0.98]),
    ]
    assert ranked[0].loss == pytest.approx([0.08, 0.1])
    assert ranked[0].parameters.keys().isdisjoint({"train.seed", "plot.images"})
    assert len(ranked[0].parameters["data/raw"]) == 7


def test_the_ranking_is_printed_as_a_table_as_json_or_as_csv(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, seed, accuracy in (("mlp", 0, 0.75), ("mlp", 1, 0.25), ("cnn", 0, 0.875)):
        result(history, accuracy, seed, model)
    expected: list[dict[str, object]] = [
        {"params": {"train.model": "cnn"}, "n": 1, "accuracy_mean": 0.875, "accuracy_std": None, "loss_mean": 0.125,
         "loss_std": None, "best": 0.875, "p_value": None},
        {"params": {"train.model": "mlp"}, "n": 2, "accuracy_mean": 0.5, "accuracy_std": 0.125**0.5, "loss_mean": 0.5,
         "loss_std": 0.125**0.5, "best": 0.75, "p_value": None},
    ]  # fmt: skip
    leaderboard.leaderboard(as_json=True)
    assert capsys.readouterr().out == json.dumps(expected, indent=2) + "\n"
    leaderboard.leaderboard(as_csv=True)
    names = list(expected[0])[1:]
    assert list(csv.reader(capsys.readouterr().out.splitlines())) == [
        ["train.model", *names],
        *([model, *("" if row[name] is None else str(row[name]) for name in names)]
          for model, row in zip(("cnn", "mlp"), expected, strict=True)),
    ]  # fmt: skip
    leaderboard.leaderboard()
    assert capsys.readouterr().out.splitlines()[0].split() == ["parameters", "runs", "accuracy", "loss", "best", "p"]
    with pytest.raises(typer.BadParameter, match=r"^--json and --csv exclude each other; give one$"):
        leaderboard.leaderboard(as_json=True, as_csv=True)


def test_of_one_seed_only_the_newest_result_counts(history: History) -> None:
    reordered = ("epochs: 10\n          batch_size: 64", "batch_size: 64\n          epochs: 10")
    result(history, 0.6, seed=2)
    result(history, 0.9, seed=0)
    result(history, 0.7, seed=0, edit=reordered)
    result(history, 0.8, seed=1)
    (group,) = leaderboard.groups()
    assert group.accuracy == [0.8, 0.7, 0.6]


@pytest.mark.parametrize("metrics", ['{"accuracy": 1.01, "loss": 1}', '{"accuracy": 0.9, "loss": NaN}', "{}", "["])
def test_results_that_cannot_be_are_left_out(
    metrics: str, history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    result(history, 0.9, seed=0)
    measured(history, metrics)
    commit(history, "damaged")
    (group,) = leaderboard.groups()
    assert group.accuracy == [0.9]
    head = history.succeed("git", "rev-parse", "HEAD")[:7]
    assert capsys.readouterr().err == f"{head}: its dvc.lock or metrics/evaluate.json is damaged; left out\n"


def test_metrics_that_the_lock_does_not_record_are_left_out(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    result(history, 0.9, seed=0)
    (history.path / "metrics/evaluate.json").write_text('{"accuracy": 0.9999, "loss": 0}')
    commit(history, "edited by hand")
    (group,) = leaderboard.groups()
    assert group.accuracy == [0.9]
    head = history.succeed("git", "rev-parse", "HEAD")[:7]
    says = "its metrics/evaluate.json is not the one that its dvc.lock records; left out"
    assert capsys.readouterr().err == f"{head}: {says}\n"


def test_runs_of_other_code_libraries_or_data_are_another_recipe_where_the_data_lay_is_not(history: History) -> None:
    data, digest = (
        re.findall(rf"path: {path}\n +hash: md5\n +md5: (\w+)", history.lock)[0]
        for path in ("data/raw", "mnist/models.py")
    )
    for seed, old, new in (
        (0, "folder: data/mnist", "folder: /somewhere/else"),
        (1, "batch_size: 1000", "batch_size: 500"),
        (2, digest, "a" * 32),
        (3, "numpy==", "numpy==9."),
        (4, data, "b" * 32),
    ):
        result(history, (90 + seed) / 100, seed, edit=(old, new))
    assert sorted(group.accuracy for group in leaderboard.groups()) == [[0.91, 0.9], [0.92], [0.93], [0.94]]


def test_a_commit_without_results_is_no_run(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    (history.path / "notes").touch()
    commit(history, "nothing has run")
    with pytest.raises(InputError, match=r"^no commit or experiment has .* commit first$"):
        leaderboard.groups()
    result(history, 0.9, seed=0)
    (history.path / "metrics/evaluate.json").unlink()
    commit(history, "a lock without its metrics")
    assert [group.accuracy for group in leaderboard.groups()] == [[0.9]]
    assert capsys.readouterr().err == ""


def committed(project: Project, message: str, *edits: tuple[str, str, str]) -> None:
    """Commit a run that is made up: each edit is a file, an old text and a new one."""
    for file, old, new in edits:
        path = project.path / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
    commit(project, message)


def ranked(project: Project) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(project.mnist("leaderboard", "--json"))
    return found


@pytest.mark.slow
def test_a_seed_counts_once_with_its_newest_result(project: Project) -> None:
    accuracy = json.loads((project.path / "metrics/evaluate.json").read_text())["accuracy"]
    text = (project.path / "metrics/evaluate.json").read_text()
    measured(project, text.replace(f'"accuracy": {accuracy}', '"accuracy": 0.5'))
    commit(project, "the same parameters, other results")
    (row,) = ranked(project)
    assert (row["n"], row["accuracy_mean"]) == (1, 0.5)


@pytest.mark.slow
def test_runs_on_other_data_are_not_taken_together_nor_held_against_each_other(project: Project) -> None:
    lock = (project.path / "dvc.lock").read_text("utf-8")
    digest = re.findall(r"path: data/raw\n +hash: md5\n +md5: (\w+)", lock)[0]
    for seed in (1, 2, 3, 4):
        edits = [("dvc.lock", f" seed: {seed - 1}\n          threads", f" seed: {seed}\n          threads")]
        if seed == 3:
            edits.append(("dvc.lock", digest, "0" * 32))
        committed(project, "another seed, and from the third on other data", *edits)
    rows = ranked(project)
    assert {row["n"] for row in rows} == {2, 3}
    assert [row["p_value"] for row in rows] == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("content", ['{"n": 1', "[]", '{"accuracy": "high", "loss": 1}', "caf\xe9"])
def test_a_damaged_commit_is_left_out_with_a_line_that_names_it(content: str, project: Project) -> None:
    before = ranked(project)
    measured(project, content)
    commit(project, "damaged")
    done = project.inside("leaderboard", "--json")
    assert json.loads(done.stdout) == before
    head = project.succeed("git", "rev-parse", "HEAD")[:7]
    assert done.stderr == f"{head}: its dvc.lock or metrics/evaluate.json is damaged; left out\n"


@pytest.mark.slow
def test_a_project_without_results_says_how_to_get_them(fresh: Project) -> None:
    done = fresh.inside("leaderboard")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no commit or experiment has dvc.lock")
