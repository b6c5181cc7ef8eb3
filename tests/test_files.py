"""Files as the stages treat them: written whole or not at all, and known by content and time."""

import os
import re
import resource
import shlex
import time
from pathlib import Path

import pytest

from pipeline import files, inputs
from pipeline.errors import InputError

MOMENT = 1_700_000_000_000_000_000  # ns, in 2023
MILLISECOND = 1_000_000  # ns


def only(folder: Path) -> list[str]:
    """The names of all that is in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    files.replace(path, b"new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == mode
    assert only(tmp_path) == ["file"]


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link, link_to_link = tmp_path / "elsewhere/file", tmp_path / "link", tmp_path / "again"
    target.write_text("old")
    link.symlink_to("elsewhere/file")
    link_to_link.symlink_to("link")
    for number, path in enumerate((link, link_to_link)):
        files.replace(path, f"new {number}".encode())
        assert path.is_symlink()
        assert not target.is_symlink()
        assert target.read_text() == f"new {number}"
    assert (only(tmp_path), only(target.parent)) == (["again", "elsewhere", "link"], ["file"])


def test_a_file_that_was_not_there_is_made(tmp_path: Path) -> None:
    files.replace(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert only(tmp_path) == ["file"]


def test_what_cannot_be_written_whole_leaves_the_old_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as on a full disk, a part is written
    try:
        with pytest.raises(OSError, match="File too large"):
            files.replace(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert only(tmp_path) == ["file"]


def test_a_command_that_a_message_names_has_paths_as_a_shell_takes_them(tmp_path: Path) -> None:
    pipe = tmp_path / "it's odd"
    os.mkfifo(pipe)
    with pytest.raises(InputError) as error:
        inputs.versions(pipe, {})
    _, removed, _ = re.split("; `|`, ", str(error.value))
    assert shlex.split(removed) == ["rm", str(pipe)]


def test_code_written_while_the_clock_that_dates_files_stood_still_counts_as_written_since(tmp_path: Path) -> None:
    """That clock ticks every 10 ms where it is slowest, so a file may seem older than a moment before its writing."""
    times = {
        "long_before.py": MOMENT - 1000 * MILLISECOND,
        "a_tick_before.py": MOMENT - 10 * MILLISECOND,
        "then.py": MOMENT,
        "later.py": MOMENT + MILLISECOND,
        "later.yaml": MOMENT + MILLISECOND,
        "from_the_future.py": time.time_ns() + 10**15,  # a wrong clock's, which would count for ever
    }
    for name, modified in times.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(modified, modified))
    noted = inputs.Inputs({}, [], {name: inputs.version(tmp_path / name) for name in times})
    assert noted.code_written_since(MOMENT) == ["a_tick_before.py", "then.py", "later.py"]
