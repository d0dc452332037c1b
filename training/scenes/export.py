"""Write scenes with queries and their true masks as a folder that `dtwinseger eval` reads.

`python -m training.scenes.export DIR --split val --scenes 100`
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from dtwinseger.evaluation.datasets.scenes import IMAGES, SceneLine, SceneObject, write
from dtwinseger.twin import Mask
from training.scenes.queries import Asker, Query
from training.scenes.render import render_scene
from training.scenes.things import take_apart
from training.scenes.twins import true_semantics, true_twin
from training.scenes.world import Scene

# The ways to refer to something, in turn: its name, its looks, its place, a relation, a use, and what is not there.
KINDS = ("name", "description", "place", "relation", "affordance", "none")
FIRST_SEED = 1_000  # nothing is trained on scenes below 10,000


def queries(scene: Scene, count: int) -> list[Query]:
    """Up to `count` queries about the scene, each of another kind; which kind comes first goes with its seed."""
    height, width = scene.image.shape[:2]
    asker = Asker(take_apart(true_twin(scene)), (height, width), random.Random(scene.seed))  # noqa: S311
    first = scene.seed % len(KINDS)
    found: list[Query] = []
    for kind in KINDS[first:] + KINDS[:first]:  # the next kind where the scene offers none of this one
        if len(found) < count and (query := asker.draw(kind)):
            found.append(query)
    return found


def lines(folder: Path, seeds: range, size: tuple[int, int], each: int) -> Iterator[SceneLine]:
    """Render the scene of each seed, (height, width) pixels, into `folder`/images and say what is asked of it."""
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    height, width = size
    for seed in seeds:
        scene = render_scene(seed, width, height)
        name = f"{seed:08d}"
        seen = tuple(
            SceneObject(mask=Mask.encode(found.mask), semantics=true_semantics(found)) for found in scene.objects
        )
        Image.fromarray(scene.image).save(folder / IMAGES / f"{name}.png")
        for k, query in enumerate(queries(scene, each)):
            answer = np.zeros(size, dtype=np.bool_)
            for index in query.indices:
                answer |= scene.objects[index - 1].mask
            yield SceneLine(
                sample_id=name if each == 1 else f"{name}#{k}",
                image=f"{name}.png",
                query=query.text,
                kind=query.kind,
                granularity=query.granularity,
                targets=len(query.indices),
                mask=Mask.encode(answer),
                objects=seen,
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.scenes.export", description=__doc__)
    parser.add_argument("folder", type=Path, help="the root of the data set; made where it is not there")
    parser.add_argument("--split", default="val", help="the split's name")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="below 10,000 nothing was trained on")
    parser.add_argument("--queries", type=int, default=1, help=f"of each scene, at most {len(KINDS)}")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 512), metavar=("HEIGHT", "WIDTH"), help="pixels")
    asked = parser.parse_args()
    split = asked.folder / asked.split
    seeds = range(asked.first_seed, asked.first_seed + asked.scenes)
    samples = lines(split, seeds, tuple(asked.size), asked.queries)
    count = write(split, track(samples, description="scenes", total=asked.scenes * asked.queries, transient=True))
    print(f"{count} samples in {split}")


if __name__ == "__main__":
    main()
