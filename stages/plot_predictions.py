"""Draw the pictures of a run.

python -m stages.plot_predictions
"""

from typing import Annotated

from pydantic import Field

from pipeline import params, stage


class Plot(params.Section):
    """The section `plot` of params.yaml."""

    images: Annotated[int, Field(ge=1, le=100)]


def plot_predictions() -> None:
    """Draw predictions, mistakes, confusion, training and calibration into metrics/plots from the run's tables."""
    with stage.run("plot-predictions", "plot", Plot) as run:
        from mnist import dataset, plots, predictions, results

        test = dataset.load("test")
        answers = predictions.read(dataset.statistics().classes)
        predictions.check_same_images(answers, test.labels)
        plots.settle()
        folder = run.folder("metrics/plots")
        for name, figure in plots.of_run(test.images, answers, results.read_history(), run.params.images).items():
            plots.save(figure, folder / f"{name}.png")


if __name__ == "__main__":
    stage.main(plot_predictions)
