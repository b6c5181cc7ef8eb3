"""Pictures of any kind become what MNIST would have made of them, or are refused."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from benchmarks import hostile
from mnist import handwriting, idx, pictures
from mnist.dataset import Array
from mnist.formats import photos
from mnist.formats.parts import Options
from pipeline.errors import InputError
from tests.conftest import ROOT

SHAPE = (28, 28)
SEVEN = [(60, 60, 180, 60), (180, 60, 100, 240)]
FIVE = [(110, 70, 100, 140), (100, 140, 170, 150), (170, 150, 170, 210), (170, 210, 90, 230)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Array:
    """The first test images of MNIST."""
    plain = tmp_path_factory.mktemp("digits") / "images"
    idx.unpack(ROOT / "data/mnist/t10k-images-idx3-ubyte.gz", plain, 3)
    return np.array(idx.read(plain, 3)[:40])


def drawn(
    lines: list[tuple[int, ...]], width: int = 16, ink: int = 0, paper: int = 255, side: int = 280
) -> Image.Image:
    """Lines on paper."""
    image = Image.new("L", (side, side), paper)
    for line in lines:
        ImageDraw.Draw(image).line(line, ink, width)
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    """A picture as a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    out.seek(0)
    return out


def likeness(a: Array, b: Array) -> float:
    """The correlation of two images, or of one moved by a pixel: the centre of mass may lie between two."""
    moves = [np.roll(a, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(moved.ravel(), b.ravel())[0, 1]) for moved in moves)


def box(image: Array) -> tuple[int, int]:
    """The height and width of what is in an image."""
    return tuple(int(np.ptp(where)) + 1 for where in np.nonzero(image))  # type: ignore[return-value]


SAME = {  # ways to keep an image of bytes that show the same
    "L": lambda image: image,
    "RGB": lambda image: image.convert("RGB"),
    "RGBA": lambda image: image.convert("RGBA"),
    "P": lambda image: image.convert("P"),
    "LA": lambda image: image.convert("LA"),
    "YCbCr": lambda image: image.convert("YCbCr"),
    "LAB": lambda image: Image.merge("LAB", [image, Image.new("L", image.size, 128), Image.new("L", image.size, 128)]),
    "I": lambda image: image.convert("I"),
    "I;16": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257),
    "F": lambda image: image.convert("F"),
    "F to 1": lambda image: Image.fromarray(np.asarray(image).astype(np.float32) / 255),
}


@pytest.mark.parametrize("mode", SAME)
def test_an_image_of_the_size_and_bright_on_dark_stays_to_the_byte(mode: str, digits: Array) -> None:
    for image in digits:
        made = handwriting.prepare(SAME[mode](Image.fromarray(image)), SHAPE)
        assert made.dtype == np.uint8
        assert np.array_equal(made, image)


def test_so_does_one_for_a_model_of_large_images() -> None:
    image = drawn(SEVEN, ink=255, paper=0, side=600)
    assert np.array_equal(handwriting.prepare(image, (600, 600)), np.asarray(image))
    assert np.array_equal(handwriting.read(saved(image), (600, 600), handwriting=False), np.asarray(image))


@pytest.mark.parametrize("mode", [*SAME, "CMYK", "HSV", "La"])
def test_the_mode_of_a_picture_makes_no_difference(mode: str) -> None:
    image = drawn(SEVEN, ink=60, paper=230)
    other = {"La": lambda image: image.convert("LA").convert("La")}.get(
        mode, SAME.get(mode, lambda image: image.convert("RGB").convert(mode))
    )
    assert np.abs(handwriting.prepare(other(image), SHAPE).astype(int) - handwriting.prepare(image, SHAPE)).max() <= 2


@pytest.mark.parametrize("kind", [*pictures.FORMATS, "GIF frames"])
def test_all_formats_are_read(kind: str) -> None:
    image = drawn(SEVEN)
    options = {"save_all": True, "append_images": [drawn(FIVE)]} if " " in kind else {}
    made = handwriting.read(saved(image, kind.split()[0], **options), SHAPE)
    assert likeness(made, handwriting.prepare(image, SHAPE)) > 0.99


