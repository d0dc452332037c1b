"""Composition of ground, clutter, shadows, objects and noise; what is painted last owns the pixel."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.scenes import light as lights
from training.scenes.backgrounds import draw_ground, vignette
from training.scenes.clutter import strew
from training.scenes.layout import MIN_PART_PIXELS, Placed, arrange
from training.scenes.light import Light, Shadow, draw_light
from training.scenes.units import MAX_PARTS, Member
from training.scenes.vocabulary import KINDS
from training.scenes.world import Group, Mask, Part, Scene, SceneObject

SMALLEST = 256  # pixels: below, the parts of small objects vanish
TRAINING = 10_000  # seeds from here on are for training

Floats = npt.NDArray[np.float32]


def render_scene(seed: int, width: int = 256, height: int = 256) -> Scene:
    """Render a scene of `width` x `height` pixels, each at least 256: the same one for the same arguments.

    The image is [height, width, 3] uint8 RGB; masks are [height, width] bool in the same frame, pixels with
    x right and y down. Seeds from 10,000 on are for training and never hold a pair of color and kind that is held
    out; seeds below are for evaluation and may. Raises ValueError for a smaller image.
    """
    if min(width, height) < SMALLEST:
        raise ValueError(f"a scene is at least {SMALLEST} pixels wide and high, not {width} x {height}")
    rng = np.random.default_rng(seed)
    light = draw_light(rng)
    ground = draw_ground(rng, width, height)
    placed = arrange(rng, width, height, light, ground.horizon, held_out=seed < TRAINING)
    canvas = ground.paint
    strew(rng, canvas, light, ground.horizon)
    for each in placed:
        _paint(canvas, each, light, ground.horizon)
    canvas *= vignette(rng, width, height)
    canvas += np.float32(rng.uniform(1, 3)) * rng.standard_normal((height, width), np.float32)
    pixels = np.rint(np.clip(canvas, 0, 255, out=canvas), out=canvas).astype(np.uint8)
    image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return _scene(seed, image, placed)


def _paint(canvas: Floats, placed: Placed, light: Light, horizon: int) -> None:
    """Paint a unit, each member's shadows before its first layer, onto [3, H, W] RGB."""
    unit = placed.unit
    for index, layer in unit.order:
        member = unit.members[index]
        x, y = placed.left + member.left, placed.top + member.top
        if layer == 0:
            for shadow in _shadows(member, light, min(canvas.shape[1:]), y, horizon):
                _darken(canvas, shadow, x, y)
        painted = member.sprite.layers[layer]
        high, wide = painted.alpha.shape
        crop = canvas[:, y : y + high, x : x + wide]
        crop *= 1 - painted.alpha
        crop += painted.paint


def _shadows(member: Member, light: Light, side: int, top: int, horizon: int) -> list[Shadow]:
    outline = member.sprite.outline
    match member.contact:
        case "stands":
            return [lights.cast(light, outline, side), lights.contact(outline, side)]
        case "rests":
            return [lights.drop(light, outline, side, 0.012 * side), lights.contact(outline, side)]
        case "lies":
            return [lights.drop(light, outline, side, 0.02 * side)]
        case "floats":  # before a wall or the sky, nothing catches its shadow
            return [] if top < horizon else [lights.drop(light, outline, side, 0.12 * side)]


def _darken(canvas: Floats, shadow: Shadow, x: int, y: int) -> None:
    """Take the shadow of a sprite at (x, y) from the part of it that lies on the canvas."""
    _, height, width = canvas.shape
    left, top = x + shadow.left, y + shadow.top
    high, wide = shadow.depth.shape
    depth = shadow.depth[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    crop = canvas[:, max(0, top) : max(0, top + high), max(0, left) : max(0, left + wide)]
    crop *= 1 - depth


def _scene(seed: int, image: npt.NDArray[np.uint8], placed: Sequence[Placed]) -> Scene:
    """The records, with objects by visible area and every index made one of them."""
    firsts = np.cumsum([0, *(len(each.unit.members) for each in placed)])
    owners = np.full(image.shape[:2], -1, np.int16)
    for first, each in zip(firsts, placed, strict=False):
        labels = each.unit.labels
        canvas = owners[each.window]
        canvas[labels >= 0] = labels[labels >= 0] + MAX_PARTS * first
    objects = [
        _object(owners, MAX_PARTS * (first + index), member)
        for first, each in zip(firsts, placed, strict=False)
        for index, member in enumerate(each.unit.members)
    ]
    areas = [int(found.mask.sum()) for found in objects]
    order = sorted(range(len(objects)), key=lambda k: -areas[k])
    number = {old: new for new, old in enumerate(order, start=1)}
    groups, supports, containments = [], [], []
    for first, each in zip(firsts, placed, strict=False):
        unit = each.unit
        supports += [(number[first + above], number[first + below]) for above, below in unit.supports]
        containments += [(number[first + inner], number[first + outer]) for inner, outer in unit.containments]
        if unit.group:
            members = range(first, first + len(unit.members))
            mask: Mask = np.logical_or.reduce([objects[k].mask for k in members])
            groups.append(Group(unit.group, tuple(sorted(number[k] for k in members)), mask))
    ordered = tuple(objects[k] for k in order)
    return Scene(seed, image, ordered, tuple(groups), tuple(supports), tuple(containments))


def _object(owners: npt.NDArray[np.int16], first: int, member: Member) -> SceneObject:
    """The object of which owners from `first` on are the parts, without those that show too few pixels."""
    look = member.sprite.look
    parts = [Part(name, owners == first + part) for part, name in enumerate(KINDS[look.kind].parts)]
    seen = tuple(part for part in parts if int(part.mask.sum()) >= MIN_PART_PIXELS)
    whole: Mask = np.logical_or.reduce([part.mask for part in seen])
    return SceneObject(look.kind, look.color, look.size, look.pattern, look.material, whole, seen)
