"""Files and requests that mean harm, the same ones each time: nothing of it may be answered but by a refusal."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from mnist import pictures

SIDE = 280  # pixels of the picture that is cut and damaged
FOREIGN = ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::2]", "", "localhost@evil.example")
ORIGINS = ("null", "http://evil.example", "https://127.0.0.1", "http://localhost.evil.example", "file://", "")
BEGINNINGS = (b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\3\4", b"\x7fELF", b"%!PS-Adobe-3.0\n",
              b"<!doctype html>", b"\x1f\x8b\x08", b"\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c", b"8BPS\0\1",
              b"\0\0\0\x0cjP  \r\n\x87\n", b"P6 9 9 255\n", b"\x80\x04\x95", b"II*\0\xff\xff\xff\xff", b"\0\0\1\0\1\0",
              b"RIFF\xff\xff\xff\x7fWEBPVP8X", b"GIF89a", b"BM", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n")  # fmt: skip
PLACES = ("../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/web.py", "..%5c..%5cweb.py", "%00",
          "....//....//web.py", "/etc/passwd", "%c0%ae%c0%ae/web.py", "draw.js%00.html", "..;/web.py", "x" * 5000,
          "%252e%252e%252fweb.py", "a%0ab", ".git/config", "static-offline-docs/%2e%2e/__init__.py")  # fmt: skip


class Request(NamedTuple):
    """What is sent at once."""

    method: str = "POST"
    path: str = "/predict"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def files(count: int, most: int) -> Iterator[tuple[str, bytes]]:
    """As many files, each with a picture's ending: cut, damaged, of other kinds, bombs for what reads `most` pixels."""
    random = np.random.RandomState(0)
    whole = [(kind.lower(), whole_picture(kind)) for kind in pictures.FORMATS]
    ready = list(bombs(random, most))
    for k in range(count):
        kind, content = whole[k // 4 % len(whole)]
        yield (
            (kind, content[: random.randint(len(content) // 2)]),
            (kind, content[: random.randint(30)] + random.bytes(random.randint(10_000))),
            (kind, BEGINNINGS[k // 4 % len(BEGINNINGS)] + random.bytes(random.randint(1000))),
            ready[k // 4 % len(ready)],
        )[k % 4]


def whole_picture(kind: str) -> bytes:
    """A picture with nothing wrong but that there is no digit in it."""
    x = np.arange(SIDE)
    shades = (x[:, None] * x // SIDE % 256).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shades).save(buffer, kind)
    return buffer.getvalue()


def bombs(random: np.random.RandomState, most: int) -> Iterator[tuple[str, bytes]]:
    """Small files that are large once they are unpacked."""
    side = int(most**0.5)
    nothing = zlib.compress(bytes(4 * most + side), 1)
    yield "png", png(side, side, 6, nothing)  # as large as is allowed
    yield "png", png(SIDE, SIDE, 6, nothing)  # with more data than pixels
    yield "png", png(SIDE, SIDE, 0, nothing[:100], b"zTXt", b"Comment\0\0" + nothing)
    yield "png", png(SIDE, SIDE, 0, nothing[:100], b"iCCP", b"profile\0\0" + nothing)
    yield "jpeg", scans(side, 2000)
    yield "tiff", tiff(1, 1_000_000, 1_000_000)
    for _ in range(5):
        width, height = (int(each) for each in random.randint(side + 1, 65536, 2))
        yield "png", png(width, height, 0, nothing)
        yield "gif", b"GIF89a" + struct.pack("<HH", width, height) + random.bytes(100)
        yield "bmp", b"BM" + struct.pack("<LLLLllHHLL", 1000, 0, 54, 40, width, height, 1, 24, 0, 0) + bytes(100)
        yield "tiff", tiff(width, height)


def png(width: int, height: int, colour: int, data: bytes, extra: bytes = b"tEXt", content: bytes = b"a\0b") -> bytes:
    """A PNG of 8 bits a channel, put together by hand."""
    header = struct.pack(">LLBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (extra, content), (b"IDAT", data), (b"IEND", b"")]
    chunks = [struct.pack(">L", len(each)) + name + each for name, each in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(each + struct.pack(">L", zlib.crc32(each[4:])) for each in chunks)


def tiff(width: int, height: int, strips: int = 1) -> bytes:
    """A TIFF of grey pixels in one strip that is packed, or in as many that all lie at the same place."""
    packed = zlib.compress(bytes(10_000))
    content, scheme, size = (packed, 8, len(packed)) if strips == 1 else (struct.pack("<H", 1) * strips, 1, 200)
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, scheme), (262, 3, 1, 1),
               (273, 3, strips, 200), (278, 4, 1, height // strips), (279, 3, strips, size)]  # fmt: skip
    head = b"II*\0" + struct.pack("<LH", 8, len(entries)) + b"".join(struct.pack("<HHLL", *each) for each in entries)
    return head.ljust(200, b"\0") + content


def scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last pass is there so many times: each is short, and goes through all pixels."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def requests(count: int, most_bytes: int, most_pixels: int) -> Iterator[Request]:
    """As many requests: half of them hostile files, the others want what they may not have, or send too much."""
    random = np.random.RandomState(0)
    sent = files(count // 2, most_pixels)
    digit = whole_picture("PNG")
    for k in range(count):
        if k % 2 and (file := next(sent, None)):
            yield Request(body=file[1])
            continue
        n = k // 2
        place = PLACES[n // 5 % len(PLACES)]
        yield (
            Request("GET", f"/{place}"),
            Request(path=f"/predict?model={place}"),
            Request(body=digit, headers=(("Host", FOREIGN[n // 5 % len(FOREIGN)]),)),
            Request(body=digit, headers=(("Origin", ORIGINS[n // 5 % len(ORIGINS)]),)),
            Request(body=bytes(most_bytes + 1 + random.randint(most_bytes)))
            if n % 25 == 4
            else Request(("PUT", "DELETE", "TRACE", "BREW")[n // 5 % 4], "/predict", random.bytes(100)),
        )[n % 5]
