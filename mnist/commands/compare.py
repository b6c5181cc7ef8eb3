"""Is the difference between two runs on the same test images more than chance?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnist import predictions
from mnist.commands import repeats, runs
from mnist.commands.figures import in_points, plain, signed
from mnist.commands.runs import IDLE, Run
from pipeline import console
from pipeline.errors import InputError

SIGNIFICANT = 0.05
SMALLEST_P = 1e-300
MOVED_CLASSES = 3  # shown
SEEDS = {"train.seed", "normalise.seed"}


def compare(
    a: Annotated[str, typer.Argument(help="A commit, tag, branch, experiment, or `workspace`.")] = "HEAD",
    b: Annotated[str, typer.Argument(help="What to compare it with.")] = "workspace",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 1 if B, this very network, is significantly less accurate.")
    ] = False,
    gate_recipe: Annotated[
        bool, typer.Option("--gate-recipe", help="Exit with 1 if B's recipe is, over the seeds that git knows.")
    ] = False,
    images: Annotated[
        Path | None, typer.Option(help="Draw the images that only one is right on, as PNG.", callback=console.writable)
    ] = None,
) -> None:
    """Say whether the difference between two runs is more than chance on their test images.

    Example: python -m mnist compare main workspace --gate
    """
    both = runs.read(a), runs.read(b)
    found = between(*both)
    recipes = found["recipes"]
    if gate_recipe and recipes is None and not repeats.same(*both):
        raise InputError(
            f"{a} and {b}: --gate-recipe needs the results of two seeds of each recipe; run the one that lacks them "
            "with another seed: dvc exp run -S train.seed=1"
        )
    print(console.as_json(found) if as_json else "\n".join(lines(found)))
    if images:
        from mnist import plots
        from mnist.commands import flipped

        plots.settle()
        plots.save(flipped.draw(runs.test_images(a), both[0].predictions, both[1].predictions), images)
    if gate and significant(found) and found["accuracy_difference"] < 0:
        raise InputError(f"{b} is significantly less accurate than {a}; --gate lets no such change pass")
    if gate_recipe and recipes and repeats.worse(recipes):
        raise InputError(f"{b}: its recipe is significantly less accurate than that of {a}; --gate-recipe stops it")


def between(a: Run, b: Run) -> dict[str, Any]:
    """What `of` says of two networks, and what git knows of their recipes; raises InputError as it does."""
    return {**of(a, b), "recipes": repeats.of(a, b)}


def of(a: Run, b: Run) -> dict[str, Any]:
    """What `--json` prints: metrics of both, the differences in accuracy and loss (B minus A), the exact p.

    Raises InputError if the two were not measured on the same test images and classes.
    """
    from mnist import metrics, paired  # SciPy takes a moment

    runs.check_comparable(a, b)
    a_right, b_right = (run.predictions.predicted == run.predictions.actual for run in (a, b))
    accuracy = paired.accuracy_difference(a_right, b_right)
    loss = paired.loss_difference(*(predictions.image_losses(run.predictions) for run in (a, b)))
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    measured = [metrics.of_predictions(run.predictions) for run in (a, b)]
    return {
        "n": len(a_right),
        "a": summary(a, measured[0]),
        "b": summary(b, measured[1]),
        "accuracy_difference": accuracy.value,
        "difference_low": accuracy.low,
        "difference_high": accuracy.high,
        "only_a_right": only_a,
        "only_b_right": only_b,
        "p_value": paired.mcnemar(only_a, only_b),
        "loss_difference": loss.value,
        "loss_difference_low": loss.low,
        "loss_difference_high": loss.high,
        "recall": {
            name: {"a": value, "b": measured[1]["recall"][name]} for name, value in measured[0]["recall"].items()
        },
        "data": sorted(differing(a.training_files, b.training_files)),
        "code": sorted(differing(a.code, b.code)),
        "params": {
            key: {"a": a.parameters.get(key), "b": b.parameters.get(key)}
            for key in differing(a.parameters, b.parameters)
        },
        "recipes": None,
    }


def differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The keys of two that have different values, those of the first first."""
    return [key for key in {**a, **b} if a.get(key) != b.get(key)]


