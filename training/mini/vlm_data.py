"""Rendered objects, parts and backgrounds as a VLM is shown them: both views of each mask, on disk, with labels.

Of each mask two truths are kept: what it shows when the query asks for whole objects, and what it shows when the
query asks for a part. With each scene go queries about it and which of its objects could answer them.
"""

import json
import random
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from transformers.models.llava.image_processing_llava import LlavaImageProcessor

from dtwinseger.prompts import views
from dtwinseger.twin import Granularity
from training.mini.vlm_model import SIDE, picture_processor
from training.scenes import COLORS, KINDS, SIZES, Scene, SceneObject, render_scene
from training.scenes.queries import Asker
from training.scenes.things import take_apart
from training.scenes.twins import true_twin

FIRST_SEED = 10_000  # the seeds below are held out
LARGE = ((512, 512), (512, 512), (640, 480), (640, 480))
FRAMES = ((256, 256),) * 10 + ((320, 256), (256, 320), (384, 256), (341, 256)) + LARGE  # width, height
VIEWS_PER_SCENE = 8
QUERIES_PER_SCENE = 24
PARTS = {part for parts in KINDS.values() for part in parts}
BACKGROUND = -1  # as kind
WHOLE = -1  # as part

Mask = npt.NDArray[np.bool_]
RECORD = np.dtype(
    [
        ("scene", np.int32),  # index into the queries
        ("object", np.int8),  # index into the scene's objects
        ("kind", np.int8),  # index into KINDS, or BACKGROUND
        ("color", np.int8),
        ("size", np.int8),
        ("shown", np.int8),  # part that the mask shows to who asks for objects, or WHOLE
        ("part", np.int8),  # part that the mask shows to who asks for parts, or WHOLE
    ]
)


@dataclass(frozen=True)
class Shown:
    """A mask of a scene and what it is of: an object (None for the background) and, where it shows one, a part."""

    mask: Mask
    found: SceneObject | None
    shown: int = WHOLE
    part: int = WHOLE


@dataclass(frozen=True)
class Asked:
    """A query about a scene. `fits`: which of its objects could answer it, judged by what they are like."""

    text: str
    granularity: Granularity
    fits: tuple[bool, ...]
    part: str | None  # the part that is asked for


@dataclass(frozen=True)
class Views:
    """N masks. `pictures` is [N, 2, 3, SIDE, SIDE] uint8: marked image and crop, padded and scaled by the processor."""

    pictures: npt.NDArray[np.uint8]
    records: npt.NDArray[np.void]  # [N] of RECORD
    queries: tuple[tuple[Asked, ...], ...]  # of each scene

    def __len__(self) -> int:
        return len(self.records)


def prepare(folder: Path, scenes: int, first_seed: int, perturbed: bool) -> Views:
    """Views of `scenes` scenes from `first_seed` on, rendered into `folder` unless it already holds them.

    `perturbed` takes objects, parts and backgrounds with perturbed masks, VIEWS_PER_SCENE a scene; otherwise each
    object once with its exact mask.
    """
    done = folder / "done.json"
    wanted = {"scenes": scenes, "first_seed": first_seed, "perturbed": perturbed}
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        folder.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        _render(folder, scenes, first_seed, perturbed)
        done.write_text(json.dumps(wanted))
    records = np.load(folder / "records.npy")
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")[: len(records)]
    lines = (folder / "queries.jsonl").read_text().splitlines()
    queries = tuple(tuple(Asked(**query) for query in json.loads(line)) for line in lines)
    return Views(pictures, records, queries)


def _render(folder: Path, scenes: int, first_seed: int, perturbed: bool) -> None:
    processor = picture_processor()
    shape = (scenes * VIEWS_PER_SCENE, 2, 3, SIDE, SIDE)  # a scene has at most 8 objects
    pictures = np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, shape)
    records: list[tuple[int, ...]] = []
    with (folder / "queries.jsonl").open("w") as lines:
        for number in range(scenes):
            rng = np.random.default_rng((first_seed + number, 1))
            width, height = FRAMES[int(rng.integers(len(FRAMES)))]
            scene = render_scene(first_seed + number, width, height)
            masks = perceived(rng, scene) if perturbed else [Shown(o.mask, o) for o in scene.objects]
            pictures[len(records) : len(records) + len(masks)] = _pictures(processor, scene, masks)
            records += [record_of(number, scene, shown) for shown in masks]
            seeded = random.Random(first_seed + number)  # noqa: S311
            lines.write(json.dumps([asdict(query) for query in ask(scene, seeded)]) + "\n")
    pictures.flush()
    np.save(folder / "records.npy", np.array(records, RECORD))


def ask(scene: Scene, rng: random.Random) -> list[Asked]:
    """QUERIES_PER_SCENE queries about a scene, one in six for a part."""
    things = take_apart(true_twin(scene))
    asker = Asker(things, scene.image.shape[:2], rng)
    asked: list[Asked] = []
    while len(asked) < QUERIES_PER_SCENE:
        query = asker.part() if len(asked) % 6 == 0 else asker.draw()
        if query is None:
            continue
        words = re.findall(r"[a-z]+", query.text)
        look = [[word for word in words if word in names] for names in (SIZES, COLORS, KINDS)]
        if query.granularity == "part":
            part = next(word for word in words if word in PARTS)
            fits = tuple(
                all(not w or of in w for w, of in zip(look, (t.size, t.color, t.kind), strict=True)) for t in things
            )
        else:
            part = None
            first = query.path[0]  # decides on every object; by its look, where the query names one
            by_look = first.criterion.startswith(("is a ", "is an "))
            fits = tuple(decision.keep or not by_look for decision in first.decisions)
        asked.append(Asked(query.text, query.granularity, fits, part))
    return asked


