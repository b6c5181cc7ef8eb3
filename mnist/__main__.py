"""The commands beside DVC's: python -m mnist COMMAND."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules are imported ends it without a traceback

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from mnist import console


def in_a_folder(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before the work for it is done."""
    if path and (path.is_dir() or not path.parent.is_dir()):
        what = f"{path} is a folder" if path.is_dir() else f"there is no folder {path.parent}; mkdir -p makes it"
        raise typer.BadParameter(what)
    return path


app = console.application("Commands beside DVC's own, for the pipeline in this folder.")


@app.callback()
def commands() -> None:
    """Commands beside DVC's own, for the pipeline in this folder."""


@app.command()
def recipe(name: Annotated[str | None, typer.Argument(help="The recipe to write into params.yaml.")] = None) -> None:
    """List the recipes, or write one into params.yaml, keeping its comments.

    Example: python -m mnist recipe cnn
    """
    from mnist import recipes

    if name is None:
        for known, description in recipes.names().items():
            print(f"{known:8} {description}")
    else:
        recipes.apply(name)
        print(f"params.yaml: recipe {name} written; `dvc repro` runs it")


@app.command()
def check() -> None:
    """Look for mistakes in params.yaml, the data folder and the cache before `dvc repro` deletes any output.

    Example: python -m mnist check && dvc repro
    """
    from mnist import preflight

    for line in preflight.check():
        print(line)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A commit, tag, branch, experiment, or `workspace`.")] = "HEAD",
    b: Annotated[str, typer.Argument(help="What to compare it with.")] = "workspace",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Exit with 1 if B is significantly less accurate.")] = False,
    images: Annotated[
        Path | None, typer.Option(help="Draw the images that only one is right on, as PNG.", callback=in_a_folder)
    ] = None,
) -> None:
    """Say whether the difference between two runs is more than chance on their test images.

    Example: python -m mnist compare main workspace --gate
    """
    from mnist import compare, runs

    both = runs.read(a), runs.read(b)
    found = compare.compare(*both)
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(compare.lines(found)))
    if images:
        from mnist import plots

        plots.settle()
        plots.save(plots.flipped(runs.test_images(a), both[0].predictions, both[1].predictions), images)
    if gate and compare.significant(found) and found["accuracy_difference"] < 0:
        raise console.InputError(f"{b} is significantly less accurate than {a}; --gate lets no such change pass")


@app.command()
def report(
    a: Annotated[str, typer.Argument(help="A commit, tag, branch, experiment, or `workspace`.")] = "workspace",
    b: Annotated[str | None, typer.Argument(help="A second one, to compare it with.")] = None,
    output: Annotated[Path, typer.Option(help="The file to write.", callback=in_a_folder)] = Path("report.html"),
) -> None:
    """Write one HTML file, with everything in it, on a run or on two and their difference.

    Example: python -m mnist report main workspace --output report.html
    """
    from mnist import report, runs, stage

    page = report.page([runs.read(revision) for revision in (a, b) if revision]).encode()
    stage.replace(output, page)
    print(f"{output}: {len(page) / 1e6:.1f} MB")


@app.command()
def leaderboard(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Rank the recipes of all experiments and of this branch's commits by their mean accuracy over seeds.

    Example: python -m mnist leaderboard --csv > leaderboard.csv
    """
    from mnist import leaderboard

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one")
    table = leaderboard.rows(leaderboard.groups())
    if as_json:
        print(json.dumps(table, indent=2, ensure_ascii=False))
    elif as_csv:
        print(leaderboard.as_csv(table), end="")
    else:
        leaderboard.show(table)


@app.command()
def fingerprint(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Print the fingerprint of models/model.safetensors, whether it is a recipe's known one, and this processor.

    Exits with 1 if the model has a recipe's parameters, but not its fingerprint.

    Example: python -m mnist fingerprint
    """
    from mnist import fingerprint, models, recipes

    model, description = models.read(Path("models/model.safetensors"))
    found = fingerprint.of(model.state_dict())
    claimed = recipes.with_parameters(description.parameters)
    row, phrase = fingerprint.verdict(found, description.torch, claimed)
    facts = {"fingerprint": found, "recipe": row and row.recipe, "torch": description.torch}
    facts["processor"] = fingerprint.processor()
    print(json.dumps(facts) if as_json else f"{found}: {phrase}; here: {facts['processor']}")
    raise typer.Exit(1 if claimed and not row else 0)


@app.command()
def verify(
    remove: Annotated[bool, typer.Option("--remove", help="Delete the objects that do not match.")] = False,
) -> None:
    """Compare every object in DVC's cache with its name, the MD5 of what it should hold.

    Example: python -m mnist verify --remove && dvc repro
    """
    from mnist import stage, verify

    folder = verify.cache()
    found = verify.objects(folder)
    size = verify.size(found)
    start = time.perf_counter()
    with console.progress("hashing", size, of_bytes=True) as advance:
        findings = list(verify.examine(found, advance))
    speed = size / 1e6 / (time.perf_counter() - start)
    owners = verify.needed(folder)
    for path, what, _ in findings:
        print(f"{path}: {what}; {', '.join(owners.get(path, [])) or 'no output of the current dvc.lock'}")
    corrupt = [path for path, _, corrupt in findings if corrupt]
    print(f"{len(found):,} objects, {size / 1e6:,.0f} MB, {speed:,.0f} MB/s: {len(corrupt):,} corrupt")
    if remove and corrupt:
        for path in corrupt:
            stage.remove(path)
        print("removed; `dvc fetch` brings them from a remote, `dvc repro` makes them again")
    elif corrupt:
        raise console.InputError(
            f"{folder}: {len(corrupt):,} corrupt; `python -m mnist verify --remove`, then `dvc fetch` or `dvc repro`"
        )
    if len(findings) > len(corrupt):
        raise console.InputError(
            f"{folder}: {len(findings) - len(corrupt):,} cannot be read and are left alone; give yourself access "
            "(ls -l says to whom they belong), or mend the disk, and verify again"
        )


if __name__ == "__main__":
    console.main(app)
