"""A page to draw digits on, and the same as an API, for models of any revision."""

import asyncio
import collections
import io
import os
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist.commands import fingerprint, predict, trained
from pipeline import git, lock, revisions
from pipeline.errors import InputError

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 20_000_000  # of a picture: several times what a telephone takes
MOST_PIXELS = 25_000_000
WAITING = 64  # connections; more are told to come back
SLOWEST = 10.0  # seconds until a request has arrived
KEPT = 8  # models in memory
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'"
DOCUMENTS = POLICY.replace("'self';", "'self' 'unsafe-inline';")  # FastAPI's page of the API has its script within it
COMMIT = re.compile("[0-9a-f]{40,64}")


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
    loaded(trained.WORKSPACE)  # or a line that says why there is nothing to show
    import uvicorn

    listening = listen(host, port)
    config = uvicorn.Config(
        application(host),
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


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError if the port is in use, or the address is not this machine's."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2 * WAITING)
    except OSError as error:
        reason = (
            os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        )  # an unknown name's is -2
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


def application(host: str = LOOPBACK[0]) -> "FastAPI":
    """The page and the API; requests that other sites make browsers send are refused."""
    from fastapi import HTTPException, Request, Response
    from fastapi.responses import JSONResponse
    from fastapi.staticfiles import StaticFiles
    from fastapi_offline import FastAPIOffline
    from pydantic import BaseModel
    from starlette.concurrency import run_in_threadpool

    class Model(BaseModel):
        """A model that there is: what it is called, and what to ask for it by."""

        name: str
        model: str

    class Answer(BaseModel):
        """What a model makes of a picture: `image` is what it was given, grey values by row."""

        fingerprint: str
        predicted: str
        probability: float
        unsure: bool
        probabilities: dict[str, float]
        image: list[list[int]]

    app = FastAPIOffline(title="MNIST", description="What a trained network makes of a picture.", redoc_url=None)
    one_at_a_time = asyncio.Lock()
    pictures: dict[str, dict[str, Any]] = {
        f"image/{kind}": {} for kind in ("png", "jpeg", "webp", "gif", "tiff", "bmp")
    }

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.get("/models")
    async def models() -> list[Model]:
        """The models of the workspace, of branches, tags and experiments whose files are at hand."""
        return [Model(name=name, model=model) for name, model in (await run_in_threadpool(there)).items()]

    @app.post("/predict", openapi_extra={"requestBody": {"required": True, "content": pictures}})
    async def ask(request: Request, model: str = trained.WORKSPACE) -> Answer:
        """What a model makes of the picture that the body is: `curl --data-binary @seven.png …`."""
        content = await body(request)
        async with one_at_a_time:
            return Answer(**await run_in_threadpool(answer, content, model))

    async def body(request: Request) -> bytes:
        content = bytearray()
        try:
            async with asyncio.timeout(SLOWEST):
                async for part in request.stream():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise HTTPException(413, f"more than {MOST_BYTES:,} bytes; send a smaller picture")
        except TimeoutError as error:
            raise HTTPException(408, f"the picture did not arrive within {SLOWEST:g} seconds") from error
        return bytes(content)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if reason := foreign(host, request.headers.get("host", ""), request.headers.get("origin")):
            return JSONResponse({"detail": reason}, 403)
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = DOCUMENTS if request.url.path == "/docs" else POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def foreign(host: str, asked: str, origin: str | None) -> str | None:
    """Why a request is another site's, by its headers Host and Origin; None if it is not."""
    name = re.sub(r":\d*$", "", asked).strip("[]")
    if name not in (*LOOPBACK, host) and host in LOOPBACK:
        return f"Host: {asked[:100]!r} is not where this serves; ask for {host}"
    if origin is not None and origin != f"http://{asked}":
        return f"Origin: {origin[:100]!r}: pages of other sites may not ask"
    return None


def there() -> dict[str, str]:
    """What to ask for each model that is at hand by, its commit, by the names that people give those."""
    found = {trained.WORKSPACE: trained.WORKSPACE} if trained.FILE.exists() else {}
    try:
        commits = git.commits()
    except InputError:  # no repository, so nothing but the workspace
        return found
    locks = git.contents([(commit, str(lock.FILE)) for commit in commits.values()])
    for (name, commit), content in zip(commits.items(), locks, strict=True):
        try:
            md5 = lock.parse(content).outputs().get(str(trained.FILE)) if content else None
        except InputError:  # a commit of something else
            continue
        if md5 and revisions.cached(md5).exists():
            found[name] = commit
    return found


def answer(content: bytes, model: str) -> dict[str, Any]:
    """What the API says of a picture. Raises InputError if it is none, or there is no such model."""
    from mnist import handwriting

    network, description, known_by = loaded(model)
    picture = handwriting.read(io.BytesIO(content), description.image_shape, description.handwriting, MOST_PIXELS)
    chances = predict.probabilities(network, [picture])[0]
    found = predict.Answer("", picture, chances, description.classes[chances.argmax()])
    return {
        "fingerprint": known_by,
        "predicted": found.label,
        "probability": predict.exact(found.chance),
        "unsure": found.unsure,
        "probabilities": dict(zip(description.classes, map(predict.exact, found.chances), strict=True)),
        "image": picture.tolist(),
    }


MODELS: collections.OrderedDict[Any, Any] = collections.OrderedDict()


def loaded(model: str) -> Any:
    """A model, its description and its fingerprint; the last few stay in memory, by what cannot change."""
    if model == trained.WORKSPACE:
        facts = trained.FILE.stat() if trained.FILE.exists() else None
        key: Any = facts and (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    else:
        key = model if COMMIT.fullmatch(model) else git.resolve(model)
    if key not in MODELS:
        network, description = trained.read(model)
        MODELS[key] = network, description, fingerprint.of(network.state_dict())
        while len(MODELS) > KEPT:
            MODELS.popitem(last=False)
    MODELS.move_to_end(key)
    return MODELS[key]
