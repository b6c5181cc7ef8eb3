"""Does a revision's record hold: does a run from the raw data come to the same bytes?"""

import time
from pathlib import Path
from typing import Annotated

import typer

from mnist.commands import fingerprint, trained
from pipeline import again, console, git, lock, origin, pins
from pipeline.again import Difference
from pipeline.errors import InputError
from pipeline.revisions import Revision

DEVICE = "train.device"


def prove(
    what: Annotated[
        str, typer.Argument(help="A commit, tag, branch or experiment, or a model file.", metavar="[REVISION | FILE]")
    ] = "HEAD",
) -> None:
    """Run a revision again from its raw data, in a folder of its own, and compare each output with its dvc.lock.

    Nothing comes from a cache, and the workspace stays as it is. Of a model file, the revision is the last that
    records a run with its inputs, and its bytes are compared too. Exits with 1 at the first difference.

    Example: python -m mnist prove HEAD
    """
    start = time.perf_counter()
    from mnist import numerics

    numerics.pin(threads=1)  # else torch would use AVX-512 where it can, and `report` blame the processor
    name = of_file(Path(what)) if Path(what).is_file() else what
    revision = Revision(name)
    again.check(revision)
    check_device(revision)
    if found := again.committed(revision) or again.run(revision, lambda stage: console.say(f"running {stage}")):
        print("\n".join(report(revision, found)))
        raise InputError(f"{name}: not proved: {found.name} is not what its {lock.FILE} records")
    count = len(again.record(revision).outputs())
    print(f"proved: {count} outputs, {time.perf_counter() - start:.0f} s, on {fingerprint.processor()}")


def of_file(path: Path) -> str:
    """The last commit that records a run with a model's inputs, best one that came to these bytes.

    Raises InputError if there is none, or the file has other bytes than all of them record.
    """
    from mnist import models

    _, description = models.read(path)
    records = list(origin.recording(description.inputs, origin.records()))
    if not records:
        raise InputError(f"{path}: no commit here records a run with its inputs; {origin.remedy()}")
    ours = lock.digest(path.read_bytes())
    recorded = [record.lock.outputs().get(str(trained.FILE)) for record in records]
    if ours not in recorded:
        print(f"{path}: {ours}\n{git.headline(records[0].commit)}: {recorded[0]}")
        raise InputError(f"{path}: not proved: its bytes are not those that {records[0].commit[:12]} records")
    commit = records[recorded.index(ours)].commit
    console.say(f"{path}: as recorded by {git.headline(commit)}")
    return commit[:12]


def check_device(revision: Revision) -> None:
    """Raise InputError if a revision was trained on a device that is not here."""
    if revision.parameters.get(DEVICE) == "cuda":
        from mnist import training  # seconds, for torch

        try:
            training.check_device("cuda")
        except InputError as error:
            raise InputError(
                f"{revision.name}: trained on a CUDA device, and none is here; prove it where one is"
            ) from error


def report(revision: Revision, found: Difference) -> list[str]:
    """A difference in lines of text: both sides of it, and what differs in the environment."""
    from mnist import numerics  # seconds, for torch

    device = str(revision.parameters.get(DEVICE, "cpu"))
    why = numerics.own_order(device)
    requirements = revision.in_git("requirements.txt") or b""
    libraries = pins.differing(requirements.decode(errors="replace"))
    facts = {
        "recorded": found.recorded or f"not in {lock.FILE}",
        found.where: found.found or "not made",
        "libraries": ", ".join(libraries) or "as its requirements.txt pins them",
        "processor": fingerprint.processor() + (f": {why}" if why else ""),
        "device": device,
    }
    return [found.name, *(f"  {name:9}  {value}" for name, value in facts.items())]