def perceived(rng: np.random.Generator, scene: Scene) -> list[Shown]:
    """VIEWS_PER_SCENE masks of a scene as perception might propose them: most objects, some parts, some background."""
    wholes = [_object(rng, found) for found in scene.objects]
    parts = [_part(rng, found, k) for found in scene.objects for k in range(len(found.parts)) if len(found.parts) > 1]
    rng.shuffle(wholes)
    rng.shuffle(parts)
    negatives = [_background(rng, scene) for _ in range(int(rng.integers(0, 3)))]
    chosen = (wholes[:5] + negatives + parts + wholes[5:] + negatives)[:VIEWS_PER_SCENE]
    while len(chosen) < VIEWS_PER_SCENE:
        chosen.append(_object(rng, scene.objects[int(rng.integers(len(scene.objects)))]))
    return chosen


def perturb(rng: np.random.Generator, mask: Mask) -> Mask:
    """`mask` with the errors of a small SAM: a coarse grid, a moved boundary, a shift, a leak or a bite.

    The result overlaps `mask` with an IoU of at least 0.5.
    """
    out = mask
    scale = min(mask.shape) / 256
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
        radius = np.sqrt(mask.sum()) * rng.uniform(0.1, 0.3)
        y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
        disc = (y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2
        out = out | disc if rng.random() < 0.5 else out & ~disc
    return np.asarray(out, np.bool_) if _iou(out, mask) >= 0.5 else mask


def _object(rng: np.random.Generator, found: SceneObject) -> Shown:
    """An object's mask, sometimes without one of its smaller parts."""
    mask = found.mask
    if len(found.parts) > 1 and rng.random() < 0.25:
        largest = max(found.parts, key=lambda part: int(part.mask.sum()))
        others = [part for part in found.parts if part is not largest]
        mask = mask & ~others[int(rng.integers(len(others)))].mask
        if _iou(mask, found.mask) < 0.6:
            mask = found.mask
    if rng.random() < 0.7:
        mask = perturb(rng, mask)
    return Shown(mask, found, WHOLE, _best(mask, found))


def _part(rng: np.random.Generator, found: SceneObject, number: int) -> Shown:
    """The mask of one part; where it is most of the object it shows the object to who asks for objects."""
    mask = found.parts[number].mask
    if rng.random() < 0.6:
        mask = perturb(rng, mask)
    best = _best(mask, found)
    return Shown(mask, found, WHOLE if _iou(mask, found.mask) >= 0.5 else best, best)


def _background(rng: np.random.Generator, scene: Scene) -> Shown:
    """A piece of ground: a blob, or all of one side, with at most a little of any object in it."""
    height, width = scene.image.shape[:2]
    free = ~np.logical_or.reduce([found.mask for found in scene.objects])
    y, x = np.mgrid[:height, :width]
    if rng.random() < 0.4:
        angle = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.1)
        along = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
        mask = free & ((along > rng.uniform(-0.6, 0.3)) ^ (rng.random() < 0.5))
    else:
        at = np.argwhere(free)[int(rng.integers(free.sum()))]
        ry, rx = min(height, width) * rng.uniform(0.04, 0.3, 2)
        wobble = 1 + 0.3 * np.sin(np.arctan2(y - at[0], x - at[1]) * rng.integers(1, 5) + rng.uniform(0, 6))
        mask = ((y - at[0]) / ry) ** 2 + ((x - at[1]) / rx) ** 2 <= wobble
        mask &= free if rng.random() < 0.7 else ndimage.binary_dilation(free, iterations=2)
    if mask.sum() < 40:
        mask = free
    return Shown(np.asarray(mask, np.bool_), None)


def _best(mask: Mask, found: SceneObject) -> int:
    """The part of `found` that `mask` is most like, as an index into KINDS[kind], or WHOLE."""
    if len(found.parts) < 2:
        return WHOLE
    overlaps = [_iou(mask, found.mask), *(_iou(mask, part.mask) for part in found.parts)]
    best = int(np.argmax(overlaps))
    return WHOLE if best == 0 else KINDS[found.kind].index(found.parts[best - 1].name)


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _pictures(processor: LlavaImageProcessor, scene: Scene, masks: list[Shown]) -> npt.NDArray[np.uint8]:
    whole = views.scaled(scene.image, SIDE)
    pictures = [
        picture
        for shown in masks
        for picture in (views.marked(whole, shown.mask, 1, SIDE), views.crop(scene.image, shown.mask, SIDE))
    ]
    out = processor([picture.copy() for picture in pictures], do_rescale=False, do_normalize=False, return_tensors="np")
    return np.asarray(out["pixel_values"], np.uint8).reshape(len(masks), 2, 3, SIDE, SIDE)


def record_of(number: int, scene: Scene, shown: Shown) -> tuple[int, ...]:
    """A row of RECORD for a mask of the scene with that number."""
    found = shown.found
    if found is None:
        return (number, 0, BACKGROUND, 0, 0, WHOLE, WHOLE)
    index = next(i for i, other in enumerate(scene.objects) if other is found)
    names = (list(KINDS).index(found.kind), list(COLORS).index(found.color), list(SIZES).index(found.size))
    return (number, index, *names, shown.shown, shown.part)
