"""What is lost when a push to a remote is killed: python -m benchmarks sharing"""

import shutil
from pathlib import Path

from benchmarks.figures import Figure
from tests import remotes
from tests.conftest import Project

KILLS = 20


def figures(path: Path, folder: Path) -> list[Figure]:
    """Kill twenty pushes to each kind of remote, each a bit later than the one before, and finish each by another."""
    return [kills(Project(path), kind, folder / kind) for kind in remotes.KINDS if not said(kind)]


def said(kind: str) -> bool:
    """Print why a remote is left out, if it is."""
    if why := remotes.missing(kind):
        print(f"{kind}: left out, as {why}")
    return bool(why)


def kills(project: Project, kind: str, folder: Path) -> Figure:
    """Objects and entries of the run cache that were wrong at any time, or missing in the end."""
    found = []
    (project.path / ".dvc/config.local").unlink(missing_ok=True)  # another remote's options
    with remotes.serving(kind, folder) as remote:
        whole = remotes.measure(project, remote, "whole")
        for k in range(KILLS):
            found.append(remotes.push_killed(project, remote, f"killed{k}", int(whole * (k + 0.5) / KILLS)))
            shutil.rmtree(remote.folder / f"killed{k}")
    lost = sum(len(each.wrong) + len(each.lost) for each in found)
    present = [each.present for each in found]
    note = f"killed with {min(present)} to {max(present)} objects there, and finished by another push"
    return Figure(f"lost or wrong after {KILLS} kills, {kind}", [lost], "", "≤ 0", "0", note)
