"""Masks of a scene as perception proposes them, and what each shows to who asks for objects or for parts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.scenes import COLORS, KINDS, MATERIALS, PATTERNS, SIZES, Scene, SceneObject

SLOTS = 64  # numbers of parts: 0 is the ground, the last one stands for what is outside of the image
MOST_PARTS = SLOTS - 2
BACKGROUND = -1  # as kind
WHOLE = -1  # as part
NONE = -1  # as pattern, material or row

Mask = npt.NDArray[np.bool_]
RECORD = np.dtype(
    [
        ("kind", np.int8),  # index into KINDS, or BACKGROUND
        ("color", np.int8),
        ("size", np.int8),
        ("pattern", np.int8),  # index into PATTERNS, or NONE
        ("material", np.int8),  # index into MATERIALS, or NONE
        ("shown", np.int8),  # part that the mask shows to who asks for objects: index into the kind's, or WHOLE
        ("part", np.int8),  # part that the mask shows to who asks for parts, likewise
        ("object", np.int8),  # index into the rows of the true twin of objects
        ("row", np.int8),  # index of `part` into the rows of the true twin of parts, or NONE
    ]
)


@dataclass(frozen=True, eq=False)
class Truth:
    """A scene with its parts numbered from 1, object by object."""

    scene: Scene
    owners: npt.NDArray[np.uint8]  # [H, W] number of the part at a pixel, 0 is the ground
    objects: npt.NDArray[np.uint8]  # [SLOTS] number of a part's object, from 1; 0 where there is no such part
    names: tuple[str, ...]  # of the parts, of number 1 first
    areas: npt.NDArray[np.int64]  # [SLOTS] pixels

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """[parts] of each part, of number 1 first, its index into the rows of the true twin of parts."""
        order = np.argsort(-self.areas[1 : 1 + len(self.names)], kind="stable")
        rows = np.empty_like(order)
        rows[order] = np.arange(len(order))
        return rows


def numbered(scene: Scene) -> Truth:
    """The scene with its parts numbered. Raises ValueError for more than MOST_PARTS of them."""
    parts = [(i, part) for i, found in enumerate(scene.objects, start=1) for part in found.parts]
    if len(parts) > MOST_PARTS:
        raise ValueError(f"scene {scene.seed} has {len(parts)} parts, more than {MOST_PARTS}")
    owners = np.zeros(scene.image.shape[:2], np.uint8)
    objects = np.zeros(SLOTS, np.uint8)
    for number, (i, part) in enumerate(parts, start=1):
        owners[part.mask] = number
        objects[number] = i
    areas = np.bincount(owners.ravel(), minlength=SLOTS)
    return Truth(scene, owners, objects, tuple(part.name for _, part in parts), areas)


def record_of(truth: Truth, mask: Mask) -> tuple[int, ...]:
    """What `mask` shows, a row of RECORD: what most of it lies on, as the whole or as the part that it is most like."""
    shared = np.bincount(truth.owners[mask], minlength=SLOTS)
    on = np.bincount(truth.objects, weights=shared)  # [1 + objects], of the ground first
    number = int(on.argmax())
    if number == 0:
        return (BACKGROUND, 0, 0, NONE, NONE, WHOLE, WHOLE, 0, NONE)
    found = truth.scene.objects[number - 1]
    own = np.flatnonzero(truth.objects == number)
    area = int(shared.sum())
    whole = on[number] / (area + truth.areas[own].sum() - on[number])
    parts = shared[own] / (area + truth.areas[own] - shared[own])
    best = int(own[parts.argmax()])
    names = KINDS[found.kind].parts
    part = names.index(truth.names[best - 1])
    like_part = len(names) == 1 or parts.max() >= whole
    return (
        list(KINDS).index(found.kind),
        list(COLORS).index(found.color),
        list(SIZES).index(found.size),
        PATTERNS.index(found.pattern) if found.pattern else NONE,
        MATERIALS.index(found.material) if found.material else NONE,
        WHOLE if len(names) == 1 or whole >= min(0.5, parts.max()) else part,
        part if like_part else WHOLE,
        number - 1,
        int(truth.rows[best - 1]) if like_part else NONE,
    )


def perceived(rng: np.random.Generator, scene: Scene, count: int) -> list[Mask]:
    """`count` masks as a small SAM errs, shuffled: a tenth of ground, the others of objects and of parts by halves."""
    objects = [scene.objects[i] for i in rng.permutation(len(scene.objects))]
    parts = [part.mask for found in objects if len(found.parts) > 1 for part in found.parts]
    ground = int(rng.binomial(count, 0.1))
    wholes = min(len(objects), (count - ground + 1) // 2) if parts else count - ground
    chosen = [_ground(rng, scene) for _ in range(ground)]
    chosen += [_object(rng, objects[i % len(objects)]) for i in range(wholes)]
    picks = rng.permutation(len(parts))
    chosen += [perturb(rng, parts[picks[i % len(parts)]], 0.6) for i in range(count - len(chosen))]
    return [chosen[i] for i in rng.permutation(count)]


def perturb(rng: np.random.Generator, mask: Mask, share: float = 1.0) -> Mask:
    """`mask`, for a `share` of calls with the errors of a small SAM: a coarse grid, a moved boundary, a shift, a leak
    or a bite. The result overlaps `mask` with an IoU of at least 0.5.
    """
    if rng.random() >= share:
        return mask
    scale = min(mask.shape) / 256
    radius = np.sqrt(mask.sum()) * rng.uniform(0.1, 0.3)
    window = _window(mask, int(10 * scale + radius))
    before = out = mask[window]
    if rng.random() < 0.5:
        out = ndimage.gaussian_filter(out.astype(np.float32), scale * rng.uniform(0.7, 3)) > rng.uniform(0.35, 0.65)
    if rng.random() < 0.5:
        change = ndimage.binary_dilation if rng.random() < 0.5 else ndimage.binary_erosion
        out = change(out, iterations=max(1, round(scale * rng.uniform(0.5, 3))))
    if rng.random() < 0.4:
        shift = np.rint(rng.uniform(-3, 3, 2) * scale).astype(int)
        out = np.roll(out, tuple(shift), (0, 1))
    if rng.random() < 0.3 and out.any():
        edge = out & ~ndimage.binary_erosion(out)
        at = np.argwhere(edge)[int(rng.integers(edge.sum()))]
        y, x = np.ogrid[: out.shape[0], : out.shape[1]]
        disc = (y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2
        out = out | disc if rng.random() < 0.5 else out & ~disc
    if (out & before).sum() < 0.5 * (out | before).sum():
        return mask
    changed = np.zeros_like(mask)
    changed[window] = out
    return changed


def _object(rng: np.random.Generator, found: SceneObject) -> Mask:
    """An object's mask, sometimes without one of its smaller parts."""
    mask = found.mask
    if len(found.parts) > 1 and rng.random() < 0.25:
        largest = max(found.parts, key=lambda part: int(part.mask.sum()))
        others = [part for part in found.parts if part is not largest]
        less = mask & ~others[int(rng.integers(len(others)))].mask
        mask = less if less.sum() >= 0.6 * mask.sum() else mask
    return perturb(rng, mask, 0.7)


def _ground(rng: np.random.Generator, scene: Scene) -> Mask:
    """A piece of ground without what stands on it: a blob, or all of one side; all ground where that is too little."""
    height, width = scene.image.shape[:2]
    free = ~np.logical_or.reduce([found.mask for found in scene.objects])
    y, x = np.ogrid[:height, :width]
    if rng.random() < 0.4:
        angle = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.1)
        along = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
        mask = free & ((along > rng.uniform(-0.6, 0.3)) ^ (rng.random() < 0.5))
    else:
        at = np.argwhere(free)[int(rng.integers(free.sum()))]
        ry, rx = min(height, width) * rng.uniform(0.04, 0.3, 2)
        wobble = 1 + 0.3 * np.sin(np.arctan2(y - at[0], x - at[1]) * rng.integers(1, 5) + rng.uniform(0, 6))
        mask = (((y - at[0]) / ry) ** 2 + ((x - at[1]) / rx) ** 2 <= wobble) & free
    return np.asarray(mask if mask.sum() >= 40 else free, np.bool_)


def _window(mask: Mask, margin: int) -> tuple[slice, slice]:
    """The box of `mask` and a margin, within the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
        slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
    )
