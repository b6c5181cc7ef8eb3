"""Train the network on the training split.

python -m stages.train
"""

import functools
from pathlib import Path

from mnist.hyperparameters import Hyperparameters
from pipeline import console, stage


def train() -> None:
    """Train as params.yaml says on data/normalised; write the model, metrics/history.csv and metrics/train.json."""
    with stage.run("train", "train", Hyperparameters) as run:
        from mnist import numerics

        chosen = run.params
        numerics.pin(chosen.threads)
        from mnist import dataset, losses, models, results, start, training
        from pipeline import resume

        training.check_device(chosen.device)
        numerics.warn("train", chosen.device)
        statistics = dataset.statistics()
        if chosen.class_weights:
            losses.check_classes(statistics.counts["train"])
        model, description = models.create(chosen, statistics, run.key)
        if chosen.start_from:
            run.check_reads(start.KEY, chosen.start_from)
            print(start.begin(model, description, Path(chosen.start_from)), flush=True)
        training_split = dataset.load("train")
        validation_split = dataset.load("validation") if sum(statistics.counts["validation"].values()) else None

        def report(epochs: list[results.Epoch]) -> None:
            run.show("metrics/history.csv", functools.partial(results.write_history, epochs))
            console.say(epochs[-1])

        with (
            resume.checkpoint(run.key, run.look) as checkpoint,
            console.progress("training", chosen.epochs * training.steps(chosen, training_split)) as advance,
        ):
            epochs = training.train(model, chosen, training_split, validation_split, checkpoint, report, advance)
        models.write(model, description, run.output("models/model.safetensors"))
        results.write_history(epochs, run.output("metrics/history.csv"))
        results.write_metrics(results.of_training(epochs), run.output("metrics/train.json"))


if __name__ == "__main__":
    stage.main(train)
