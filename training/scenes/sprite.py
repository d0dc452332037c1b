"""One object, painted: its shape posed, sized, colored, and rasterized with 4 x 4 samples a pixel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from training.scenes.kinds import HOLE, SHAPES
from training.scenes.vocabulary import COLORS, KINDS, SIZES

SAMPLES = 4  # a side, for each pixel
JITTER = 0.08  # of the size
TILT = 12.0  # degrees, at most, either way

NEUTRALS: dict[str, tuple[int, int, int]] = {
    "gray": (70, 72, 76),
    "steel": (186, 188, 192),
    "brown": (104, 74, 50),
    "glass": (176, 206, 218),
    "paper": (238, 232, 216),
    "pupil": (24, 24, 26),
}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sprite:
    """An unoccluded object on its own canvas, with a margin that holds its shadow. Colors are 0 to 255."""

    kind: str
    color: str
    size: str
    alpha: Floats  # [h, w], covered share of each pixel
    paint: Floats  # [3, h, w] RGB, color times alpha
    shadow: Floats  # [h, w], 0 to 1
    labels: npt.NDArray[np.int16]  # [h, w], index into KINDS[kind].parts where half a pixel is covered, else -1


def draw_sprite(rng: np.random.Generator, kind: str, color: str, size: str, side: int) -> Sprite:
    """Draw an object for an image whose shorter side has `side` pixels."""
    fills = SHAPES[kind](lambda low, high: float(rng.uniform(low, high)))
    margin = round(0.025 * side)
    extent = SIZES[size] * side * rng.uniform(1 - JITTER, 1 + JITTER)
    angle = np.radians(rng.uniform(-TILT, TILT))
    flip = rng.choice((-1.0, 1.0))
    turn = np.array([[flip * np.cos(angle), flip * np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    polygons = [fill.polygon @ turn for fill in fills]
    solid = np.concatenate([p for p, fill in zip(polygons, fills, strict=True) if fill.part != HOLE])
    low, high = solid.min(axis=0), solid.max(axis=0)
    scale = extent / (high - low).max()
    width, height = (int(n) + 2 * margin for n in np.ceil((high - low) * scale))

    slots = list(dict.fromkeys((fill.part, fill.tone) for fill in fills if fill.part != HOLE))
    sampled = Image.new("L", (width * SAMPLES, height * SAMPLES), 0)
    draw = ImageDraw.Draw(sampled)
    for polygon, fill in zip(polygons, fills, strict=True):
        # Rounded, so that the last bits of a machine's arithmetic move no sample.
        corners = np.round(((polygon - low) * scale + margin) * SAMPLES - 0.5, 2)
        slot = 0 if fill.part == HOLE else 1 + slots.index((fill.part, fill.tone))
        draw.polygon(corners.ravel().tolist(), fill=slot)

    samples = np.asarray(sampled)
    tones = _tones(rng, color)
    light = np.linspace(1.07, 0.9, height, dtype=np.float32)[:, None]  # lit from above
    shares = np.zeros((len(KINDS[kind].parts), height, width), np.float32)
    paint = np.zeros((3, height, width), np.float32)
    for index, (part, tone) in enumerate(slots, start=1):
        hits = Image.fromarray(np.where(samples == index, np.uint8(255), np.uint8(0)))
        share = np.asarray(hits.reduce(SAMPLES), np.float32) / 255
        shares[KINDS[kind].parts.index(part)] += share
        paint += share * tones[tone][:, None, None]
    alpha = np.minimum(shares.sum(axis=0), 1)
    labels = np.where(alpha >= 0.5, shares.argmax(axis=0), -1).astype(np.int16)
    lit = np.minimum(paint * light, 255 * alpha)
    return Sprite(kind, color, size, alpha, lit, _shadow(alpha, margin), labels)


def _tones(rng: np.random.Generator, color: str) -> dict[str, Floats]:
    main = np.clip(np.array(COLORS[color]) + rng.uniform(-8, 8) + rng.uniform(-3, 3, 3), 0, 250)
    white, black = np.full(3, 255.0), np.zeros(3)
    dark, light = 0.7 * main + 0.3 * black, 0.6 * main + 0.4 * white
    if color == "white":
        dark, light = 0.76 * main, 0.88 * main
    if color == "black":  # nothing is darker than black: its dark tone is a gray
        dark, light = 0.78 * main + 0.22 * white, 0.65 * main + 0.35 * white
    ink = np.full(3, 30.0) if main @ (0.3, 0.59, 0.11) > 90 else np.full(3, 235.0)
    tones = {"main": main, "dark": dark, "light": light, "ink": ink}
    return {name: np.asarray(tone, np.float32) for name, tone in (tones | NEUTRALS).items()}


def _shadow(alpha: Floats, margin: int) -> Floats:
    """The object's coverage, blurred and dropped to the lower right by less than the margin."""
    drop = margin // 2
    blurred = Image.fromarray((alpha * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(drop / 2))
    return np.roll(np.asarray(blurred, np.float32) / 255, (drop, drop), axis=(0, 1))
