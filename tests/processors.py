"""Other processors: programs that are told of one use the kernels that their libraries have for it.

python -m tests.processors [RECIPE…] trains the recipes as on each of them; all of them take ten minutes.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import RECIPES, ROOT, Project

SOURCE = ROOT / "tests/processors.c"
CANNOT = "lets nobody else answer CPUID"  # in what SOURCE then says
NAMES = ["AMD EPYC Milan", "AMD EPYC Genoa", "Intel Haswell"]


def told(processor: str, folder: Path) -> dict[str, str]:
    """The environment of a program that is to take this processor for another one; skips the test if none can be."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("needs a C compiler to tell programs of another processor")
    library = folder / "processors.so"
    subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True
    )
    environment = {"LD_PRELOAD": str(library), "TOLD": processor}
    said = Project(folder).run("true", **environment).stderr
    if CANNOT in said:
        pytest.skip(said.strip())
    assert said == ""
    return environment


def main(recipes: list[str]) -> None:
    """Train in clones of the last commit; fails with a recipe that does not come to its known weights."""
    with tempfile.TemporaryDirectory() as folder:
        for processor in NAMES:
            environment = told(processor, Path(folder))
            for recipe in recipes or RECIPES:
                project = Project(Path(folder, processor, recipe))
                Project(ROOT).succeed("git", "clone", "-q", ".", str(project.path))
                project.succeed("python", "-m", "mnist", "recipe", recipe)
                project.succeed("dvc", "repro", "evaluate", **environment)
                print(f"{processor}: {project.succeed('python', '-m', 'mnist', 'fingerprint')}", end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