def summary(run: Run, measured: dict[str, Any]) -> dict[str, Any]:
    """One run's own figures; those of single classes are compared by themselves."""
    single = {name: value for name, value in measured.items() if name not in ("n", "recall")}
    return {"revision": run.revision, **single}


def significant(found: dict[str, Any]) -> bool:
    """Whether the accuracies differ by more than chance would make them."""
    return bool(found["p_value"] < SIGNIFICANT)


def sentence(found: dict[str, Any]) -> str:
    """What a comparison means, for a person."""
    if found["only_a_right"] == found["only_b_right"] == 0:
        return f"A and B are right on the same {found['n']:,} images."
    if not significant(found):
        beyond = found["difference_low"] > 0 or found["difference_high"] < 0  # the interval is not the test's own
        why = f" by the exact test, which decides (p = {chance(found['p_value'])})" if beyond else ""
        return f"B {in_points(found, certain=False)}; on these {found['n']:,} images that may be chance{why}."
    return (
        f"B {in_points(found, certain=True)}; this is more than chance on these {found['n']:,} images; "
        "it does not say how another seed would do."
    )


def chance(p: float) -> str:
    """Format a p-value; underflow prints as "< 1e-300", not 0."""
    return f"{p:.2g}" if p > SMALLEST_P else f"< {SMALLEST_P}"


def moved_most(found: dict[str, Any]) -> list[str]:
    """The classes whose recall differs most, if it does."""
    moved = {name: abs(recall["b"] - recall["a"]) for name, recall in found["recall"].items()}
    return sorted(filter(moved.get, moved), key=lambda name: -moved[name])[:MOVED_CLASSES]


def caveat(found: dict[str, Any]) -> list[str]:
    """What a comparison is about that is not one of two recipes."""
    deciding = {key for key in found["params"] if not key.startswith(IDLE)}
    if found["data"] or found["code"] or not deciding <= SEEDS or found["only_a_right"] == found["only_b_right"] == 0:
        return []
    what = "seed" if deciding else "machine or its libraries"
    return [f"Nothing but the {what} differs: this is about two networks, not about two recipes."]


def other_inputs(found: dict[str, Any]) -> list[str]:
    """What differs of the training data and of the code, in a line each."""
    named = {"the training data differ": found["data"], "the code differs": found["code"]}
    return [f"{what}: {', '.join(files)}" for what, files in named.items() if files]


def lines(found: dict[str, Any]) -> list[str]:
    """A comparison as lines of text."""
    a, b = found["a"], found["b"]
    width = max(len(key) for key in [*found["params"], "difference (paired)"])
    shown = [*caveat(found), f"A: {a['revision']}   B: {b['revision']}   {found['n']:,} test images", ""]
    shown += [f"{key:{width}}  {value['a']} → {value['b']}" for key, value in found["params"].items()] or [
        "no parameter differs"
    ]
    shown += [*other_inputs(found), ""]
    for name, run in (("accuracy of A", a), ("accuracy of B", b)):
        shown.append(
            f"{name:{width}}  {plain(run['accuracy'])}  95 % {plain(run['accuracy_low'])} to "
            f"{plain(run['accuracy_high'])}"
        )
    shown += [
        f"{'difference (paired)':{width}}  {signed(found['accuracy_difference'])}  95 % "
        f"{signed(found['difference_low'])} to {signed(found['difference_high'])}",
        f"{'only A is right on':{width}}  {found['only_a_right']:,} images",
        f"{'only B is right on':{width}}  {found['only_b_right']:,} images",
        f"{'p (exact McNemar)':{width}}  {chance(found['p_value'])}",
        f"{'loss':{width}}  {plain(a['loss'])} → {plain(b['loss'])}  difference {signed(found['loss_difference'])}  "
        f"95 % {signed(found['loss_difference_low'])} to {signed(found['loss_difference_high'])}",
    ]
    for name in moved_most(found):
        recall = found["recall"][name]
        shown.append(f"{f'recall of {name}':{width}}  {plain(recall['a'])} → {plain(recall['b'])}")
    if found["recipes"]:
        shown += repeats.lines(found["recipes"], width)
    return [*shown, "", *conclusions(found)]


def conclusions(found: dict[str, Any]) -> list[str]:
    """What a comparison means: of these two networks, and of their recipes where several seeds are known."""
    return [sentence(found)] + ([repeats.sentence(found["recipes"])] if found["recipes"] else [])
