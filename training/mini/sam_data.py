"""Rendered scenes as SAM training data: rendered once into arrays on disk, and batches of prompts drawn from them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from training.scenes import KINDS, Scene, render_scene

FIRST_SEED = 10_000  # the seeds below are held out
SIDE = 256
PATCH = 16
GRID = SIDE // 4  # masks are learned at the decoder's low resolution
SLOTS = 33  # owner 0 is the background, 1..32 are parts
CLASSES = {name: 1 + i for i, name in enumerate((kind, part) for kind in KINDS for part in KINDS[kind])}

# Width and height of a scene, by its seed: mostly as the network sees it, some wide, high, or scaled down.
SIZES = ((SIDE, SIDE),) * 9 + ((320, 256), (256, 320), (384, 256), (256, 384), (341, 256), (384, 384), (512, 512))


COLUMNS: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {  # name -> shape and type of one scene's entry
    "images": ((SIDE, SIDE, 3), np.uint8),
    "owners": ((SIDE, SIDE), np.uint8),
    "objects": ((SLOTS,), np.uint8),
    "classes": ((SLOTS,), np.uint8),
    "sizes": ((2,), np.int64),
}


@dataclass(frozen=True)
class Scenes:
    """N scenes at 256x256, smaller ones padded with black at the right and the bottom."""

    images: npt.NDArray[np.uint8]  # [N, 256, 256, 3] RGB
    owners: npt.NDArray[np.uint8]  # [N, 256, 256] number of the part at a pixel, 0 is background
    objects: npt.NDArray[np.uint8]  # [N, SLOTS] number of a part's object, 0 where there is no such part
    classes: npt.NDArray[np.uint8]  # [N, SLOTS] kind and part, see CLASSES
    sizes: npt.NDArray[np.int64]  # [N, 2] height and width that the scene fills

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Batch:
    """B images with P prompts each. `part` and `whole` are soft where a low-resolution pixel holds an edge."""

    images: Tensor  # [B, 3, 256, 256] float, 0..255
    points: Tensor  # [B, P, 2] float, x and y in pixels
    part: Tensor  # [B, P, 64, 64] share of the pixel that belongs to the part at the point
    whole: Tensor  # [B, P, 64, 64] likewise for the object
    hit: Tensor  # [B, P] bool, false where the point is on the background
    classes: Tensor  # [B, 64, 64] int64, see CLASSES
    offsets: Tensor  # [B, 4, 16, 16] from here to the centroid of the object and of the part (dx, dy each), / 64
    inside: Tensor  # [B, 16, 16] bool, where offsets are defined


def prepare(folder: Path, count: int) -> Scenes:
    """The scenes FIRST_SEED..FIRST_SEED + count - 1, rendered into `folder` unless it already holds them."""
    done = folder / "done.json"
    wanted = {"first_seed": FIRST_SEED, "count": count}
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        folder.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        arrays = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (count, *shape))
            for name, (shape, dtype) in COLUMNS.items()
        }
        scenes = Scenes(**arrays)
        for index in range(count):
            _store(scenes, index, FIRST_SEED + index)
        for array in arrays.values():
            array.flush()
        done.write_text(json.dumps(wanted))
    return Scenes(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS})


def render(seeds: range) -> Scenes:
    """The scenes of `seeds`, in memory."""
    scenes = Scenes(**{name: np.zeros((len(seeds), *shape), dtype) for name, (shape, dtype) in COLUMNS.items()})
    for index, seed in enumerate(seeds):
        _store(scenes, index, seed)
    return scenes


def _store(scenes: Scenes, index: int, seed: int) -> None:
    scene = render_scene(seed, *SIZES[seed % len(SIZES)])
    owners, objects, classes = label(scene)
    height, width = owners.shape
    scale = SIDE / max(height, width)
    x, y = int(width * scale + 0.5), int(height * scale + 0.5)  # as SAM's ResizeLongestSide rounds
    image = Image.fromarray(scene.image).resize((x, y), Image.Resampling.BILINEAR)
    scenes.images[index, :y, :x] = np.asarray(image)
    scenes.owners[index, :y, :x] = np.asarray(Image.fromarray(owners).resize((x, y), Image.Resampling.NEAREST))
    scenes.objects[index], scenes.classes[index], scenes.sizes[index] = objects, classes, (y, x)


def label(scene: Scene) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Number the parts of a scene: owners [H, W], and by part the object's number and the class, [SLOTS] each."""
    owners = np.zeros(scene.image.shape[:2], np.uint8)
    objects, classes = np.zeros(SLOTS, np.uint8), np.zeros(SLOTS, np.uint8)
    number = 0
    for i, found in enumerate(scene.objects, start=1):
        for part in found.parts:
            number += 1
            owners[part.mask] = number
            objects[number], classes[number] = i, CLASSES[found.kind, part.name]
    return owners, objects, classes


