"""Measure the trained model on the test split.

python -m stages.evaluate
"""

from pathlib import Path

from mnist import stage


def evaluate() -> None:
    """Write what models/model.safetensors says of each test image, and metrics/evaluate.json."""
    with stage.run("evaluate") as run:
        from mnist import numerics

        numerics.pin(threads=1)
        from mnist import dataset, metrics, models, predict, results

        numerics.warn("evaluate", "cpu")
        model, description = models.read(Path("models/model.safetensors"))
        test = dataset.load("test")
        models.check_fits(description, dataset.statistics())
        probabilities = predict.probabilities(model, test.images, run.params.evaluate.batch_size)
        predictions = results.Predictions(description.classes, test.labels, probabilities.argmax(1), probabilities)
        measured = metrics.of_predictions(predictions)
        results.write_predictions(predictions, run.output("metrics/predictions.csv"))
        results.write_metrics(measured, run.output("metrics/evaluate.json"))
        print(f"accuracy {measured['accuracy']:.4f} on {measured['n']:,} test images, loss {measured['loss']:.4f}")


if __name__ == "__main__":
    stage.main(evaluate)
