"""Which units a scene is made of: kinds and looks drawn by chance, groups by their names, and how each is posed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.scenes import units
from training.scenes.light import Light
from training.scenes.shapes import SHAPES, TOPS
from training.scenes.sprite import Look, Pose, Sprite, draw_sprite
from training.scenes.units import Contact, Unit
from training.scenes.vocabulary import COLORS, KINDS, PATTERNS, SIZES, held_out

FINISHED = 0.45  # probability of a pattern or a material where the kind may have one
ALIKE = 0.55  # probability that the members of a group look alike

FLOATING = frozenset({"airplane", "bird", "butterfly", "kite", "balloon"})
LYING = frozenset(
    {"knife", "fork", "spoon", "carrot", "hammer", "scissors", "saw", "pencil", "key", "umbrella", "fish", "guitar"}
    | {"flower"}
)
# What may stand on something larger.
ON_TOP = (
    *("mug", "bottle", "bowl", "teapot", "goblet", "cake", "apple", "pear", "mushroom", "lamp", "vase"),
    *("basket", "box", "candle", "clock", "hat", "cactus", "cat", "ball", "drum"),
)

# Container -> its contents, each with the name of the whole.
CONTENTS: dict[str, dict[str, str]] = {
    "bowl": {"apple": "apples", "pear": "pears", "mushroom": "mushrooms", "ball": "balls"},
    "basket": {"apple": "apples", "pear": "pears", "carrot": "carrots", "mushroom": "mushrooms", "ball": "balls"},
    "box": {"ball": "balls", "book": "books", "candle": "candles", "shoe": "shoes", "bottle": "bottles"},
    "vase": {"flower": "flowers"},
    "plate": {"apple": "apples", "pear": "pears", "mushroom": "mushrooms", "carrot": "carrots"},
    "pan": {"mushroom": "mushrooms", "carrot": "carrots", "fish": "fish"},
    "mug": {"pencil": "pencils", "spoon": "spoons"},
}
UPRIGHT = frozenset({"vase", "mug"})  # containers whose contents stand in them, spread like a fan

# Kind -> what several of it are called, and how they are arranged.
GROUPS: dict[str, tuple[str, str]] = {
    "bird": ("a flock of birds", "scatter"),
    "fish": ("a school of fish", "scatter"),
    "butterfly": ("a swarm of butterflies", "scatter"),
    "balloon": ("a bunch of balloons", "bunch"),
    "flower": ("a bunch of flowers", "bunch"),
    "book": ("a stack of books", "stack"),
    "plate": ("a stack of plates", "stack"),
    "box": ("a row of boxes", "row"),
    "ball": ("a heap of balls", "heap"),
    "apple": ("a heap of apples", "heap"),
    "pear": ("a heap of pears", "heap"),
    "carrot": ("a heap of carrots", "heap"),
    "mushroom": ("a heap of mushrooms", "heap"),
    "bottle": ("a row of bottles", "row"),
    "mug": ("a row of mugs", "row"),
    "goblet": ("a row of goblets", "row"),
    "candle": ("a row of candles", "row"),
    "vase": ("a row of vases", "row"),
    "chair": ("a row of chairs", "row"),
    "drum": ("a row of drums", "row"),
    "tree": ("a row of trees", "row"),
    "cactus": ("a row of cactuses", "row"),
    "house": ("a row of houses", "row"),
    "car": ("a row of cars", "row"),
    "pencil": ("a row of pencils", "row"),
}
RISES = {"book": 0.44, "plate": 0.3}  # share of its height that the next in a stack lies higher


@dataclass(frozen=True)
class Casting:
    """Draws units for one scene. side: its shorter side in pixels; held_out: whether pairs kept from training occur."""

    rng: np.random.Generator
    side: int
    light: Light
    held_out: bool

    def single(self, size: str, kind: str | None = None, color: str | None = None) -> Unit | None:
        """One object, of a kind and a color or of any."""
        kind = kind or self._choose(list(SHAPES))
        sprite = self._draw(self._look(kind, size, color))
        return units.compose([(sprite, 0, 0, contact(kind))], 1)

    def group(self) -> Unit | None:
        """Several of a kind that have a name together."""
        kind = self._choose([each for each in GROUPS if each in SHAPES])
        name, way = GROUPS[kind]
        rng = self.rng
        if way == "stack":
            looks = self._looks(kind, "large" if rng.random() < 0.4 else "medium", int(rng.integers(2, 5)))
            pose = Pose(mirrored=bool(rng.integers(2)))
            return units.stack(rng, [self._draw(look, pose) for look in looks], RISES[kind], name)
        looks = self._looks(kind, "small", int(rng.integers(3, 6)))
        if way == "heap":
            return units.heap(rng, [self._draw(look) for look in looks], name)
        tilt, mirrored = float(rng.uniform(-6, 6)), bool(rng.integers(2))
        loose = 14 if way != "row" else 2
        sprites = [self._draw(look, Pose(tilt + rng.uniform(-loose, loose), mirrored)) for look in looks]
        if way == "row":
            return units.row(rng, sprites, contact(kind), name)
        return units.scatter(rng, sprites, contact(kind), 1.0 if way == "scatter" else 0.72, name)

    def container(self) -> Unit | None:
        """A container with what is in it: a group, or a single thing."""
        kind = self._choose([each for each in CONTENTS if each in SHAPES])
        inner = self._choose([each for each in CONTENTS[kind] if each in SHAPES])
        rng = self.rng
        look = self._look(kind, "large" if rng.random() < 0.7 else "medium")
        if look.material == "glass":  # what is in it would be seen and yet not be its own pixels
            look = Look(look.kind, look.color, look.size)
        outer = draw_sprite(rng, look, self.side, self.light, Pose(), opened=True)
        count = int(rng.integers(2, 6)) if rng.random() < 0.85 else 1
        group = f"a {kind} of {CONTENTS[kind][inner]}" if count > 1 else None
        fan = np.linspace(-22, 22, count) if kind in UPRIGHT and count > 1 else rng.uniform(-8, 8, count)
        size = "medium" if kind == "vase" and look.size == "large" else "small"
        sprites = [
            self._draw(each, Pose(float(tilt) + (180 if inner == "spoon" else 0)))
            for each, tilt in zip(self._looks(inner, size, count), fan, strict=True)
        ]
        return units.fill(rng, outer, sprites, kind not in UPRIGHT, group)

    def support(self) -> Unit | None:
        """One or two smaller things on something with a top."""
        rng = self.rng
        base = self._look(self._choose([kind for kind in TOPS if kind in SHAPES]), "large")
        above = self._choose([kind for kind in ON_TOP if kind in SHAPES and kind != base.kind])
        things = [self._look(above, "medium" if rng.random() < 0.25 else "small")]
        if rng.random() < 0.35:
            things.append(
                self._look(self._choose([k for k in ON_TOP if k in SHAPES and k not in (base.kind, above)]), "small")
            )
        sprite = draw_sprite(rng, base, self.side, self.light, Pose(0, bool(rng.integers(2))))
        return units.stand_on(rng, sprite, [self._draw(look, Pose()) for look in things])

    def _choose(self, names: Sequence[str]) -> str:
        return names[int(self.rng.integers(len(names)))]

    def _look(self, kind: str, size: str, color: str | None = None) -> Look:
        """A look of a kind and size, in a color that may be shown."""
        colors = [each for each in COLORS if self.held_out or not held_out(each, kind)]
        if color not in colors:
            color = self._choose(colors)
        pattern = material = None
        patterns, materials = PATTERNS if KINDS[kind].patterned else (), KINDS[kind].materials
        if self.rng.random() < FINISHED and (patterns or materials):
            if materials and (not patterns or self.rng.random() < 0.5):
                material = self._choose(materials)
            else:
                pattern = self._choose(patterns)
        return Look(kind, color, size, pattern, material)

    def _looks(self, kind: str, size: str, count: int) -> list[Look]:
        if self.rng.random() < ALIKE:
            return [self._look(kind, size)] * count
        return [self._look(kind, size) for _ in range(count)]

    def _draw(self, look: Look, pose: Pose | None = None) -> Sprite:
        if pose is None:
            slack = {"stands": 3, "lies": 35, "floats": 15}[contact(look.kind)]
            pose = Pose(float(self.rng.uniform(-slack, slack)), bool(self.rng.integers(2)))
        return draw_sprite(self.rng, look, self.side, self.light, pose)


def contact(kind: str) -> Contact:
    """How a single object of the kind meets the ground."""
    return "floats" if kind in FLOATING else "lies" if kind in LYING else "stands"


def draw_size(rng: np.random.Generator, crowded: bool) -> str:
    """A size; where many objects share the room, mostly a small one."""
    shares = (0.5, 0.36, 0.14) if crowded else (0.3, 0.4, 0.3)
    return list(SIZES)[int(rng.choice(3, p=shares))]
