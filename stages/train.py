"""Train the network on the training split.

python -m stages.train, or as several processes: torchrun --nproc-per-node N -m stages.train
"""

import functools
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mnist.hyperparameters import Hyperparameters
from pipeline import console, launch, params, stage, yaml12
from pipeline.processes import cores


class Machine(params.Section):
    """The section `machine` of params.yaml, which need not be there: what decides no result."""

    processes: Annotated[int, Field(ge=1, le=1024)] = 1
    patience: Annotated[int, Field(ge=1, le=86_400)] = 600  # seconds that processes wait for each other


def train() -> None:
    """Train as params.yaml says on data/normalised; write the model, metrics/history.csv and metrics/train.json."""
    with stage.run("train", "train", Hyperparameters) as run:
        machine = params.check({"machine": {}} | yaml12.read(params.FILE), "machine", Machine)
        if machine.processes > 1 and not launch.shared():
            check_processes(machine.processes, run.params)
            launch.share("train", "stages.train", machine.processes)
        else:
            work(run, machine.patience)


def check_processes(processes: int, chosen: Hyperparameters) -> None:
    """Raise InputError for more processes than parts of a batch, or than GPUs; warn of more than cores."""
    from mnist import parts
    from pipeline import group

    parts.check(chosen.parts, processes)
    group.check_gpus(chosen.device, processes)
    if processes * chosen.threads > (here := cores()):
        print(
            f"train: {processes} processes of {chosen.threads} threads on {here} cores: they wait for each other",
            file=sys.stderr,
        )


def work(run: stage.Run[Hyperparameters], patience: int) -> None:
    """Train, alone or as one of the processes that share the work, of which the first one writes."""
    from mnist import numerics

    chosen = run.params
    numerics.pin(chosen.threads)
    from mnist import dataset, losses, models, parts, results, start, training
    from pipeline import group, resume

    with group.joined("train", run.before.values | run.before.digests, chosen.device, patience) as peers:
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
        held_out = sum(statistics.counts["validation"].values())
        validation_split = dataset.load("validation") if held_out else None

        def report(epochs: list[results.Epoch]) -> None:
            run.show("metrics/history.csv", functools.partial(results.write_history, epochs))
            console.say(epochs[-1])

        with (
            resume.checkpoint(run.key, run.look, peers) as checkpoint,
            console.progress("training", chosen.epochs * training.steps(chosen, training_split)) as advance,
        ):
            epochs = training.train(
                model, chosen, training_split, validation_split, checkpoint, report, advance, peers or parts.ALONE
            )
    if peers and peers.rank:
        return
    models.write(model, description, run.output("models/model.safetensors"))
    results.write_history(epochs, run.output("metrics/history.csv"))
    results.write_metrics(results.of_training(epochs, held_out), run.output("metrics/train.json"))


if __name__ == "__main__":
    stage.main(train)
