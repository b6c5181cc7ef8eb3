"""Pictures in files as images, read by several processes; what comes out does not depend on how many."""

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnist import pictures
from mnist.dataset import Array, at_once
from mnist.formats.parts import COLOUR, IN_COLOUR, Options, shrunk, size
from mnist.idx import LARGEST_SIDE
from pipeline.errors import InputError

AT_A_TIME = 250  # pictures that a process reads before it answers, of large ones fewer
WORTH_IT = 2000  # pictures: for fewer, starting processes takes longer than it saves
ORIENTATION, ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and what it says of pictures that lie so
GREY, OTHERS = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr", "HSV", "LAB")
ALPHA = {"LA": "L", "PA": "RGB", "RGBA": "RGB", "La": "L", "RGBa": "RGB"}
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # whole numbers of more than 8 bits


def images(files: Sequence[Path], options: Options) -> Iterator[list[Array | str]]:
    """The pictures of files in their order, some at a time; for one that cannot be had, why not, in one line.

    All are uint8 (height, width) or (height, width, 3), of `options.size` if it is set. The first comes alone, and what
    comes after one that cannot be had, or has another shape than the first, may be left out.
    """
    first = image(files[0], options)
    yield [first]
    if isinstance(first, str):
        return
    names = [str(path) for path in files[1:]]  # a Path takes ten times as long on its way to a process
    some = min(AT_A_TIME, at_once(first.nbytes))
    chunks = [names[k : k + some] for k in range(0, len(names), some)]
    count = min(options.processes, len(chunks)) if len(files) >= WORTH_IT else 1
    if count < 2:
        for chunk in chunks:
            yield read(chunk, options, first.shape)
        return
    context = multiprocessing.get_context("spawn")  # a fork would inherit the other pipes, and not see them closed
    ours, processes = [], []
    try:
        for chunk in chunks[:count]:
            end, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, options, first.shape), daemon=True)
            process.start()
            theirs.close()
            ours.append(end)
            processes.append(process)
            end.send(chunk)
        for end, later in zip(itertools.cycle(ours), itertools.chain(chunks[count:], [None] * count), strict=False):
            try:
                found = end.recv()
            except EOFError as error:
                raise InputError("a process that reads pictures has ended; is memory short? run it again") from error
            if later is not None:  # never sent while its answer is awaited, or both ends could wait for each other
                end.send(later)
            yield found
    finally:
        for end in ours:
            end.close()  # which ends the process behind it
        for process in processes:
            process.join()


def serve(end: Connection, options: Options, shape: tuple[int, ...]) -> None:
    """Read the pictures that are asked for until the other end is closed, as it is when its process was killed."""
    try:
        while True:
            found = read(end.recv(), options, shape)
            whole = not isinstance(found[-1], str) and found[-1].shape == shape
            end.send(np.stack(found) if whole else found)
    except (EOFError, OSError, KeyboardInterrupt):
        return


def read(names: list[str], options: Options, shape: tuple[int, ...]) -> list[Array | str]:
    """The pictures of some files up to one that has not this shape: it ends all, and more like it may be large."""
    found: list[Array | str] = []
    for name in names:
        found.append(each := image(Path(name), options))
        if isinstance(each, str) or each.shape != shape:
            break
    return found


def image(path: Path, options: Options) -> Array | str:
    """The picture in a file as an image, or why it is none, in one line."""
    try:
        with path.open("rb") as file, pictures.named_errors():
            picture = pictures.sized(file)
            if picture.format in ("GIF", "TIFF", "WEBP", "PNG") and getattr(picture, "n_frames", 1) > 1:
                raise InputError(f"{picture.n_frames} frames or pages; save the one that is meant alone")  # type: ignore[attr-defined]
            if not options.size and max(picture.size) > LARGEST_SIDE:
                raise InputError(
                    f"{size(upright(picture))} pixels, where {LARGEST_SIDE} a side are possible; set "
                    "dataset.image_size (of look, --size) to the height and width that all are to have"
                )
            return pixels(picture, options)
    except InputError as error:
        return f"{path}: {error}"
    except OSError as error:
        return f"{path}: {error.strerror or error}; see who owns it (ls -l), or remove it"


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of the picture in a file, upright, without decoding it. Raises InputError if there is none."""
    try:
        with path.open("rb") as file, pictures.named_errors():
            return upright(pictures.sized(file))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def upright(picture: Image.Image) -> tuple[int, int]:
    """Height and width of a picture that is not decoded yet, as `pixels` turns it."""
    on_its_side = orientation(picture) in ON_ITS_SIDE
    return (picture.width, picture.height) if on_its_side else (picture.height, picture.width)


def orientation(picture: Image.Image) -> object:
    """What EXIF says of how a picture that is not decoded yet is to be turned, 1 if it is not."""
    if picture.format == "PNG" and "exif" not in picture.info:  # Pillow would decode it to look further
        return 1
    if ORIENTATION in getattr(picture, "tag_v2", ()):  # a TIFF: Pillow gives its size upright, and turns it by itself
        return 1
    return picture.getexif().get(ORIENTATION, 1)


def pixels(picture: Image.Image, options: Options) -> Array:
    """A picture's pixels, of several frames those of the first, turned upright in place, in 8 bits, brought to size."""
    if orientation(picture) != 1:
        ImageOps.exif_transpose(picture, in_place=True)  # a copy of 48 megapixels takes 200 MB
    mode = picture.mode
    if mode in DEEP:
        picture = Image.fromarray(eight_bits(np.asarray(picture)))
    elif mode in ALPHA or "transparency" in picture.info:
        picture = opaque(picture)
    elif mode == "1":
        picture = picture.convert("L")
    elif mode not in (*GREY, *OTHERS):
        raise InputError(f"a picture of mode {mode}; save it in 8 bits")
    if picture.mode not in ("L", "RGB") or (picture.mode == "L" and options.channels == COLOUR):
        picture = picture.convert("RGB")
    if picture.mode == "RGB" and options.channels != COLOUR:
        picture = without_colour(picture, options)
    if options.size and (picture.height, picture.width) != options.size:
        return shrunk(picture, options.size)
    return np.asarray(picture)


def eight_bits(deep: Array) -> Array:
    """16 bits as 8, rounded."""
    if deep.min() < 0 or deep.max() > 65535:
        raise InputError("pixels of more than 16 bits; save it in 8 bits")
    wide = deep.astype(np.uint32)
    wide += 128
    wide //= 257
    return wide.astype(np.uint8)


def opaque(picture: Image.Image) -> Image.Image:
    """A picture without its opacity, if that is full; what shines through transparent places is not guessed."""
    whole = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    if whole.getchannel("A").getextrema()[0] != 255:
        raise InputError("transparent in places; save it on the background that is meant")
    return whole.convert("RGB")


def without_colour(picture: Image.Image, options: Options) -> Image.Image:
    """A picture in grey. Raises InputError for one in colour if nothing says whether it keeps that."""
    if options.channels is None:
        red, green, blue = (np.asarray(picture.getchannel(k)) for k in range(3))
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            raise InputError(IN_COLOUR)
    return picture.convert("L")
