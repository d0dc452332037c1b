"""Grounds in muted mid tones, that no object's color is mistaken for: seen from above, or up to a horizon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ground:
    """paint: [3, H, W] float32 RGB, 0 to 255. horizon: the row at which the ground begins, 0 if it is all there is."""

    paint: Floats
    horizon: int


def draw_ground(rng: np.random.Generator, width: int, height: int) -> Ground:
    """A cloth, a table top, tiles, a floor before a wall, or grass or sand under the sky."""
    kind = rng.random()
    if kind < 0.22:
        return Ground(_cloth(rng, width, height), 0)
    if kind < 0.36:
        return Ground(_boards(rng, *_flat(rng, width, height), _warm(rng)), 0)
    if kind < 0.48:
        return Ground(_tiles(rng, *_flat(rng, width, height), _gray(rng)), 0)
    horizon = round(height * rng.uniform(0.18, 0.42))
    outdoors = kind > 0.74
    x, y = _receding(width, height - horizon)
    if outdoors:
        above, below = _sky(rng, width, horizon), _meadow(rng, width, height - horizon)
    else:
        above = _wall(rng, width, horizon)
        floor = (_boards, _tiles)[int(rng.integers(2))]
        below = floor(rng, x, y, _warm(rng) if rng.random() < 0.5 else _gray(rng))
    return Ground(np.concatenate([above, below], axis=1), horizon)


def vignette(rng: np.random.Generator, width: int, height: int) -> Floats:
    """A gradient of light across the image in a random direction: [H, W] float32, a factor about 1."""
    dx, dy = rng.uniform(-0.06, 0.06, 2)
    x, y = _grid(width, height)
    return np.asarray(1 + dx * (2 * x / width - 1) + dy * (2 * y / height - 1), np.float32)


Tone = Sequence[float] | npt.NDArray[np.float64]


def _warm(rng: np.random.Generator) -> Tone:
    """The color of pale wood, RGB."""
    level = rng.uniform(140, 178)
    return (level + 16, level, level - rng.uniform(18, 30))


def _gray(rng: np.random.Generator) -> Tone:
    """A gray with a touch of a color, RGB."""
    return tuple(rng.uniform(125, 178) + rng.uniform(-11, 11, 3))


def _tint(tone: Tone, factor: Floats) -> Floats:
    """[3, H, W]: a tone, brighter where the factor is over 1."""
    return np.asarray(tone, np.float32)[:, None, None] * factor


def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    return np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]


def _flat(rng: np.random.Generator, width: int, height: int) -> tuple[Floats, Floats]:
    """Coordinates on a plane seen from above, turned, in shares of the image."""
    x, y = _grid(width, height)
    angle = rng.choice((0.0, np.pi / 2)) + rng.uniform(-0.3, 0.3)
    c, s = (np.float32(each / max(width, height)) for each in (np.cos(angle), np.sin(angle)))
    return x * c + y * s, y * c - x * s


def _receding(width: int, height: int) -> tuple[Floats, Floats]:
    """Coordinates on a plane that goes back to the upper edge, about 1 to the width at the lower edge."""
    x, y = _grid(width, height)
    depth = np.float32(1.35) / (y / np.float32(height) + np.float32(0.35))
    return (x / np.float32(width) - np.float32(0.5)) * depth, depth + np.zeros_like(x)


def _noise(rng: np.random.Generator, width: int, height: int, cell: float, stretch: float = 1.0) -> Floats:
    """Value noise, about 0 to 1: a coarse random lattice and a finer one, interpolated; stretch: cells' height."""
    total = np.zeros((height, width), np.float32)
    for share, step in ((0.65, cell), (0.35, cell / 3)):
        lattice = rng.random((int(height / step / stretch) + 2, int(width / step) + 2), dtype=np.float32)
        smooth = Image.fromarray(lattice).resize((width, height), Image.Resampling.BICUBIC)
        total += np.float32(share) * np.asarray(smooth)
    return total


def _random_of(cells: npt.NDArray[np.int32]) -> Floats:
    """A number from 0 to 1 for each cell's number, the same wherever it occurs."""
    table = np.random.default_rng(7).random(256, dtype=np.float32)
    return np.asarray(table[cells & 255])


def _whole(values: Floats) -> npt.NDArray[np.int32]:
    return np.floor(values).astype(np.int32)


def _boards(rng: np.random.Generator, x: Floats, y: Floats, tone: Tone) -> Floats:
    """Boards along y with grain and seams."""
    count = rng.uniform(4, 8)
    along = x * np.float32(count) + np.float32(rng.uniform(50, 90))
    board = _whole(along)
    inside = np.abs(along - board - np.float32(0.5))
    shade = 0.94 + 0.12 * _random_of(board)
    grain = np.sin(inside * np.float32(38) + np.sin(y * np.float32(7) + 3 * board.astype(np.float32)) * np.float32(2.2))
    return _tint(tone, shade + np.float32(0.022) * grain - np.float32(0.2) * (inside > 0.485))


