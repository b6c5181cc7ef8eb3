"""The model file: what is written is the same network when it is read."""

from pathlib import Path

import pytest
import torch

from mnist import models
from mnist.commands import settings
from mnist.dataset import Statistics
from tests.conftest import ROOT

CLASSES = ["null", "één", "T-shirt/top"]
SPLITS = {split: dict.fromkeys(CLASSES, 5) for split in ("train", "validation", "test")}


@pytest.fixture(params=["mlp", "cnn"])
def made(request: pytest.FixtureRequest) -> tuple[torch.nn.Module, models.Description]:
    """A network for images of 20×24 with weights that have seen a batch, and its description."""
    chosen = settings.read(ROOT / "params.yaml").train.model_copy(update={"model": request.param})
    torch.manual_seed(0)
    model, description = models.create(chosen, Statistics("odd", CLASSES, (20, 24), 0.13, 0.31, SPLITS))
    model(pixels(16))  # so that running means are not those they start with
    return model.eval(), description


def pixels(count: int) -> torch.Tensor:
    """Random images."""
    return torch.randint(256, (count, 20, 24), dtype=torch.uint8)


def test_a_model_read_back_gives_the_same_logits_to_the_bit(
    made: tuple[torch.nn.Module, models.Description], tmp_path: Path
) -> None:
    model, description = made
    models.write(model, description, tmp_path / "model.safetensors")
    again, described = models.read(tmp_path / "model.safetensors")
    assert described == description
    images = pixels(64)
    with torch.no_grad():
        assert torch.equal(again(images), model(images))


def test_reading_a_model_leaves_the_random_generator_as_it_was(
    made: tuple[torch.nn.Module, models.Description], tmp_path: Path
) -> None:
    models.write(*made, tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    models.read(tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_model_is_the_same_bytes(made: tuple[torch.nn.Module, models.Description], tmp_path: Path) -> None:
    models.write(*made, tmp_path / "first")
    models.write(*models.read(tmp_path / "first"), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_first_layer_normalises_raw_pixels() -> None:
    images = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    assert models.Normalise(0.5, 0.25)(images).flatten().tolist() == pytest.approx([-2, -1.2, 2])
