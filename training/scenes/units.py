"""What is placed as one: an object, or several that belong together, with room between them as it should be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.scenes.shapes import OPENINGS, TOPS
from training.scenes.sprite import MARGIN, Look, Sprite

MAX_PARTS = 4
Contact = Literal["stands", "lies", "floats", "rests"]  # rests: in or on another, where it casts no shadow of its own


@dataclass(frozen=True, eq=False)
class Member:
    """A sprite with the place of its upper left corner on the unit's canvas, in pixels."""

    sprite: Sprite
    left: int
    top: int
    contact: Contact

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the unit's canvas that the sprite covers."""
        width, height = self.sprite.size
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass(frozen=True, eq=False)
class Unit:
    """Members with their relations, as indices from 0, and what all of them are called if that is a group.

    labels: [h, w] int16, MAX_PARTS * member + part for what is painted last, else -1.
    order: (member, layer) in paint order.
    """

    members: tuple[Member, ...]
    order: tuple[tuple[int, int], ...]
    labels: npt.NDArray[np.int16]
    group: str | None = None
    supports: tuple[tuple[int, int], ...] = ()
    containments: tuple[tuple[int, int], ...] = ()
    areas: npt.NDArray[np.int64] = field(init=False)  # [members, MAX_PARTS], pixels of each part that the unit shows

    def __post_init__(self) -> None:
        inside = self.labels[self.labels >= 0]
        areas = np.bincount(inside, minlength=MAX_PARTS * len(self.members)).reshape(-1, MAX_PARTS)
        object.__setattr__(self, "areas", areas)

    @property
    def looks(self) -> tuple[Look, ...]:
        return tuple(member.sprite.look for member in self.members)

    @property
    def floats(self) -> bool:
        return self.members[0].contact == "floats"


Spot = tuple[Sprite, float, float, Contact]  # a sprite, its upper left corner in pixels of any origin, its contact


def compose(
    spots: Sequence[Spot],
    least: float,
    group: str | None = None,
    supports: Sequence[tuple[int, int]] = (),
    containments: Sequence[tuple[int, int]] = (),
) -> Unit | None:
    """The unit of sprites painted in turn; contents come after their container, whose front is painted last.

    None where one of them shows less than a share `least` of itself.
    """
    left = min(round(x) for _, x, _, _ in spots)
    top = min(round(y) for _, _, y, _ in spots)
    members = tuple(Member(sprite, round(x) - left, round(y) - top, contact) for sprite, x, y, contact in spots)
    width = max(member.left + member.sprite.size[0] for member in members)
    height = max(member.top + member.sprite.size[1] for member in members)
    order = [(index, 0) for index in range(len(members))]
    order += [(index, 1) for index, member in enumerate(members) if len(member.sprite.layers) > 1]
    labels = np.full((height, width), -1, np.int16)
    for index, layer in order:
        painted = members[index].sprite.layers[layer].labels
        canvas = labels[members[index].window]
        canvas[painted >= 0] = MAX_PARTS * index + painted[painted >= 0]
    unit = Unit(members, tuple(order), labels, group, tuple(supports), tuple(containments))
    shown = unit.areas.sum(axis=1)
    if any(seen < least * member.sprite.areas.sum() for seen, member in zip(shown, members, strict=True)):
        return None
    return unit


