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

from mnist import results, seeds
from mnist.commands import groups, leaderboard
from mnist.commands.groups import Group, Result
from pipeline import yaml12
from pipeline.errors import InputError
from tests.conftest import ROOT, SHIPPED, Project, commit


@pytest.mark.slow
def test_runs_that_differ_in_their_seed_alone_are_one_recipe(project: Project) -> None:
    project.succeed("dvc", "exp", "run", "-q", "-S", "train.seed=1")
    project.succeed("git", "checkout", "-q", ".")
    committed(project, "fewer epochs", ("dvc.lock", "epochs: 2", "epochs: 1"))
    (project.path / "notes.txt").write_text("the same run in another commit counts once")
    commit(project, "notes")
    ranked = json.loads(project.mnist("leaderboard", "--json"))
    assert ranked[0]["accuracy_mean"] >= ranked[1]["accuracy_mean"]
    one, two = sorted(ranked, key=lambda row: row["params"]["train.epochs"])
    assert [one["params"], two["params"]] == [{"train.epochs": 1}, {"train.epochs": 2}]
    assert (one["n"], two["n"]) == (1, 2)
    assert (one["accuracy_std"], one["may_be_best"]) == (None, None)
    narrow = project.succeed("python", "-m", "mnist", "leaderboard", COLUMNS="60")
    assert "train.epochs: 1" in narrow
    assert leaderboard.figure(two["loss_mean"], two["loss_std"]) in narrow
    table = list(csv.DictReader(project.mnist("leaderboard", "--csv").splitlines()))
    assert [row["n"] for row in table] == [str(row["n"]) for row in ranked]


def group(values: list[float], **parameters: object) -> Group:
    """A recipe's runs, with losses that are 1 − the accuracies."""
    defaults = {"train.model": "mlp", "train.shift": 0, "data/raw": "abc"}
    return Group(defaults | parameters, [Result("0" * 40, value, 1 - value) for value in values])


MLP = group([0.91, 0.93, 0.92])
CNN = group([0.99, 0.985], **{"train.model": "cnn"})
LINEAR = group([0.9], **{"train.model": "linear"})


def test_a_row_has_means_and_deviations_over_seeds_and_what_one_run_cannot_say_is_left_open() -> None:
    first, second, third = leaderboard.rows([CNN, MLP, LINEAR], "accuracy")
    accuracy = MLP.values("accuracy")
    assert second == {
        "params": {"train.model": "mlp"},
        "n": 3,
        "accuracy_mean": pytest.approx(mean(accuracy)),
        "accuracy_std": pytest.approx(stdev(accuracy)),
        "loss_mean": pytest.approx(1 - mean(accuracy)),
        "loss_std": pytest.approx(stdev(accuracy)),
        "p_value": seeds.p_value(accuracy, CNN.values("accuracy"), None),
        "may_be_best": True,
    }
    assert (first["p_value"], first["may_be_best"]) == (None, True)
    assert [name for name, value in third.items() if value is None] == [
        "accuracy_std", "loss_std", "p_value", "may_be_best",
    ]  # fmt: skip


def test_recipes_are_held_against_the_best_on_the_same_validation_images() -> None:
    alone = leaderboard.rows([CNN, MLP], "accuracy")
    for key, value in (("data/raw", "xyz"), ("normalise.validation", 100), ("normalise.seed", 1)):
        easy = group([0.999, 0.998], **{key: value})
        table = leaderboard.rows(leaderboard.order([CNN, easy, MLP], "accuracy", CNN.split), "accuracy")
        assert [row["params"][key] for row in table] == [CNN.parameters.get(key), MLP.parameters.get(key), value]
        assert [row["p_value"] for row in table] == [None, alone[1]["p_value"], None]


def test_the_chance_of_images_is_that_of_those_there_were_not_of_those_to_be_held_out() -> None:
    """A data set that has validation images of its own holds none out, whatever normalise.validation says."""
    own, held_out = ({"normalise.validation": n} for n in (5000, 500))
    newer = [Group(each.parameters | own, [run._replace(images=500) for run in each.runs]) for each in (CNN, MLP)]
    p_value = leaderboard.rows(newer, "accuracy")[1]["p_value"]
    assert p_value == seeds.p_value(MLP.values("accuracy"), CNN.values("accuracy"), 500)
    older = [Group(each.parameters | held_out, each.runs) for each in (CNN, MLP)]
    assert leaderboard.rows(older, "accuracy")[1]["p_value"] == p_value
    mixed = [Group(CNN.parameters | own, CNN.runs), newer[1]]
    assert leaderboard.rows(mixed, "accuracy")[1]["p_value"] == p_value


