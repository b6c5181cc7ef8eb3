"""What an edit runs again: exactly what it touches."""

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow

ALL = ["download", "normalise", "train", "evaluate", "plot-predictions"]


@pytest.mark.parametrize(
    ("old", "new", "file", "expected"),
    [
        ("images: 12", "images: 6", "params.yaml", ALL[4:]),
        ("batch_size: 1000", "batch_size: 100", "params.yaml", ALL[3:4]),
        ("learning_rate: 0.003", "learning_rate: 0.004", "params.yaml", ALL[2:]),
        ("validation: 200", "validation: 100", "params.yaml", ALL[1:]),
        ("# sgd · adam · adamw", "# one of three", "params.yaml", []),
        ("plot:", "plot: # the pictures", "params.yaml", []),
        ('"""The pictures of a run.', '"""All pictures of a run.', "mnist/plots.py", ALL[4:]),
        ('"""One training run:', '"""A training run:', "mnist/training.py", ALL[2:3]),
    ],
)
def test_an_edit_runs_what_it_touches_and_nothing_else(
    project: Project, old: str, new: str, file: str, expected: list[str]
) -> None:
    project.edit(old, new, file)
    assert project.repro() == expected
    assert project.repro() == []
