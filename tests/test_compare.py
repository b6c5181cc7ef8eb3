"""Comparing two runs: its numbers against their definitions, its promises by simulation, the command for real."""

import csv
import json
import math
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from mnist import paired, plots, predictions, results
from mnist.commands import compare, flipped
from mnist.commands.runs import Run
from mnist.dataset import Array
from mnist.predictions import Predictions
from mnist.results import Epoch
from pipeline import params, revisions, yaml12
from pipeline.errors import InputError
from tests.conftest import ROOT, Project, commit, copy


def simulated(count: int, n: int, gained: float, lost: float) -> Any:
    """`count` pairs of runs on n images, of which B alone is right on a share `gained`, A alone on a share `lost`."""
    random = np.random.RandomState(1)
    for _ in range(count):
        draw = random.random_sample(n)
        yield (draw >= gained) & (draw < 0.95), (draw < gained) | ((draw >= gained + lost) & (draw < 0.95))


def test_pairs_without_a_difference_seldom_give_an_alarm() -> None:
    alarms = [
        paired.mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) < compare.SIGNIFICANT
        for a, b in simulated(1000, 10_000, 0.01, 0.01)
    ]
    assert 0.02 <= np.mean(alarms) <= 0.065


@pytest.mark.parametrize(("gained", "lost"), [(0.010, 0.010), (0.020, 0.012), (0.002, 0.001)])
def test_the_interval_of_the_difference_covers_as_often_as_it_says(gained: float, lost: float) -> None:
    covered = [
        interval.low <= gained - lost <= interval.high
        for interval in (paired.accuracy_difference(a, b) for a, b in simulated(3000, 10_000, gained, lost))
    ]
    assert 0.94 <= np.mean(covered) <= 0.97


def test_the_bootstrap_interval_of_the_loss_is_close_to_the_normal_one() -> None:
    random = np.random.RandomState(0)
    a, b = random.exponential(0.1, 10_000), random.exponential(0.11, 10_000)
    found = paired.loss_difference(a, b)
    deviation = (b - a).std(ddof=1) / 100
    assert found.value == pytest.approx((b - a).mean())
    assert [found.low, found.high] == pytest.approx(
        [found.value - 1.96 * deviation, found.value + 1.96 * deviation], abs=0.15 * deviation
    )


def test_runs_that_agree_everywhere_do_not_differ() -> None:
    right = np.array([True, False, True])
    assert paired.mcnemar(0, 0) == 1
    assert paired.accuracy_difference(right, right).value == 0
    assert paired.loss_difference(np.ones(3), np.ones(3)) == (0, 0, 0)


def test_no_images_more_than_all_can_be_gained_or_lost() -> None:
    everything, nothing = (
        paired.accuracy_difference(np.array([before]), np.array([not before])) for before in (False, True)
    )
    assert (everything.value, everything.high) == (1, 1)
    assert (nothing.value, nothing.low) == (-1, -1)


def test_one_image_says_nothing_of_the_loss_on_others() -> None:
    worst = -np.log(np.finfo(np.float32).tiny)
    assert paired.loss_difference(np.array([0.5]), np.array([0.75])) == (0.25, -worst, worst)
    assert paired.loss_difference(np.zeros(1), np.zeros(1)) == (0, 0, 0)


CLASSES = ["cat", "dog", "ému", "fox"]
HISTORY = [Epoch(1, 0.1, 0.9, 0.8, 0.7), Epoch(2, 0.1, 0.5, 0.6, 0.8)]


def answering(right: Array, parameters: dict[str, Any] | None = None, revision: str = "HEAD", sure: float = 0.7) -> Run:
    """A run on images of each class in turn that is right on these, and takes others for the next class."""
    actual = np.arange(len(right)) % len(CLASSES)
    predicted = np.where(right, actual, (actual + 1) % len(CLASSES))
    chances = np.full((len(right), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1), np.float32)
    chances[np.arange(len(right)), predicted] = sure
    predictions = Predictions(CLASSES, actual, predicted, chances)
    return Run(
        revision, {"train.epochs": 2, **(parameters or {})}, predictions, HISTORY, "animals", {"t10k": "0" * 64}, {}
    )


