"""A checkout of a revision beside the workspace: its files, its data, and a cache of its own with nothing in it."""

import json
import os
import sys
from pathlib import Path

from pipeline import files, git, lock, verify
from pipeline.errors import InputError
from pipeline.revisions import Revision

# whatever the machine, the user or the revision has DVC do otherwise: all that it notes goes with the folder
SETTINGS = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n[cache]\n    dir = {}\n"


def make(revision: Revision, folder: Path) -> Path:
    """Bring what a revision's stages begin with into an empty folder; returns where the project is in there.

    Raises InputError if some of it is gone.
    """
    assert revision.commit
    project = git.check_out(revision.commit, folder)
    for output in [*revision.lock.outputs(), str(lock.FILE)]:
        files.remove(project / output)
    bring(revision, folder, project)
    configure(revision.name, folder, project)
    return project


def bring(revision: Revision, folder: Path, project: Path) -> None:
    """Link the data that git does not have into a checkout. Raises InputError if they are gone."""
    made = revision.lock.outputs()
    deps = {dep.path for stage in revision.lock.stages.values() for dep in stage.deps} - made.keys()
    for path in sorted(deps):
        target = Path(os.path.normpath(project.resolve() / path))
        if target.exists():
            continue
        if Path(path).is_absolute():
            raise InputError(f"{revision.name}: its data, {path}, lie outside of the repository and are gone")
        if not target.is_relative_to(folder.resolve()):
            raise InputError(
                f"{revision.name}: its data, {path}, lie outside of the repository; a run from an absolute path can be "
                "proved"
            )
        within = [each for each in lock.trackers(target) if each.is_relative_to(folder.resolve())]
        if tracked := next((each for each in within if each.is_file()), None):
            pull(revision, tracked)
        elif Path(path).exists():  # of this folder alone: if they are others by now, their MD5 is another
            link(Path(path), target)
        else:
            raise InputError(f"{revision.name}: its data, {path}, are neither in git nor in DVC nor here")


def pull(revision: Revision, tracked: Path) -> None:
    """Bring data that DVC tracks by a file beside them, from the cache or else the remote."""
    path = tracked.with_suffix("")
    md5 = str(lock.parse_tracked(tracked.read_bytes(), f"{revision.name}: {tracked.name}"))
    tracked.unlink()  # DVC would look for them in the cache of the checkout
    # what is lost shows in many ways, by what kind of storage lost what
    try:
        with verify.repository() as repo:

            def fetch(md5: str, target: Path) -> None:
                cached = verify.cached(md5)
                if cached.exists():
                    target.symlink_to(cached.resolve())
                else:
                    remote = repo.cloud.get_remote_odb()
                    remote.fs.get_file(remote.oid_to_path(md5), str(target))

            if not md5.endswith(".dir"):
                return fetch(md5, path)
            listing = path.with_name(".listing.partial")
            fetch(md5, listing)
            for entry in json.loads(listing.read_bytes()):
                target = path / entry["relpath"]
                target.parent.mkdir(parents=True, exist_ok=True)
                fetch(entry["md5"], target)
            listing.unlink()
    except Exception as error:
        raise InputError(
            f"{revision.name}: its data, {path.name}, are neither in DVC's cache nor in its remote "
            f"({type(error).__name__}); push them from where they are, or bring them back, and prove it again"
        ) from error


def environment(folder: Path) -> dict[str, str]:
    """What DVC runs with in a checkout: this interpreter, a site cache of its own, nothing that an outer DVC sets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**kept, "PATH": path, "DVC_SITE_CACHE_DIR": str(folder.resolve() / ".dvc/site")}


def failure(said: list[str]) -> str:
    """The error in the lines that DVC has printed."""
    return ([line for line in said if line.lower().startswith("error: ")] or said or ["dvc failed"])[0]


def link(source: Path, target: Path) -> None:
    """Put a file, or a folder of links to its files, somewhere else."""
    for file in source.rglob("*") if source.is_dir() else [source]:
        if file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file.resolve())


def configure(name: str, folder: Path, project: Path, cache: Path | None = None) -> Path:
    """Give a checkout of a revision a cache of its own, or the one that is named; returns where DVC begins there."""
    for parent in [project, *project.parents]:
        if (parent / ".dvc").is_dir():
            settings = parent / ".dvc/config.local"
            settings.write_text(SETTINGS.format(cache or parent.resolve() / ".dvc/cache"), "utf-8")
            return parent
        if parent == folder:
            break
    raise InputError(f"{name}: git has no folder .dvc of it, so DVC cannot run it; commit that")
