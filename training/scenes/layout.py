"""Where things stand: which objects a scene holds, and places for them that leave each one visible enough."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.scenes.kinds import SHAPES
from training.scenes.sprite import Sprite, draw_sprite
from training.scenes.vocabulary import COLORS, SIZES

FEWEST, MOST = 3, 8  # objects a scene
MIN_VISIBLE = 0.6  # share of an object that stays visible
MIN_PART_VISIBLE = 0.3  # share of each part
REPEAT = 0.5  # probability that a kind occurs again in another color or size
NEIGHBOR = 0.35  # probability that an object is put beside another, maybe in front of it
TRIES = 24  # places tried for an object before another one is drawn
MAX_PARTS = 4


@dataclass(frozen=True, eq=False)
class Placed:
    """A sprite and the pixel of the image at which its upper left corner lies."""

    sprite: Sprite
    left: int
    top: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the image that the sprite's canvas covers."""
        height, width = self.sprite.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass(frozen=True, eq=False)
class Layout:
    """Objects in paint order. `owners` is [H, W] int16: MAX_PARTS * object + part, -1 on the ground."""

    placed: tuple[Placed, ...]
    owners: npt.NDArray[np.int16]


def arrange(rng: np.random.Generator, width: int, height: int) -> Layout:
    """Choose 3 to 8 objects, no two alike in kind, color and size, and place them wholly inside the image."""
    count = int(rng.integers(FEWEST, MOST + 1))
    placed: list[Placed] = []
    owners = np.full((height, width), -1, np.int16)
    whole = np.zeros((MOST, MAX_PARTS), np.int64)  # pixels of each part, were nothing in front of it
    seen: set[tuple[str, str, str]] = set()
    kinds: list[str] = []
    draws = 0
    while len(placed) < count and (draws < 2 * MOST or len(placed) < FEWEST):
        draws += 1
        kind = _choose(rng, SHAPES)
        if len(placed) == count // 2 and rng.random() < REPEAT:
            kind = kinds[int(rng.integers(len(kinds)))]
        look = (kind, _choose(rng, COLORS), _choose(rng, SIZES))
        if look in seen:
            continue
        sprite = draw_sprite(rng, *look, min(width, height))
        place = _place(rng, sprite, placed, owners, whole)
        if place is None:
            continue
        inside = sprite.labels >= 0
        owners[place.window][inside] = MAX_PARTS * len(placed) + sprite.labels[inside]
        whole[len(placed)] = np.bincount(sprite.labels[inside], minlength=MAX_PARTS)
        placed.append(place)
        kinds.append(kind)
        seen.add(look)
    return Layout(tuple(placed), owners)


def _choose(rng: np.random.Generator, names: Mapping[str, object]) -> str:
    return list(names)[int(rng.integers(len(names)))]


def _place(
    rng: np.random.Generator,
    sprite: Sprite,
    placed: list[Placed],
    owners: npt.NDArray[np.int16],
    whole: npt.NDArray[np.int64],
) -> Placed | None:
    room = np.array(owners.shape) - sprite.alpha.shape  # y, x
    visible = np.bincount(owners[owners >= 0], minlength=whole.size).reshape(whole.shape)
    beside = bool(placed) and rng.random() < NEIGHBOR
    floor = MIN_VISIBLE if beside else 0.95
    for _ in range(TRIES):
        corner = rng.integers(0, room + 1)
        if beside:
            other = placed[int(rng.integers(len(placed)))]
            reach = (np.array(sprite.alpha.shape) + other.sprite.alpha.shape) / 2
            shift = rng.uniform(-0.4, 0.4, 2)
            shift[int(rng.integers(2))] = rng.choice((-1, 1)) * rng.uniform(0.65, 0.95)
            inset = (np.array(other.sprite.alpha.shape) - sprite.alpha.shape) / 2  # centers one in the other
            corner = np.rint(np.array([other.top, other.left]) + inset + shift * reach).astype(np.int64)
            if (corner < 0).any() or (corner > room).any():
                continue
        place = Placed(sprite, int(corner[1]), int(corner[0]))
        covered = owners[place.window][sprite.labels >= 0]
        left = visible - np.bincount(covered[covered >= 0], minlength=whole.size).reshape(whole.shape)
        if (left.sum(axis=1) >= floor * whole.sum(axis=1)).all() and (left >= MIN_PART_VISIBLE * whole).all():
            return place
    return None