def pair() -> tuple[Run, Run]:
    """Two runs on 1000 images: A alone is right on 30, B alone on 80, neither on 20."""
    image = np.arange(1000)
    a, b = image >= 100, (image < 80) | (image >= 130)
    return answering(a, {"train.seed": 0}, "A", 0.7), answering(b, {"train.seed": 1}, "B", 0.9)


def keep(path: Path, *runs: Run) -> Project:
    """A repository with a commit and a tag for each run, and nothing in it that DVC would have to bring."""
    project = Project(path)
    for folder in ("metrics", "data/raw", "data/normalised"):
        (path / folder).mkdir(parents=True)
    project.succeed("git", "init", "-q")
    project.succeed("git", "config", "user.name", "test")
    project.succeed("git", "config", "user.email", "test@example.org")
    for run in runs:
        parameters = {"train": {key.removeprefix("train."): value for key, value in run.parameters.items()}}
        stage = {
            "cmd": "true",
            "params": {"params.yaml": parameters},
            "outs": [{"path": str(predictions.FILE), "md5": "0" * 32}],
        }
        files = {file: {"sha256": digest} for file, digest in {**run.test_files, **run.training_files}.items()}
        for file, content in {
            "params.yaml": parameters,
            "dvc.yaml": {"stages": {"evaluate": {"cmd": "true"}}},
            "dvc.lock": {"schema": "2.0", "stages": {"evaluate": stage}},
            "data/raw/dataset.json": {"name": run.dataset, "classes": run.predictions.classes, "files": files},
        }.items():
            (path / file).write_text(json.dumps(content))
        predictions.write(run.predictions, path / predictions.FILE)
        results.write_history(run.history, path / results.HISTORY)
        np.save(path / "data/normalised/test_images.npy", images_of(run))
        commit(project, run.revision)
        project.succeed("git", "tag", run.revision)
    return project


def images_of(run: Run) -> Array:
    """An image for each answer, of which no two neighbours are alike."""
    return np.arange(len(run.predictions.actual) * 16, dtype=np.uint8).reshape(-1, 4, 4)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The runs of `pair` in a repository."""
    return keep(tmp_path_factory.mktemp("kept"), *pair())


@pytest.fixture(scope="module")
def two_runs(faster: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one run committed and another, better one in its workspace."""
    return copy(faster, tmp_path_factory.mktemp("two") / "project")


Z = NormalDist().inv_cdf(0.975)


def rights(table: str) -> list[bool]:
    return [row["actual"] == row["predicted"] for row in csv.DictReader(table.splitlines())]


def losses(table: str) -> Any:
    """Each image's cross-entropy; the probability of class k is in the column after `predicted` and k more."""
    rows = list(csv.reader(table.splitlines()))[1:]
    return -np.log(np.array([row[3 + int(row[1])] for row in rows], np.float32).astype(float))


