"""The documentation is true: every command and every line of Python in it runs and prints what the page shows.

Blocks of `console` hold commands after `$ ` and their output, blocks of `pycon` what an interpreter shows; `...` stands
for anything. Another block must be marked as not run, with the reason, by a comment before it.
"""

import contextlib
import doctest
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT, Project, copy, needs_the_order

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = re.compile(r"<!-- not run: \S[^>]+ -->\s*$")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_NOT_RUN = 1
# what differs from run to run
MASKS = [
    (r"\b[0-9a-f]{7}\b", "COMMIT"),
    (r"\d\d:\d\d [AP]M", "TIME"),
    (r"file:///\S+", "FILE"),
    (r"\d[\d,.]* MB/s", "SPEED"),
    (r"[ \t]+$", ""),
]


# rows of the benchmark, in the order in which the README quotes them
QUOTED = [
    "article's loop ÷ `train`'s",
    "`train`'s loop ÷ its matrix products",
    "`dvc repro` in a fresh clone ÷ its ten epochs",
    "nothing to do ÷ `true`",
    "an image at 100× ÷ at 1×",
    "anonymous memory at 100× − at 1×",
]


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it begins on, and whether it is marked as not run."""

    language: str
    text: str
    line: int
    marked: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(
            match[1],
            match[2],
            text.count("\n", 0, match.start()) + 1,
            bool(NOT_RUN.search(text[: match.start()].rstrip("\n"))),
        )
        for match in FENCE.finditer(text)
    ]


def name(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    assert [block for block in blocks(page) if block.language not in ("console", "pycon") and not block.marked] == []


def test_few_blocks_are_not_run() -> None:
    marked = [(page.name, block.line) for page in PAGES for block in blocks(page) if block.marked]
    assert len(marked) <= MOST_NOT_RUN, marked


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block and the output shown below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, *more = part.splitlines(keepends=True)
        while first.endswith("\\\n"):
            first += more.pop(0)
        yield first.strip(), "".join(more)


def pattern(shown: str) -> re.Pattern[str]:
    """What output matches the shown one: `...` stands for anything, even nothing."""
    return re.compile(".*?".join(map(re.escape, masked(shown).split("..."))), re.DOTALL)


def masked(text: str) -> str:
    for expression, mask in MASKS:
        text = re.sub(expression, mask, text, flags=re.MULTILINE)
    return text.strip("\n")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def check_command(project: Project, page: Path, block: Block, command: str, shown: str) -> None:
    done = project.run("bash", "-c", f"exec 2>&1; {command}", COLUMNS="80")
    assert (done.returncode == 0) != shown.startswith("error: "), f"{page.name}: $ {command}\n{done.stdout}"
    found = masked(done.stdout)
    assert pattern(shown).fullmatch(found), f"{page.name}, line {block.line}: $ {command}\n{found}\nis not\n{shown}"


@pytest.mark.slow
@needs_the_order
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_prints_what_the_page_shows(page: Path, finished: Project, tmp_path: Path) -> None:
    project = copy(finished, tmp_path / "mnist")
    names: dict[str, object] = {}
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for block in blocks(page):
        if block.marked:
            continue
        if block.language == "console":
            for command, shown in commands(block):
                check_command(project, page, block, command, shown)
        else:
            test = doctest.DocTestParser().get_doctest(block.text, names, page.name, str(page), block.line)
            with inside(project.path):
                runner.run(test, out=said.append, clear_globs=False)
            names = test.globs
    assert said == [], "".join(said)
    if page.name == "article.md":
        assert (project.path / "prediction.png").read_bytes() == (ROOT / "docs/images/one-prediction.png").read_bytes()


def test_the_readme_quotes_what_the_benchmark_measured() -> None:
    speed = (ROOT / "README.md").read_text("utf-8").split("## Speed")[1].split("##")[0]
    table = (ROOT / "benchmarks/results.md").read_text("utf-8").splitlines()
    medians = {cells[1].strip(): cells[2].split()[0] for line in table if len(cells := line.split("|")) > 2}
    quoted = re.findall(r"\*\*(.*?)\*\*", speed)
    assert quoted == [medians[row] for row in QUOTED]


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_link_is_broken(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name}: {target}"