def draw_batch(
    scenes: Scenes,
    indices: npt.NDArray[np.int64],
    prompts: int,
    rng: np.random.Generator,
    augment: bool = True,
) -> Batch:
    """Images `indices`, each prompted at `prompts` points; flipped half of the time and jittered in color, or as is."""
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    for index in indices:
        height, width = (int(side) for side in scenes.sizes[index])
        image, owners = scenes.images[index, :height, :width], scenes.owners[index, :height, :width]
        if augment and rng.random() < 0.5:
            image, owners = image[:, ::-1], owners[:, ::-1]
        padding = ((0, SIDE - height), (0, SIDE - width))
        pixels = np.pad(_jittered(image, rng) if augment else image.astype(np.float32), (*padding, (0, 0))).transpose(
            2, 0, 1
        )
        points = _points(owners, scenes.objects[index], prompts, rng)
        owners = np.pad(owners, padding)
        numbers = owners[points[:, 1], points[:, 0]]
        belongs = scenes.objects[index][owners]  # [256, 256] number of the object at a pixel
        columns.append(
            (
                pixels,
                points.astype(np.float32),
                _shares(owners[None] == numbers[:, None, None]),
                _shares(belongs[None] == scenes.objects[index][numbers][:, None, None]),
                numbers > 0,
                scenes.classes[index][owners[2::4, 2::4]].astype(np.int64),
                np.concatenate([_offsets(belongs), _offsets(owners)]),
                owners[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH] > 0,
            )
        )
    return Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*columns, strict=True)))


def _jittered(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    gain = rng.uniform(0.92, 1.08, 3) * rng.uniform(0.92, 1.08)
    jittered = np.clip(image * gain + rng.uniform(-8, 8), 0, 255)
    return jittered.astype(np.float32)


def _points(
    owners: npt.NDArray[np.uint8], objects: npt.NDArray[np.uint8], prompts: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """[prompts, 2] x and y. A quarter lie on the background; the others in parts drawn by the square root of their
    area, uniformly inside or at the centroid of the part or its object.
    """
    height, width = owners.shape
    areas = np.bincount(owners.ravel(), minlength=SLOTS)
    areas[0] = 0
    weights = np.sqrt(areas)
    order = np.argsort(owners, axis=None, kind="stable")  # pixels by owner
    starts = np.concatenate([[0], np.cumsum(np.bincount(owners.ravel(), minlength=SLOTS))])
    chosen = []
    for part in rng.choice(SLOTS, prompts - prompts // 4, p=weights / weights.sum()):
        kind = rng.random()
        if kind < 0.7:
            pixel = int(order[rng.integers(starts[part], starts[part + 1])])
            chosen.append((pixel % width, pixel // width))
        else:
            rows, columns = np.nonzero(owners == part if kind < 0.88 else objects[owners] == objects[part])
            chosen.append((int(columns.mean()), int(rows.mean())))
    while len(chosen) < prompts:
        x, y = int(rng.integers(width)), int(rng.integers(height))
        if owners[y, x] == 0:
            chosen.append((x, y))
    return np.array(chosen)


def _shares(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """[P, 256, 256] bool to [P, 64, 64], the share of each pixel."""
    m = masks.view(np.uint8)
    for _ in range(2):
        m = m[:, ::2, ::2] + m[:, 1::2, ::2] + m[:, ::2, 1::2] + m[:, 1::2, 1::2]
    return m.astype(np.float32) / np.float32(16)


def _offsets(owners: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """[2, 16, 16] dx, dy from the middle of each 16 x 16 patch to the centroid of what is there, / 64."""
    flat = owners.ravel()
    count = np.maximum(np.bincount(flat, minlength=SLOTS), 1)
    y, x = np.divmod(np.arange(flat.size), SIDE)
    centroids = [np.bincount(flat, weights=axis, minlength=SLOTS) / count for axis in (x, y)]
    here = owners[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH]
    middle = np.arange(PATCH // 2, SIDE, PATCH)
    moved = np.stack([centroids[0][here] - middle[None, :], centroids[1][here] - middle[:, None]]) / 64
    return moved.astype(np.float32)
