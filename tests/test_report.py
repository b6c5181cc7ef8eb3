"""The report's tables: what stands in them is what the runs came to."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mnist import metrics, predictions, results
from mnist.commands import compare, figures, leaderboard, report
from mnist.results import Epoch
from tests.test_compare import CLASSES, answering, keep, pair


def test_of_two_runs_the_parameters_that_differ_are_marked_and_come_first() -> None:
    right = np.ones(8, bool)
    a = answering(right, {"train.seed": 0, "train.shift": 1})
    b = answering(right, {"train.seed": 0, "train.shift": 2, "train.dropout": 0.5})
    assert report.parameters([a, b]) == [
        ("train.shift", ["1", "2"], True),
        ("train.dropout", ["None", "0.5"], True),
        ("train.epochs", ["2", "2"], False),
        ("train.seed", ["0", "0"], False),
    ]


def test_of_one_run_no_parameter_is_marked() -> None:
    run = answering(np.ones(8, bool), {"train.seed": 0})
    assert report.parameters([run]) == [("train.epochs", ["2"], False), ("train.seed", ["0"], False)]


def test_a_report_of_one_run_has_its_five_pictures_and_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = answering(np.arange(8) > 2, revision="alone")
    monkeypatch.chdir(keep(tmp_path / "kept", run).path)
    report.report("alone", None, tmp_path / "one.html")
    html = (tmp_path / "one.html").read_text("utf-8")
    assert html.count("data:image/png;base64,") == 5
    assert f"{5 / 8:.4f} (95 % " in html
    assert "difference" not in html


def test_two_runs_on_one_image_can_be_compared_and_reported(tmp_path: Path) -> None:
    project = keep(
        tmp_path / "kept", *(answering(np.array([right]), revision=f"is-{right}") for right in (False, True))
    )
    assert "p (exact McNemar)    1" in project.mnist("compare", "is-False", "is-True").splitlines()
    assert project.mnist("report", "is-False", "is-True").startswith("report.html: ")


def test_each_metric_has_a_row_and_each_run_a_column() -> None:
    a, b = pair()
    rows = dict(report.measured([a, b]))
    measured = [metrics.of_predictions(run.predictions) for run in (a, b)]
    single = [name for name in measured[0] if name not in ("n", "accuracy_low", "accuracy_high", "recall")]
    assert list(rows) == [*(name.replace("_", " ") for name in single), *(f"recall of {k}" for k in CLASSES)]
    assert rows["accuracy"] == [
        f"{m['accuracy']:.4f} (95 % {m['accuracy_low']:.4f}–{m['accuracy_high']:.4f})" for m in measured
    ]
    for name in single:
        if name != "accuracy":
            assert rows[name.replace("_", " ")] == [f"{m[name]:.4f}" for m in measured]
    assert rows["recall of cat"] == ["0.9000", "0.9480"]


def test_the_differences_are_in_the_column_of_b() -> None:
    found = compare.of(*pair())
    rows = dict(report.differences(found))
    assert rows["difference in accuracy"] == [
        "",
        f"+0.0500 (95 % {found['difference_low']:+.4f} to {found['difference_high']:+.4f})",
    ]
    assert rows["difference in loss"] == [
        "",
        f"{found['loss_difference']:+.4f} "
        f"(95 % {found['loss_difference_low']:+.4f} to {found['loss_difference_high']:+.4f})",
    ]
    assert rows["images only this one is right on"] == ["30", "80"]
    assert rows["p (exact McNemar)"] == ["", compare.chance(found["p_value"])]


def test_no_figure_is_minus_zero() -> None:
    certain, less = answering(np.ones(4000, bool), sure=1.0), answering(np.ones(4000, bool), sure=0.99999)
    found = compare.of(less, certain)
    assert json.dumps(found["b"]["loss"]) == "0.0"
    assert json.dumps(results.rounded({"loss": -0.0})) == '{"loss": 0.0}'
    assert -0.00005 < found["loss_difference"] < 0
    one_fewer = np.arange(25_000) > 0
    nearly = compare.of(answering(np.ones(25_000, bool)), answering(one_fewer))
    assert -0.00005 < nearly["accuracy_difference"] < 0
    shown = [*compare.lines(found), *compare.lines(nearly), *map(str, report.measured([certain]))]
    shown += [*map(str, report.differences(found)), leaderboard.figure(-0.0, -0.00001), leaderboard.figure(-0.0, None)]
    shown += [str(Epoch(1, 0.1, -0.0, -0.0, 0.5)), figures.signed(-0.004, 2)]
    assert [line for line in shown if re.search(r"-0(\.0+)?(?![\d.])", line)] == []


def test_a_comment_begins_with_the_decision_and_shows_what_differs() -> None:
    a, b = pair()
    found = {**compare.of(a, b), "code": ["mnist/models.py"]}
    shown = report.comment([a, b], found)
    assert shown[0] == f"**{compare.sentence(found)}**"
    assert shown[2:5] == ["|  | A: A | B: B |", "| --- | --: | --: |", "| train.seed | 0 | 1 |"]
    assert sum(line.startswith("| accuracy |") for line in shown) == 1
    assert [line for line in shown if "recall" in line] == []
    assert shown[-2:] == ["On 1,000 test images of animals.", "The code differs: mnist/models.py."]
    of_seeds = report.comment([a, b], {**found, "code": []})
    assert of_seeds[0].startswith("**Nothing but the seed differs")
    assert of_seeds[1] == compare.sentence(found)


def test_a_comment_on_one_run_has_a_column() -> None:
    run = answering(np.arange(8) > 2, revision="a|b")
    shown = report.comment([run], None)
    assert shown[0] == "**a|b: 8 test images**"
    assert shown[2:4] == [r"|  | A: a\|b |", "| --- | --: |"]


def sure(confidence: list[float]) -> predictions.Predictions:
    """Predictions of ten classes with these top probabilities, all right."""
    labels = np.arange(len(confidence)) % 10
    chances = np.repeat((1 - np.array(confidence, np.float32)[:, None]) / 9, 10, 1)
    chances[np.arange(len(labels)), labels] = confidence
    return predictions.Predictions(list("0123456789"), labels, labels, chances)


def test_a_confidence_on_the_edge_of_two_bins_is_of_the_upper_one_and_certainty_of_the_last() -> None:
    count, confidence, _ = predictions.calibration_bins(sure([0.25, 0.5, 0.7499, 0.75, 1.0]), bins=4)
    assert count.tolist() == [1, 2, 2]
    assert confidence == pytest.approx([0.25, 0.62495, 0.875])


def test_there_are_15_bins_of_one_width() -> None:
    edges = np.arange(2, 16) / 15
    count, confidence, accuracy = predictions.calibration_bins(sure([*(edges[:-1] + 1e-4), *(edges[1:] - 1e-4)]))
    assert count.tolist() == [2] * 13
    assert confidence == pytest.approx(edges[:-1] + 1 / 30)
    assert accuracy.tolist() == [1] * 13
