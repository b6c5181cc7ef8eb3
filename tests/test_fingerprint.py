"""Fingerprints tell weights apart, and the command says which recipe's they are."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mnist import models
from mnist.commands import fingerprint
from pipeline.errors import InputError
from tests.conftest import Project

MODEL = "models/model.safetensors"


def weights(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"a": torch.arange(6.0), "b": torch.zeros(3), **changes}


def test_it_is_of_all_tensors_and_of_nothing_else() -> None:
    found = fingerprint.of(weights())
    assert found == fingerprint.of(dict(reversed(weights().items())))
    assert len(found) == 16
    others = [
        weights(a=torch.arange(6.0).view(2, 3)),
        weights(b=-torch.zeros(3)),
        weights(b=torch.zeros(3, dtype=torch.int32)),
        {"a": torch.arange(6.0), "c": torch.zeros(3)},
    ]
    assert len({found, *map(fingerprint.of, others)}) == 5


def test_the_layout_in_memory_is_not_part_of_it() -> None:
    a = torch.arange(6.0).view(2, 3)
    assert fingerprint.of({"a": a}) == fingerprint.of({"a": a.t().contiguous().t()})


def ask(project: Project) -> tuple[int, str]:
    done = project.inside("fingerprint")
    assert (done.stdout + done.stderr).count("\n") == 1
    return done.returncode, done.stdout + done.stderr


def know(project: Project, *rows: str) -> None:
    """Let the table have these rows alone."""
    (project.path / fingerprint.TABLE).write_text("\n".join([",".join(fingerprint.Known._fields), *rows, ""]))


def call_it_mnist(project: Project) -> None:
    """Let the model say that it is of MNIST."""
    model, description = models.read(project.path / MODEL)
    (project.path / MODEL).unlink()
    models.write(model, description.model_copy(update={"dataset": "mnist"}), project.path / MODEL)


@pytest.mark.slow
def test_the_command_names_the_recipe_or_says_what_is_known_instead(project: Project) -> None:
    """The small project's parameters are no recipe's, as its epochs differ; here its own become one."""
    found = fingerprint.of(load_file(project.path / MODEL))
    none = (0, f"{found}: of no recipe whose weights are known; here: {fingerprint.processor()}\n")
    assert ask(project) == none
    shutil.copy(project.path / "params.yaml", project.path / "recipes/default.yaml")
    know(project, "default,2.13.0,0123456789abcdef,nothing")
    assert ask(project) == none, "these are of other images"
    call_it_mnist(project)
    know(project, "mlp,2.14.1,0123456789abcdef,nothing")
    assert ask(project) == none, "the recipe is somebody's own"
    know(project, f'default,2.14.1,{found},"this, that"')
    assert ask(project)[1].startswith(f"{found}: known as default with torch 2.14.1, seen on this, that; here: ")
    printed = json.loads(project.mnist("fingerprint", "--json"))
    assert (printed["fingerprint"], printed["recipe"]) == (found, "default")
    know(project, "default,2.13.0,0123456789abcdef,nothing")
    told = f"not known; this is torch {printed['torch']}, and default with torch 2.13.0 is 0123456789abcdef"
    assert ask(project) == (1, f"{found}: {told}; here: {fingerprint.processor()}\n")


def test_a_model_of_other_images_than_a_recipe_has_gives_no_alarm(project: Project) -> None:
    shutil.copy(project.path / "params.yaml", project.path / "recipes/default.yaml")
    call_it_mnist(project)
    know(project, "default,2.13.0,0123456789abcdef,nothing")
    assert ask(project)[0] == 1
    project.edit("validation: 200", "validation: 100", "recipes/default.yaml")
    status, line = ask(project)
    assert (status, "of no recipe whose weights are known" in line) == (0, True), "fewer are held out"
    project.edit("validation: 100", "validation: 200", "recipes/default.yaml")
    project.edit("momentum: 0.0", "momentum: 0.1", "dvc.lock")
    assert ask(project)[0] == 0, "dvc.lock is of another run"


@pytest.mark.slow
def test_without_a_whole_model_there_is_one_line(project: Project) -> None:
    model = project.path / MODEL
    content = model.read_bytes()
    model.unlink()
    model.write_bytes(content[:1000])
    status, line = ask(project)
    assert status == 1
    assert line.startswith(f"error: {MODEL}: not a whole safetensors file")
    model.unlink()
    status, line = ask(project)
    assert status == 1
    assert line.startswith(f"error: {MODEL}: ")
    assert "`dvc repro`" in line


@pytest.mark.parametrize("content", [b"", b"recipe,torch\n", b"recipe,torch,fingerprint,processors\na,b\n", b"\xff"])
def test_a_damaged_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"table\.csv: .*`git checkout HEAD"):
        fingerprint.known(tmp_path / "table.csv")