def fill(
    rng: np.random.Generator, container: Sprite, contents: Sequence[Sprite], heaped: bool, group: str | None
) -> Unit | None:
    """Contents in the opening of a container that was drawn open: side by side, or heaped in two rows."""
    left, top, right, bottom = OPENINGS[container.look.kind]
    corners = [container.at(x, y) for x in (left, right) for y in (top, bottom)]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    lower = -(-(len(contents) + 1) // 2) if heaped and len(contents) > 2 else len(contents)
    spots: list[Spot] = []
    for k, sprite in enumerate(contents):
        width, height = sprite.size
        inset = min(0.32 * width, (high[0] - low[0]) / 2)
        share = (k + rng.uniform(0.4, 0.6)) / lower if k < lower else (k - lower + rng.uniform(0.9, 1.1)) / lower
        x = low[0] + inset + share * (high[0] - low[0] - 2 * inset)
        y = rng.uniform(low[1], high[1]) if k < lower else low[1] - 0.45 * height
        spots.append((sprite, x - width / 2, y - height + MARGIN, "rests"))
    spots.sort(key=lambda spot: spot[2] + spot[0].size[1])
    inner = [(index, 0) for index in range(1, len(contents) + 1)]
    return compose([(container, 0, 0, "stands"), *spots], 0.3, group, containments=inner)


def stand_on(rng: np.random.Generator, base: Sprite, things: Sequence[Sprite]) -> Unit | None:
    """Things side by side on the top of another; None where they are too wide for it."""
    left, level, right = TOPS[base.look.kind]
    ends = sorted([base.at(left, level), base.at(right, level)])
    room = ends[1][0] - ends[0][0] - sum(sprite.size[0] - 2 * MARGIN for sprite in things)
    if room < 0:
        return None
    spots: list[Spot] = []
    gaps = rng.dirichlet(np.ones(len(things) + 1)) * room
    x = ends[0][0]
    for sprite, gap in zip(things, gaps, strict=False):
        x += gap
        y = ends[0][1] + rng.uniform(0, 0.02) * base.size[1]
        spots.append((sprite, x - MARGIN, y - sprite.size[1] + MARGIN, "rests"))
        x += sprite.size[0] - 2 * MARGIN
    above = [(index, 0) for index in range(1, len(things) + 1)]
    return compose([(base, 0, 0, "stands"), *spots], 0.6, supports=above)


def stack(rng: np.random.Generator, sprites: Sequence[Sprite], rise: float, group: str) -> Unit | None:
    """Each on the one before, `rise` of its own height above."""
    spots: list[Spot] = []
    level = 0.0
    for index, sprite in enumerate(sprites):
        width, height = sprite.size
        x = rng.uniform(-0.08, 0.08) * width - width / 2
        spots.append((sprite, x, level - height, "rests" if index else "stands"))
        level -= rise * (height - 2 * MARGIN)
    return compose(spots, 0.18, group, supports=[(k + 1, k) for k in range(len(sprites) - 1)])


def row(rng: np.random.Generator, sprites: Sequence[Sprite], contact: Contact, group: str) -> Unit | None:
    """Side by side at equal distances, on a line that may come nearer from one end to the other."""
    gap, slope = rng.uniform(0.95, 1.2), rng.uniform(-0.12, 0.12)
    step = gap * max(sprite.size[0] for sprite in sprites)
    spots: list[Spot] = [
        (sprite, k * step - sprite.size[0] / 2, k * step * slope - sprite.size[1], contact)
        for k, sprite in enumerate(sprites)
    ]
    return compose(sorted(spots, key=lambda spot: spot[2] + spot[0].size[1]), 0.5, group)


def heap(rng: np.random.Generator, sprites: Sequence[Sprite], group: str) -> Unit | None:
    """A wide row of them and a narrower one on top."""
    lower = -(-(len(sprites) + 1) // 2)
    width, height = np.max([sprite.size for sprite in sprites], axis=0) - 2 * MARGIN
    spots: list[Spot] = []
    for k, sprite in enumerate(sprites):
        upper = k >= lower
        x = (k - lower + 0.5 if upper else k) * 0.9 * width + rng.uniform(-0.06, 0.06) * width
        y = -0.68 * height * upper + rng.uniform(0, 0.08) * height
        spots.append((sprite, x - sprite.size[0] / 2, y - sprite.size[1], "rests" if upper else "stands"))
    return compose(spots, 0.45, group)


def scatter(
    rng: np.random.Generator, sprites: Sequence[Sprite], contact: Contact, spread: float, group: str
) -> Unit | None:
    """Near one another, in two rows out of line; spread: the distance between them in widths."""
    width, height = np.max([sprite.size for sprite in sprites], axis=0)
    spots: list[Spot] = []
    for k, sprite in enumerate(sprites):
        x = spread * width * (k + rng.uniform(-0.2, 0.2)) * 0.62
        y = spread * height * (0.75 * (k % 2) + rng.uniform(-0.25, 0.25))
        spots.append((sprite, x, y, contact))
    return compose(spots, 0.5, group)
