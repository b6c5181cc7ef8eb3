"""The two pages that people look at, in a real browser that reaches no network."""

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import CHROMIUM, PATIENCE, Project, copy, needs_chromium, of_a_browser

pytestmark = [pytest.mark.slow, needs_chromium]
LARGEST = 3_000_000  # bytes


def browsed(page: Path, *options: str) -> str:
    """The page's elements, once its scripts have run."""
    assert CHROMIUM
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=10000", *options]
    return subprocess.run(
        [*command, "--dump-dom", page.as_uri()], env=of_a_browser(page.parent / "home"), capture_output=True, text=True,
        check=True, timeout=PATIENCE,
    ).stdout  # fmt: skip


def fetched(html: str) -> list[str]:
    """What a page would load from elsewhere: scripts, pictures and styles that are not within it."""
    return [
        target
        for target in re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"([^\"]+)\"", html)
        if re.match(r"(https?:)?//", target)
    ]


def test_dvcs_charts_are_drawn_without_a_network(project: Project) -> None:
    project.succeed("dvc", "plots", "show")
    page = project.path / "dvc_plots/index.html"
    assert fetched(page.read_text("utf-8")) == []
    shown = browsed(page)
    assert len(re.findall(r"<canvas[^>]+class=\"marks\"|<svg[^>]+class=\"marks\"", shown)) == 3
    assert len(re.findall(r"<img[^>]+src=\"static/", shown)) == 5


@pytest.fixture(scope="module")
def report(faster: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two runs, of which one has a name that HTML must escape."""
    project = copy(faster, tmp_path_factory.mktemp("report") / "project")
    project.succeed("git", "branch", "a<b>&c")
    project.mnist("report", "a<b>&c", "workspace")
    return project.path / "report.html"


def test_the_report_holds_everything_it_shows(report: Path) -> None:
    html = report.read_text("utf-8")
    assert len(html.encode()) < LARGEST
    assert fetched(html) == []
    assert "<script" not in html
    shown = browsed(report)
    assert "a&lt;b&gt;&amp;c" in shown
    for text in (
        "B is better by",
        "p (exact McNemar)",
        "recall of 9",
        "train.learning_rate",
        "Confusion",
        "Calibration",
    ):
        assert text in shown
    assert shown.count("data:image/png;base64,") == 11  # five for each run, and the images on which they differ


@pytest.mark.parametrize("width", [360, 1200])
def test_the_report_fits_a_phone_and_a_desk(report: Path, width: int, tmp_path: Path) -> None:
    """A script in a copy of the page, in a frame of that width, tells whether anything sticks out to the right."""
    probe = "<script>parent.postMessage(document.documentElement.scrollWidth + ' of ' + innerWidth, '*')</script>"
    (tmp_path / "inner.html").write_text(report.read_text("utf-8").replace("</body>", f"{probe}</body>"), "utf-8")
    page = tmp_path / "frame.html"
    page.write_text(
        "<p id=said></p><script>onmessage = event => said.textContent = event.data</script>"
        f'<iframe src="inner.html" style="width: {width}px; height: 800px; border: 0"></iframe>',
        "utf-8",
    )
    shown = browsed(page)
    said = re.search(r"id=\"?said\"?>(\d+) of (\d+)<", shown)
    assert said, shown[:500]
    assert int(said[1]) <= int(said[2]) == width


@pytest.mark.parametrize(("scheme", "brightness"), [("0", 24), ("1", 255)], ids=["dark", "light"])
def test_the_page_is_dark_for_those_who_want_it_so(report: Path, scheme: str, brightness: int, tmp_path: Path) -> None:
    browsed(report, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={tmp_path / 'page.png'}")
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.convert("L").getpixel((1, 1)) == brightness


def test_the_report_can_be_printed(report: Path, tmp_path: Path) -> None:
    """Every picture finds its place on paper: it is in the PDF once more, or as a part of it."""
    browsed(report, f"--print-to-pdf={tmp_path / 'report.pdf'}")
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Subtype /Image") >= 11


def test_one_run_alone_is_reported_too(project: Project) -> None:
    project.mnist("report", "--output", "one.html")
    html = (project.path / "one.html").read_text("utf-8")
    assert html.count("data:image/png;base64,") == 5
    assert "difference" not in html