def _tiles(rng: np.random.Generator, x: Floats, y: Floats, tone: Tone) -> Floats:
    """Square tiles with joints, of two shades or of one."""
    count, offset = np.float32(rng.uniform(3, 7)), np.float32(rng.uniform(50, 90))
    column, row = _whole(x * count + offset), _whole(y * count + offset)
    inside = np.maximum(np.abs(x * count + offset - column - 0.5), np.abs(y * count + offset - row - 0.5))
    contrast = np.float32(rng.choice((0.0, 0.09)))
    shade = 0.96 + contrast * ((column + row) % 2) + np.float32(0.06) * _random_of(column * 31 + row * 17)
    return _tint(tone, np.asarray(shade - np.float32(0.1) * (inside > 0.475), np.float32))


def _wall(rng: np.random.Generator, width: int, height: int) -> Floats:
    """A wall, plain or papered, with a skirting board along the floor."""
    x, y = _grid(width, height)
    tone = _gray(rng)
    shade = 1.04 + 0.06 * (y / height) + 0.05 * (_noise(rng, width, height, width / 4) - 0.5)
    if rng.random() < 0.4:
        shade = shade + np.float32(0.035) * np.sign(np.sin(x * np.float32(2 * np.pi * rng.integers(8, 18) / width)))
    board = max(4, round(0.045 * width))
    shade[-board:] = 1.18
    shade[-board : -board + 1] = 0.9
    shade[-max(1, board // 6) :] = 0.72
    return _tint(tone, np.asarray(shade, np.float32))


def _sky(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Pale sky, lighter at the horizon, with clouds."""
    _, y = _grid(width, height)
    low, high = np.array((196, 206, 210.0)), np.array((150, 174, 196.0)) + rng.uniform(-8, 8, 3)
    share = (y / height).astype(np.float32)
    clouds = np.clip(_noise(rng, width, height, width / 4, 0.4) * 2.2 - 1.1, 0, 1) * np.float32(rng.uniform(0, 0.7))
    sky = high[:, None, None] * (1 - share) + low[:, None, None] * share
    return np.asarray(sky + (216 - sky) * clouds, np.float32)


def _meadow(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Grass with blades, or sand with ripples."""
    _, y = _grid(width, height)
    patches = _noise(rng, width, height, width / 7, 0.4)
    distance = np.float32(0.1) * (1 - y / height)
    if rng.random() < 0.6:
        blades = _noise(rng, width, height, max(3.0, width / 110), 2.5)
        tone = np.array((136, 146, 114.0)) + rng.uniform(-9, 9, 3)
        return _tint(tone, np.asarray(0.86 + 0.16 * patches + 0.2 * (blades - 0.5) + distance, np.float32))
    tone = np.array((190, 174, 144.0)) + rng.uniform(-9, 9, 3)
    ripples = np.sin((y / height) ** 0.7 * np.float32(40) + patches * np.float32(9))
    return _tint(tone, np.asarray(0.92 + 0.1 * patches + 0.025 * ripples + distance, np.float32))


def _cloth(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Two near tones mixed by a design."""
    tone = _gray(rng)
    side = max(width, height)
    design = DESIGNS[int(rng.integers(len(DESIGNS)))](rng, width, height)
    weave = _noise(rng, width, height, max(4.0, side / 90)) - np.float32(0.5)
    return _tint(tone, np.asarray(0.93 + rng.uniform(0.06, 0.14) * design + 0.06 * weave, np.float32))


def _bands(rng: np.random.Generator, width: int, height: int, angle: float, period: float) -> Floats:
    """Bands of 0 and 1 across a direction, with edges softened over a pixel."""
    x, y = _grid(width, height)
    across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    phase = across / np.float32(period) + np.float32(rng.random())
    triangle = np.abs(2 * (phase - np.floor(phase)) - 1)
    return np.clip((triangle - 0.5) * np.float32(period / 2) + 0.5, 0, 1)


def _stripes(rng: np.random.Generator, width: int, height: int) -> Floats:
    return _bands(rng, width, height, rng.uniform(0, np.pi), rng.uniform(0.05, 0.15) * max(width, height))


def _checks(rng: np.random.Generator, width: int, height: int) -> Floats:
    angle, period = rng.uniform(0, np.pi / 2), rng.uniform(0.1, 0.22) * max(width, height)
    one, other = (_bands(rng, width, height, angle + quarter, period) for quarter in (0, np.pi / 2))
    return one + other - 2 * one * other


def _clouded(rng: np.random.Generator, width: int, height: int) -> Floats:
    return _noise(rng, width, height, max(width, height) * rng.uniform(0.06, 0.2))


Design = Callable[[np.random.Generator, int, int], Floats]
DESIGNS: tuple[Design, ...] = (_clouded, _clouded, _stripes, _checks)
