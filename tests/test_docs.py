"""The documentation is true: every command and every line of Python in it runs and prints what the page shows."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from pipeline import yaml12
from tests import docs
from tests.conftest import ROOT, Project, as_shipped, copy, needs_the_order
from tests.docs import FENCE, PAGES, PICTURES, blocks

TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "data/mnist/README.md"]
MOST_NOT_RUN = 7
# rows of the benchmark, in the order in which the README quotes them
QUOTED = [
    "article's loop ÷ `train`'s",
    "`train`'s loop ÷ its matrix products",
    "`dvc repro` in a fresh clone ÷ its ten epochs",
    "nothing to do ÷ `true`",
    "an image at 100× ÷ at 1×",
    "anonymous memory at 100× − at 1×",
]


def name(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    assert [
        block
        for block in blocks(page)
        if block.language not in ("console", "pycon", "diff", "mermaid") and not block.marked
    ] == []


@pytest.mark.parametrize(("heading", "most"), [("A model", 12), ("A metric", 8), ("A command", 20)])
def test_what_one_adds_is_a_few_lines(heading: str, most: int) -> None:
    section = (ROOT / "docs/extending.md").read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (diff,) = (text for language, text in FENCE.findall(section) if language == "diff")
    assert len(re.findall(r"^\+(?!\+\+ )", diff, re.MULTILINE)) <= most


def test_few_blocks_are_not_run() -> None:
    marked = [(page.name, block.text) for page in PAGES for block in blocks(page) if block.marked]
    assert len(marked) <= MOST_NOT_RUN, marked


@pytest.mark.slow
@needs_the_order
@as_shipped
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_prints_what_the_page_shows(page: Path, finished: Project, tmp_path: Path) -> None:
    project = copy(finished, tmp_path / "mnist")
    for example in docs.examples(page, project):
        assert example.holds, f"{page.name}: {example.command}\n{example.printed}\nis not\n{example.shown}"
    for shown, drawn in PICTURES.get(page.name, {}).items():
        assert (ROOT / shown).read_bytes() == (project.path / drawn).read_bytes(), f"{shown} shows another picture"


PAGE = r"""
```console
$ seq -f 'epoch %g: loss 0.5, accuracy 0.75' 3; echo done
epoch 1: loss 0.5, accuracy ...
...
epoch 3: loss 0.5, accuracy 0.7...
...
$ echo "commit abcdef0   12 MB/s   4 files"
commit 1234567   99 MB/s   4 files
$ echo two; \
    echo words
two
words
$ true
```

```pycon
>>> def half(x):
...     return x / 2
>>> half(1), object()
(0.5, <object object at ...>)
>>> print("one\n\ntwo")
one
<BLANKLINE>
two
```
"""


def rewritten(folder: Path, text: str) -> tuple[str, list[str]]:
    """A page as `make docs` leaves it, and what it says of it."""
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    said = docs.rewrite(page, Project(folder))
    return page.read_text("utf-8"), said


def test_a_page_that_is_right_stays_as_it_is(tmp_path: Path) -> None:
    assert rewritten(tmp_path, PAGE) == (PAGE, [])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("epoch 1: loss 0.5,", "epoch 1: loss 0.25,"),
        ("epoch 3: loss 0.5, accuracy 0.7...", "epoch 3: loss 1e-3, accuracy 0.8..."),
        ("99 MB/s   4 files", "99 MB/s  3 files"),
        ("two\nwords\n", "one\nword\nmore\n"),
        ("$ true\n", "$ true\nnothing\n"),
        ("(0.5, <object object at ...>)", "(5, <object object at ...>)"),
        ("one\n<BLANKLINE>\ntwo\n", "one\n"),
    ],
)
def test_a_wrong_output_is_rewritten_and_nothing_else(right: str, wrong: str, tmp_path: Path) -> None:
    assert PAGE.count(right) == 1
    assert rewritten(tmp_path, PAGE.replace(right, wrong)) == (PAGE, [])


DIFF = """
```diff
--- a/one.txt
+++ b/one.txt
@@ -1,2 +1,3 @@
 one
+two

--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+new
```
"""


def test_a_diff_is_applied(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one\n\n")
    assert rewritten(tmp_path, DIFF) == (DIFF, [])
    assert (tmp_path / "one.txt").read_text() == "one\ntwo\n\n"
    assert (tmp_path / "new.txt").read_text() == "new\n"


def test_a_diff_that_does_not_fit_is_named_and_left(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("other\n\n")
    left, (line,) = rewritten(tmp_path, DIFF)
    assert left == DIFF
    assert line.startswith("error: page.md, line ")
    assert line.endswith("git apply: fails")
    assert not (tmp_path / "new.txt").exists()


def test_a_command_is_done_when_its_shell_is_whatever_it_leaves_running(tmp_path: Path) -> None:
    page = "```console\n$ sleep 600 & echo $!\n...\n```\n"
    (tmp_path / "page.md").write_text(page, "utf-8")
    (example,) = docs.examples(tmp_path / "page.md", Project(tmp_path))
    os.kill(int(example.printed), signal.SIGTERM)  # it is still there


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        ("epoch 3:", "round 3:", "line 3: $ seq", "not printed"),
        ("$ true", "$ false", "line 14: $ false", "fails"),
        ("half(1)", "half(None)", "line 20: >>> half(None)", "fails"),
    ],
)
def test_what_has_no_place_is_named_and_left(old: str, new: str, place: str, what: str, tmp_path: Path) -> None:
    page = PAGE.replace(old, new)
    left, (line,) = rewritten(tmp_path, page)
    assert left == page
    assert line.startswith(f"error: page.md, {place}")
    assert what in line


def test_the_readme_quotes_what_the_benchmark_measured() -> None:
    speed = (ROOT / "README.md").read_text("utf-8").split("## Speed")[1].split("##")[0]
    table = (ROOT / "benchmarks/results.md").read_text("utf-8").splitlines()
    medians = {cells[1].strip(): cells[2].split()[0] for line in table if len(cells := line.split("|")) > 2}
    quoted = re.findall(r"\*\*(.*?)\*\*", speed)
    assert quoted == [medians[row] for row in QUOTED]


@as_shipped
def test_the_front_matter_of_the_model_card_says_what_was_measured() -> None:
    _, front, _ = (ROOT / "docs/model-card.md").read_text("utf-8").split("---\n", 2)
    card = yaml12.parse(front.encode(), "docs/model-card.md")
    measured = json.loads((ROOT / "metrics/evaluate.json").read_text("utf-8"))
    ((metric,),) = [result["metrics"] for entry in card["model-index"] for result in entry["results"]]
    assert metric == {"type": "accuracy", "value": measured["accuracy"]}
    assert (ROOT / "LICENSE").read_text("utf-8").lower().startswith(card["license"])


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_broken(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name}: {target}"
