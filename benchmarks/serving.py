"""What the page's API takes: one who draws, and many at once."""

import http.client
import io
import statistics
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.figures import Figure

CLIENTS = 32
SECONDS = 60
DRAWINGS = 100
ATTACKS = 1000
SIDE = 280  # pixels of the page's paper


def figures(project: Path) -> list[Figure]:
    """Latency, errors and memory of `serve` in a project that has a model."""
    server = subprocess.Popen(
        ["python", "-m", "mnist", "serve", "--port", "0"], cwd=project, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        port = int(server.stdout.readline().split("/")[2].split(":")[1])
        drawings = [drawing(image) for image in np.load(project / "data/normalised/test_images.npy")[:DRAWINGS]]
        for picture in drawings:  # all that is loaded at first
            ask(port, picture)
        alone = [ask(port, picture)[1] for picture in drawings]
        before = memory(server.pid)
        times, failed = under_load(port, drawings)
        hostile = [ask(port, picture)[0] for picture in attacks(drawings[0])]
        after = memory(server.pid)
        answered = ask(port, drawings[0])[0] == 200
    finally:
        server.terminate()
        server.wait()
    last = statistics.quantiles(times, n=100)[-1]
    refused = sum(400 <= status < 500 for status in hostile) + (not answered)
    return [
        Figure("a drawing sent to the page's API, to its answer", [1000 * each for each in alone], "ms", "≤ 50"),
        Figure(f"{CLIENTS} clients for {SECONDS} s, 99 in 100 answered within", [1000 * last], "ms"),
        Figure("of their requests failed", [failed], "", "≤ 0", note=f"{len(times):,} requests"),
        Figure(f"of {ATTACKS:,} hostile bodies then refused", [refused], "", f"≥ {ATTACKS}"),
        Figure("memory of the server, after − before", [after - before], "MB", "≤ 20"),
    ]


def drawing(image: np.ndarray) -> bytes:
    """A test image as the page would send it: large, dark on white, PNG."""
    buffer = io.BytesIO()
    Image.fromarray(255 - image).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def attacks(picture: bytes) -> list[bytes]:
    """Bodies that are no picture, or a damaged one."""
    random = np.random.RandomState(0)
    cut = [picture[: random.randint(len(picture) - 20)] for _ in range(ATTACKS // 2)]
    return cut + [random.bytes(random.randint(10_000)) for _ in range(ATTACKS - len(cut))]


def ask(port: int, body: bytes) -> tuple[int, float]:
    """The status of an answer, and the seconds until it was there."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/predict", body)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, time.perf_counter() - start


def memory(process: int) -> float:
    """What a process alone keeps in memory, in MB."""
    return float(psutil.Process(process).memory_full_info().uss / 1e6)


def under_load(port: int, drawings: list[bytes]) -> tuple[list[float], int]:
    """The seconds of each request of CLIENTS at a time, and how many failed."""
    times: list[float] = []
    failed = 0
    end = time.perf_counter() + SECONDS

    def client(number: int) -> None:
        nonlocal failed
        while time.perf_counter() < end:
            try:
                status, seconds = ask(port, drawings[(number + len(times)) % len(drawings)])
            except OSError:
                status, seconds = 0, 0.0
            times.append(seconds)
            failed += status != 200

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return times, failed