def test_a_ranking_by_loss_has_the_smallest_first_and_judges_by_it() -> None:
    small = Group(MLP.parameters, [Result("0" * 40, 0.9, loss) for loss in (0.1, 0.12, 0.11)])
    large = Group(CNN.parameters, [Result("0" * 40, 0.99, loss) for loss in (0.2, 0.22, 0.21)])
    assert leaderboard.order([small, large], "accuracy", small.split) == [large, small]
    assert leaderboard.order([large, small], "loss", small.split) == [small, large]
    first, second = leaderboard.rows([small, large], "loss")
    assert (first["may_be_best"], second["may_be_best"]) == (True, False)
    assert second["p_value"] == pytest.approx(seeds.p_value([0.2, 0.22, 0.21], [0.1, 0.12, 0.11], None))


def test_rows_show_the_parameters_in_which_recipes_differ() -> None:
    older = Group({"train.model": "mlp", "data/raw": "abc"}, LINEAR.runs)
    table = leaderboard.rows([CNN, MLP, older], "accuracy")
    assert [row["params"] for row in table] == [
        {"train.model": "cnn", "train.shift": 0},
        {"train.model": "mlp", "train.shift": 0},
        {"train.model": "mlp", "train.shift": None},
    ]
    assert "\r" not in leaderboard.written(table)
    written = list(csv.reader(leaderboard.written(table).splitlines()))
    assert written[0] == ["train.model", "train.shift", *list(table[0])[1:]]
    assert written[1][:4] == ["cnn", "0", "2", str(mean(CNN.values("accuracy")))]
    assert leaderboard.written(leaderboard.rows([CNN], "loss")).splitlines()[0] == ",".join(list(table[0])[1:])


