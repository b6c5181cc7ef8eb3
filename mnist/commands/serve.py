"""A page to draw digits on, and the same as an API, for models of any revision."""

import asyncio
import contextlib
import ctypes
import os
import socket
from typing import Annotated

import typer

from mnist.commands import trained
from pipeline.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WAITING = 64  # connections; more are told to come back
SLOWEST = 10.0  # seconds until a request has arrived
LARGE = 1 << 20  # bytes of memory at once


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen at; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen at; others than this machine's let others in.")] = (
        LOOPBACK[0]
    ),
) -> None:
    """Serve a page on which one draws a digit and sees what a model makes of it, and the same as an API.

    Example: python -m mnist serve --port 8080
    """
    from mnist import numerics

    numerics.pin(threads=1)
    trained.read()  # or a line that says why there is nothing to show
    import uvicorn

    from mnist.commands import web

    give_memory_back()
    listening = listen(host, port)
    config = uvicorn.Config(
        web.application(host),
        http=patient(),
        log_level="error",
        limit_concurrency=WAITING,
        timeout_keep_alive=int(SLOWEST),
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    name = f"[{host}]" if ":" in host else host
    print(f"http://{name}:{listening.getsockname()[1]}/ draws, /docs documents the API; Ctrl-C ends it", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


def give_memory_back() -> None:
    """Have glibc return large blocks to the system as soon as they are free; by itself it soon keeps those of pictures.

    Measured after a thousand hostile requests, among them pictures of 25 million pixels: 20 MB more instead of 430.
    """
    from mnist import speed

    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(speed.M_MMAP_THRESHOLD, LARGE)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError if the port is in use, or the address is not this machine's."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2 * WAITING)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror  # a name's are below 0
        raise InputError(f"{host}, port {port}: {reason}; choose another one with --port, or --host") from error


def patient() -> type[asyncio.Protocol]:
    """uvicorn's protocol, but for a connection whose first request does not begin in time: that one is closed."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(SLOWEST, self.give_up)

        def give_up(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Patient
