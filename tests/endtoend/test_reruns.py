"""What an edit runs again: exactly what it touches."""

import pytest

from tests.conftest import STAGES, Project, from_on

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("old", "new", "file", "expected"),
    [
        ("batch_size: 1000", "batch_size: 100", "params.yaml", ["evaluate"]),
        ("# image_size: null  ", "image_size: [14, 14]", "params.yaml", STAGES),
        ("validation: 200", "validation: 100", "params.yaml", from_on("normalise")),
        ("which are pictures", "which ones are pictures", "mnist/formats/names.py", ["download"]),
        ('"""The pictures of a run.', '"""All pictures of a run.', "mnist/plots.py", ["plot-predictions"]),
        (
            '"""One training run:',
            '"""A training run:',
            "mnist/training.py",
            ["train", "evaluate"],
        ),  # the model says of which code
    ],
)
def test_an_edit_runs_what_it_touches_and_nothing_else(
    project: Project, old: str, new: str, file: str, expected: list[str]
) -> None:
    project.edit(old, new, file)
    assert project.repro() == expected


def test_an_edit_of_comments_machinery_commands_and_what_they_need_runs_nothing(project: Project) -> None:
    for old, new, file in (
        ("# sgd · adam · adamw", "# one of three", "params.yaml"),
        ("plot:", "plot: # the pictures", "params.yaml"),
        ('"scipy==', '"scipy>=', "pyproject.toml"),
        ('"typer==', '"typer>=', "pyproject.toml"),
        ("so its result is not kept", "so there is no result", "pipeline/stage.py"),
        ("should be {wanted}", "has to be {wanted}", "pipeline/params.py"),
        ("transient=True", "transient=False", "pipeline/console.py"),
        ("going on after epoch", "resuming after epoch", "pipeline/resume.py"),
        ("may be chance", "could be chance", "mnist/commands/compare.py"),
        ("Print CSV.", "Print a table of commas.", "mnist/commands/leaderboard.py"),
    ):
        project.edit(old, new, file)
    assert project.repro() == []
    project.edit("images: 12", "images: 6")
    assert [project.repro(), project.repro()] == [["plot-predictions"], []], "what has run is not run again"


def test_an_edit_can_be_compared_as_dvc_users_do_and_taken_back_it_costs_nothing(project: Project) -> None:
    before = project.hashes()
    project.edit("learning_rate: 0.003", "learning_rate: 0.05")
    assert project.repro() == from_on("train")
    assert "train.learning_rate" in project.succeed("dvc", "params", "diff")
    changes = project.succeed("dvc", "metrics", "diff", "--json")
    assert '"accuracy"' in changes
    assert "index.html" in project.succeed("dvc", "plots", "diff")
    project.edit("learning_rate: 0.05", "learning_rate: 0.003")
    assert project.repro() == []
    assert project.hashes() == before


def test_a_byte_in_the_data_folder_runs_download_and_what_its_content_reaches(project: Project) -> None:
    (project.path / "data/small/notes.txt").write_text("bought at the flea market")
    assert project.repro() == ["download"]
    images = project.path / "data/small/train-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[16 + 400] ^= 255
    images.write_bytes(content)
    assert project.repro() == STAGES


def test_a_newer_torch_in_the_pins_is_not_recorded_before_it_is_installed(project: Project) -> None:
    project.edit('"torch==2.14.1"', '"torch==2.14.2"', "pyproject.toml")
    before = (project.path / "dvc.lock").read_bytes()
    done = project.run("dvc", "repro")
    assert done.returncode != 0
    assert "pins torch==2.14.2, but 2.14.1 is installed" in done.stderr
    assert (project.path / "dvc.lock").read_bytes() == before


def test_another_version_of_a_library_runs_what_it_decides(project: Project) -> None:
    project.edit('"matplotlib==', '"matplotlib>=', "pyproject.toml")
    assert project.repro() == ["plot-predictions"]
