"""Recipes: known parameters, written into params.yaml without losing what a person wrote there."""

import shutil
from pathlib import Path

import pytest

from mnist.commands import recipe, settings
from mnist.hyperparameters import Hyperparameters
from pipeline import params, yaml12
from pipeline.errors import InputError
from stages.normalise import Normalise
from tests.conftest import RECIPES, ROOT, SHIPPED, needs_recipe

NAMES = [pytest.param(name, marks=needs_recipe(name)) for name in RECIPES]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "recipes/other.yaml").write_text("# a recipe of the tests\ntrain: {epochs: 7}\n")
    shutil.copy(SHIPPED, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_recipe_says_what_it_is(name: str) -> None:
    assert len(recipe.names()[name]) > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_sets_all_that_decides_training_but_the_seed_and_the_device(folder: Path, name: str) -> None:
    given = yaml12.read(folder / "recipes" / f"{name}.yaml")
    needed = {key for key, field in Hyperparameters.model_fields.items() if field.is_required()}
    assert set(given["train"]) == needed - {"seed", "device"}
    assert set(given["normalise"]) == set(Normalise.model_fields) - {"seed"}
    recipe.apply(name)
    written = yaml12.read(params.FILE)
    assert {**written["train"], **given["train"]} == written["train"]
    assert {**written["normalise"], **given["normalise"]} == written["normalise"]


@pytest.mark.parametrize("name", NAMES)
def test_comments_and_other_values_stay(folder: Path, name: str) -> None:
    before = (folder / "params.yaml").read_text("utf-8")
    (folder / "params.yaml").write_text(before.replace("images: 12 ", "images: 7  "), "utf-8")
    recipe.apply(name)
    after = (folder / "params.yaml").read_text("utf-8")
    assert [line.partition("#")[2] for line in before.splitlines()] == [
        line.partition("#")[2] for line in after.splitlines()
    ]
    assert settings.read().plot.images == 7


@needs_recipe("default")
def test_the_default_recipe_takes_params_yaml_back_to_what_was_shipped(folder: Path) -> None:
    before = settings.read()
    recipe.apply("other")
    assert settings.read() != before
    recipe.apply("default")
    assert settings.read() == before
    assert (folder / "params.yaml").read_bytes() == SHIPPED.read_bytes()


@needs_recipe("article")
@pytest.mark.usefixtures("folder")
def test_the_articles_recipe_is_the_default_but_for_the_images_held_out() -> None:
    before = settings.read()
    recipe.apply("article")
    after = settings.read()
    assert after.train == before.train
    assert after.normalise.model_copy(update={"validation": 5000}) == before.normalise


def test_a_recipe_that_is_not_there_changes_nothing_and_names_a_close_one(folder: Path) -> None:
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(InputError, match="did you mean other"):
        recipe.apply("othr")
    assert (folder / "params.yaml").read_bytes() == before


def test_a_file_that_is_wrong_is_not_rewritten(folder: Path) -> None:
    (folder / "params.yaml").write_text(SHIPPED.read_text("utf-8").replace("epochs: 10", "epochs: 0"))
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(InputError, match=r"train\.epochs"):
        recipe.apply("other")
    assert (folder / "params.yaml").read_bytes() == before


def test_a_recipe_begins_with_no_other_model_and_weighs_no_classes(folder: Path) -> None:
    path = folder / "params.yaml"
    keys = "  start_from: old.safetensors\n  class_weights: balanced\n"
    path.write_text(path.read_text("utf-8").replace("  device: cpu", f"{keys}  device: cpu"), "utf-8")
    claimed, images = settings.read().train.model_dump(exclude_defaults=True), settings.read().normalise.model_dump()
    assert recipe.with_parameters({**claimed, "epochs": 7}, images) == []
    recipe.apply("other")
    chosen = settings.read().train
    assert (chosen.start_from, chosen.class_weights, chosen.epochs) == (None, None, 7)
    assert recipe.with_parameters(chosen.model_dump(exclude_defaults=True), images) == ["other"]
    assert recipe.with_parameters(chosen.model_dump(exclude_defaults=True), {**images, "seed": 1}) == []
