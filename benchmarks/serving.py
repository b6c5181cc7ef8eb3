"""What the page's API takes: one who draws, many at once, and those that mean harm."""

import contextlib
import http.client
import io
import math
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks import attacks, hostile, pipeline
from benchmarks.figures import Figure

CLIENTS = 32
SECONDS = 60
DRAWINGS = 100
SIDE = 280  # pixels of the page's paper
MOVES = 200  # of the mouse while it draws
CHROMIUM = shutil.which("chromium")  # Debian's
WATCH = """
window.waits = [];
const moves = [];  // of the pointer, whose points are not in the bars yet
let sent = 0;  // how many of them are in the picture that was sent last
const canvas = document.getElementById("canvas"), toBlob = canvas.toBlob;
addEventListener("pointermove", (event) => moves.push(event.timeStamp), { capture: true });
canvas.toBlob = (...given) => { sent = moves.length; toBlob.apply(canvas, given); };
new MutationObserver(() => {
    for (const start of moves.splice(0, sent)) waits.push(performance.now() - start);
    sent = 0;
}).observe(document.getElementById("first-answer"), { childList: true, subtree: true });
"""


def figures(project: Path, _: Path) -> list[Figure]:
    """Latency, errors and memory of `serve` and `predict` in a project that has a model."""
    drawings = [drawing(image) for image in np.load(project / "data/normalised/test_images.npy")[:DRAWINGS]]
    with serving(project) as (process, port):
        for picture in drawings:  # all that is loaded at first
            ask(port, picture)
        alone = [ask(port, picture)[1] for picture in drawings]
        drawn = on_the_page(port)
        times, failed, grown = under_load(process, port, drawings)
        memories, refused = [memory(process)], []
        for _ in range(2):
            refused.append(attacks.on_server(port) - (ask(port, drawings[0])[0] != 200))
            memories.append(memory(process))
        grown_first, grown_again = np.diff(memories)
    last = statistics.quantiles(times, n=100)[-1]
    return [
        Figure("a drawing sent to the page's API, to its answer", [1000 * each for each in alone], "ms", "≤ 50"),
        *drawn,
        Figure(f"{CLIENTS} clients for {SECONDS} s, 99 in 100 answered within", [1000 * last], "ms"),
        Figure("of their requests failed", [failed], "", "≤ 0", note=f"{len(times) + failed:,} requests"),
        Figure("memory of the server at their end − half-way", [grown], "MB", "≤ 5"),
        Figure(f"of {attacks.ATTACKS:,} hostile requests then refused with a 4xx", refused, "", f"≥ {attacks.ATTACKS}"),
        Figure(
            "memory of the server after the second time − after the first", [grown_again], "MB", "≤ 5",
            note=f"{grown_first:.1f} MB more by the first",
        ),
        *attacks.on_predict(project, drawings[0]),
    ]  # fmt: skip


@contextlib.contextmanager
def serving(project: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A server of a project's model, and its port."""
    server = subprocess.Popen(
        ["python", "-m", "mnist", "serve", "--port", "0"],
        cwd=project,
        env=pipeline.ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        yield psutil.Process(server.pid), int(server.stdout.readline().split("/")[2].split(":")[1])
    finally:
        server.terminate()
        server.wait()


def drawing(image: np.ndarray) -> bytes:
    """A test image as the page would send it: large, dark on white, PNG."""
    buffer = io.BytesIO()
    Image.fromarray(255 - image).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def ask(port: int, body: bytes) -> tuple[int, float]:
    """The status of an answer, and the seconds until it was there."""
    start = time.perf_counter()
    return attacks.send(port, hostile.Request(body=body)), time.perf_counter() - start


def on_the_page(port: int) -> list[Figure]:
    """How long after a move of the mouse, within a stroke, the bars are those of a picture that includes it."""
    if not CHROMIUM:
        print("serving: the page is left out, as there is no Chromium; on Debian or Ubuntu: apt-get install chromium")
        return []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#first option[value=workspace]", state="attached")
        page.evaluate(WATCH)
        box = page.locator("#canvas").bounding_box()
        assert box
        for step in range(MOVES):  # a zero
            turn = 2 * math.pi * step / MOVES
            x, y = 0.5 - 0.2 * math.sin(turn), 0.5 - 0.3 * math.cos(turn)
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if not step:
                page.mouse.down()
        page.wait_for_selector("#first-answer output:text-is('0')")
        waits: list[float] = page.evaluate("waits")
        browser.close()
    return [Figure("a move of the mouse on the page, to bars that include it", waits, "ms", "≤ 50")]


def memory(process: psutil.Process) -> float:
    """What a process alone keeps in memory, in MB."""
    return float(process.memory_full_info().uss / 1e6)


def under_load(process: psutil.Process, port: int, drawings: list[bytes]) -> tuple[list[float], int, float]:
    """The seconds of each answer to CLIENTS at a time, how many are none, and what memory grew by in the second half.

    In the first one the C library's heap reaches its size: 10,000 requests later it is the same.
    """
    times: list[float] = []
    failed = 0
    end = time.perf_counter() + SECONDS

    def client(number: int) -> None:
        nonlocal failed
        while time.perf_counter() < end:
            try:
                status, seconds = ask(port, drawings[(number + len(times)) % len(drawings)])
            except (OSError, http.client.HTTPException):
                status, seconds = 0, 0.0
            if status == 200:
                times.append(seconds)
            else:
                failed += 1  # what comes at once, or by a time-out, is no latency

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    time.sleep(SECONDS / 2)
    half_way = memory(process)
    for each in clients:
        each.join()
    return times, failed, memory(process) - half_way
