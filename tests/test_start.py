"""A training that starts from another model file: what it takes from there, what it brings, what DVC makes of it."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from mnist import models, start, training
from mnist.commands import settings
from mnist.dataset import Split, Statistics
from mnist.hyperparameters import Hyperparameters
from pipeline import resume
from pipeline.errors import InputError
from tests.conftest import LONG, SHIPPED, Project, commit, copy, first_of_mnist
from tests.endtoend.test_interruptions import until
from tests.test_sweep import SHORT

DIGITS = [str(k) for k in range(10)]
PARITY = ["even", "odd"]
NONE = resume.Checkpoint(None)


def chosen(**changes: object) -> Hyperparameters:
    return settings.read(SHIPPED).train.model_copy(update={"learning_rate": 0.1, **changes})


def statistics(classes: list[str], mean: float = 0.5) -> Statistics:
    counts = {split: dict.fromkeys(classes, 1) for split in ("train", "validation", "test")}
    return Statistics("digits", classes, True, (28, 28), mean, 0.5, counts)


class Old(NamedTuple):
    """A model file, the model in it, and the images on which it was trained."""

    path: Path
    model: nn.Module
    images: Split


@pytest.fixture(scope="module", params=list(models.NETWORKS))
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Old:
    """A network trained on a thousand digits."""
    split = Split(
        first_of_mnist("train-images-idx3-ubyte", 3, 1000), first_of_mnist("train-labels-idx1-ubyte", 1, 1000)
    )
    model, description = models.create(chosen(model=request.param), statistics(DIGITS))
    training.train(model, chosen(model=request.param, epochs=8), split, None, NONE)
    path = tmp_path_factory.mktemp("old") / "old.safetensors"
    models.write(model, description, path)
    return Old(path, model.eval(), split)


def test_all_weights_are_kept_but_for_what_normalises(old: Old) -> None:
    _, description = models.read(old.path)
    model, _ = models.create(chosen(model=description.model, seed=7), statistics(DIGITS, mean=0.25))
    random = torch.get_rng_state()
    said = start.begin(model, description, old.path)
    assert said == f"starting from {old.path}, which was trained on digits"
    assert torch.equal(torch.get_rng_state(), random)
    weights = old.model.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, torch.tensor(0.25) if name == "normalise.mean" else weights[name]), name


def test_where_the_classes_differ_the_last_layer_is_drawn_afresh_and_no_other(old: Old) -> None:
    _, described = models.read(old.path)
    for classes in (PARITY, DIGITS[::-1]):  # as many may still be others
        made = [models.create(chosen(model=described.model, seed=7), statistics(classes)) for _ in range(2)]
        (model, description), (fresh, _) = made
        said = start.begin(model, description, old.path)
        last = list(model.state_dict())[-1].removesuffix(".bias")
        assert said.endswith(f"; its classes are others, so the last layer, {last}, is drawn afresh")
        for name, tensor in model.state_dict().items():
            source = fresh if name.startswith((last, "normalise.")) else old.model
            assert torch.equal(tensor, source.state_dict()[name]), name


def test_a_network_that_depends_on_the_classes_before_its_last_layer_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def early(height: int, width: int, classes: int, channels: int) -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes), nn.Linear(classes, classes))

    monkeypatch.setitem(models.NETWORKS, "mlp", early)
    made, description = models.create(chosen(), statistics(DIGITS))
    models.write(made, description, tmp_path / "early")
    model, description = models.create(chosen(), statistics(PARITY))
    with pytest.raises(InputError, match=r"has other classes, and more of mlp than its last linear layer depends on"):
        start.begin(model, description, tmp_path / "early")


def epochs_to(accuracy: float, model: nn.Module, of: str, images: Split, others: Split) -> int:
    """After how many epochs a training has this accuracy on other images; 61 if after none."""
    history = training.train(model, chosen(model=of, epochs=60, learning_rate=0.02), images, others, NONE)
    return next((row.epoch for row in history if (row.validation_accuracy or 0) >= accuracy), 61)


@pytest.mark.slow
def test_it_takes_fewer_epochs_to_the_same_accuracy_on_a_small_data_set_with_other_classes(old: Old) -> None:
    """Odd or even, of 60 digits."""
    few, others = (
        Split(old.images.images[of], np.asarray(old.images.labels[of] % 2)) for of in (slice(60), slice(60, 500))
    )
    name = models.read(old.path)[1].model
    model, description = models.create(chosen(model=name), statistics(PARITY))
    scratch = epochs_to(0.8, model, name, few, others)
    model, description = models.create(chosen(model=name), statistics(PARITY))
    start.begin(model, description, old.path)
    tuned = epochs_to(0.8, model, name, few, others)
    assert 2 * tuned < scratch


def tune(project: Project) -> Path:
    """Let a project's training start from a file that DVC tracks, and have done so; returns the file."""
    path = project.path / "old.safetensors"
    shutil.copy(project.path / "models/model.safetensors", path)
    project.edit("  device: cpu", "  start_from: old.safetensors\n  device: cpu")
    project.edit(
        "      - mnist/augmentation.py\n", "      - mnist/augmentation.py\n      - old.safetensors\n", "dvc.yaml"
    )
    lacking = "old.safetensors: clones, `dvc exp run --temp` and `--queue` do not find it; "
    assert f"{lacking}`dvc add old.safetensors`, or commit it\n" in project.mnist("check")
    project.succeed("dvc", "add", "--quiet", "old.safetensors")
    assert f"{lacking}commit old.safetensors.dvc\n" in project.mnist("check")
    commit(project, "a file to start from")
    assert lacking not in project.mnist("check")
    assert project.repro("train") == ["train"]
    return path


@pytest.mark.slow
def test_dvc_trains_again_when_the_file_is_edited_and_runs_nothing_before(project: Project) -> None:
    path = tune(project)
    _, description = models.read(project.path / "models/model.safetensors")
    assert description.parameters["start_from"] == "old.safetensors"
    assert project.repro("train") == []
    described = replace(statistics(DIGITS), name=description.dataset)
    path.unlink()  # a link into the cache
    models.write(models.create(chosen(seed=5), described)[0], description, path)
    assert project.repro("--dry", "train") == ["train"]


@pytest.mark.slow
def test_such_a_run_is_proved_and_searched_and_goes_on_when_killed(project: Project) -> None:
    path = tune(project)
    project.repro()
    commit(project, "tuned")
    assert "proved: 8 outputs, " in project.mnist("prove")

    (project.path / "sweeps/one.yaml").write_text(SHORT.replace("trials: 2", "trials: 1"))
    assert "trial 0: loss " in project.mnist("sweep", "sweeps/one.yaml")
    project.succeed("git", "rm", "-q", "--cached", f"{path.name}.dvc")
    said = "old.safetensors: the sweep's workers do not find it; commit old.safetensors.dvc"
    assert said in project.inside("sweep", "sweeps/one.yaml").stderr

    project.edit("epochs: 2", f"epochs: {LONG}")
    project.edit("validation: 200", "validation: 1000")  # so an epoch is short
    project.succeed("python", "-m", "stages.normalise")
    other = copy(project, project.path.with_name("other"))
    running = project.start("python", "-m", "stages.train")
    until(running, "epoch 3:")
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert "going on after epoch " in project.succeed("python", "-m", "stages.train")
    other.succeed("python", "-m", "stages.train")
    assert project.hashes() == other.hashes()
