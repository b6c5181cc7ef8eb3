"""The networks are those written down, and what is written to a model file is the same network when it is read."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import Module
from torchvision import transforms

from mnist import models, predict
from mnist.commands import settings
from mnist.dataset import Statistics
from pipeline.errors import InputError
from tests.conftest import SHIPPED

CLASSES = ["null", "één", "T-shirt/top"]
Made = tuple[torch.nn.Sequential, models.Description]
SPLITS = {split: dict.fromkeys(CLASSES, 5) for split in ("train", "validation", "test")}


@pytest.fixture(params=models.NETWORKS)
def made(request: pytest.FixtureRequest) -> Made:
    """A network for images of 20×24 with weights that have seen a batch, and its description."""
    return make(request.param, Statistics("odd", CLASSES, True, (20, 24), 0.13, 0.31, SPLITS))


def make(network: str, statistics: Statistics) -> Made:
    """A network with weights that have seen a batch, and its description."""
    chosen = settings.read(SHIPPED).train.model_copy(update={"model": network})
    torch.manual_seed(0)
    model, description = models.create(chosen, statistics)
    model(pixels(16, *statistics.image_shape))  # so that running means are not those they start with
    return model.eval(), description


def pixels(count: int, height: int = 20, width: int = 24, *channels: int) -> torch.Tensor:
    """Random images."""
    return torch.randint(256, (count, height, width, *channels), dtype=torch.uint8)


def test_a_model_read_back_gives_the_same_logits_to_the_bit(made: Made, tmp_path: Path) -> None:
    model, description = made
    models.write(model, description, tmp_path / "model.safetensors")
    again, described = models.read(tmp_path / "model.safetensors")
    assert described == description
    images = pixels(64)
    with torch.no_grad():
        assert torch.equal(again(images), model(images))


def test_reading_a_model_leaves_the_random_generator_as_it_was(made: Made, tmp_path: Path) -> None:
    models.write(*made, tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    models.read(tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_model_is_the_same_bytes(made: Made, tmp_path: Path) -> None:
    models.write(*made, tmp_path / "first")
    models.write(*models.read(tmp_path / "first"), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_first_layer_normalises_raw_pixels() -> None:
    images = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    assert models.Normalise(0.5, 0.25)(images).flatten().tolist() == pytest.approx([-2, -1.2, 2])


def test_a_model_is_for_the_images_and_classes_that_it_was_made_for(made: Made) -> None:
    statistics = Statistics("odd", CLASSES, True, (20, 24), 0.5, 0.5, SPLITS)
    models.check_fits(made[1], statistics)
    said = (
        r"^the model is for images of \(20, 24\) in 3 classes, odd has \({}, {}\) in 3, or their names differ; "
        "`dvc repro` trains one that fits$"
    )
    changes: list[dict[str, Any]] = [{"image_shape": (24, 20)}, {"classes": CLASSES[::-1]}]
    for change in changes:
        with pytest.raises(InputError, match=said.format(*change.get("image_shape", (20, 24)))):
            models.check_fits(made[1], replace(statistics, **change))


def damaged(path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None) -> str:
    """What is said of a model file with this content."""
    path.write_bytes(save(weights, metadata))
    with pytest.raises(InputError) as error:
        models.read(path)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith("; `dvc repro` recreates it")
    return said


def test_a_model_file_whose_weights_are_not_those_of_its_description_is_refused(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weights = {name: value.contiguous() for name, value in made[0].state_dict().items()}
    metadata = {models.METADATA: made[1].model_dump_json()}
    first, *_, last = weights
    for name, wrong in {
        first: {name: value for name, value in weights.items() if name != first},
        "more": {**weights, "more": torch.zeros(1)},
        last: {**weights, last: weights[last][:2]},
        f"{last} ": {**weights, last: weights[last].double()},
    }.items():
        assert f"{name.strip()} does not fit its description" in damaged(path, wrong, metadata)
    infinite = {**weights, last: weights[last] / 0}
    assert f"{last} has values that are not finite" in damaged(path, infinite, metadata)
    for factor in (-1, 0):
        scaled = {**weights, "normalise.std": factor * weights["normalise.std"]}
        assert "normalise.std is not above 0" in damaged(path, scaled, metadata)
    path.write_bytes(save(weights, metadata))
    models.read(path)


def test_a_model_file_without_a_whole_description_is_refused(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weights = {name: value.contiguous() for name, value in made[0].state_dict().items()}
    description = made[1].model_dump()
    assert "has no entry “mnist” in its metadata" in damaged(path, weights, {"another": "{}"})
    assert "has no entry “mnist” in its metadata" in damaged(path, weights, None)
    for key, value in {"classes": ["one"], "image_shape": (20, 0), "colour": "red", "torch": None}.items():
        said = damaged(path, weights, {models.METADATA: json.dumps({**description, key: value})})
        assert f"its description is wrong: {key}" in said
    said = damaged(path, weights, {models.METADATA: json.dumps({**description, "model": "rnn"})})
    assert "its weights do not fit its description: 'rnn'" in said
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        models.read(path)


def test_a_description_names_torchs_release_and_not_its_build(made: Made) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", made[1].torch)
    assert torch.__version__.startswith(made[1].torch)


def test_images_too_small_for_the_poolings_are_refused_by_the_cnn_alone() -> None:
    for shape in ((8, 8), (8, 40), (19, 13), (20, 20), (21, 35)):
        assert models.cnn(*shape, 2)(torch.zeros(4, 1, *shape)).shape == (4, 2)
    for shape in ((7, 8), (40, 7)):
        with pytest.raises(InputError, match=f"cnn needs images of 8×8 pixels or more, not {shape[0]}×{shape[1]}"):
            models.cnn(*shape, 2)
    assert models.mlp(1, 1, 2)(torch.zeros(4, 1, 1, 1)).shape == (4, 2)


def test_all_pixels_are_normalised_to_torchvisions_bits_and_left_as_they_were() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    images = torch.tensor(pixels[None])
    assert torch.equal(models.Normalise(0.1307, 0.3081)(images)[0], transform(Image.fromarray(pixels)))
    assert np.array_equal(images[0], pixels)


def mlp(x: Tensor, weights: dict[str, Tensor], _: bool) -> Tensor:
    """The article's network."""
    x = F.relu(F.linear(x.flatten(1), weights["1.weight"], weights["1.bias"]))
    x = F.relu(F.linear(x, weights["3.weight"], weights["3.bias"]))
    return F.linear(x, weights["5.weight"], weights["5.bias"])


