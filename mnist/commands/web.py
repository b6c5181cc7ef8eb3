"""The page that `serve` serves, and its API: what a model makes of a picture."""

import asyncio
import collections
import io
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mnist import handwriting, pictures
from mnist.commands import fingerprint, predict, serve, trained
from pipeline import git, lock, verify
from pipeline.errors import InputError

PAGE = Path(__file__).parent / "page"
MOST_BYTES = 20_000_000  # of a picture: several times what a telephone takes
MOST_PIXELS = 25_000_000
KEPT = 8  # models in memory
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'"
DOCUMENTS = POLICY.replace("'self';", "'self' 'unsafe-inline';")  # FastAPI's page of the API has its script within it
COMMIT = re.compile("[0-9a-f]{40,64}")
PICTURES: dict[str, dict[str, Any]] = {f"image/{kind.lower()}": {} for kind in pictures.FORMATS}


class Model(BaseModel):
    """A model that there is: what it is called, and what to ask for it by."""

    name: str
    model: str


class Answer(BaseModel):
    """What a model makes of a picture: `image` is what it was given, by row, each pixel a grey value or three."""

    fingerprint: str
    predicted: str
    probability: float
    unsure: bool
    probabilities: dict[str, float]
    image: list[list[int]] | list[list[list[int]]]


def application(host: str) -> FastAPI:
    """The page and the API, served at `host`; requests that other sites make browsers send are refused."""
    app = FastAPIOffline(title="MNIST", description="What a trained network makes of a picture.", redoc_url=None)
    one_at_a_time = asyncio.Lock()

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.get("/models")
    async def models() -> list[Model]:
        """The models of the workspace, of branches, tags and experiments whose files are at hand."""
        return [Model(name=name, model=model) for name, model in (await run_in_threadpool(there)).items()]

    @app.post("/predict", openapi_extra={"requestBody": {"required": True, "content": PICTURES}})
    async def ask(request: Request, model: str = trained.WORKSPACE) -> Answer:
        """What a model makes of the picture that the body is: `curl --data-binary @seven.png …`."""
        content = await body(request)
        async with one_at_a_time:
            return await run_in_threadpool(answer, content, model)

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


async def body(request: Request) -> bytes:
    """What a request sends. Raises HTTPException if that is too much, or does not arrive in time."""
    too_much = HTTPException(413, f"more than {MOST_BYTES:,} bytes; send a smaller picture")
    if int(request.headers.get("content-length", 0)) > MOST_BYTES:
        raise too_much  # before any of it is sent, if the other side asks
    content = bytearray()
    try:
        async with asyncio.timeout(serve.SLOWEST):
            async for part in request.stream():
                content += part
                if len(content) > MOST_BYTES:
                    raise too_much
    except ClientDisconnect as error:
        raise HTTPException(400, "the picture did not arrive whole") from error  # which nobody reads any more
    except TimeoutError as error:
        raise HTTPException(408, f"the picture did not arrive within {serve.SLOWEST:g} seconds") from error
    return bytes(content)


def foreign(host: str, asked: str, origin: str | None) -> str | None:
    """Why a request is another site's, by its headers Host and Origin; None if it is not."""
    name = re.sub(r":\d*$", "", asked).strip("[]")
    if name not in (*serve.LOOPBACK, host) and host in serve.LOOPBACK:
        return f"Host: {asked[:100]!r} is not where this serves; ask for {host}"
    if origin is not None and origin != f"http://{asked}":
        return f"Origin: {origin[:100]!r}: pages of other sites may not ask"
    return None


def there() -> dict[str, str]:
    """The models that are at hand: by the names that people give them, what to ask for each by, its commit."""
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
        if md5 and verify.cached(md5).exists():
            found[name] = commit
    return found


def answer(content: bytes, model: str) -> Answer:
    """What the API says of a picture. Raises InputError if it is none, or there is no such model."""
    network, description, known_by = loaded(model)
    picture = handwriting.read(io.BytesIO(content), description.image_shape, description.handwriting, MOST_PIXELS)
    chances = predict.probabilities(network, [picture])[0]
    found = predict.Answer("", picture, chances, description.classes[chances.argmax()])
    return Answer(
        fingerprint=known_by,
        predicted=found.label,
        probability=predict.exact(found.chance),
        unsure=found.unsure,
        probabilities=dict(zip(description.classes, map(predict.exact, chances), strict=True)),
        image=picture.tolist(),
    )


MODELS: collections.OrderedDict[Any, Any] = collections.OrderedDict()


def loaded(model: str) -> Any:
    """A model, its description and its fingerprint; the last few stay in memory, by what cannot change."""
    if model == trained.WORKSPACE:
        facts = trained.FILE.stat() if trained.FILE.exists() else None
        key: Any = facts and (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    else:
        if not model.isprintable():
            raise InputError(f"{model[:100]!r}: no such revision; /models says which there are")
        key = model if COMMIT.fullmatch(model) else git.resolve(model)
    if key not in MODELS:
        network, description = trained.read(model)
        MODELS[key] = network, description, fingerprint.of(network.state_dict())
        while len(MODELS) > KEPT:
            MODELS.popitem(last=False)
    MODELS.move_to_end(key)
    return MODELS[key]
