"""Run the examples of the pages, and write what they print now into the pages: python -m tests.docs [PAGE.md…]

Blocks of `console` hold commands after `$ ` and their output, blocks of `pycon` what an interpreter shows; `...` stands
for anything and stays. Blocks of `diff` are applied to the project. Another block must be marked as not run, with the
reason, by a comment before it.
"""

import contextlib
import doctest
import functools
import io
import math
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conftest import OWN_ORDER, ROOT, Project, copy, make_checkout

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# pictures that a page shows, and the files that its project then has of them
PICTURES = {
    "README.md": {"docs/images/predictions.png": "metrics/plots/predictions.png"},
    "article.md": {"docs/images/one-prediction.png": "prediction.png"},
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: \S[^>]+ -->\s*$")
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
# what differs from run to run
MASKS = {
    r"(?<![\w.])[0-9a-f]{7}\b": "COMMIT",
    r"\d\d:\d\d [AP]M": "TIME",
    r"file:///\S+": "FILE",
    r"\d[\d,.]* MB/s": "SPEED",
}
NUMBER = r"[+-]?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?"
# what may change within a line that the page goes on showing: what differs anyway, numbers, the width of a column
FORMS = [*MASKS, NUMBER, " +"]
PARTS = re.compile(rf"((?:{NUMBER})?\.\.\.|{'|'.join(FORMS)})")


class Block(NamedTuple):
    """A fenced block of a page: its language, its text and where that starts, and whether it is marked as not run."""

    language: str
    text: str
    start: int
    marked: bool


class Example(NamedTuple):
    """A command or statement, the output shown below it and where that starts, what it prints, whether it failed."""

    command: str
    shown: str
    start: int
    printed: str
    failed: bool

    @property
    def holds(self) -> bool:
        """Whether the page shows what is printed."""
        return not self.failed and pattern(self.shown).fullmatch(masked(self.printed)) is not None


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text("utf-8")
    return [
        Block(match[1], match[2], match.start(2), bool(NOT_RUN.search(text[: match.start()])))
        for match in FENCE.finditer(text)
    ]


def pattern(shown: str) -> re.Pattern[str]:
    """What output matches the shown one: `...` stands for anything, even nothing."""
    return re.compile(".*?".join(map(re.escape, masked(shown).split("..."))), re.DOTALL)


def masked(text: str) -> str:
    """A text without what differs from run to run, and without spaces at the ends of lines."""
    for expression, mask in MASKS.items():
        text = re.sub(expression, mask, text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n")


def examples(page: Path, project: Project) -> Iterator[Example]:
    """Run what a page shows, in its order, in a project."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "console" and not block.marked:
            yield from in_a_shell(block, project)
        elif block.language == "pycon" and not block.marked:
            yield from in_python(block, project, names)
        elif block.language == "diff" and not block.marked:
            yield applied(block, project)


def in_a_shell(block: Block, project: Project) -> Iterator[Example]:
    """Run the commands of a block; one fails if its exit status is not what the page shows."""
    for match in COMMAND.finditer(block.text):
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:  # a pipe would wait for DVC's queue workers
            command = f"exec > {output.name} 2>&1; {match[1]}"
            done = project.run("bash", "-c", command, COLUMNS="80", **project.forking())
            printed = output.read()
        failed = (done.returncode == 0) == match[2].startswith("error: ")
        yield Example(f"$ {match[1]}", match[2], block.start + match.start(2), printed, failed)


def applied(block: Block, project: Project) -> Example:
    """Apply a block to the project, which changes files and shows nothing."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".diff") as file:
        file.write(block.text)
        file.flush()
        done = project.run("git", "apply", file.name)
    end = block.start + len(block.text)
    return Example("git apply", "", end, done.stdout + done.stderr, done.returncode != 0)


def in_python(block: Block, project: Project, names: dict[str, object]) -> Iterator[Example]:
    """Run the statements of a block; one fails if it raises an exception."""
    lines = block.text.splitlines(keepends=True)
    for statement in doctest.DocTestParser().get_examples(block.text):
        printed = io.StringIO()
        failed = False
        with contextlib.chdir(project.path), contextlib.redirect_stdout(printed):
            try:
                exec(compile(statement.source, "<page>", "single"), names)
            except Exception:
                failed = True
                traceback.print_exc(file=printed)
        output = re.sub(r"^\n", "<BLANKLINE>\n", printed.getvalue(), flags=re.MULTILINE)
        before = "".join(lines[: statement.lineno + statement.source.count("\n")])
        yield Example(f">>> {statement.source.rstrip()}", statement.want, block.start + len(before), output, failed)


def renewed(example: Example) -> str | None:
    """The output that the page should show: the shown lines with the numbers of today, or else all that is printed.

    None if the page leaves lines out and one that it shows is not printed.
    """
    if example.holds:
        return example.shown
    printed = example.printed.strip("\n").splitlines()
    new = placed(example.shown.strip("\n").splitlines(), printed)
    if new is None and "..." in example.shown:
        return None
    return "".join(f"{line.rstrip()}\n" for line in (printed if new is None else new))


def placed(shown: list[str], printed: list[str]) -> list[str] | None:
    """The shown lines with the numbers of printed ones, as few of them changed as can be; `...` ends any lines."""

    @functools.cache
    def best(i: int, j: int) -> tuple[float, list[str]]:
        """How many numbers change, and the new lines, when shown[i:] stands for printed[j:]."""
        if i == len(shown) or j == len(printed):
            return (0 if (i, j) == (len(shown), len(printed)) else math.inf), []
        changed, line = updated(shown[i], printed[j])
        after = range(j + 1, len(printed) + 1) if line.endswith("...") else [j + 1]
        more, lines = min((best(i + 1, k) for k in after), key=lambda found: found[0])
        return changed + more, [line, *lines]

    changed, lines = best(0, 0)
    return lines if changed < math.inf else None


def updated(shown: str, printed: str) -> tuple[float, str]:
    """A shown line with the numbers of a printed one, and how many change; infinitely many if more than they differ."""
    if pattern(shown).fullmatch(masked(printed)):
        return 0, shown
    parts = PARTS.split(shown)
    found = re.fullmatch("".join(f"({expected(part)})" for part in parts), printed.rstrip())
    if not found:
        return math.inf, shown
    new = list(map(kept, parts, found.groups()))
    return sum(a.strip() != b.strip() for a, b in zip(parts, new, strict=True)), "".join(new)


def expected(part: str) -> str:
    """An expression for what may be printed in place of a part of a shown line."""
    if part.endswith("..."):
        return f".{{{len(part) - 3}}}.*?"
    return next((form for form in FORMS if re.fullmatch(form, part)), re.escape(part))


def kept(part: str, printed: str) -> str:
    """What a page shows of a printed part: a number before `...` keeps its length, what differs anyway stays."""
    if part.endswith("..."):
        return printed[: len(part) - 3] + "..."
    return part if masked(part) in MASKS.values() else printed


def rewrite(page: Path, project: Project) -> list[str]:
    """Run a page's examples and write what they print into it; returns a line for each that a person must look at."""
    text = page.read_text("utf-8")
    new, end, left = "", 0, []
    for example in examples(page, project):
        output = None if example.failed else renewed(example)
        if output is None:
            what = "fails" if example.failed else "a line that is shown is not printed; edit it by hand"
            line = text.count("\n", 0, example.start) - example.command.count("\n")
            left.append(f"error: {page.name}, line {line}: {example.command.splitlines()[0]}: {what}")
            output = example.shown
        new += text[end : example.start] + output
        end = example.start + len(example.shown)
    if (new := new + text[end:]) != text:
        page.write_text(new, "utf-8")
    return left


def main(names: list[str]) -> None:
    """Rewrite these pages, or all, and their pictures from runs of the project; exits with 1 if something is left."""
    if OWN_ORDER:
        sys.exit(f"error: {OWN_ORDER}: the pages show what processors print that add up in the written order")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        finished = make_checkout(Path(folder, "finished"))
        if (done := finished.run("dvc", "repro")).returncode:
            sys.exit(f"{done.stdout}{done.stderr}error: the pipeline fails, see above")
        if changed := finished.succeed("git", "status", "--short"):
            sys.exit(f"error: {' '.join(changed.split())}: the code makes other results; run `dvc repro` first")
        left = []
        for page in PAGES if not names else [page for page in PAGES if page.name in names]:
            print(page.name, flush=True)
            project = copy(finished, Path(folder, page.stem, "mnist"))
            left += rewrite(page, project)
            for shown, drawn in PICTURES.get(page.name, {}).items():
                shutil.copy(project.path / drawn, ROOT / shown)
    sys.exit("\n".join(left) or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