def cnn(x: Tensor, weights: dict[str, Tensor], training: bool) -> Tensor:
    """The network of which `models.cnn` says what is padded, and that pooling comes before batch norm."""

    def norm(x: Tensor, k: int) -> Tensor:
        mean, variance, scale, offset = (
            weights[f"{k}.{name}"].clone() for name in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, scale, offset, training)

    x = F.relu(norm(F.max_pool2d(F.conv2d(x, weights["0.weight"]), 2), 2))
    x = F.relu(norm(F.conv2d(x, weights["4.weight"]), 5))
    x = F.relu(norm(F.max_pool2d(F.conv2d(x, weights["7.weight"]), 2), 9))
    x = F.relu(norm(F.max_pool2d(F.conv2d(x, weights["11.weight"], padding=1), 2), 13))
    return F.linear(x.flatten(1), weights["16.weight"], weights["16.bias"])


# of each network what it computes, and how many parameters it has for MNIST
BY_HAND: dict[str, tuple[Callable[[Tensor, dict[str, Tensor], bool], Tensor], int]] = {
    "mlp": (mlp, 109_386),
    "cnn": (cnn, 28_570),
}


@pytest.mark.parametrize("training", [True, False])
def test_a_network_computes_what_is_written_out_by_hand(made: Made, training: bool) -> None:
    model, description = made
    by_hand, _ = BY_HAND[description.model]
    images, weights = pixels(32), {name: value.clone() for name, value in model[1].state_dict().items()}
    mean, std = (model.state_dict()[f"normalise.{name}"] for name in ("mean", "std"))
    assert (mean.item(), std.item()) == pytest.approx((0.13, 0.31))
    with torch.no_grad():
        found = model.train(training)(images)
        expected = by_hand((images[:, None] / 255 - mean) / std, weights, training)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


MEANS, DEVIATIONS = [0.1, 0.5, 0.9], [0.2, 0.3, 0.4]


@pytest.mark.parametrize("network", models.NETWORKS)
def test_of_colours_a_network_computes_the_same_with_a_mean_and_deviation_for_each_channel(
    network: str, tmp_path: Path
) -> None:
    made = make(network, Statistics("odd", CLASSES, False, (20, 24, 3), MEANS, DEVIATIONS, SPLITS))
    models.write(*made, tmp_path / "model.safetensors")
    model, description = models.read(tmp_path / "model.safetensors")
    assert (description.image_shape, description.channels) == ((20, 24, 3), 3)
    images = pixels(32, 20, 24, 3)
    planes = [(images[..., k] / 255 - MEANS[k]) / DEVIATIONS[k] for k in range(3)]
    by_hand, _ = BY_HAND[network]
    with torch.no_grad():
        expected = by_hand(torch.stack(planes, 1), dict(model[1].state_dict()), False)  # type: ignore[index]
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)


def test_colours_are_normalised_to_torchvisions_bits() -> None:
    image = np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype(np.uint8)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEANS, DEVIATIONS)])
    found = models.Normalise(MEANS, DEVIATIONS, 3)(torch.tensor(image[None]))
    assert torch.equal(found[0], transform(Image.fromarray(image)))
    assert torch.equal(models.Normalise(0.1, 0.2, 3)(torch.tensor(image[None]))[0, 0], found[0, 0])


def test_a_network_that_takes_normalised_pixels_refuses_the_file(made: Made, tmp_path: Path) -> None:
    models.write(*made, tmp_path / "model.safetensors")
    read = load_file(tmp_path / "model.safetensors").items()
    weights = {name.removeprefix("network."): value for name, value in read}
    network = models.NETWORKS[made[1].model](20, 24, 3)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*normalise\.mean.*normalise\.std"):
        network.load_state_dict(weights)


@pytest.mark.parametrize(("name", "network"), models.NETWORKS.items())
def test_for_mnist_a_network_has_the_parameters_that_it_says(name: str, network: Callable[..., Module]) -> None:
    count = sum(weights.numel() for weights in network(28, 28, 10).parameters())
    assert count == BY_HAND[name][1]
    assert f"{count:,} parameters" in str(network.__doc__)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 1000])
def test_each_image_gets_its_probabilities_however_many_are_asked_at_a_time(made: Made, batch_size: int) -> None:
    images = pixels(10)
    found = predict.probabilities(made[0], images.numpy(), batch_size)
    with torch.no_grad():
        odds = made[0](images).double().exp().numpy()
    assert found.dtype == np.float32
    assert found == pytest.approx(odds / odds.sum(1, keepdims=True), rel=1e-4, abs=1e-6)


def test_answers_that_are_not_finite_are_no_probabilities(made: Made) -> None:
    with torch.no_grad():
        list(made[0].parameters())[-1][1] = float("nan")
    with pytest.raises(InputError, match=r"^the model's answers are not finite: .*; lower train\.learning_rate$"):
        predict.probabilities(made[0], pixels(3).numpy(), 2)
