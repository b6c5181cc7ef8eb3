"""Metrics of a set of predictions."""

from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from mnist.predictions import Predictions, calibration_bins, image_losses


def of_predictions(predictions: Predictions) -> dict[str, Any]:
    """The metrics of evaluate.json; losses are cross-entropy in nats, whatever the training minimised.

    `accuracy_low` and `accuracy_high` are the 95 % interval of Wilson (1927). `calibration_error` is the expected
    calibration error of Guo et al. (2017), “On Calibration of Modern Neural Networks”. A class without test images
    has no recall and does not count for the mean F1.
    """
    actual, predicted = predictions.actual, predictions.predicted
    correct = int((actual == predicted).sum())
    interval = binomtest(correct, len(actual)).proportion_ci(method="wilson")
    present = np.unique(actual)
    _, recall, f1, _ = precision_recall_fscore_support(actual, predicted, labels=present, zero_division=0)
    count, confidence, accuracy = calibration_bins(predictions)
    return {
        "n": len(actual),
        "loss": float(image_losses(predictions).mean()),
        "accuracy": correct / len(actual),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "macro_f1": float(np.mean(f1)),
        "calibration_error": float(np.average(abs(confidence - accuracy), weights=count)),
        "recall": {predictions.classes[k]: float(value) for k, value in zip(present, recall, strict=True)},
    }
