"""Look for damage in DVC's cache."""

import time
from typing import Annotated

import typer

from pipeline import console, files
from pipeline import verify as cache
from pipeline.errors import InputError


def verify(
    remove: Annotated[bool, typer.Option("--remove", help="Delete the objects that do not match.")] = False,
) -> None:
    """Compare every object in DVC's cache with its name, the MD5 of what it should hold.

    Example: python -m mnist verify --remove && dvc repro
    """
    folder = cache.cache()
    owners = cache.needed(folder)  # first, as a damaged dvc.lock has none
    found = cache.objects(folder)
    size = cache.size(found)
    start = time.perf_counter()
    with console.progress("hashing", size, of_bytes=True) as advance:
        findings = list(cache.examine(found, advance))
    speed = size / 1e6 / (time.perf_counter() - start)
    for path, what, _ in findings:
        print(f"{path}: {what}; {', '.join(owners.get(path, [])) or 'no output of the current dvc.lock'}")
    corrupt = [path for path, _, corrupt in findings if corrupt]
    print(f"{len(found):,} objects, {size / 1e6:,.0f} MB, {speed:,.0f} MB/s: {len(corrupt):,} corrupt")
    if remove and corrupt:
        for path in corrupt:
            files.remove(path)
        print("removed; `dvc fetch` brings them from a remote, `dvc repro` makes them again")
    elif corrupt:
        raise InputError(
            f"{folder}: {len(corrupt):,} corrupt; `python -m mnist verify --remove`, then `dvc fetch` or `dvc repro`"
        )
    if len(findings) > len(corrupt):
        raise InputError(
            f"{folder}: {len(findings) - len(corrupt):,} cannot be read and are left alone; give yourself access "
            "(ls -l says to whom they belong), or fix the disk, and verify again"
        )
