"""The metrics of evaluate.json, against their definitions written out."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mnist import metrics
from mnist.predictions import Predictions, confusion_matrix

CLASSES = ["cat", "dog", "emu", "fox"]  # of the last there is no image


@pytest.fixture
def predictions() -> Predictions:
    random = np.random.RandomState(0)
    chances = random.dirichlet([0.4] * 4, 500).astype(np.float32)
    return Predictions(CLASSES, random.randint(0, 3, 500), chances.argmax(1), chances)


def pairs(predictions: Predictions) -> list[tuple[int, int]]:
    return list(zip(predictions.actual.tolist(), predictions.predicted.tolist(), strict=True))


def of_class(predictions: Predictions, k: int) -> tuple[float, float]:
    """Recall and F1 of class k."""
    hits = sum(actual == predicted == k for actual, predicted in pairs(predictions))
    actual = sum(actual == k for actual, _ in pairs(predictions))
    predicted = sum(predicted == k for _, predicted in pairs(predictions))
    return hits / actual, 2 * hits / (actual + predicted)


def test_recall_and_f1_are_of_the_classes_that_have_images(predictions: Predictions) -> None:
    measured = metrics.of_predictions(predictions)
    by_hand = {name: of_class(predictions, k) for k, name in enumerate(CLASSES[:3])}
    assert measured["recall"] == pytest.approx({name: recall for name, (recall, _) in by_hand.items()})
    assert measured["macro_f1"] == pytest.approx(sum(f1 for _, f1 in by_hand.values()) / 3)


def test_the_calibration_error_is_the_mean_gap_of_15_bins_weighted_by_their_images(predictions: Predictions) -> None:
    error = 0.0
    for bin_ in range(15):
        inside: list[Any] = [
            (float(max(chances)), actual == predicted)
            for chances, (actual, predicted) in zip(predictions.probabilities, pairs(predictions), strict=True)
            if bin_ / 15 <= max(chances) < (bin_ + 1) / 15 or (bin_ == 14 and max(chances) == 1)
        ]
        if inside:
            confidence, accuracy = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            error += len(inside) / 500 * abs(confidence - accuracy)
    assert metrics.of_predictions(predictions)["calibration_error"] == pytest.approx(error)


@pytest.mark.parametrize("classes", [2, 17, 62, 256])
def test_of_however_many_classes_each_image_counts_where_it_belongs(classes: int) -> None:
    """Labels are bytes, and what a matrix of 256 classes has room for is not counted in bytes."""
    labels = np.arange(classes).repeat(2).astype(np.uint8)
    chances = np.eye(classes, dtype=np.float32)[labels]
    right = Predictions([str(k) for k in range(classes)], labels, chances.argmax(1), chances)
    assert np.array_equal(confusion_matrix(right), 2 * np.eye(classes))
    assert metrics.of_predictions(right)["accuracy"] == 1
    wrong = replace(right, predicted=(chances.argmax(1) + 1) % classes)
    assert np.array_equal(confusion_matrix(wrong), 2 * np.roll(np.eye(classes), 1, 1))


def test_loss_and_accuracy_are_means_over_images(predictions: Predictions) -> None:
    measured = metrics.of_predictions(predictions)
    chances = [row[actual] for row, actual in zip(predictions.probabilities, predictions.actual, strict=True)]
    assert measured["n"] == 500
    assert measured["loss"] == pytest.approx(-sum(math.log(chance) for chance in chances) / 500)
    assert measured["accuracy"] == sum(actual == predicted for actual, predicted in pairs(predictions)) / 500
    assert measured["accuracy_low"] < measured["accuracy"] < measured["accuracy_high"]
