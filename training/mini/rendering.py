"""A scene as it is stored: the image and its parts as SAM sees them, and masks, queries and their truth for the VLM."""

import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from dtwinseger.prompts import views
from training.mini.asked import ask
from training.mini.scene_store import QUERIES, SIDE, VIEW, VIEWS, Store
from training.mini.shown import SLOTS, Mask, Truth, numbered, perceived, record_of
from training.scenes import KINDS, render_scene
from training.scenes.render import TRAINING

FIRST_SEED = TRAINING  # the seeds below are held out
CLASSES = {name: 1 + i for i, name in enumerate((kind, part) for kind in KINDS for part in KINDS[kind].parts)}
PAD = 127  # gray, where the processor makes a picture square

# Width and height of a scene, one drawn by its seed.
SMALL = ((256, 256),) * 8 + ((320, 256), (256, 320), (384, 256), (256, 384), (384, 384), (384, 384))
LARGE = ((512, 512),) * 3 + ((640, 480), (480, 640), (768, 512), (1024, 768))
FRAMES = SMALL + LARGE

Proposer = Callable[[np.random.Generator, Truth], list[Mask]]


def frame(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a scene."""
    return FRAMES[int(rng.integers(len(FRAMES)))]


def store_scene(store: Store, index: int, seed: int, propose: Proposer | None = None) -> None:
    """Render the scene of `seed` into `store` at `index`.

    propose: masks of the scene in any number; what lacks of VIEWS, or all without it, are true masks, perturbed.
    """
    rng = np.random.default_rng((seed, 1))
    truth = numbered(render_scene(seed, *frame(rng)))
    store_image(store, index, truth)
    masks = propose(rng, truth)[:VIEWS] if propose else []
    masks += perceived(rng, truth.scene, VIEWS - len(masks)) if len(masks) < VIEWS else []
    whole = views.scaled(truth.scene.image, VIEW)
    store.wholes[index] = square(whole)
    for k, mask in enumerate(masks):
        store.pictures[index, k, 0] = square(views.marked(whole, mask, 1, VIEW))
        store.pictures[index, k, 1] = square(views.crop(truth.scene.image, mask, VIEW))
        store.records[index, k] = record_of(truth, mask)
    store.queries[index] = ask(truth.scene, random.Random(seed), QUERIES)  # noqa: S311
    store.done[index] = True


def store_image(store: Store, index: int, truth: Truth) -> None:
    """The image and the numbers of its parts, as large as SAM sees them."""
    scaled, owners = at_side(truth)
    y, x = owners.shape
    store.images[index, :y, :x], store.owners[index, :y, :x] = scaled, owners
    store.objects[index], store.classes[index], store.sizes[index] = truth.objects, _classes(truth), (y, x)


def at_side(truth: Truth) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Image [h, w, 3] and owners [h, w] with the longest side at SIDE, as SAM's ResizeLongestSide rounds."""
    height, width = truth.owners.shape
    scale = SIDE / max(height, width)
    size = int(width * scale + 0.5), int(height * scale + 0.5)
    image = Image.fromarray(truth.scene.image).resize(size, Image.Resampling.BILINEAR)
    owners = Image.fromarray(truth.owners).resize(size, Image.Resampling.NEAREST)
    return np.asarray(image), np.asarray(owners)


def square(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """[h, w, 3] with a longest side of VIEW as the VLM's processor pads it: [3, VIEW, VIEW]."""
    height, width = picture.shape[:2]
    padded = np.full((VIEW, VIEW, 3), PAD, np.uint8)
    top, left = (VIEW - height) // 2, (VIEW - width) // 2
    padded[top : top + height, left : left + width] = picture
    return padded.transpose(2, 0, 1)


def _classes(truth: Truth) -> npt.NDArray[np.uint8]:
    classes = np.zeros(SLOTS, np.uint8)
    for number, name in enumerate(truth.names, start=1):
        classes[number] = CLASSES[truth.scene.objects[truth.objects[number] - 1].kind, name]
    return classes
