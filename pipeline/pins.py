"""Are the libraries installed in the versions that pyproject.toml pins?"""

import importlib.metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from pipeline import definition
from pipeline.errors import InputError

PROJECT = "pyproject.toml"


def check_values(values: dict[str, Any]) -> None:
    """Raise InputError if a library is not installed in the version that a stage's declared parameters pin."""
    for place, pins in values.items():
        if place.startswith(PROJECT):
            check(place, pins)


def check_project() -> None:
    """Raise InputError if anything is not installed as pyproject.toml pins it."""
    project = definition.lookup(definition.content(PROJECT), "project", PROJECT)
    extras = definition.lookup(project, "optional-dependencies", PROJECT)
    for name, pins in {"dependencies": definition.lookup(project, "dependencies", PROJECT), **extras}.items():
        check(f"{PROJECT}: {name}", pins)


def check(place: str, pins: Any) -> None:
    """Raise InputError, naming `place`, if what is installed is not what `pins` ask for."""
    if not isinstance(pins, list):
        raise InputError(f"{place}: should be a list of what to install, not a {type(pins).__name__}; fix it")
    for pin in pins:
        try:
            requirement = Requirement(str(pin))
        except InvalidRequirement as error:
            raise InputError(f"{place}: {pin}: not a requirement as pip takes it; fix it") from error
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            installed = "nothing of it"
        if installed == "nothing of it" or not requirement.specifier.contains(installed, prereleases=True):
            raise InputError(f"{place}: pins {pin}, but {installed} is installed; run `make` to install what is pinned")


def differing(requirements: str) -> list[str]:
    """What is not installed as the lines of a requirements.txt pin it, in a few words each."""
    found = []
    for line in requirements.splitlines():
        name, _, pinned = line.partition("==")
        if not pinned or line.startswith("#"):
            continue
        try:
            installed = importlib.metadata.version(name.strip())
        except importlib.metadata.PackageNotFoundError:
            installed = "not installed"
        if installed != pinned.strip():
            found.append(f"{name} {installed}, pinned {pinned}")
    return found
