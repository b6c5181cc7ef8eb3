"""Measure the trained model on the test split.

python -m stages.evaluate
"""

from pathlib import Path

from pipeline import params, stage


class Evaluate(params.Section):
    """The section `evaluate` of params.yaml."""

    batch_size: params.Batch


def evaluate() -> None:
    """Write what models/model.safetensors says of each test image, and metrics/evaluate.json."""
    with stage.run("evaluate", "evaluate", Evaluate) as run:
        from mnist import numerics

        numerics.pin(threads=1)
        from mnist import dataset, metrics, models, predict, predictions, results

        numerics.warn("evaluate", "cpu")
        model, description = models.read(Path("models/model.safetensors"))
        test = dataset.load("test")
        models.check_fits(description, dataset.statistics())
        chances = predict.probabilities(model, test.images, run.params.batch_size)
        answers = predictions.Predictions(description.classes, test.labels, chances.argmax(1), chances)
        measured = metrics.of_predictions(answers)
        predictions.write(answers, run.output("metrics/predictions.csv"))
        results.write_metrics(measured, run.output("metrics/evaluate.json"))
        print(f"accuracy {measured['accuracy']:.4f} on {measured['n']:,} test images, loss {measured['loss']:.4f}")


if __name__ == "__main__":
    stage.main(evaluate)
