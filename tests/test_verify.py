"""A flipped bit in DVC's cache is found, named and removed; what is sound is never touched."""

import random
import re
from pathlib import Path

import pytest

from pipeline import verify
from tests.conftest import Project


def cache(project: Project) -> Path:
    return project.path / ".dvc/cache/files/md5"


def flip_a_bit(path: Path, at: int) -> None:
    """DVC keeps its objects read-only."""
    content = bytearray(path.read_bytes())
    content[at // 8 % len(content)] ^= 1 << at % 8
    path.chmod(0o644)
    path.write_bytes(content)


def test_fifty_flipped_bits_are_fifty_findings(project: Project) -> None:
    """One after the other in the cache of a real project, and taken back each time."""
    chance = random.Random(0)
    found = verify.objects(cache(project))
    assert len(found) > 20
    assert list(verify.examine(found)) == []
    for _ in range(50):
        path, bit = chance.choice(found), chance.randrange(1 << 20)
        flip_a_bit(path, bit)
        assert [finding.path for finding in verify.examine(found) if finding.corrupt] == [path]
        flip_a_bit(path, bit)


@pytest.mark.slow
def test_an_object_of_each_output_is_named_removed_and_made_again(project: Project) -> None:
    before = project.hashes()
    assert ": 0 corrupt" in project.mnist("verify")
    listed = verify.objects(cache(project))
    large = max(listed, key=lambda path: path.stat().st_size)  # in data/raw
    md5 = re.findall(r"path: metrics/plots\n *hash: md5\n *md5: (\S+)", (project.path / "dvc.lock").read_text())[0]
    folder = cache(project) / md5[:2] / md5[2:]
    sound = set(listed) - {large, folder}
    for path in (large, folder):
        flip_a_bit(path, 12345)
    done = project.inside("verify")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "verify --remove" in done.stderr
    assert set(verify.objects(cache(project))) == set(listed), "only --remove removes"
    for path in (large, folder):
        (line,) = (line for line in done.stdout.splitlines() if str(path) in line)
        assert ("metrics/plots" if path == folder else "data/raw/train-images-idx3-ubyte") in line
    project.mnist("verify", "--remove")
    assert set(verify.objects(cache(project))) == sound
    project.repro()
    assert ": 0 corrupt" in project.mnist("verify")
    assert project.hashes() == before


@pytest.mark.slow
def test_a_damaged_object_comes_back_from_a_remote(project: Project, tmp_path: Path) -> None:
    project.succeed("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    project.succeed("dvc", "push")
    damaged = verify.objects(cache(project))[0]
    flip_a_bit(damaged, 7)
    remove, fetch, _ = re.findall("`(.*?)`", project.inside("verify").stderr)
    assert fetch in project.succeed("bash", "-ec", remove)
    assert not damaged.exists()
    project.succeed("bash", "-ec", fetch)
    assert damaged.exists()
    assert ": 0 corrupt" in project.mnist("verify")


@pytest.mark.parametrize("command", ["verify", "check"])
def test_outside_of_a_dvc_repository_it_says_so(project: Project, command: str) -> None:
    (project.path / ".dvc/config").unlink()
    (project.path / ".dvc").rename(project.path / "elsewhere")
    done = project.inside(command)
    assert done.returncode == 1
    assert "not inside of a DVC repository" in done.stderr
    assert "run this in a clone of the project" in done.stderr
