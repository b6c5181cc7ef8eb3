"""Which commits record the run that a result comes from, by the hash of its inputs."""

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline import git, lock
from pipeline.errors import InputError


class Record(NamedTuple):
    """A commit that changes `dvc.lock`, and what the file then says."""

    commit: str
    content: bytes

    @property
    def lock(self) -> lock.Lock:
        """The lock; raises InputError if it is damaged."""
        return lock.parse(self.content, f"{self.commit[:12]}: {lock.FILE}")


def records() -> list[Record]:
    """All that git has, of every branch, tag and experiment, the newest first."""
    commits = git.touching(str(lock.FILE))
    contents = git.contents([(commit, str(lock.FILE)) for commit in commits])
    return [Record(commit, content) for commit, content in zip(commits, contents, strict=True) if content is not None]


def recording(key: str, among: Iterable[Record]) -> Iterator[Record]:
    """Those with a run of a stage whose inputs have this hash, in their order; what is damaged is passed over."""

    @functools.cache
    def has(content: bytes) -> bool:
        try:
            return key in {stage.key for stage in lock.parse(content).stages.values()}
        except InputError:
            return False

    return (record for record in among if has(record.content))


def remedy() -> str:
    """Where to look if nothing records a run, as the end of a sentence."""
    if git.shallow():
        return "this clone is shallow, `git fetch --unshallow --tags` brings the older commits"
    return "look in the repository that it comes from, or fetch its branches and tags"
