"""The commands beside DVC's: python -m mnist COMMAND."""

from typing import Annotated

import typer

from mnist import console

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


if __name__ == "__main__":
    console.main(app)
