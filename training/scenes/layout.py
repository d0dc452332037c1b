"""Where things stand: which units a scene holds, and places for them that leave every object visible enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.scenes.casting import Casting, draw_size
from training.scenes.light import Light
from training.scenes.sprite import Look
from training.scenes.units import Unit
from training.scenes.vocabulary import KINDS

FEWEST, MOST = 3, 14  # objects a scene
MOST_PARTS = 36  # parts a scene
MIN_VISIBLE = 0.6  # share of an object, as its unit shows it, that other units leave visible
MIN_PART_VISIBLE = 0.3  # share of each part, likewise
MIN_PART_PIXELS = 12  # below, a part is not in the truth
GROUPED, CONTAINED, SUPPORTED = 0.34, 0.26, 0.28  # probability of each in a scene
REPEAT = 0.3  # probability that an object is of a kind that was there, in another color or size
SAME_COLOR = 0.3  # and that then only its size or finish differs
NEIGHBOR = 0.35  # probability that a unit is put beside another, maybe in front of it
WAY_TRIES = 3  # units drawn of a sort before the scene goes without
TRIES = 24  # places tried for a unit before another one is drawn

Labels = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Placed:
    """A unit, the pixel of the image at which its upper left corner lies, and what other units leave of its labels."""

    unit: Unit
    left: int
    top: int
    shown: Labels

    @property
    def base(self) -> int:
        """The row below it: of two units, the one with the lower base is in front."""
        return self.top + int(self.unit.labels.shape[0])

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the image that the unit's canvas covers."""
        height, width = self.unit.labels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def arrange(
    rng: np.random.Generator, width: int, height: int, light: Light, horizon: int, *, held_out: bool
) -> tuple[Placed, ...]:
    """Choose units of 3 to 14 objects in all and place them wholly inside the image; in paint order.

    horizon: the row at which the ground begins. Only members of one group are alike in all words.
    """
    casting = Casting(rng, min(width, height), light, held_out)
    count = FEWEST + int(rng.binomial(MOST - FEWEST, 0.37))
    ways = [
        way
        for way, chance in ((casting.group, GROUPED), (casting.container, CONTAINED), (casting.support, SUPPORTED))
        if rng.random() < chance
    ]
    placed: list[Placed] = []
    looks: list[Look] = []

    def add(unit: Unit | None) -> bool:
        """Whether the unit was told apart from what is there, and found a place."""
        nonlocal placed
        if unit is None or set(unit.looks) & set(looks) or len(looks) + len(unit.looks) > MOST:
            return False
        if sum(len(KINDS[look.kind].parts) for look in (*looks, *unit.looks)) > MOST_PARTS:
            return False
        after = _place(rng, unit, placed, (height, width), horizon)
        if after is None:
            return False
        placed = after
        looks.extend(unit.looks)
        return True

    for way in ways:
        any(add(way()) for _ in range(WAY_TRIES))
    draws = 0
    while len(looks) < count and (draws < 2 * MOST or len(looks) < FEWEST):
        draws += 1
        add(_single(rng, casting, looks, crowded=count > 7))
    return tuple(placed)


def _single(rng: np.random.Generator, casting: Casting, looks: Sequence[Look], *, crowded: bool) -> Unit | None:
    """A single object, maybe of a kind that was there."""
    size = draw_size(rng, crowded)
    if not looks or rng.random() >= REPEAT:
        return casting.single(size)
    model = looks[int(rng.integers(len(looks)))]
    return casting.single(size, model.kind, model.color if rng.random() < SAME_COLOR else None)


def _place(
    rng: np.random.Generator, unit: Unit, placed: list[Placed], size: tuple[int, int], horizon: int
) -> list[Placed] | None:
    """All units in paint order once this one has found a place, or None."""
    shape = np.array(unit.labels.shape)
    room = np.array(size) - shape  # y, x
    lowest = 0 if unit.floats else max(0, horizon + size[0] // 25 - unit.labels.shape[0])
    if (room < 0).any() or lowest > room[0]:
        return None
    beside = bool(placed) and rng.random() < NEIGHBOR
    floor = MIN_VISIBLE if beside else 0.95
    for _ in range(TRIES):
        corner = rng.integers((lowest, 0), room + 1)
        if beside:
            other = placed[int(rng.integers(len(placed)))]
            reach = (shape + other.unit.labels.shape) / 2
            shift = rng.uniform(-0.4, 0.4, 2)
            shift[int(rng.integers(2))] = rng.choice((-1, 1)) * rng.uniform(0.6, 0.9)
            inset = (np.array(other.unit.labels.shape) - shape) / 2  # centers one in the other
            corner = np.rint(np.array([other.top, other.left]) + inset + shift * reach).astype(np.int64)
            if (corner < (lowest, 0)).any() or (corner > room).any():
                continue
        new = Placed(unit, int(corner[1]), int(corner[0]), unit.labels)
        after = _occlude([*placed, new])
        if after is not None and all(_visible(each, floor) for each in after):
            return after
    return None


def _occlude(units: list[Placed]) -> list[Placed]:
    """The units in paint order, of which the last one is new, with what it leaves of others and they of it."""
    new = units[-1]
    shown = new.unit.labels.copy()
    found = []
    for other in units[:-1]:
        top, left = max(new.top, other.top), max(new.left, other.left)
        bottom, right = (
            min(new.base, other.base),
            min(new.left + shown.shape[1], other.left + other.shown.shape[1]),
        )
        if top < bottom and left < right:
            mine = (slice(top - new.top, bottom - new.top), slice(left - new.left, right - new.left))
            its = (slice(top - other.top, bottom - other.top), slice(left - other.left, right - other.left))
            if other.base > new.base:
                shown[mine][other.unit.labels[its] >= 0] = -1
            else:
                rest = other.shown.copy()
                rest[its][new.unit.labels[mine] >= 0] = -1
                other = replace(other, shown=rest)
        found.append(other)
    return sorted([*found, replace(new, shown=shown)], key=lambda each: each.base)


def _visible(placed: Placed, floor: float) -> bool:
    """Whether enough of each member and each part is left."""
    whole = placed.unit.areas
    if placed.shown is placed.unit.labels:
        return True
    left = np.bincount(placed.shown[placed.shown >= 0], minlength=whole.size).reshape(whole.shape)
    return bool((left.sum(axis=1) >= floor * whole.sum(axis=1)).all() and (left >= MIN_PART_VISIBLE * whole).all())
