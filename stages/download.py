"""Bring the raw data set, from a folder or from torchvision's mirrors.

python -m stages.download
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline import files, params, stage


class Dataset(params.Section):
    """The section `dataset` of params.yaml."""

    folder: Annotated[str, Field(min_length=1)]
    handwriting: bool
    download: (
        Literal[
            "mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced", "emnist-byclass", "emnist-bymerge",
            "emnist-digits", "emnist-letters", "emnist-mnist",
        ]
        | None
    )  # fmt: skip


def download() -> None:
    """Check the data set of dataset.folder, or fetch dataset.download, and unpack it into data/raw."""
    with stage.run("download", "dataset", Dataset) as run:
        from mnist import sources

        raw = run.folder("data/raw")
        if run.params.download:
            with files.scratch(Path("data/.download.partial")) as folder:
                sources.fetch(run.params.download, folder, raw, run.params.handwriting)
        else:
            sources.copy(Path(run.params.folder), raw, run.params.handwriting)


if __name__ == "__main__":
    stage.main(download)
