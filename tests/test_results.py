"""The tables that a run leaves: what is read is exactly what was written."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist import predictions, results
from mnist.predictions import Predictions
from mnist.results import Epoch
from pipeline.errors import InputError

repeated = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
number = st.floats(allow_nan=False, allow_infinity=False)
weights = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(2, 12)),
    elements=st.floats(0, 2.0**100, width=32),  # some of the chances below are subnormal
)
names = st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1), unique=True, min_size=12)


@given(weights, names)
@repeated
def test_predictions_read_back_as_the_same_float32(tmp_path: Path, weights: np.ndarray, names: list[str]) -> None:
    chances = (weights.astype(np.float64) + 1e-40) / (weights.astype(np.float64) + 1e-40).sum(1, keepdims=True)
    classes = names[: chances.shape[1]]
    labels = chances.argmax(1)
    before = Predictions(classes, labels[::-1], labels, chances.astype(np.float32))
    predictions.write(before, tmp_path / "predictions.csv")
    after = predictions.read(classes, tmp_path / "predictions.csv")
    assert after.probabilities.dtype == np.float32
    assert after.probabilities.tobytes() == before.probabilities.tobytes()
    assert np.array_equal(after.actual, before.actual)
    assert np.array_equal(after.predicted, before.predicted)


@given(st.lists(st.tuples(number, number, st.none() | number, st.none() | number), min_size=1, max_size=20))
@repeated
def test_history_reads_back_exactly(
    tmp_path: Path, rows: list[tuple[float, float, float | None, float | None]]
) -> None:
    epochs = [Epoch(k, *row) for k, row in enumerate(rows, 1)]
    results.write_history(epochs, tmp_path / "history.csv")
    assert results.read_history(tmp_path / "history.csv") == epochs


@given(st.binary(max_size=100))
@repeated
def test_any_bytes_for_a_table_are_refused_with_their_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    for header, read in (
        ("epoch,learning_rate,train_loss,validation_loss,validation_accuracy\n", results.read_history),
        ("index,actual,predicted,p0,p1\n", lambda path: predictions.read(["a", "b"], path)),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"table\.csv, line \d+: .*; `dvc repro` recreates it"):
            read(path)
        path.write_bytes(header.encode() + b"1,\n" + content)
        with pytest.raises(InputError, match=r"table\.csv, line \d+: .*; `dvc repro` recreates it"):
            read(path)


EPOCHS = "epoch,learning_rate,train_loss,validation_loss,validation_accuracy\n"
ANSWERS = "index,actual,predicted,p0,p1\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (EPOCHS.upper(), f"line 1: the header should be {EPOCHS.strip()};"),
        (EPOCHS, "line 2: no rows;"),
        (EPOCHS + "1,0.1,0.5\n", "line 2: 3 cells where 5 belong;"),
        (EPOCHS + "2,0.1,0.5,,\n", "line 2: epoch 1 with its learning rate and loss belongs here;"),
        (EPOCHS + "1,0.1,0.5,,\n2,,0.5,,\n", "line 3: epoch 2 with its learning rate and loss belongs here;"),
        (EPOCHS + "1,0.1,,,\n", "line 2: epoch 1 with its learning rate and loss belongs here;"),
        (EPOCHS + "1,0.1,inf,,\n", "line 2: not finite;"),
        (EPOCHS + "1,0.1,0.5,,nan\n", "line 2: not finite;"),
        (EPOCHS + '1,0.1,0.5,,\n2,0.1,"0.5,,\n', "line 3: unexpected end of data;"),
        (ANSWERS + "1,a,b,0.4,0.6\n", "line 2: image 0 belongs here;"),
        (ANSWERS + "0,a,b,0.4,0.6\n1,c,b,0.4,0.6\n", "line 3: there is no class 'c';"),
        (ANSWERS + "0,a,b,0.4,0.602\n", "line 2: probabilities are from 0 to 1 and sum to 1;"),
        (ANSWERS + "0,a,b,0.4,0.598\n", "line 2: probabilities are from 0 to 1 and sum to 1;"),
        (ANSWERS + "0,a,b,-0.1,1.1\n", "line 2: probabilities are from 0 to 1 and sum to 1;"),
        (ANSWERS + "0,a,b,0,1\n1,a,a,0.4,0.6\n", "line 3: what is predicted is not the likeliest class;"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line_and_the_remedy(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, "utf-8")
    read: Callable[..., object] = (
        partial(predictions.read, ["a", "b"]) if text.startswith(ANSWERS) else results.read_history
    )
    for content in (None, text):
        with pytest.raises(InputError) as error:
            read(path, content)
        assert str(error.value).startswith(f"{path}, {says} `dvc repro` recreates it, ")
        assert str(error.value).endswith(
            ", `dvc repro -f` even where DVC takes it for current (`python -m mnist verify` finds a damaged cache)"
        )


def test_probabilities_are_written_with_no_more_digits_than_they_need(tmp_path: Path) -> None:
    chances = np.array([[0.1, 0.9]], np.float32)
    predictions.write(Predictions(["a", "b"], np.array([0]), np.array([1]), chances), tmp_path / "written")
    assert (tmp_path / "written").read_bytes() == b"index,actual,predicted,p0,p1\n0,a,b,0.1,0.9\n"
    results.write_history([Epoch(1, 0.1, 0.5, None, None)], tmp_path / "written")
    assert (tmp_path / "written").read_bytes() == f"{EPOCHS}1,0.1,0.5,,\n".encode()


@pytest.mark.usefixtures("ascii_locale")
def test_what_a_run_writes_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    path = tmp_path / "written"
    results.write_metrics({"recall": {"één": 0.5}}, path)
    assert path.read_bytes() == '{\n  "recall": {\n    "één": 0.5\n  }\n}\n'.encode()
    before = Predictions(["één", "два"], np.array([0]), np.array([1]), np.array([[0.25, 0.75]], np.float32))
    predictions.write(before, path)
    assert path.read_bytes() == "index,actual,predicted,p0,p1\n0,één,два,0.25,0.75\n".encode()
    assert predictions.read(before.classes, path).predicted.tolist() == [1]


def test_predictions_are_of_the_images_with_their_labels() -> None:
    answers = Predictions(["a", "b"], np.array([0, 1]), np.array([1, 1]), np.full((2, 2), 0.5, np.float32))
    predictions.check_same_images(answers, np.array([0, 1], np.uint8))
    for labels in ([0, 0], [0, 1, 0]):
        with pytest.raises(InputError, match=r"predictions\.csv: is not of .*; `dvc repro -fs evaluate` recre"):
            predictions.check_same_images(answers, np.array(labels, np.uint8))


def test_metrics_leave_out_what_was_not_measured_and_are_never_nan(tmp_path: Path) -> None:
    results.write_metrics({"loss": 0.123456789, "accuracy": None, "recall": {"ä": 1 / 3}}, tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text("utf-8")
    assert json.loads(text) == {"loss": 0.123457, "recall": {"ä": 0.333333}}
    assert "ä" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.write_metrics({"loss": float("nan")}, tmp_path / "metrics.json")


def test_each_image_counts_in_one_calibration_bin_and_its_loss_is_finite() -> None:
    chances = np.array([[1, 0], [0.5, 0.5], [0.04, 0.96]], np.float32)
    answers = Predictions(["a", "b"], np.array([0, 0, 0]), np.array([0, 0, 1]), chances)
    count, confidence, accuracy = predictions.calibration_bins(answers)
    assert count.tolist() == [1, 2]
    assert confidence.tolist() == pytest.approx([0.5, 0.98])
    assert accuracy.tolist() == [1.0, 0.5]
    assert predictions.image_losses(answers)[:2] == pytest.approx([0, np.log(2)])
    assert np.isfinite(predictions.image_losses(answers)).all()


def test_certainty_costs_nothing_or_what_the_least_normal_float32_costs() -> None:
    chances = np.array([[1, 0], [1, 0]], np.float32)
    losses = predictions.image_losses(Predictions(["a", "b"], np.array([0, 1]), np.array([0, 0]), chances))
    assert [str(loss) for loss in losses[:1]] == ["0.0"], "not -0.0, which a table would show"
    assert losses[1] == pytest.approx(126 * np.log(2))
