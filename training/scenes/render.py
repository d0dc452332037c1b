"""Composition of ground, shadows, objects, light and noise; what is painted last owns the pixel."""

import numpy as np

from training.scenes.backgrounds import background, light
from training.scenes.layout import MAX_PARTS, Layout, arrange
from training.scenes.vocabulary import KINDS
from training.scenes.world import Part, Scene, SceneObject

SMALLEST = 256  # pixels: below, the parts of small objects vanish


def render_scene(seed: int, width: int = 256, height: int = 256) -> Scene:
    """Render a scene of `width` x `height` pixels, each at least 256: the same one for the same arguments.

    The image is [height, width, 3] uint8 RGB; masks are [height, width] bool in the same frame, pixels with
    x right and y down. Raises ValueError for a smaller image.
    """
    if min(width, height) < SMALLEST:
        raise ValueError(f"a scene is at least {SMALLEST} pixels wide and high, not {width} x {height}")
    rng = np.random.default_rng(seed)
    layout = arrange(rng, width, height)
    canvas = background(rng, width, height)  # [3, H, W]
    shade = np.float32(rng.uniform(0.2, 0.4))
    for place in layout.placed:
        sprite = place.sprite
        crop = canvas[:, *place.window]
        crop *= (1 - shade * sprite.shadow) * (1 - sprite.alpha)
        crop += sprite.paint
    canvas *= light(rng, width, height)
    canvas += np.float32(rng.uniform(1.5, 4)) * rng.standard_normal(canvas.shape, np.float32)
    pixels = np.rint(np.clip(canvas, 0, 255, out=canvas), out=canvas).astype(np.uint8)
    image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    objects = sorted(_objects(layout), key=lambda found: -int(found.mask.sum()))
    return Scene(seed, image, tuple(objects))


def _objects(layout: Layout) -> list[SceneObject]:
    objects = []
    for index, place in enumerate(layout.placed):
        sprite = place.sprite
        first = MAX_PARTS * index
        whole = (layout.owners >= first) & (layout.owners < first + MAX_PARTS)
        parts = [Part(name, layout.owners == first + part) for part, name in enumerate(KINDS[sprite.kind].parts)]
        visible = tuple(part for part in parts if part.mask.any())
        objects.append(SceneObject(sprite.kind, sprite.color, sprite.size, None, None, whole, visible))
    return objects
