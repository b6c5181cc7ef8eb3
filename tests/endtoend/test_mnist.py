"""All of MNIST, and Fashion-MNIST: what the recipes are said to reach, they reach."""

import json

import pytest

from benchmarks import recipes
from mnist import results
from mnist.commands import fingerprint
from tests.conftest import (
    FASHION,
    RECIPES,
    ROOT,
    STAGES,
    Project,
    as_shipped,
    copy,
    needs_fashion,
    needs_recipe,
    needs_the_order,
)  # fmt: skip

pytestmark = pytest.mark.slow

# what the article prints as the mean training loss of epochs 4 to 10
ARTICLE = [0.4226, 0.3805, 0.3552, 0.3370, 0.3234, 0.3124, 0.3027]


@pytest.fixture(scope="module")
def checkout(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project, to be run with other parameters."""
    return copy(finished, tmp_path_factory.mktemp("checkout") / "mnist")


def accuracy(project: Project) -> float:
    found = json.loads((project.path / "metrics/evaluate.json").read_text())
    assert found["n"] == 10_000
    return float(found["accuracy"])


def measured(recipe: str) -> float:
    """The accuracy of a recipe with seed 0 among the runs that the README's table is made of."""
    return next(run.accuracy for run in recipes.read() if (run.recipe, run.seed) == (recipe, 0))


@needs_the_order
@as_shipped
def test_a_fresh_checkout_comes_to_the_committed_results(finished: Project) -> None:
    assert accuracy(finished) >= 0.91
    assert finished.succeed("git", "status", "--porcelain") == ""
    assert recipe_by_fingerprint(finished) == "default"
    shown, drawn = ROOT / "docs/images/predictions.png", finished.path / "metrics/plots/predictions.png"
    assert shown.read_bytes() == drawn.read_bytes(), "the README shows another picture than the pipeline draws"


def recipe_by_fingerprint(project: Project) -> str | None:
    """The recipe that the trained weights are known to be of."""
    found: str | None = json.loads(project.inside("fingerprint", "--json").stdout)["recipe"]
    return found


@needs_recipe("article")
def test_the_articles_recipe_comes_to_the_articles_losses_from_other_weights_too(checkout: Project) -> None:
    checkout.succeed("git", "checkout", "params.yaml")
    checkout.mnist("recipe", "article")
    checkout.edit("seed: 0                # of the", "seed: 1                # of the")
    checkout.edit("epochs: 10", "epochs: 5")
    checkout.repro("train")
    assert losses(checkout)[3:] == pytest.approx(ARTICLE[:2], rel=0.05)


def losses(project: Project) -> list[float]:
    """The training loss of each epoch."""
    return [row.train_loss for row in results.read_history(project.path / "metrics/history.csv")]


@needs_the_order
@pytest.mark.parametrize(
    ("recipe", "least"),
    [
        pytest.param(name, least, marks=needs_recipe(name))
        for name, least in (("article", 0.91), ("mlp", 0.984), ("cnn", 0.992))
    ],
)
def test_a_recipe_comes_to_its_weights_and_its_accuracy(checkout: Project, recipe: str, least: float) -> None:
    checkout.succeed("git", "checkout", "params.yaml")
    checkout.mnist("recipe", recipe)
    checkout.repro("evaluate")
    assert recipe_by_fingerprint(checkout) == recipe
    assert accuracy(checkout) == measured(recipe) >= least
    if recipe == "article":
        assert losses(checkout)[3:] == pytest.approx(ARTICLE, rel=0.05)


def test_the_probability_that_docs_model_md_shows_is_that_of_the_default_model(finished: Project) -> None:
    (answer,) = json.loads(finished.inside("predict", str(ROOT / "docs/images/seven.jpg"), "--json").stdout)
    assert f'"probability":{answer["probability"]},' in (ROOT / "docs/model.md").read_text("utf-8")


def test_every_shipped_recipe_has_a_known_fingerprint() -> None:
    known = {row.recipe for row in fingerprint.known(ROOT / fingerprint.TABLE)}
    present = {path.stem for path in (ROOT / "recipes").glob("*.yaml")}
    assert present & set(RECIPES) <= known <= present


@needs_the_order
@needs_fashion
def test_another_data_set_runs_by_changing_its_folder(checkout: Project) -> None:
    checkout.succeed("git", "checkout", "params.yaml")
    checkout.edit("path: data/mnist ", f"path: {FASHION} ")
    checkout.edit("learning_rate: 0.003", "learning_rate: 0.05")
    checkout.edit("epochs: 10", "epochs: 3")
    assert checkout.repro() == STAGES
    reached = f"`epochs: 3` the default network reaches {100 * accuracy(checkout):.1f} %"
    assert reached in (ROOT / "README.md").read_text("utf-8")
    assert "Ankle boot" in (checkout.path / "metrics/predictions.csv").read_text("utf-8")
