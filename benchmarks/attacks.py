"""What hostile requests and files come to: on the page's API, and on `predict`."""

import concurrent.futures
import contextlib
import http.client
import itertools
import socket
import tempfile
from pathlib import Path

from benchmarks import hostile, pipeline
from benchmarks.figures import Figure
from mnist import pictures
from mnist.commands import web

ATTACKS = 1000
SLOW = 40  # of them, all at once; of the others as many at a time as leave room for all
AT_A_TIME = 8
FILES = 400  # hostile ones in a folder


def on_server(port: int) -> int:
    """How many of ATTACKS requests are refused with a 4xx: the slow ones at once, and the others meanwhile."""

    def status(request: hostile.Request | None) -> int:
        try:
            return send(port, request) if request else drip(port)
        except (OSError, http.client.HTTPException, ValueError):
            return 0

    others = hostile.requests(ATTACKS - SLOW, web.MOST_BYTES, web.MOST_PIXELS)
    with (
        concurrent.futures.ThreadPoolExecutor(SLOW) as slow,
        concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as fast,
    ):
        statuses = itertools.chain(slow.map(status, SLOW * [None]), fast.map(status, others))
        return sum(400 <= each < 500 for each in statuses)


def send(port: int, request: hostile.Request) -> int:
    """The status of the answer to a request, whether or not the server has waited for the end of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        with contextlib.suppress(ConnectionError):
            connection.request(request.method, request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        response.read()
        return response.status


def drip(port: int) -> int:
    """The status of the answer to a picture that arrives byte by byte and never ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                return int(connection.recv(1000).split()[1])
    return 0


def on_predict(project: Path, picture: bytes) -> list[Figure]:
    """What `predict` says of a folder of hostile files, and how much more memory than one digit they take at most."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "digit.png").write_bytes(picture)
        _, _, ordinary = predicted(project, folder / "digit.png")
        (folder / "hostile").mkdir()
        for number, (ending, content) in enumerate(hostile.files(FILES, pictures.MOST_PIXELS)):
            (folder / f"hostile/{number}.{ending}").write_bytes(content)
        status, lines, peak = predicted(project, folder / "hostile")
    refused = sum(line.startswith(f"error: {folder}/hostile/") for line in lines) if status == 1 else 0
    refused -= len(lines) - refused  # others are too many
    return [
        Figure(f"of {FILES} hostile files refused by `predict`, each in a line", [refused], "", f"≥ {FILES}"),
        Figure("memory of `predict` for them − for one digit, peak", [peak - ordinary], "MB", "≤ 700"),
    ]


def predicted(project: Path, what: Path) -> tuple[int, list[str], float]:
    """The status of `predict`, its lines on stderr, and the most memory that it took, in MB."""
    done, memory = pipeline.measured(project, "python", "-m", "mnist", "predict", str(what))
    return done.returncode, done.stderr.splitlines(), memory
