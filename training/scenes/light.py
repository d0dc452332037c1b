"""Light from one side of the scene: how it falls on an object, and the shadows that the object casts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Light:
    """toward: unit vector (x, y) of the image that points to the light, which is never below. reach: length of a
    shadow for a unit of height. depth, softness: how dark shadows are, and their blur as a share of the image."""

    toward: tuple[float, float]
    reach: float
    depth: float
    softness: float


@dataclass(frozen=True, eq=False)
class Shadow:
    """What a shadow takes from what lies under it, [h, w] 0 to 1, and where its upper left corner lies."""

    depth: Floats
    left: int
    top: int


def draw_light(rng: np.random.Generator) -> Light:
    """A light from the left or the right, more or less high."""
    angle = np.radians(rng.uniform(28, 75))
    side = rng.choice((-1.0, 1.0))
    toward = (float(side * np.cos(angle)), float(-np.sin(angle)))
    return Light(toward, *(float(rng.uniform(low, high)) for low, high in ((0.3, 0.55), (0.3, 0.5), (0.006, 0.014))))


def fall(light: Light, relief: Image.Image) -> Floats:
    """How bright each pixel of a surface is, [h, w] about 0, from its relief (mode L): edges toward the light are
    lit, edges away from it lie in shade, and so does, more softly, the side of the whole."""
    width, height = relief.size
    rough = _slope(light, relief.filter(ImageFilter.BoxBlur(1)), 1)
    radius = max(2, round(0.09 * max(relief.size)))
    form = relief.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius))
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    across = np.float32(light.toward[0]) * x + np.float32(light.toward[1]) * y
    return np.asarray(0.11 * across + 0.45 * _slope(light, form, radius) + 0.3 * rough, np.float32)


def _slope(light: Light, relief: Image.Image, radius: int) -> Floats:
    """How much the relief turns to the light, -1 to 1."""
    padded = np.pad(np.asarray(relief, np.float32), 1)
    along_x = padded[1:-1, 2:] - padded[1:-1, :-2]
    along_y = padded[2:, 1:-1] - padded[:-2, 1:-1]
    rise = np.float32(light.toward[0]) * along_x + np.float32(light.toward[1]) * along_y
    return np.clip(rise * np.float32(-radius / 255), -1, 1)


def cast(light: Light, alpha: Image.Image, side: int) -> Shadow:
    """The shadow of what stands: its outline (mode L) laid down from its lowest row, away from the light."""
    width, height = alpha.size
    away_x, away_y = (-light.reach * along for along in light.toward)
    pad = 2 + round(2 * light.softness * side)
    left = min(0, round(away_x * height)) - pad
    wide, high = width + abs(round(away_x * height)) + 2 * pad, round(away_y * height) + 2 * pad
    # A pixel of the shadow, `down` below the base, is cast by what is down / away_y above it.
    data = (1, -away_x / away_y, left + pad * away_x / away_y, 0, -1 / away_y, height - 1 + pad / away_y)
    laid = alpha.transform((wide, high), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return Shadow(_soft(laid, light, side, light.depth), left, height - 2 - pad)


def drop(light: Light, alpha: Image.Image, side: int, height: float) -> Shadow:
    """The shadow of what lies or floats `height` pixels above the ground, softer the higher."""
    pad = 2 + round(2 * light.softness * side + 0.2 * height)
    away = [round(-along * height) for along in light.toward]
    canvas = Image.new("L", (alpha.width + 2 * pad, alpha.height + 2 * pad))
    canvas.paste(alpha, (pad, pad))
    depth = light.depth / (1 + 4 * height / side)
    return Shadow(_soft(canvas, light, side, depth, 0.2 * height), away[0] - pad, away[1] - pad)


def contact(alpha: Image.Image, side: int) -> Shadow:
    """The dark line where what stands meets what it stands on."""
    band = max(3, round(0.02 * side))
    foot = alpha.crop((0, alpha.height - band - 2, alpha.width, alpha.height))
    canvas = Image.new("L", (alpha.width + 2 * band, 3 * band))
    canvas.paste(foot, (band, band // 2))
    blurred = np.asarray(canvas.filter(ImageFilter.BoxBlur(band / 3)), np.float32)
    return Shadow(blurred * np.float32(0.5 / 255), -band, alpha.height - band - band // 2 - 1)


def _soft(outline: Image.Image, light: Light, side: int, depth: float, more: float = 0) -> Floats:
    blurred = outline.filter(ImageFilter.BoxBlur(light.softness * side + more))
    return np.asarray(blurred, np.float32) * np.float32(depth / 255)