def test_a_picture_that_a_camera_has_turned_is_upright() -> None:
    image, exif = drawn(SEVEN), Image.Exif()
    exif[0x0112] = 6  # to be turned right
    turned = saved(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=100)
    assert likeness(handwriting.read(turned, SHAPE), handwriting.prepare(image, SHAPE)) > 0.99


def enlarged(image: Array, side: int = 160) -> Array:
    """How much ink there is, 0…1, off the centre of 300×200 pixels."""
    canvas = np.zeros((300, 200))
    canvas[110 : 110 + side, 15 : 15 + side] = np.asarray(Image.fromarray(image).resize((side, side))) / 255
    return canvas


def uneven(shape: tuple[int, int]) -> Array:
    """Grey paper, brighter on one side, with a grain."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    return 190 - 70 * x + 40 * y - 60 * (y - 0.4) ** 2 + np.random.RandomState(0).normal(0, 4, shape)


SPECKS = np.random.RandomState(0).rand(300, 200) > 0.999
WAYS: dict[str, Callable[[Array], Array]] = {
    "inverted": lambda image: 255 - image.astype(float),
    "enlarged": lambda image: 255 * enlarged(image),
    "dark on uneven paper": lambda image: uneven((300, 200)) * (1 - 0.8 * enlarged(image)),
    "bright on uneven paper": lambda image: uneven((300, 200)) / 2 + 120 * enlarged(image),
    "small": lambda image: 255 - 255 * enlarged(image, 60),
    "in half a shadow": lambda image: (255 - 200 * enlarged(image)) * np.where(np.arange(200) < 90, 1, 0.75),
    "faint": lambda image: 200 - 50 * enlarged(image),
    "with specks": lambda image: (
        255 - 255 * np.maximum(enlarged(image), np.random.RandomState(0).rand(300, 200) > 0.999)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_digit_of_mnist_comes_back_however_it_was_changed(way: str, digits: Array) -> None:
    found = [
        likeness(handwriting.prepare(Image.fromarray(WAYS[way](image).clip(0, 255).astype(np.uint8)), SHAPE), image)
        for image in digits
    ]
    assert np.median(found) > 0.93
    assert min(found) > 0.8


@pytest.mark.parametrize("shape", [(28, 28), (56, 56), (20, 24), (64, 32)])
def test_a_digit_fills_the_middle_and_its_mass_is_centred(shape: tuple[int, int]) -> None:
    for lines in (SEVEN, FIVE):
        made = handwriting.prepare(drawn(lines), shape)
        assert made.shape == shape
        assert made.max() == 255
        room = [side * 20 / 28 for side in shape]
        assert min(abs(inner - have) for inner, have in zip(room, box(made), strict=True)) <= 1.5
        assert all(have <= inner + 1.5 for inner, have in zip(room, box(made), strict=True))
        for where, side in zip(ndimage.center_of_mass(made), shape, strict=True):
            assert abs(where - side / 2) <= 0.6


@pytest.mark.parametrize("pen", [1, 2, 4, 8, 16, 30])
def test_any_pen_makes_strokes_as_wide_as_those_of_mnist(pen: int) -> None:
    made = handwriting.prepare(drawn(SEVEN, pen), SHAPE)
    assert 1.2 < handwriting.width(made > 127) < 5


PARTS = {
    "the bar of a 5 that does not touch it": [*FIVE, (120, 50, 190, 52)],
    "the bar of a 5 beside it": [*FIVE, (190, 62, 270, 62)],
    "a 4 that is open": [(80, 60, 70, 160), (70, 160, 150, 160), (163, 60, 163, 240)],
    "dashes": [
        *((60 + 14 * k, 60, 69 + 14 * k, 60) for k in range(9)),
        *((180 - 7 * k, 66 + 14 * k, 176 - 7 * k, 75 + 14 * k) for k in range(11)),
    ],
    "dots": [(140, 60 + 12 * k, 140, 63 + 12 * k) for k in range(14)],
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_digit_in_parts_is_one(name: str) -> None:
    image = drawn(PARTS[name], 5)
    made = handwriting.prepare(image, SHAPE)
    assert max(box(made)) >= 20, "a part was lost"


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("lines", [SEVEN, FIVE])
@pytest.mark.parametrize("pen", [20, 50])
def test_no_room_around_a_digit_is_no_harm(lines: list[tuple[int, ...]], pen: int, cut: bool) -> None:
    image = drawn(lines, pen)
    tight = Image.fromarray(255 - handwriting.cut(255 - np.asarray(image)))
    made = handwriting.prepare(tight if cut else image, SHAPE)
    assert likeness(made, handwriting.prepare(drawn(lines, pen, side=400), SHAPE)) > 0.9


def test_the_table_at_the_edge_of_the_paper_is_left_out() -> None:
    image = drawn([(0, 0, 0, 400), *((x + 90, y + 40, u + 90, v + 40) for x, y, u, v in FIVE)], side=400)
    ImageDraw.Draw(image).rectangle((0, 0, 60, 400), 40)
    assert likeness(handwriting.prepare(image, SHAPE), handwriting.prepare(drawn(FIVE), SHAPE)) > 0.95


BOTH = [*((x // 2, y, u // 2, v) for x, y, u, v in SEVEN), *((x // 2 + 120, y, u // 2 + 120, v) for x, y, u, v in FIVE)]
CLOSE = [(60, 60, 60, 240), (60, 60, 120, 60), (120, 60, 120, 240), (150, 60, 150, 240), (150, 240, 210, 240)]
NOISE = np.random.RandomState(0)
REFUSED: dict[str, tuple[Image.Image, str]] = {
    "two digits": (drawn(BOTH, 10), "several digits"),
    "two digits close to each other": (drawn(CLOSE, 10), "several digits"),
    "two digits, bright on dark": (drawn(BOTH, 10, 255, 0), "several digits"),
    "two far from each other": (drawn([(20, 20, 20, 80), (250, 200, 250, 260)], 8), "several digits"),
    **{f"nothing but {shade}": (drawn([], paper=shade), "no digit found") for shade in (0, 128, 255)},
    "noise": (Image.fromarray(NOISE.normal(128, 20, (280, 280)).clip(0, 255).astype(np.uint8)), "no digit found"),
    "uniform noise": (Image.fromarray(NOISE.randint(0, 256, (280, 280)).astype(np.uint8)), "no digit found"),
    "a slope": (Image.fromarray((np.add.outer(np.arange(280), np.arange(280)) * 0.45).astype(np.uint8)), "no digit"),
    "a speck": (drawn([(100, 100, 103, 103)], 3), "no digit found"),
    "nothing in the size of the model": (Image.new("L", SHAPE), "no digit found"),
    "hardly anything in it": (Image.fromarray(np.pad([[9]], (14, 13)).astype(np.uint8)), "no digit found"),
    "one pixel": (Image.new("L", (1, 1)), "no digit found"),
    "one row": (Image.new("RGB", (5000, 1)), "no digit found"),
    "nothing opaque": (Image.new("RGBA", (100, 100)), "no digit found"),
    "no numbers": (Image.fromarray(np.full((50, 50), np.nan, np.float32)), "no digit found"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_one_digit_is_refused(name: str) -> None:
    image, says = REFUSED[name]
    with pytest.raises(InputError, match=f"{says}.*; "):
        handwriting.prepare(image, SHAPE)


@pytest.mark.parametrize("ink", [0, 90, 255])
def test_what_is_drawn_on_nothing_gets_paper_that_shows_it(ink: int) -> None:
    opacity = drawn(SEVEN, ink=255, paper=0)
    image = Image.merge("LA", (Image.new("L", opacity.size, ink), opacity))
    assert likeness(handwriting.prepare(image, SHAPE), handwriting.prepare(drawn(SEVEN), SHAPE)) > 0.99


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (127, 255), (128, 0), (255, 0)])
def test_what_is_half_clear_is_mixed_with_that_paper(ink: int, paper: int, colours: bool) -> None:
    opacity = np.array([[0, 1, 0], [0, 1, 0.25], [0.5, 0, 0]])
    shades = np.full(opacity.shape, ink)
    pixels = np.dstack([shades] * 3) if colours else shades
    found = pictures.on_paper(pixels, shades, opacity)
    expected = np.array(
        [[paper, ink, paper], [paper, ink, 0.25 * ink + 0.75 * paper], [(ink + paper) / 2, paper, paper]]
    )
    assert np.array_equal(found, np.dstack([expected] * 3) if colours else expected)


@pytest.mark.parametrize(("solid", "own"), [(50, True), (49, False)])
def test_a_picture_has_paper_of_its_own_if_half_of_it_is_solid(solid: int, own: bool) -> None:
    shades = np.full(100, 200)
    shades[:10] = 20  # ink
    opacity = (np.arange(100) < solid).astype(float)
    found = pictures.on_paper(shades.reshape(10, 10), shades.reshape(10, 10), opacity.reshape(10, 10))
    assert found.ravel()[solid:].tolist() == [200 if own else 0] * (100 - solid)


def test_clear_corners_of_paper_are_paper() -> None:
    opacity = Image.new("L", (280, 280))
    ImageDraw.Draw(opacity).rounded_rectangle((0, 0, 279, 279), 60, 255)
    image = Image.merge("LA", (drawn(SEVEN, paper=240), opacity))
    assert pictures.pixels(image, SHAPE)[0, 0] == pytest.approx(240)
    assert likeness(handwriting.prepare(image, SHAPE), handwriting.prepare(drawn(SEVEN), SHAPE)) > 0.99


RANDOM = np.random.RandomState(0).randint(0, 256, (300, 300, 3)).astype(np.uint8)
PHOTO, EXIF = Image.fromarray(RANDOM), Image.Exif()
EXIF[0x0112] = 6  # to be turned right
TRAINED_ON: dict[str, io.BytesIO] = {
    "JPEG": saved(PHOTO, "JPEG"),
    "JPEG that is turned": saved(PHOTO.crop((0, 0, 300, 200)), "JPEG", exif=EXIF),
    "grey JPEG": saved(PHOTO.convert("L"), "JPEG"),
    "large PNG": saved(PHOTO.resize((1100, 700))),
    "small PNG": saved(PHOTO.crop((0, 0, 48, 48)).convert("L")),
    "tiny PNG": saved(PHOTO.crop((0, 0, 5, 30))),
    "palette": saved(PHOTO.convert("P"), "GIF"),
    "16 bits, dark": saved(Image.fromarray(RANDOM[..., 0].astype(np.uint16) * 16), "TIFF"),
    "CMYK": saved(PHOTO.convert("CMYK"), "JPEG"),
    "opaque": saved(PHOTO.convert("RGBA")),
}


@pytest.mark.parametrize("shape", [(24, 24), (224, 224), (20, 300), (24, 24, 3)])
@pytest.mark.parametrize("kind", TRAINED_ON)
def test_what_is_not_handwriting_is_prepared_as_for_training_to_the_byte(
    kind: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    """Or `predict` would answer otherwise than `evaluate` has of the same file."""
    (tmp_path / "one").write_bytes(TRAINED_ON[kind].getvalue())
    trained_on = photos.image(tmp_path / "one", Options(size=shape[:2], channels=3 if shape[2:] else 1))  # type: ignore[arg-type]
    with (tmp_path / "one").open("rb") as one:
        assert np.array_equal(handwriting.read(one, shape, handwriting=False), trained_on)


def test_of_what_training_refuses_the_first_frame_is_taken_and_paper_and_white_are_guessed() -> None:
    image = PHOTO.convert("L")
    small = handwriting.prepare(image, SHAPE, handwriting=False)
    for kind in ("PNG", "TIFF", "GIF"):
        frames = saved(image, kind, save_all=True, append_images=[drawn(FIVE)])
        assert np.array_equal(handwriting.read(frames, SHAPE, handwriting=False), small)
    floats = Image.fromarray(np.asarray(drawn(SEVEN, side=28)) / np.float32(255))
    assert np.array_equal(handwriting.prepare(floats, SHAPE, False), drawn(SEVEN, side=28))
    clear = Image.merge("LA", (Image.new("L", (280, 280), 0), drawn(SEVEN, ink=255, paper=0)))
    on_paper = handwriting.prepare(drawn(SEVEN), SHAPE, False).astype(int)
    assert np.abs(handwriting.prepare(clear, SHAPE, False) - on_paper).max() <= 1


def test_what_is_not_handwriting_is_made_grey_and_resized_and_no_more() -> None:
    image = drawn(SEVEN, ink=90, paper=200).convert("RGB")
    small = handwriting.prepare(image, SHAPE, handwriting=False)
    assert small.shape == SHAPE
    assert (small.min(), small.max(), small[0, 0]) == (90, 200, 200)
    assert np.array_equal(handwriting.prepare(Image.fromarray(small), SHAPE, handwriting=False), small)
    assert handwriting.prepare(drawn([]), (20, 24), handwriting=False).tolist() == [[255] * 24] * 20


def test_a_picture_is_measured_before_it_is_decoded() -> None:
    bomb = saved(Image.new("1", (9000, 9000)))
    assert len(bomb.getvalue()) < 20_000
    with pytest.raises(InputError, match="9,000×9,000 pixels are more than 50,000,000; make it smaller"):
        handwriting.read(bomb, SHAPE)
    header = bytearray(bomb.getvalue())
    header[16:24] = b"\0\1\0\0\0\1\0\0"  # width and height of 65,536, more than Pillow itself would open
    with pytest.raises(InputError, match="; "):
        handwriting.read(io.BytesIO(header), SHAPE)
    with pytest.raises(InputError, match="280×280 pixels are more than 1,000; make it smaller"):
        handwriting.read(saved(drawn(SEVEN)), SHAPE, most=1000)


def test_a_picture_of_too_many_parts_is_refused_before_it_is_decoded() -> None:
    """By its size each of them is an ordinary picture."""
    with pytest.raises(InputError, match="105 scans are more than 100; save it again"):
        handwriting.read(io.BytesIO(hostile.scans(100, 100)), SHAPE)
    with pytest.raises(InputError, match="50,001 strips or tiles are more than 50,000; save it again"):
        handwriting.read(io.BytesIO(hostile.tiff(1, 50_001, 50_001)), SHAPE)
    for order in ("<", ">"):
        tag = struct.pack(f"{order}HHQQ", pictures.TILES, 4, 50_001, 0)
        big = {"<": b"II+\0\x08\0\0\0", ">": b"MM\0+\0\x08\0\0"}[order] + struct.pack(f"{order}QQ", 16, 1) + tag
        with pytest.raises(InputError, match="50,001 strips or tiles"):
            handwriting.read(io.BytesIO(big), SHAPE)


def test_a_progressive_jpeg_and_a_tiff_of_many_strips_are_read() -> None:
    image = drawn(SEVEN)
    for kind, options in (
        ("JPEG", {"progressive": True}),
        ("TIFF", {"tiffinfo": {278: 1}}),
        ("TIFF", {"big_tiff": True}),
    ):
        made = handwriting.read(saved(image, kind, **options), SHAPE)
        assert likeness(made, handwriting.prepare(image, SHAPE)) > 0.99


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_a_damaged_file_is_refused_or_read_and_nothing_else(kind: str) -> None:
    whole = saved(drawn(SEVEN), kind).getvalue()
    random = np.random.RandomState(0)
    damaged = [whole[:size] for size in random.randint(0, len(whole), 40)]
    for _ in range(40):
        each = bytearray(whole)
        for place in random.randint(0, len(each), 5):
            each[place] = random.randint(256)
        damaged.append(bytes(each))
    assert sum(is_refused(content) for content in damaged) > 20


def is_refused(content: bytes) -> bool:
    """Whether a file is refused; else it has to be read."""
    try:
        assert handwriting.read(io.BytesIO(content), SHAPE).shape == SHAPE
    except InputError as error:
        return "; " in str(error)
    return False


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0\0\x08\x03", b"P5 8 8 255\n" + bytes(range(64))]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="not a picture that is read here; save it as PNG, "):
        handwriting.read(io.BytesIO(content), SHAPE)


@pytest.mark.parametrize("pen", [3, 9, 21])
def test_the_width_of_strokes_is_theirs_on_average(pen: int) -> None:
    for angle in np.linspace(0, np.pi, 7):
        x, y = 110 * np.cos(angle), 110 * np.sin(angle)
        mask = np.asarray(drawn([(140 - x, 140 - y, 140 + x, 140 + y)], pen)) < 128  # type: ignore[list-item]
        assert handwriting.width(mask) == pytest.approx(pen, rel=0.35)