def exact_mcnemar(only_a: int, only_b: int) -> float:
    """The chance of a coin to fall on one side as seldom as the rarer of the two, or seldomer; both sides count."""
    tosses = only_a + only_b
    tail = sum(math.comb(tosses, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**tosses)


def wilson(right: int, n: int) -> tuple[float, float]:
    """The interval of Wilson (1927), as he wrote it."""
    centre, half = right + Z**2 / 2, Z * math.sqrt(right * (n - right) / n + Z**2 / 4)
    return (centre - half) / (n + Z**2), (centre + half) / (n + Z**2)


def bonett_price(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """The interval of Bonett and Price (2012), as they wrote it: one more image in either disagreement."""
    p12, p21 = (only_b + 1) / (n + 2), (only_a + 1) / (n + 2)
    half = Z * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    return p12 - p21 - half, p12 - p21 + half


def resampled(values: Any) -> Any:
    """The values as often drawn again, with replacement, as the bootstrap does it, by its generator."""
    return values[
        np.random.default_rng(np.random.RandomState(0)).integers(0, len(values), (paired.RESAMPLES, len(values)))
    ]


@pytest.mark.slow
def test_the_command_agrees_with_what_the_two_tables_come_to_by_definition(two_runs: Project) -> None:
    found = json.loads(two_runs.mnist("compare", "--json"))
    lock = two_runs.succeed("git", "show", "HEAD:dvc.lock")
    digest = re.findall(r"path: metrics/predictions.csv\n *hash: md5\n *md5: (\w+)", lock)[0]
    tables = [
        (two_runs.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_text("utf-8"),
        (two_runs.path / "metrics/predictions.csv").read_text("utf-8"),
    ]
    old, new = map(rights, tables)
    pairs = list(zip(old, new, strict=True))
    only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
    assert found["n"] == len(pairs) == 300
    assert (found["only_a_right"], found["only_b_right"]) == (only_a, only_b)
    assert only_b > 30
    assert found["p_value"] == pytest.approx(exact_mcnemar(only_a, only_b), rel=1e-9)
    for side, right, loss in zip("ab", (old, new), map(losses, tables), strict=True):
        measured = found[side]
        expected = [sum(right) / 300, *wilson(sum(right), 300), loss.mean()]
        names = ("accuracy", "accuracy_low", "accuracy_high", "loss")
        assert [measured[name] for name in names] == pytest.approx(expected, abs=1e-9)
    assert found["accuracy_difference"] == pytest.approx((sum(new) - sum(old)) / 300, abs=1e-9)
    low, high = bonett_price(only_a, only_b, 300)
    assert [found["difference_low"], found["difference_high"]] == pytest.approx([low, high], abs=1e-9)
    change = losses(tables[1]) - losses(tables[0])
    assert found["loss_difference"] == pytest.approx(change.mean(), abs=1e-9)
    means = np.sort(resampled(change).mean(1))
    assert [found["loss_difference_low"], found["loss_difference_high"]] == pytest.approx(
        [np.percentile(means, 2.5), np.percentile(means, 97.5)], abs=1e-9
    )
    assert found["params"] == {"train.learning_rate": {"a": 0.003, "b": 0.1}}


def test_a_comparison_agrees_with_what_the_predictions_come_to_by_definition() -> None:
    a, b = pair()
    found = compare.of(a, b)
    assert (found["n"], found["only_a_right"], found["only_b_right"]) == (1000, 30, 80)
    for side, run, right, sure in (("a", a, 900, 0.7), ("b", b, 950, 0.9)):
        loss = -(right * math.log(sure) + (1000 - right) * math.log((1 - sure) / 3)) / 1000
        assert found[side]["revision"] == run.revision
        assert found[side].keys().isdisjoint({"n", "recall"})
        assert [found[side][name] for name in ("accuracy", "accuracy_low", "accuracy_high", "loss")] == pytest.approx(
            [right / 1000, *wilson(right, 1000), loss], rel=1e-6
        )
    assert [found[name] for name in ("accuracy_difference", "difference_low", "difference_high")] == pytest.approx(
        [0.05, *bonett_price(30, 80, 1000)]
    )
    assert found["p_value"] == pytest.approx(exact_mcnemar(30, 80))
    assert found["loss_difference"] == pytest.approx(found["b"]["loss"] - found["a"]["loss"])
    means = resampled(np.subtract(*(predictions.image_losses(run.predictions) for run in (b, a)))).mean(1)
    assert [found["loss_difference_low"], found["loss_difference_high"]] == pytest.approx(
        [np.percentile(means, 2.5), np.percentile(means, 97.5)]
    )
    assert found["recall"]["cat"] == {"a": 225 / 250, "b": 237 / 250}
    assert found["params"] == {"train.seed": {"a": 0, "b": 1}}


def numbers(text: str) -> list[float]:
    """The numbers with two decimals in a sentence."""
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d\d", text)]


def test_worse_is_better_seen_from_the_other_side() -> None:
    a, b = pair()
    better, worse = (compare.sentence(compare.of(*both)) for both in ((a, b), (b, a)))
    assert better.startswith("B is better by 5.00 points")
    assert better.replace("better", "worse") == worse
    low, high = bonett_price(30, 80, 1000)
    assert numbers(better) == pytest.approx([5, 100 * low, 100 * high], abs=0.006)


def test_a_difference_of_less_than_a_point_can_be_more_than_chance() -> None:
    found = compare.of(answering(np.arange(4000) >= 20), answering(np.ones(4000, bool)))
    assert compare.sentence(found).startswith("B is better by 0.50 points")
    assert not compare.significant({"p_value": compare.SIGNIFICANT})


def test_a_difference_that_may_be_chance_has_its_sign_and_no_verdict() -> None:
    a, _ = pair()
    found = compare.of(a, answering(a.predictions.predicted == a.predictions.actual))
    assert compare.sentence(found) == "A and B are right on the same 1,000 images."
    assert not compare.significant(found)
    right = np.arange(1000) >= 95
    right[200] = False
    found = compare.of(a, answering(right))
    assert (found["only_a_right"], found["only_b_right"]) == (1, 5)
    said = compare.sentence(found)
    assert said.startswith("B differs by +0.40 points")
    assert "may be chance" in said
    assert numbers(said) == pytest.approx([0.4, *(100 * bound for bound in bonett_price(1, 5, 1000))], abs=0.006)
    assert numbers(compare.sentence(compare.of(answering(right), a)))[0] == -0.4


@pytest.mark.parametrize(("p", "shown"), [(1.0, "1"), (0.0312, "0.031"), (2.5e-299, "2.5e-299"), (1e-300, "< 1e-300")])
def test_chance_has_two_digits(p: float, shown: str) -> None:
    assert compare.chance(p) == shown


def test_no_difference_is_impossible_by_chance() -> None:
    found = compare.of(*(answering(np.full(4000, right)) for right in (False, True)))
    assert found["p_value"] == 0  # 2⁻³⁹⁹⁹, which floating point cannot hold
    assert compare.chance(found["p_value"]) == "< 1e-300"


def test_the_classes_shown_are_those_that_moved_most_either_way() -> None:
    recall = {"a": (0.5, 0.5), "b": (0.5, 0.6), "c": (0.9, 0.5), "d": (0.2, 0.5), "e": (0.7, 0.65)}
    found = {"recall": {name: {"a": a, "b": b} for name, (a, b) in recall.items()}}
    assert compare.moved_most(found) == ["c", "d", "b"]
    still = {"recall": {name: found["recall"][name] for name in "ae"}}
    assert compare.moved_most(still) == ["e"]


def test_the_lines_tell_what_differs_and_by_how_much() -> None:
    a, b = pair()
    found = compare.of(a, b)
    assert compare.lines(found) == [
        "Nothing but the seed differs: this is about two networks, not about two recipes.",
        "A: A   B: B   1,000 test images",
        "",
        "train.seed           0 → 1",
        "",
        "accuracy of A        0.9000  95 % {:.4f} to {:.4f}".format(*wilson(900, 1000)),
        "accuracy of B        0.9500  95 % {:.4f} to {:.4f}".format(*wilson(950, 1000)),
        "difference (paired)  +0.0500  95 % {:+.4f} to {:+.4f}".format(*bonett_price(30, 80, 1000)),
        "only A is right on   30 images",
        "only B is right on   80 images",
        f"p (exact McNemar)    {exact_mcnemar(30, 80):.2g}",
        f"loss                 {found['a']['loss']:.4f} → {found['b']['loss']:.4f}  difference "
        f"{found['loss_difference']:+.4f}  95 % {found['loss_difference_low']:+.4f} to "
        f"{found['loss_difference_high']:+.4f}",
        "recall of ému        0.9000 → 0.9520",
        "recall of fox        0.9000 → 0.9520",
        "recall of cat        0.9000 → 0.9480",
        "",
        compare.sentence(found),
    ]


SEED = ["Nothing but the seed differs: this is about two networks, not about two recipes."]
MACHINE = ["Nothing but the machine or its libraries differs: this is about two networks, not about two recipes."]


@pytest.mark.parametrize(
    ("parameters", "others", "first"),
    [
        ({"train.seed": 1}, {}, SEED),
        ({"train.seed": 0, "normalise.seed": 3, "plot.images": 3, "dataset.path": "/elsewhere"}, {}, SEED),
        ({"train.seed": 0, "evaluate.batch_size": 3}, {}, MACHINE),
        ({"train.seed": 1, "train.epochs": 3}, {}, []),
        ({"train.seed": 1}, {"code": {"mnist/models.py": "2" * 32}}, []),
        ({"train.seed": 0}, {"training_files": {"train-images": "2" * 64}}, []),
    ],
)
def test_a_comparison_that_is_not_one_of_recipes_says_so_first(
    parameters: dict[str, Any], others: dict[str, dict[str, str]], first: list[str]
) -> None:
    a, b = pair()
    found = compare.of(a, replace(b, parameters={**a.parameters, **parameters}, **others))
    assert compare.caveat(found) == first
    named = {"code": "the code differs: mnist/models.py", "training_files": "the training data differ: train-images"}
    assert compare.other_inputs(found) == [named[other] for other in others]
    assert compare.lines(found)[: len(first) + 1] == [*first, "A: A   B: B   1,000 test images"]
    assert compare.caveat(compare.of(a, replace(a, parameters={**a.parameters, **parameters}))) == []


def test_the_parameters_and_the_code_that_differ_are_named() -> None:
    a, b = pair()
    assert compare.lines(compare.of(a, a))[2:4] == ["no parameter differs", ""]
    made = replace(a, code={"mnist/raw.py": "0" * 32, "mnist/models.py": "1" * 32})
    changed = replace(b, code={"mnist/raw.py": "0" * 32, "mnist/models.py": "2" * 32, "mnist/linear.py": "3" * 32})
    assert compare.lines(compare.of(made, changed))[2:5] == [
        "train.seed           0 → 1",
        "the code differs: mnist/linear.py, mnist/models.py",
        "",
    ]
    other = replace(b, parameters={**b.parameters, "train.learning_rate.of": 0.1}, code=a.code)
    assert compare.lines(compare.of(a, other))[2:5] == [
        "train.seed              0 → 1",
        "train.learning_rate.of  None → 0.1",
        "",
    ]


def test_runs_on_other_images_or_classes_are_not_compared() -> None:
    a, _ = pair()
    b = replace(a, revision="B")
    images = "A and B: other test images (animals, animals); only runs measured on the same ones can be compared"
    for other, says in (
        (replace(b, test_files={"t10k": "1" * 64}), images),
        (answering(np.ones(999, bool), revision="B"), images),
        (
            replace(b, predictions=replace(a.predictions, classes=["cat", "dog", "emu", "gnu"])),
            "A and B: other classes; only runs on one data set can be compared",
        ),
    ):
        with pytest.raises(InputError) as error:
            compare.of(a, other)
        assert str(error.value) == says


def test_the_command_prints_lines_or_one_json_object_of_what_the_commits_hold(
    kept: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(kept.path)
    found = compare.of(*pair())
    compare.compare("A", "B")
    assert capsys.readouterr().out.splitlines() == compare.lines(found)
    compare.compare("A", "B", as_json=True)
    assert capsys.readouterr().out == json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def test_the_gate_is_open_to_what_is_better_or_the_same(kept: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept.path)
    compare.compare("A", "B", gate=True)
    compare.compare("A", "A", gate=True)
    compare.compare("B", "A")
    with pytest.raises(InputError, match=r"^A is significantly less accurate than B"):
        compare.compare("B", "A", gate=True)


def test_the_images_drawn_are_those_of_the_first_with_the_answers_of_both(
    kept: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(kept.path)
    compare.compare("A", "B", images=tmp_path / "drawn.png")
    a, b = pair()
    plots.settle()
    plots.save(flipped.draw(images_of(a), a.predictions, b.predictions), tmp_path / "expected.png")
    assert (tmp_path / "drawn.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


@pytest.mark.slow
def test_the_gate_stops_what_is_worse_and_nothing_else(two_runs: Project) -> None:
    compared = ["compare", "--gate"]
    assert "B is better by" in two_runs.mnist(*compared, "HEAD", "workspace")
    assert "right on the same 300 images" in two_runs.mnist(*compared, "HEAD", "main")
    worse = two_runs.inside(*compared, "workspace", "HEAD")
    assert worse.returncode == 1
    assert "B is worse by" in worse.stdout
    assert worse.stderr.startswith("error: HEAD is significantly less accurate than workspace")


@pytest.mark.slow
def test_the_images_that_flipped_can_be_drawn(two_runs: Project, tmp_path: Path) -> None:
    two_runs.mnist("compare", "--images", str(tmp_path / "flipped.png"))
    assert (tmp_path / "flipped.png").read_bytes().startswith(b"\x89PNG")


def refused(project: Project, *revisions: str) -> str:
    """The one line that `compare` fails with."""
    done = project.inside("compare", *revisions)
    assert done.returncode == 1, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    line = done.stderr
    assert line.startswith("error: ")
    return line


@pytest.mark.slow
def test_a_revision_that_is_not_there_gets_a_close_match(two_runs: Project) -> None:
    assert "mian: no such revision, or no commit; did you mean main?" in refused(two_runs, "mian")


@pytest.mark.slow
def test_a_shallow_clone_gets_its_history_by_the_command_that_is_named(project: Project, tmp_path: Path) -> None:
    project.succeed("git", "clone", "-q", "--depth=1", f"file://{project.path}", str(tmp_path / "shallow"))
    shallow = Project(tmp_path / "shallow")
    line = refused(shallow, "HEAD~1", "HEAD~1")
    assert "HEAD~1: no such revision in this shallow clone; " in line
    shallow.succeed("bash", "-ec", remedy(line))
    assert "no such revision" not in refused(shallow, "HEAD~1", "HEAD~1")


def remedy(line: str) -> str:
    """The last command that a message names."""
    return re.findall("`(.*?)`", line)[-1]


def edit_code(project: Project) -> None:
    project.edit(
        "order = torch.randperm(len(images))", "order = torch.randperm(len(images)).flip(0)", "mnist/training.py"
    )


@pytest.mark.slow
@pytest.mark.parametrize("state", ["as it was cloned", "edited before the first run"])
def test_results_that_no_cache_has_come_back_by_the_command_that_is_named(
    state: str, project: Project, tmp_path: Path
) -> None:
    project.succeed("git", "clone", "-q", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    if state.startswith("edited"):
        edit_code(clone)
        clone.repro()
    line = refused(clone, "HEAD", "HEAD")
    assert "neither in git nor in DVC's cache or remote; `" in line
    before = clone.succeed("git", "diff"), clone.hashes()
    clone.succeed("bash", "-ec", remedy(line))
    assert "right on the same 300 images" in clone.mnist("compare", "HEAD", "HEAD")
    if state.startswith("edited"):
        assert (clone.succeed("git", "diff"), clone.hashes()) == before
        assert "no parameter differs" in clone.mnist("compare")


# a machine whose libraries add up in another order
ANOTHER_MACHINE = """
import os, sys
if {"stages.train", "stages.evaluate"} & {*sys.orig_argv}:
    sys.path.insert(0, os.getcwd())
    from mnist import numerics
    numerics.INSTRUCTION_SETS["MKL_CBWR"] = "COMPATIBLE"
"""


@pytest.mark.slow
def test_on_a_machine_that_computes_other_results_the_tour_goes_on_once_they_are_committed(
    project: Project, tmp_path: Path
) -> None:
    project.succeed("git", "clone", "-q", ".", str(tmp_path / "clone"))
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_MACHINE)
    other = Project(tmp_path / "clone")
    other.succeed("git", "config", "user.name", "test")
    other.succeed("git", "config", "user.email", "test@example.org")
    done = other.run("dvc", "repro", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "train: this build of torch adds up in an order of its own, so results may differ" in done.stderr
    line = refused(other)
    assert "commit the results of this machine, which differ though their inputs do not" in line
    other.succeed("bash", "-ec", remedy(line))
    other.edit("learning_rate: 0.003", "learning_rate: 0.1")
    other.succeed("dvc", "repro", "evaluate", PYTHONPATH=str(tmp_path))
    assert "B is better by" in other.mnist("compare")
    other.mnist("report", "HEAD", "workspace")
    commit(other, "faster")
    assert len(json.loads(other.mnist("leaderboard", "--json"))) == 2


@pytest.mark.slow
def test_results_come_from_a_remote_when_the_cache_has_lost_them(project: Project, tmp_path: Path) -> None:
    project.succeed("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    commit(project, "a remote")
    project.succeed("dvc", "push")
    shutil.rmtree(project.path / ".dvc/cache")
    assert "right on the same 300 images" in project.mnist("compare", "HEAD", "workspace")


@pytest.mark.slow
def test_numbers_older_than_their_parameters_are_not_compared(project: Project) -> None:
    project.edit("learning_rate: 0.003", "learning_rate: 0.1")
    assert "workspace: train.learning_rate has changed since its results were made" in refused(project)
    commit(project, "edited, not run")
    assert "HEAD: train.learning_rate has changed" in refused(project, "HEAD", "HEAD~1")


@pytest.mark.slow
def test_numbers_older_than_their_code_are_not_compared(project: Project) -> None:
    project.edit("answers to images.", "answers to some images.", "mnist/predict.py")
    assert "workspace: mnist/predict.py has changed" in refused(project)
    commit(project, "edited, not run")
    assert "HEAD: mnist/predict.py has changed" in refused(project, "HEAD", "HEAD~1")
    project.edit('"""The pictures of a run.', '"""All pictures of a run.', "mnist/plots.py")
    commit(project, "what draws has no say in what is compared")
    assert "mnist/predict.py" in refused(project, "HEAD", "HEAD~2")
    project.succeed("git", "reset", "-q", "--hard", "HEAD~2")
    project.succeed("bash", "-ec", "mkdir -p mnist/formats/__pycache__; echo 1 > mnist/formats/__pycache__/other.pyc")
    assert "right on the same 300 images" in project.mnist("compare", "HEAD", "workspace")
    project.edit("which are pictures", "which ones are pictures", "mnist/formats/names.py")
    assert "workspace: mnist/formats has changed" in refused(project)
    commit(project, "edited, not run")
    assert "HEAD: mnist/formats has changed" in refused(project, "HEAD", "HEAD~1")
    project.succeed("bash", "-ec", "git mv mnist/formats mnist/forms; git commit -qm renamed")
    assert "HEAD: mnist/formats has changed" in refused(project, "HEAD", "HEAD~2")


@pytest.mark.slow
def test_a_commit_with_parameters_that_today_has_not_can_be_compared(project: Project) -> None:
    project.edit("  shift: 0 ", "  dropout: 0 ")
    project.edit("        shift: 0\n", "        dropout: 0\n", "dvc.lock")
    commit(project, "as it may once have been")
    found = json.loads(project.mnist("compare", "HEAD", "HEAD~1", "--json"))
    assert found["params"] == {"train.dropout": {"a": 0, "b": None}, "train.shift": {"a": None, "b": 0}}


def test_where_the_interval_says_more_than_the_exact_test_the_sentence_says_which_decides() -> None:
    image = np.arange(10_000)
    found = compare.of(answering(image >= 22, revision="A"), answering((image < 22) | (image >= 32), revision="B"))
    assert (found["only_a_right"], found["only_b_right"]) == (10, 22)
    assert found["difference_low"] > 0
    assert not compare.significant(found)
    assert compare.sentence(found).endswith("that may be chance by the exact test, which decides (p = 0.05).")


@pytest.mark.slow
def test_an_empty_name_does_not_pass_the_gate(project: Project) -> None:
    assert "the revision's name is empty" in refused(project, "", "workspace")


@pytest.mark.slow
def test_an_experiment_that_lost_its_objects_is_named_with_the_run_that_makes_them(project: Project) -> None:
    project.succeed("dvc", "exp", "run", "-q", "--name", "faster", "-S", "train.learning_rate=0.1")
    project.succeed("git", "checkout", "-q", ".")
    shutil.rmtree(project.path / ".dvc/cache")
    line = refused(project, "faster", "faster")
    assert "; `dvc exp run -S train.learning_rate=0.1` recreates it" in line
    project.succeed("bash", "-ec", remedy(line))
    project.mnist("compare", "faster", "faster")


def test_what_an_experiment_is_made_again_by_leads_from_any_parameters_to_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By DVC's own reading of the command: keys that are new or gone, nothing, lists, and words that are none."""
    monkeypatch.chdir(tmp_path)
    here = {"dataset": {"path": "data/mnist", "size": [8, 8]}, "train": {"rate": 0.1, "model": "mlp", "parts": 4}}
    there = {
        "dataset": {"path": "data/my shapes, 2", "size": None, "download": "null", "test_share": 1e-05},
        "normalise": {"mean": [0.1, 0.2, 0.3], "std": "auto"},
        "train": {
            "rate": 0.1,
            "model": "cnn",
            "start_from": "/a/b.c-d",
            "average": True,
            "name": "10",
            "x": "é\"= '",
            "y": ".5",
            "z": "nULL",
        },
    }
    Path("params.yaml").write_text(yaml.safe_dump(here))
    command = shlex.join(revisions.overrides(*map(params.flat, (here, there))))
    assert "rate" not in command
    apply_overrides("params.yaml", [part for part in shlex.split(command) if part != "-S"])
    assert yaml12.read(Path("params.yaml")) == there


@pytest.mark.slow
def test_other_test_images_are_refused(project: Project) -> None:
    images = project.path / "data/small/t10k-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[500] ^= 1
    images.write_bytes(content)
    project.repro("evaluate")
    assert "other test images" in refused(project)


@pytest.mark.slow
def test_other_classes_are_refused(project: Project) -> None:
    (project.path / "data/small/classes.txt").write_text("".join(f"digit {k}\n" for k in range(10)))
    project.repro("evaluate")
    assert "other classes" in refused(project)


@pytest.mark.slow
def test_without_a_commit_there_is_nothing_to_compare(project: Project) -> None:
    shutil.rmtree(project.path / ".git")
    project.succeed("git", "init", "-q")
    assert "with a commit" in refused(project)


@pytest.mark.slow
def test_without_results_it_says_how_to_get_them(fresh: Project) -> None:
    assert "HEAD: has no dvc.lock, so no run of it is known" in refused(fresh)


@pytest.mark.slow
def test_numbers_older_than_their_data_are_not_compared(project: Project) -> None:
    says = "HEAD: data/small has changed since its results were made"
    labels = project.path / "data/small/train-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-1] + bytes([(whole[-1] + 1) % 10]))
    commit(project, "other data, not run")
    assert says in refused(project, "HEAD", "HEAD~1")
    labels.write_bytes(whole)
    project.succeed("git", "rm", "-rq", "--cached", "data/small")
    project.succeed("dvc", "add", "-q", "data/small")
    commit(project, "the first data again, now DVC's")
    project.mnist("compare", "HEAD", "HEAD~2")
    labels.write_bytes(whole[:-1] + bytes([(whole[-1] + 1) % 10]))
    project.succeed("dvc", "add", "-q", "data/small")
    commit(project, "other data, not run")
    assert says in refused(project, "HEAD", "HEAD~1")


@pytest.mark.slow
def test_what_git_does_not_have_of_the_data_makes_them_no_other_data(project: Project) -> None:
    (project.path / "data/small/note").touch()
    (project.path / "data/.gitignore").open("a").write("note\n")
    project.repro("evaluate")
    commit(project, "a note that stays here")
    project.mnist("compare", "HEAD", "HEAD~1")


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_a_folder_of_data_named_by_its_absolute_path_is_not_called_changed(place: str, tmp_path: Path) -> None:
    """Nor is one of which git has nothing; an empty file is one that git has."""
    project = Project(tmp_path / "project")
    folder = (project.path if place == "inside" else tmp_path) / "data"
    project.path.mkdir()
    folder.mkdir()
    for name in ("images", "empty"):
        (folder / name).write_text(name.replace("empty", ""))
    project.succeed("git", "init", "-q")
    commands = "git add -A; git -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m data"
    project.succeed("bash", "-ec", commands)
    program = "import sys; from pipeline import git; print(*sorted(git.below('HEAD', sys.argv[1])))"
    environment = {"PYTHONPATH": str(ROOT)}
    assert project.succeed("python", "-c", program, str(folder), **environment) == "\n"
    assert project.succeed("python", "-c", program, "data", **environment) == (
        "empty images\n" if place == "inside" else "\n"
    )
