"""One object, painted: its shape posed, sized, colored, patterned, lit, and rasterized."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from training.scenes import surfaces
from training.scenes.light import Light, fall
from training.scenes.shapes import CONTENTS_BEFORE, HOLE, NEUTRALS, SHAPES, TONES, Fill
from training.scenes.vocabulary import COLORS, KINDS, SIZES

JITTER = 0.08  # of the size
MARGIN = 2  # pixels around the object

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """What words say of an object."""

    kind: str
    color: str
    size: str
    pattern: str | None = None
    material: str | None = None


@dataclass(frozen=True)
class Pose:
    """How a shape is turned, in degrees, after it was mirrored."""

    tilt: float = 0.0
    mirrored: bool = False

    @property
    def matrix(self) -> Points:
        """What rows (x, y) of the shape are multiplied with."""
        c, s = np.cos(np.radians(self.tilt)), np.sin(np.radians(self.tilt))
        side = -1 if self.mirrored else 1
        return np.array([[side * c, side * s], [-s, c]])


@dataclass(frozen=True, eq=False)
class Layer:
    """What is painted at once of an object. Colors are 0 to 255."""

    alpha: Floats  # [h, w], share of what lies below that is hidden
    paint: Floats  # [3, h, w] RGB, color times alpha
    labels: npt.NDArray[np.int8]  # [h, w], index into the kind's parts where half a pixel is covered, else -1


@dataclass(frozen=True, eq=False)
class Sprite:
    """An unoccluded object on its own canvas: one layer, or for a container the back and the front of its contents."""

    look: Look
    layers: tuple[Layer, ...]
    outline: Image.Image  # mode L, all layers
    frame: tuple[Points, Points, float]  # of the pose, see `at`

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixel (x, y) of the canvas at which a point of the shape lies."""
        matrix, low, scale = self.frame
        px, py = (np.array([x, y]) @ matrix - low) * scale + MARGIN
        return float(px), float(py)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the canvas in pixels."""
        return self.outline.size

    @property
    def areas(self) -> npt.NDArray[np.int64]:
        """Pixels of each part, were nothing else in front."""
        top = self.layers[0].labels
        for layer in self.layers[1:]:
            top = np.where(layer.labels >= 0, layer.labels, top)
        return np.bincount(top[top >= 0], minlength=len(KINDS[self.look.kind].parts))


def draw_sprite(
    rng: np.random.Generator, look: Look, side: int, light: Light, pose: Pose, *, opened: bool = False
) -> Sprite:
    """Draw an object for an image whose shorter side has `side` pixels; opened: in two layers, with room between."""
    fills = SHAPES[look.kind](lambda low, high: float(rng.uniform(low, high)))
    extent = SIZES[look.size] * side * rng.uniform(1 - JITTER, 1 + JITTER)
    polygons = [fill.polygon @ pose.matrix for fill in fills]
    solid = np.concatenate([p for p, fill in zip(polygons, fills, strict=True) if fill.part != HOLE])
    low, high = solid.min(axis=0), solid.max(axis=0)
    scale = extent / (high - low).max()
    width, height = (int(n) + 2 * MARGIN for n in np.ceil((high - low) * scale))
    placed = [(polygon - low) * scale + MARGIN for polygon in polygons]
    tones = _tones(rng, look.color)
    # The pixels in the object's own axes, so that its surface turns with it.
    middle = ((low + high) / 2 - low) * scale + MARGIN
    columns = np.arange(width, dtype=np.float32)[None] - np.float32(middle[0])
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(middle[1])
    back = pose.matrix.T.astype(np.float32)
    axes = columns * back[0, 0] + rows * back[1, 0], columns * back[0, 1] + rows * back[1, 1]
    bounds = [0, CONTENTS_BEFORE[look.kind], len(fills)] if opened else [0, len(fills)]
    seed = int(rng.integers(2**32))
    layers, outline = [], Image.new("L", (width, height))
    for start, stop in pairwise(bounds):
        samples = 4 if extent < 100 else 3
        sampled, slots = _sample(placed[start:stop], fills[start:stop], (width, height), samples)
        layer, covered = _paint(np.random.default_rng(seed), look, sampled, slots, samples, tones, axes, light)
        layers.append(layer)
        outline.paste(255, mask=covered)
    return Sprite(look, tuple(layers), outline, (pose.matrix, low, scale))


Slots = list[tuple[str, str]]  # part and tone of each value in a sampled image, from 1


def _sample(
    polygons: Sequence[Points], fills: Sequence[Fill], size: tuple[int, int], samples: int
) -> tuple[Image.Image, Slots]:
    """Fill the polygons in order with the number of their slot, `samples` x `samples` for each pixel."""
    slots = list(dict.fromkeys((fill.part, fill.tone) for fill in fills if fill.part != HOLE))
    sampled = Image.new("L", (size[0] * samples, size[1] * samples), 0)
    draw = ImageDraw.Draw(sampled)
    for polygon, fill in zip(polygons, fills, strict=True):
        # Rounded, so that the last bits of a machine's arithmetic move no sample.
        corners = np.round(polygon * samples - 0.5, 2)
        slot = 0 if fill.part == HOLE else 1 + slots.index((fill.part, fill.tone))
        draw.polygon(corners.ravel().tolist(), fill=slot)
    return sampled, slots


def _paint(
    rng: np.random.Generator,
    look: Look,
    sampled: Image.Image,
    slots: Slots,
    samples: int,
    tones: dict[str, Floats],
    axes: tuple[Floats, Floats],
    light: Light,
) -> tuple[Layer, Image.Image]:
    """The layer, and the share of each pixel that it covers (mode L)."""

    def values(table: Sequence[int]) -> Image.Image:
        """The image with each slot replaced by a value, at one value a pixel."""
        return sampled.point([0, *table] + [0] * (255 - len(table))).reduce(samples)

    def share(chosen: Sequence[bool]) -> Floats:
        return np.asarray(values([255 * each for each in chosen]), np.float32) / np.float32(255)

    covered = values([255] * len(slots))
    cover = np.asarray(covered, np.float32) / np.float32(255)
    paint = np.stack([np.asarray(values([int(tones[tone][c]) for _, tone in slots]), np.float32) for c in range(3)])
    parts = KINDS[look.kind].parts
    shares = np.stack([np.asarray(values([255 * (part == name) for part, _ in slots])) for name in parts])
    labels = np.where(cover >= 0.5, shares.argmax(axis=0), -1).astype(np.int8)

    lit = fall(light, values([110 + 145 * k // len(slots) for k in range(1, len(slots) + 1)]))
    if look.pattern:
        second = share([tone == "main" for _, tone in slots]) * surfaces.pattern(rng, look.pattern, *axes)
        paint += second * (tones["second"] - tones["main"])[:, None, None]
    if look.material in ("wooden", "metal"):
        surface = surfaces.wood if look.material == "wooden" else surfaces.metal
        lit += share([tone in TONES for _, tone in slots]) * surface(rng, *axes)
    alpha = cover
    if look.material == "glass":
        pane = share([tone in TONES for _, tone in slots])
        rim = np.clip(1 - np.float32(2.5) * np.abs(lit), 0, 1)  # edges hide more
        clear = 1 - np.float32(1 - surfaces.GLASS) * pane * rim
        lit = np.float32(0.5) * lit + pane * surfaces.highlights(rng, *axes)
        paint *= clear
        alpha = np.maximum(cover * clear, cover * np.clip(lit, 0, 1))  # a highlight hides what is behind it
    paint *= 1 + np.minimum(lit, 0)
    paint += np.clip(lit, 0, 1) * (255 * alpha - paint)
    return Layer(alpha, np.clip(paint, 0, 255 * alpha), labels), covered


def _tones(rng: np.random.Generator, color: str) -> dict[str, Floats]:
    main = np.clip(np.array(COLORS[color]) + rng.uniform(-8, 8) + rng.uniform(-3, 3, 3), 0, 250)
    white, black = np.full(3, 255.0), np.zeros(3)
    dark, light = 0.7 * main + 0.3 * black, 0.6 * main + 0.4 * white
    second = 0.4 * main + 0.6 * white if rng.random() < 0.5 else 0.45 * main
    if color == "white":
        dark, light, second = 0.76 * main, 0.88 * main, 0.62 * main
    if color == "black":  # nothing is darker than black: its dark tone is a gray
        dark, light, second = (share * main + (1 - share) * white for share in (0.78, 0.65, 0.5))
    ink = np.full(3, 30.0) if main @ (0.3, 0.59, 0.11) > 90 else np.full(3, 235.0)
    tones = {"main": main, "dark": dark, "light": light, "ink": ink, "second": second}
    return {name: np.asarray(tone, np.float32) for name, tone in (tones | NEUTRALS).items()}
