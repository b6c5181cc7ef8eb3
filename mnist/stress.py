"""Pictures harder than a data set's own: its test images changed, and characters of fonts on all kinds of paper.

Each picture is drawn by chance of its own, so the same one comes however many are asked for.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mnist.dataset import Array

Random = np.random.RandomState
Change = Callable[[Array, Random], Image.Image]

FOLDER = Path("/usr/share/fonts")
# Those that imitate handwriting come first, the last three are print; each with Debian's package that has it.
FONTS = {
    "Breip.ttf": "fonts-breip",
    "BecauseWeBuild-Regular.otf": "fonts-bwht",
    "BecauseWeLearn-Regular.otf": "fonts-bwht",
    "BecauseWeOrganize-Regular.otf": "fonts-bwht",
    "dkg.ttf": "fonts-dkg-handwriting",
    "dkgIt.ttf": "fonts-dkg-handwriting",
    "Kristi.ttf": "fonts-kristi",
    "Rufscript010.ttf": "fonts-rufscript",
    "TomsonTalks.ttf": "fonts-tomsontalks",
    "Humor-Sans.ttf": "fonts-humor-sans",
    "ComicNeue-Regular.otf": "fonts-comic-neue",
    "DancingScript-Regular.otf": "fonts-dancingscript",
    "KaushanScript-Regular.otf": "fonts-kaushanscript",
    "DejaVuSans.ttf": "fonts-dejavu-core",
    "DejaVuSerif.ttf": "fonts-dejavu-core",
    "DejaVuSansMono-Bold.ttf": "fonts-dejavu-core",
}
HEIGHT, WIDTH = 300, 200  # pixels of a sheet


def installed(folder: Path = FOLDER) -> dict[str, Path]:
    """Those of FONTS that are there, and where."""
    found = {path.name: path for path in folder.rglob("*.?tf")}
    return {name: found[name] for name in FONTS if name in found}


def shifted(image: Array, random: Random) -> Image.Image:
    """Moved by up to 4 pixels down or up and right or left; what comes in from outside is blank."""
    down, right = random.randint(-4, 5, 2)
    return Image.fromarray(image).transform(image.shape[::-1], Image.Transform.AFFINE, (1, 0, -right, 0, 1, -down))


def rotated(image: Array, random: Random) -> Image.Image:
    """Turned by up to 20 degrees."""
    return Image.fromarray(image).rotate(random.uniform(-20, 20), Image.Resampling.BICUBIC)


def thickened(image: Array, _: Random) -> Image.Image:
    """Each stroke two pixels wider."""
    return Image.fromarray(image).filter(ImageFilter.MaxFilter(3))


def noisy(image: Array, random: Random) -> Image.Image:
    """With normal noise of a standard deviation of 40 shades."""
    return as_picture(image + random.normal(0, 40, image.shape))


def inverted(image: Array, _: Random) -> Image.Image:
    """Dark on bright."""
    return Image.fromarray(255 - image)


def on_paper(image: Array, random: Random) -> Image.Image:
    """Enlarged and off-centre on an uneven sheet of 200×300."""
    scale = random.uniform(0.6, 1) * min(HEIGHT / image.shape[0], WIDTH / image.shape[1])
    height, width = (int(scale * side) for side in image.shape)
    top, left = random.randint(0, HEIGHT - height + 1), random.randint(0, WIDTH - width + 1)
    ink = np.zeros((HEIGHT, WIDTH))
    ink[top : top + height, left : left + width] = resized(image, height, width)
    return as_picture(sheet(HEIGHT, WIDTH, random) * (1 - 0.75 * ink))


def stretched(image: Array, random: Random) -> Image.Image:
    """Stretched over the whole of such a sheet, and moved by up to a tenth of it."""
    ink = resized(image, HEIGHT, WIDTH)
    ink = np.roll(ink, (random.randint(-HEIGHT // 10, HEIGHT // 10), random.randint(-WIDTH // 10, WIDTH // 10)), (0, 1))
    return as_picture(sheet(HEIGHT, WIDTH, random) * (1 - 0.75 * ink))


CHANGES: dict[str, Change] = {
    "untouched": lambda image, _: Image.fromarray(image),
    "shifted by up to 4 pixels": shifted,
    "rotated by up to 20°": rotated,
    "thickened": thickened,
    "noisy": noisy,
    "inverted": inverted,
    "on 200×300 of uneven paper": on_paper,
    "stretched to 200×300 of it": stretched,
}


def resized(image: Array, height: int, width: int) -> Array:
    """Shades in 0…1, of another size."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)) / 255


def sheet(height: int, width: int, random: Random) -> Array:
    """Grey paper with a grain, brighter on one side and around one place."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    down, right = random.uniform(-60, 60, 2)
    away = (y - random.rand()) ** 2 + (x - random.rand()) ** 2
    grain = random.normal(0, 4, (height, width))
    return np.asarray(180 + down * (y - 0.5) + right * (x - 0.5) - 50 * away + grain)


def as_picture(shades: Array) -> Image.Image:
    """Shades as a grey picture."""
    return Image.fromarray(shades.clip(0, 255).astype(np.uint8))


def written(character: str, font: Path, random: Random) -> Image.Image:
    """A character of a font in a size, at a place, in an ink, on a paper and of a width by chance, in colour."""
    height, width = random.randint(100, 281, 2)
    drawn = ImageFont.truetype(str(font), int(min(height, width) * random.uniform(0.4, 0.8)))
    left, top, right, bottom = drawn.getbbox(character)
    place = (
        random.randint(0, max(1, width - int(right - left))) - left,
        random.randint(0, max(1, height - int(bottom - top))) - top,
    )
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text(place, character, 255, drawn)
    ink = np.asarray(mask)[..., None] / 255
    paper = sheet(height, width, random)[..., None] * random.uniform(0.8, 1.2, 3)
    colour = random.randint(0, 70, 3)
    mixed = paper * (1 - ink) + colour * ink
    if random.rand() < 0.25:
        mixed = 255 - mixed  # chalk
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))
