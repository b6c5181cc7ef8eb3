"""The project's modules that a stage imports: its edits would go unnoticed if `dvc.yaml` did not list them.

The machinery is no part of it, as it decides no result.
"""

import ast
import functools
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from pipeline import definition
from pipeline.errors import InputError

MACHINERY = Path(__file__).parent.name


def check(stage: str, entry: definition.Stage, modules: Iterable[Path]) -> None:
    """Raise InputError if a stage's entry of `dvc.yaml` does not list a module, nor a folder that it is in."""
    declared = {Path(path) for path in entry.deps}
    for path in sorted(modules):
        if declared.isdisjoint([path, *path.parents]):
            raise InputError(
                f"{definition.FILE}: stages: {stage}: imports {path}, whose edits would go unnoticed; "
                f"add `- {path}` to its deps"
            )


def loaded() -> set[Path]:
    """The modules that this process has imported."""
    root = f"{Path.cwd()}/"
    files = {file for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))}
    ours = (Path(file[len(root) :]) for file in files if file.startswith(root) and not file.startswith(sys.prefix))
    return {path for path in ours if counts(path)}


def behind(command: str | list[str]) -> set[Path]:
    """The modules that a command of the form `python -m module` imports, directly or not; none for other commands."""
    named = re.match(r"python -m ([\w.]+)", command) if isinstance(command, str) else None
    found: set[Path] = set()
    left = files({named[1]}) if named else set()
    while left:
        found |= left
        left = {file for path in left for file in files(imported(path))} - found
    return found


def imported(path: Path) -> frozenset[str]:
    """The dotted names that a file imports, anywhere in it. Raises InputError if Python could not read it either."""
    try:
        return names_in(path.read_bytes(), ".".join(path.parent.parts))
    except (SyntaxError, ValueError, ImportError) as error:  # ValueError: of null bytes, before Python 3.11.4
        raise InputError(f"{path}: {error}; fix it, or `git restore {path}`") from error


@functools.cache  # a module is behind several stages
def names_in(source: bytes, package: str) -> frozenset[str]:
    """The dotted names that the source of a module in a package imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def files(names: Iterable[str]) -> set[Path]:
    """The modules of the project among dotted names, and the packages that they are in."""
    found: set[Path] = set()
    for name in names:
        path = Path(*name.split("."))
        found |= {path.with_suffix(".py"), *(package / "__init__.py" for package in [path, *path.parents])}
    return {path for path in found if path.is_file() and counts(path)}


def counts(path: Path) -> bool:
    """Whether a module can decide a result: it is none of the machinery, and no package that is just a name."""
    if path.parts[0] == MACHINERY or path.suffix != ".py":
        return False
    return path.name != "__init__.py" or not all(map(harmless, ast.parse(path.read_bytes()).body))


def harmless(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, or imports the machinery."""
    if isinstance(node, ast.Import):
        return all(alias.name.split(".")[0] == MACHINERY for alias in node.names)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