@pytest.mark.parametrize("columns", [100, 62])
def test_the_table_folds_names_where_it_is_narrow_and_never_figures(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    table = leaderboard.rows([CNN, MLP, group([0.9], **{"train.model": "cnn", "train.optimizer": "adamw"})], "loss")
    leaderboard.show(table, "loss")
    head, *shown, _, note = capsys.readouterr().out.splitlines()
    assert head.split() == ["parameters", "runs", "accuracy", "loss", "p", "best?"]
    assert any("train.optimizer: adamw" in line for line in shown) == (columns == 100)
    rows = [re.sub("^train.model: (cnn|mlp)?", "", line).split() for line in shown if "train.model" in line]
    assert rows == [
        ["2", "0.9875", "±", "0.0035", "0.0125", "±", "0.0035", "maybe"],
        ["3", "0.9200", "±", "0.0100", "0.0800", "±", "0.0100", f"{table[1]['p_value']:.2g}", "maybe"],
        ["1", "0.9000", "0.1000"],
    ]
    assert note.startswith(
        "best? no: worse than the best that was picked, by more than the chance of seeds, on these images"
    )


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
    measured(history, json.dumps({"validation_accuracy": accuracy, "validation_loss": 1 - accuracy}))
    measured(history, json.dumps({"accuracy": accuracy - 0.01}), "evaluate")
    commit(history, f"{model} {seed}")


def measured(project: Project, metrics: str, name: str = "train") -> None:
    """Have a project's train.json or evaluate.json hold something else, as dvc.lock records it."""
    (project.path / f"metrics/{name}.json").write_text(metrics, "latin-1")
    lock = project.path / "dvc.lock"
    digest = hashlib.md5(metrics.encode("latin-1")).hexdigest()
    text, count = re.subn(
        rf"(path: metrics/{name}\.json\n +hash: md5\n +md5: )\w+", rf"\g<1>{digest}", lock.read_text()
    )
    assert count == 1
    lock.write_text(text)


def test_the_recipe_with_the_best_mean_leads_whatever_its_best_run(history: History) -> None:
    for model, seed, accuracy in (("cnn", 0, 0.98), ("cnn", 1, 0.5), ("mlp", 0, 0.9), ("mlp", 1, 0.92)):
        result(history, accuracy, seed, model)
    ranked = leaderboard.order(groups.known(), "accuracy", groups.split(groups.of_head()))
    assert [(group.parameters["train.model"], group.values("accuracy")) for group in ranked] == [
        ("mlp", [0.92, 0.9]),
        ("cnn", [0.5, 0.98]),
    ]
    assert ranked[0].values("loss") == pytest.approx([0.08, 0.1])
    assert ranked[0].parameters.keys().isdisjoint({"train.seed", "plot.images"})
    assert len(ranked[0].parameters["data/raw"]) == 7


def test_the_ranking_is_printed_as_a_table_as_json_or_as_csv(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, seed, accuracy in (("mlp", 0, 0.75), ("mlp", 1, 0.25), ("cnn", 0, 0.875)):
        result(history, accuracy, seed, model)
    expected: list[dict[str, object]] = [
        {"params": {"train.model": "cnn"}, "n": 1, "accuracy_mean": 0.875, "accuracy_std": None, "loss_mean": 0.125,
         "loss_std": None, "p_value": None, "may_be_best": None},
        {"params": {"train.model": "mlp"}, "n": 2, "accuracy_mean": 0.5, "accuracy_std": 0.125**0.5, "loss_mean": 0.5,
         "loss_std": 0.125**0.5, "p_value": None, "may_be_best": True},
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
    assert capsys.readouterr().out.splitlines()[0].split() == ["parameters", "runs", "accuracy", "loss", "p", "best?"]
    with pytest.raises(typer.BadParameter, match=r"^--json and --csv exclude each other; give one$"):
        leaderboard.leaderboard(as_json=True, as_csv=True)


def test_of_one_seed_only_the_newest_result_counts(history: History) -> None:
    reordered = ("epochs: 10\n          batch_size: 64", "batch_size: 64\n          epochs: 10")
    result(history, 0.6, seed=2)
    result(history, 0.9, seed=0)
    result(history, 0.7, seed=0, edit=reordered)
    result(history, 0.8, seed=1)
    (found,) = groups.known()
    assert found.values("accuracy") == [0.8, 0.7, 0.6]


@pytest.mark.parametrize(
    "metrics",
    [
        '{"validation_accuracy": 1.01, "validation_loss": 1}',
        '{"validation_accuracy": 0.9, "validation_loss": NaN}',
        '{"validation_accuracy": "high", "validation_loss": 1}',
        "[]",
        "[",
        "caf\xe9",
    ],
)
def test_results_that_cannot_be_are_left_out(
    metrics: str, history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    result(history, 0.9, seed=0)
    measured(history, metrics)
    commit(history, "damaged")
    (found,) = groups.known()
    assert found.values("accuracy") == [0.9]
    head = history.succeed("git", "rev-parse", "HEAD")[:7]
    assert capsys.readouterr().err == f"{head}: its dvc.lock or metrics/train.json is damaged; left out\n"


def test_metrics_that_the_lock_does_not_record_are_left_out(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    result(history, 0.9, seed=0)
    (history.path / "metrics/train.json").write_text('{"validation_accuracy": 0.9999, "validation_loss": 0}')
    commit(history, "edited by hand")
    (found,) = groups.known()
    assert found.values("accuracy") == [0.9]
    head = history.succeed("git", "rev-parse", "HEAD")[:7]
    says = "its metrics/train.json is not the one that its dvc.lock records; left out"
    assert capsys.readouterr().err == f"{head}: {says}\n"


def test_runs_of_other_code_libraries_or_data_are_another_recipe_where_the_data_lay_is_not(history: History) -> None:
    data, digest = (
        re.findall(rf"path: {path}\n +hash: md5\n +md5: (\w+)", history.lock)[0]
        for path in ("data/raw", "mnist/models.py")
    )
    for seed, old, new in (
        (0, "path: data/mnist", "path: /somewhere/else"),
        (1, "batch_size: 1000", "batch_size: 500"),
        (2, digest, "a" * 32),
        (3, "numpy==", "numpy==9."),
        (4, data, "b" * 32),
    ):
        result(history, (90 + seed) / 100, seed, edit=(old, new))
    assert sorted(group.values("accuracy") for group in groups.known()) == [[0.91, 0.9], [0.92], [0.93], [0.94]]


def test_a_default_that_is_spelled_out_makes_no_other_recipe(history: History) -> None:
    result(history, 0.9, seed=0)
    spelled_out = "device: cpu\n          parts: 1\n          class_weights:"
    result(history, 0.8, seed=1, edit=("device: cpu", spelled_out))
    result(history, 0.7, seed=1, edit=("device: cpu", spelled_out.replace("1", "2")))
    assert [group.values("accuracy") for group in groups.known()] == [[0.7], [0.8, 0.9]]


def test_recipes_of_other_code_or_data_than_heads_are_counted_and_left_out(history: History) -> None:
    code, data = (
        re.findall(rf"path: {path}\n +hash: md5\n +md5: (\w+)", history.lock)[0]
        for path in ("mnist/models.py", "data/raw")
    )
    for seed, part in enumerate((code, code, data)):
        result(history, 0.9, seed, edit=(part, "a" * 32))
    (history.path / "metrics/train.json").write_text("not the one that its lock records, nor of HEAD's code")
    commit(history, "edited by hand")
    result(history, 0.8, seed=3)
    done = history.inside("leaderboard", "--json")
    assert [row["accuracy_mean"] for row in json.loads(done.stdout)] == [0.8]
    assert done.stderr == "left out: recipes of other code, libraries or data than HEAD's (2); see --all\n"
    done = history.inside("leaderboard", "--json", "--all")
    assert [row["n"] for row in json.loads(done.stdout)] == [2, 1, 1]
    assert done.stderr.endswith("its dvc.lock or metrics/train.json is damaged; left out\n")
    history.succeed("git", "rm", "-q", "--cached", "dvc.lock")
    history.succeed("git", "commit", "-qm", "nothing has run here")
    assert len(json.loads(history.mnist("leaderboard", "--json"))) == 3


def test_a_commit_without_results_is_no_run(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    (history.path / "notes").touch()
    commit(history, "nothing has run")
    with pytest.raises(InputError, match=r"^no commit or experiment has .* commit first$"):
        groups.known()
    result(history, 0.9, seed=0)
    (history.path / "metrics/train.json").unlink()
    commit(history, "a lock without its metrics")
    assert [group.values("accuracy") for group in groups.known()] == [[0.9]]
    assert capsys.readouterr().err == ""


def committed(project: Project, message: str, *edits: tuple[str, str, str]) -> None:
    """Commit a run that is made up: each edit is a file, an old text and a new one."""
    for file, old, new in edits:
        path = project.path / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
    commit(project, message)


def test_runs_without_validation_images_are_named_and_not_ranked(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = results.of_training([results.Epoch(1, 0.1, 0.5, None, None)], 0)
    results.write_metrics(blind, history.path / "metrics/train.json")
    (history.path / "dvc.lock").write_text(history.lock)
    measured(history, (history.path / "metrics/train.json").read_text())
    commit(history, "no validation images")
    head = history.succeed("git", "rev-parse", "HEAD")[:7]
    says = f"{head}: without validation images no run is ranked; set normalise.validation, run it again"
    with pytest.raises(InputError, match=f"^{says}$"):
        groups.known()
    result(history, 0.9, seed=1)
    assert [found.values("accuracy") for found in groups.known()] == [[0.9]]
    assert capsys.readouterr().err == f"{says}\n"


def test_the_chosen_recipe_alone_is_looked_at_on_the_test_images_and_git_notes_each_look(history: History) -> None:
    for model, seed, accuracy in (("cnn", 0, 0.97), ("cnn", 1, 0.99), ("mlp", 0, 0.9), ("mlp", 1, 0.92)):
        result(history, accuracy, seed, model)
    assert "test" not in history.mnist("leaderboard").replace("test images", "")
    before = history.succeed("git", "rev-parse", "HEAD")
    shown = history.mnist("leaderboard", "--test")
    first = "the first on the test images: 0.9700 ± 0.0141; noted in git. It is the first such look at them."
    assert shown.splitlines()[-1] == first
    assert "looked at the test images of " in history.succeed("git", "log", "-1")
    assert history.mnist("leaderboard", "--test") == shown, "the same figures again are no new look"
    result(history, 0.98, 2, "cnn")
    shown = history.mnist("leaderboard", "--test")
    assert "0.9700 ± 0.0100" in shown, "other figures are noted"
    assert shown.endswith("It is the first such look at them.\n"), "they are of the same recipe"
    assert history.succeed("git", "notes", "show", "HEAD").count("looked at") == 1
    history.succeed("git", "notes", "append", "-m", "looked at the test images of what is in the drawer")
    for seed in (2, 3):
        result(history, 0.995, seed, "mlp", ("epochs: 10", "epochs: 20"))
    chosen, *others = json.loads(history.mnist("leaderboard", "--test", "--json"))
    assert (chosen["test_accuracy_mean"], chosen["looks"]) == (pytest.approx(0.985), 2)
    assert {other[name] for other in others for name in ("test_accuracy_mean", "test_accuracy_std", "looks")} == {None}
    last = history.mnist("leaderboard", "--test").splitlines()[-1]
    assert last.endswith("So far 2 recipes were looked at there: the best of these would be partly luck.")
    assert history.succeed("git", "rev-parse", "HEAD~3") == before
    assert history.succeed("git", "status", "--short") == ""


def test_a_choice_without_test_results_is_refused_and_not_noted(history: History) -> None:
    result(history, 0.9, seed=0)
    (history.path / "metrics/evaluate.json").write_text('{"accuracy": 0.99}')
    commit(history, "edited by hand")
    result(history, 0.8, seed=1)
    for content in ('{"accuracy": 0.99}', "{}", None):
        if content is None:
            (history.path / "metrics/evaluate.json").unlink()
        else:
            measured(history, content, "evaluate")
            (history.path / "metrics/evaluate.json").write_text(content + " " * ("99" in content))
        commit(history, "no results that a lock records")
        head = history.succeed("git", "rev-parse", "HEAD")[:7]
        done = history.inside("leaderboard", "--test")
        says = f"{head}: has no metrics/evaluate.json that its dvc.lock records; `dvc repro` there and commit both"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {says}\n")
    assert history.run("git", "notes", "list").stdout == ""


def test_a_choice_whose_test_results_are_of_another_model_is_refused(history: History) -> None:
    """As after `dvc exp run train`, which leaves those of the model before."""
    tree = yaml.safe_load(history.lock)
    (model,) = (out for out in tree["stages"]["train"]["outs"] if out["path"].startswith("models/"))
    model["md5"] = "a" * 32
    result(history, 0.9, seed=0, edit=(history.lock, yaml.safe_dump(tree, sort_keys=False)))
    assert history.inside("leaderboard").returncode == 0
    head = history.succeed("git", "rev-parse", "HEAD")[:7]
    says = f"{head}: models/model.safetensors was made again after metrics/evaluate.json; "
    says += "`dvc repro` there and commit both"
    assert history.inside("leaderboard", "--test").stderr == f"error: {says}\n"


def test_runs_that_other_code_has_measured_have_no_mean_on_the_test_images(history: History) -> None:
    digest = re.findall(r"path: mnist/metrics.py\n +hash: md5\n +md5: (\w+)", history.lock)[0]
    result(history, 0.9, seed=0)
    result(history, 0.92, seed=1, edit=(digest, "a" * 32))
    done = history.inside("leaderboard", "--test")
    commits = history.succeed("git", "log", "--format=%H").split()
    says = f"{', '.join(commit[:7] for commit in commits)}: measured by different code; `dvc repro` there"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {says}\n")


def test_recipes_on_the_validation_images_of_head_come_first(history: History) -> None:
    easier = ("validation: 5000", "validation: 100")
    for seed in (0, 1):
        result(history, 0.9 + seed / 100, seed)
    result(history, 0.99, seed=0, edit=easier)
    history.succeed("git", "update-ref", f"refs/exps/{'0' * 2}/{'0' * 38}/easier", "main")  # as if an experiment
    for head, last in (("main~1", 0.99), ("main", 0.905)):
        history.succeed("git", "checkout", "-q", "--detach", head)
        ranked = leaderboard.order(groups.known(), "accuracy", groups.split(groups.of_head()))
        assert mean(ranked[-1].values("accuracy")) == pytest.approx(last)


def test_a_look_that_git_cannot_note_is_not_shown(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    result(history, 0.9, seed=0)
    for name in ("name", "email"):
        history.succeed("git", "config", "--unset", f"user.{name}")
        monkeypatch.delenv(f"GIT_AUTHOR_{name.upper()}", raising=False)
        monkeypatch.delenv(f"GIT_COMMITTER_{name.upper()}", raising=False)
    history.succeed("git", "config", "user.useConfigOnly", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    done = history.inside("leaderboard", "--test")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"error: git notes: .*user.email.*; nothing was noted .*, run again when git can\n", done.stderr
    )


@pytest.mark.slow
def test_a_project_without_results_says_how_to_get_them(fresh: Project) -> None:
    done = fresh.inside("leaderboard")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no commit or experiment has dvc.lock")
