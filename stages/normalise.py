"""Split the data set and take its statistics.

python -m stages.normalise
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline import params, stage

Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]


class Normalise(params.Section):
    """The section `normalise` of params.yaml."""

    validation: Annotated[int, Field(ge=0)]
    seed: params.Seed
    mean: Mean | Literal["auto"] | Annotated[list[Mean], Field(min_length=3, max_length=3)]
    std: Deviation | Literal["auto"] | Annotated[list[Deviation], Field(min_length=3, max_length=3)]


def normalise() -> None:
    """Write the training, validation and test arrays and their statistics from data/raw into data/normalised."""
    with stage.run("normalise", "normalise", Normalise) as run:
        from mnist import raw, splits

        chosen = run.params
        folder = run.folder("data/normalised")
        statistics = splits.normalise(Path("data/raw"), folder, chosen.validation, chosen.seed, chosen.mean, chosen.std)
        if (Path("data/raw") / raw.ALL_IMAGES["validation"]).exists():
            print("the data set has validation images of its own; normalise.validation is not used")
        for split, counts in statistics.counts.items():
            print(f"{split}: {sum(counts.values()):,} images")


if __name__ == "__main__":
    stage.main(normalise)
