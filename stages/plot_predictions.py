"""Draw the pictures of a run.

python -m stages.plot_predictions
"""

from mnist import stage


def plot_predictions() -> None:
    """Draw predictions, mistakes, confusion, training and calibration into metrics/plots from the run's tables."""
    with stage.run("plot-predictions") as run:
        from mnist import dataset, plots, results

        test = dataset.load("test")
        predictions = results.read_predictions(dataset.statistics().classes)
        results.check_same_images(predictions, test.labels)
        history = results.read_history()
        count = run.params.plot.images
        mistakes = plots.confident_mistakes(predictions, count)
        plots.settle()
        figures = {
            "predictions": plots.predictions(
                test.images, predictions, range(min(count, len(test.labels))), "The first test images"
            ),
            "mistakes": plots.predictions(test.images, predictions, mistakes, "The most confident mistakes"),
            "confusion": plots.confusion(predictions),
            "training": plots.training(history),
            "calibration": plots.calibration(predictions),
        }
        folder = run.folder("metrics/plots")
        for name, figure in figures.items():
            plots.save(figure, folder / f"{name}.png")


if __name__ == "__main__":
    stage.main(plot_predictions)
