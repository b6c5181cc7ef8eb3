"""Metrics of a set of predictions."""

from typing import Any

import numpy as np

from mnist.predictions import Predictions, calibration_bins, confusion_matrix, image_losses, wilson


def of_predictions(predictions: Predictions) -> dict[str, Any]:
    """The metrics of evaluate.json; losses are cross-entropy in nats, whatever the training minimised.

    `accuracy_low` and `accuracy_high` are the 95 % interval of Wilson (1927). `calibration_error` is the expected
    calibration error of Guo et al. (2017), “On Calibration of Modern Neural Networks”. A class without test images
    has no recall and does not count for the mean F1.
    """
    counts = confusion_matrix(predictions)
    n, hits = counts.sum(), counts.diagonal()
    actual, predicted = counts.sum(1), counts.sum(0)
    present = np.flatnonzero(actual)
    accuracy = hits.sum() / n
    low, high = wilson(accuracy, n)
    images, confidence, right = calibration_bins(predictions)
    return {
        "n": int(n),
        "loss": float(image_losses(predictions).mean()),
        "accuracy": float(accuracy),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "macro_f1": float(np.mean(2 * hits[present] / (actual + predicted)[present])),
        "calibration_error": float(np.average(abs(confidence - right), weights=images)),
        "recall": {predictions.classes[k]: float(hits[k] / actual[k]) for k in present},
    }
