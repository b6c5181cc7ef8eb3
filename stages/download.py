"""Bring the raw data set, from a folder or from torchvision's mirrors.

python -m stages.download
"""

from pathlib import Path

from mnist import stage


def download() -> None:
    """Check the data set of dataset.folder, or fetch dataset.download, and unpack it into data/raw."""
    with stage.run("download") as run:
        from mnist import sources

        raw = run.folder("data/raw")
        if run.params.dataset.download:
            sources.fetch(run.params.dataset.download, raw)
        else:
            sources.copy(Path(run.params.dataset.folder), raw)


if __name__ == "__main__":
    stage.main(download)
