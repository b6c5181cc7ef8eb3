"""What a sweep has found: its best recipe, what mattered, what it cost, and a picture of the search."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist import seeds
from mnist.commands.figures import plain
from mnist.commands.trials import Trainings
from pipeline import params

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from pipeline.study import Study


def best(study: "Study") -> "FrozenTrial | None":
    """The best of the trials that were not pruned; None if all were."""
    whole = [trial for trial in study.trials() if trial.value is not None and trial.state.name == "COMPLETE"]
    sign = 1 if study.settings.direction == "minimize" else -1
    return min(whole, key=lambda trial: sign * float(trial.value or 0), default=None)


def runs(trial: "FrozenTrial") -> list[dict[str, Any]]:
    """The results of a trial's runs."""
    return [value for key, value in trial.user_attrs.items() if key.startswith("seed ")]


def line(trial: "FrozenTrial", trainings: Trainings) -> str:
    """A trial that is over, in a line."""
    recipe = trainings.recipe(trial.params)
    parameters = ", ".join(f"{key.removeprefix('train.')} {recipe[key]}" for key in trainings.sweep.space)
    if trial.value is not None and trial.state.name == "COMPLETE":
        return f"trial {trial.number}: {reached(trial, trainings)}; {parameters}"
    why = "diverged" if "failed" in trial.user_attrs else "pruned"
    return f"trial {trial.number}: {why}; {parameters}"


def reached(trial: "FrozenTrial", trainings: Trainings) -> str:
    """What a trial came to on the validation images."""
    objective = trainings.sweep.plan.objective
    mean, deviation = seeds.spread([result[objective] for result in runs(trial)])
    return f"{objective} {plain(mean)}" + ("" if deviation is None else f" ± {plain(deviation)}")


def report(study: "Study", trainings: Trainings) -> list[str]:
    """All of it, as lines of text."""
    trials = study.trials()
    whole = [trial for trial in trials if trial.state.name == "COMPLETE"]
    costs = [cost for trial in trials for cost in [*runs(trial), trial.user_attrs.get("pruned", {})]]
    wall, processor = (sum(cost.get(name, 0) for cost in costs) for name in ("wall", "processor"))
    diverged = sum("failed" in trial.user_attrs for trial in trials)
    pruned = f"{len(trials) - len(whole) - diverged} of them pruned{f', {diverged} diverged' * bool(diverged)}"
    lines = [
        f"{len(trials)} trials, {pruned}; all runs together took {wall:.0f} s, and {processor:.0f} s of processors",
    ]
    found = best(study)
    if found is None:
        return [*lines, "no trial came to its end: lower the ranges in the sweep's file"]
    lines.append(f"best: trial {found.number}, validation {reached(found, trainings)}")
    if len(weights := importance(study)) > 1:
        lines.append("importance: " + ", ".join(f"{key} {weight:.2f}" for key, weight in weights.items()))
    return [*lines, *as_yaml(trainings.recipe(found.params))]


def importance(study: "Study") -> dict[str, float]:
    """How much each key mattered among the better trials, by PED-ANOVA; nothing if there are too few trials."""
    from optuna import importance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importance.get_param_importances(study.study)
        except (ValueError, RuntimeError):  # as of trials that are all alike
            return {}


def as_yaml(values: dict[str, Any]) -> list[str]:
    """Values by dotted key as lines of params.yaml."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return params.written(sections, params.new_editor()).splitlines()


def picture(study: "Study", path: Path) -> None:
    """Draw how the search went, and each key against what was reached, by Optuna's own plots."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from optuna.visualization import matplotlib as plots
    from PIL import Image

    pictures = []
    with warnings.catch_warnings(), plt.style.context("default"):
        warnings.simplefilter("ignore")  # Optuna's, that its plots may change
        for plot in (plots.plot_optimization_history, plots.plot_slice):
            drawn = plot(study.study)
            figure = getattr(drawn, "flat", [drawn])[0].figure
            out = io.BytesIO()
            figure.savefig(out, format="png", dpi=100, bbox_inches="tight")
            plt.close(figure)
            pictures.append(Image.open(out))
    whole = Image.new("RGB", (max(each.width for each in pictures), sum(each.height for each in pictures)), "white")
    top = 0
    for each in pictures:
        whole.paste(each, (0, top))
        top += each.height
    whole.save(path)
