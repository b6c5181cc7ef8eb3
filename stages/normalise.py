"""Split the data set and take its statistics.

python -m stages.normalise
"""

from pathlib import Path

from mnist import stage


def normalise() -> None:
    """Write the training, validation and test arrays and their statistics from data/raw into data/normalised."""
    with stage.run("normalise") as run:
        from mnist import splits

        chosen = run.params.normalise
        folder = run.folder("data/normalised")
        statistics = splits.normalise(Path("data/raw"), folder, chosen.validation, chosen.seed, chosen.mean, chosen.std)
        for split, counts in statistics.counts.items():
            print(f"{split}: {sum(counts.values()):,} images")


if __name__ == "__main__":
    stage.main(normalise)
