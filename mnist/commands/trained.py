"""The trained model of the workspace, or of any revision that has one."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from mnist.models import Description

FILE = Path("models/model.safetensors")
WORKSPACE = "workspace"


def read(revision: str = WORKSPACE) -> "tuple[nn.Module, Description]":
    """The model of a commit, branch, tag or experiment, or of the workspace, ready to predict.

    Raises InputError if there is none, or if it is damaged.
    """
    from mnist import models

    if revision != WORKSPACE:
        from pipeline import revisions  # takes a moment, and asks git

        return models.parse(revisions.Revision(revision).content(str(FILE)), f"{revision}: {FILE}")
    if not FILE.exists():
        raise InputError(f"{FILE}: no model yet; `dvc checkout` brings one that was trained, `dvc repro` trains one")
    return models.read(FILE)
