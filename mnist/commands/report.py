"""One run, or two and their difference, as a page that needs nothing beside it."""

import base64
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from mnist.commands import compare, runs
from mnist.commands.figures import plain, signed
from mnist.commands.runs import Run
from pipeline import console, files

TEMPLATE = Path(__file__).with_suffix(".html")
SHOWN = 12  # images in a picture of predictions


def report(
    a: Annotated[str, typer.Argument(help="A commit, tag, branch, experiment, or `workspace`.")] = "workspace",
    b: Annotated[str | None, typer.Argument(help="A second one, to compare it with.")] = None,
    output: Annotated[Path, typer.Option(help="The file to write.", callback=console.writable)] = Path("report.html"),
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request instead.")] = False,
) -> None:
    """Write one HTML file, with everything in it, on a run or on two and their difference.

    Example: python -m mnist report main workspace --output report.html
    """
    chosen = [runs.read(revision) for revision in (a, b) if revision is not None]
    found = compare.between(*chosen) if len(chosen) == 2 else None
    if markdown:
        print("\n".join(comment(chosen, found)))
    else:
        written = page(chosen, found).encode()
        files.replace(output, written)
        print(f"{output}: {len(written) / 1e6:.1f} MB")


def page(chosen: list[Run], found: dict[str, Any] | None) -> str:
    """The report on one run, or on two (A, B) and what `compare` has found in them, as HTML."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        title="Report on " + " and ".join(run.revision for run in chosen),
        dataset=chosen[0].dataset,
        n=len(chosen[0].predictions.actual),
        conclusion=" ".join(compare.conclusions(found)) if found else None,
        runs=[{"name": f"{letter}: {run.revision}"} for letter, run in zip("AB", chosen, strict=False)],
        metrics=measured(chosen) + (differences(found) if found else []),
        parameters=parameters(chosen),
        figures=figures(chosen),
    )


def comment(chosen: list[Run], found: dict[str, Any] | None) -> list[str]:
    """The report as lines of Markdown, short, as a comment on a pull request: what to decide by comes first."""
    n = f"{len(chosen[0].predictions.actual):,} test images"
    # what is said of the recipes, if anything, before what is said of these networks
    decision = (
        [*compare.caveat(found), *reversed(compare.conclusions(found))] if found else [f"{chosen[0].revision}: {n}"]
    )
    rows = [(name, cells) for name, cells, differs in parameters(chosen) if differs]
    rows += [row for row in measured(chosen) if not row[0].startswith("recall of ")]
    rows += differences(found) if found else []
    titles = [f"{letter}: {run.revision}" for letter, run in zip("AB", chosen, strict=False)]
    table = [("", titles), ("---", ["--:"] * len(chosen)), *rows]
    others = [f"{line[0].upper()}{line[1:]}." for line in compare.other_inputs(found)] if found else []
    return [
        f"**{decision[0]}**", *decision[1:], "",
        *(f"| {name} | {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for name, cells in table),
        "", f"On {n} of {chosen[0].dataset}.", *others,
    ]  # fmt: skip


def measured(chosen: list[Run]) -> list[tuple[str, list[str]]]:
    """One row per metric, with its interval if it has one, and one cell per run."""
    from mnist import metrics

    each = [metrics.of_predictions(run.predictions) for run in chosen]
    intervals = {f"{name}_{end}" for name in each[0] for end in ("low", "high")}
    single = [name for name, value in each[0].items() if isinstance(value, float) and name not in intervals]
    return [
        *((name.replace("_", " "), [with_interval(found, name) for found in each]) for name in single),
        *((f"recall of {name}", [plain(found["recall"][name]) for found in each]) for name in each[0]["recall"]),
    ]


def with_interval(found: dict[str, Any], name: str) -> str:
    """A metric, with its 95 % interval if it has one."""
    ends = [plain(found[f"{name}_{end}"]) for end in ("low", "high") if f"{name}_{end}" in found]
    return plain(found[name]) + (f" (95 % {'–'.join(ends)})" if ends else "")


def differences(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Rows for what only a pair of runs has, in the column of B."""
    return [
        (label, ["", f"{signed(found[value])} (95 % {signed(found[low])} to {signed(found[high])})"])
        for label, value, low, high in (
            ("difference in accuracy", "accuracy_difference", "difference_low", "difference_high"),
            ("difference in loss", "loss_difference", "loss_difference_low", "loss_difference_high"),
        )
    ] + [
        ("images only this one is right on", [f"{found['only_a_right']:,}", f"{found['only_b_right']:,}"]),
        ("p (exact McNemar)", ["", compare.chance(found["p_value"])]),
    ]


def parameters(chosen: list[Run]) -> list[tuple[str, list[str], bool]]:
    """A row for each parameter, with whether the runs differ in it; those in which they do come first."""
    rows = []
    for key in dict.fromkeys(key for run in chosen for key in run.parameters):
        values = [str(run.parameters.get(key)) for run in chosen]
        rows.append((key, values, len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row[2])


def figures(chosen: list[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings, and below each its pictures: a caption and a PNG in base64."""
    from mnist import plots

    plots.settle()
    images = runs.test_images(chosen[0].revision)
    captions = [
        f"{letter}: {run.revision}" if len(chosen) > 1 else "" for letter, run in zip("AB", chosen, strict=False)
    ]
    drawn = [plots.of_run(images, run.predictions, run.history, SHOWN) for run in chosen]
    found = [
        (name.capitalize(), [(caption, png(each[name])) for caption, each in zip(captions, drawn, strict=True)])
        for name in drawn[0]
    ]
    if len(chosen) == 2:
        from mnist.commands import flipped

        both = flipped.draw(images, chosen[0].predictions, chosen[1].predictions)
        found.insert(0, ("Images on which they differ", [("", png(both))]))
    return found


def png(figure: Any) -> str:
    """A matplotlib figure as PNG in base64."""
    from mnist import plots

    out = io.BytesIO()
    plots.save(figure, out)
    return base64.b64encode(out.getvalue()).decode()
