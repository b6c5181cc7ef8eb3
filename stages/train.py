"""Train the network on the training split.

python -m stages.train
"""

from mnist import console, stage


def train() -> None:
    """Train as params.yaml says on data/normalised; write the model, metrics/history.csv and metrics/train.json."""
    with stage.run("train") as run:
        from mnist import numerics

        chosen = run.params.train
        numerics.pin(chosen.threads)
        import torch

        from mnist import dataset, models, results, resume, training

        training.check_device(chosen.device)
        numerics.warn("train", chosen.device)
        statistics = dataset.statistics()
        torch.manual_seed(chosen.seed)
        model, description = models.create(chosen, statistics)
        training_split = dataset.load("train")
        validation_split = dataset.load("validation") if sum(statistics.counts["validation"].values()) else None
        with (
            resume.checkpoint(run.key) as checkpoint,
            console.progress("training", chosen.epochs * training.steps(chosen, training_split)) as advance,
        ):
            history = training.train(model, chosen, training_split, validation_split, checkpoint, console.say, advance)
        models.write(model, description, run.output("models/model.safetensors"))
        results.write_history(history, run.output("metrics/history.csv"))
        results.write_metrics(results.of_training(history), run.output("metrics/train.json"))


if __name__ == "__main__":
    stage.main(train)
