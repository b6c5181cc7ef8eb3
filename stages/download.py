"""Bring the raw data set, from a folder or from torchvision's mirrors.

python -m stages.download
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline import files, params, stage
from pipeline.processes import cores

if TYPE_CHECKING:
    from mnist.formats.parts import Options


class Dataset(params.Section):
    """The section `dataset` of params.yaml."""

    path: Annotated[str, Field(min_length=1)]
    handwriting: bool
    download: (
        Literal[
            "mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced", "emnist-byclass", "emnist-bymerge",
            "emnist-digits", "emnist-letters", "emnist-mnist",
        ]
        | None
    )  # fmt: skip
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: params.Seed = 0
    image_size: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=2, max_length=2)] | None = None
    channels: Literal[1, 3] | None = None
    first_label: Annotated[int, Field(ge=0, le=255)] = 0

    @model_validator(mode="after")
    def handwriting_is_grey(self) -> Self:
        if self.channels == 3 and self.handwriting:
            raise ValueError(
                "handwriting is prepared in grey, and channels is 3; set dataset.handwriting to false for other "
                "pictures, or dataset.channels to 1"
            )
        return self

    @model_validator(mode="after")
    def what_is_fetched_comes_as_it_is(self) -> Self:
        for key in ("test_share", "seed", "image_size", "channels", "first_label"):
            if self.download and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key} is for the data at path, and {self.download} is fetched as it is; remove dataset.{key}, or "
                    "set dataset.download to null"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def renamed(cls, values: object) -> object:
        """Name the new name of a key to whoever has the old one."""
        for old, new in (("folder", "path"), ("size", "image_size")):
            if isinstance(values, dict) and old in values:
                raise ValueError(f"{old} is called {new} now; `sed -i 's/\\b{old}: /{new}: /' params.yaml`")
        return values


def options(chosen: Dataset) -> "Options":
    """What the section says of data other than MNIST's own files; pictures are read on all cores."""
    from mnist.formats.parts import Options

    size = (chosen.image_size[0], chosen.image_size[1]) if chosen.image_size else None
    return Options(chosen.test_share, chosen.seed, size, chosen.channels, chosen.first_label, cores())


def download() -> None:
    """Check the data set of dataset.path, or fetch dataset.download, and bring it as IDX files into data/raw."""
    with stage.run("download", "dataset", Dataset) as run:
        from mnist.formats import mirrors, sources

        raw = run.folder("data/raw")
        if run.params.download:
            with files.scratch(Path("data/.download.partial")) as folder:
                mirrors.fetch(run.params.download, folder, raw, run.params.handwriting)
        else:
            sources.copy(Path(run.params.path), raw, run.params.handwriting, options(run.params))


if __name__ == "__main__":
    stage.main(download)
