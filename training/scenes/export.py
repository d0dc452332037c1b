"""Write scenes with queries and their true masks as a folder that `dtwinseger eval` reads.

`python -m training.scenes.export DIR --split val --scenes 200`
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from PIL import Image
from rich.progress import track

from dtwinseger.evaluation.datasets.scenes import IMAGES, SceneLine, SceneObject, write
from dtwinseger.twin import Mask
from training.scenes.asked import Twin, asker_of, faithful, twin_of
from training.scenes.queries import Query
from training.scenes.render import render_scene
from training.scenes.twins import Level, true_part_semantics, true_parts, true_semantics
from training.scenes.world import Scene

FIRST_SEED = 1_000  # nothing is trained on scenes below 10,000
TRIES = 12  # for a query of a kind that has the granularity of its family

# What is asked for in turn -> the level of its twin, its granularity, and the kinds of query for it.
FAMILIES: dict[str, tuple[Level, str | None, tuple[str, ...]]] = {
    "object": (
        "object", "object",
        ("name", "description", "place", "relation", "affordance", "color", "size", "surface", "superlative",
         "negation", "class", "two_step"),
    ),
    "part": ("part", "part", ("part", "part_use")),
    "group": ("object", "group", ("number", "several", "class", "negation", "affordance")),
    "none": ("object", None, ("none",)),
}  # fmt: skip
WHOLE = ("object", "group", "none")  # the families without parts
KINDS = tuple(dict.fromkeys(chain(("group",), *(kinds for _, _, kinds in FAMILIES.values()))))


def queries(scene: Scene, count: int, families: Sequence[str] = tuple(FAMILIES)) -> list[tuple[Twin, Query]]:
    """Up to `count` different queries about the scene, each with the twin that it is about.

    The families take turns, and in each its kinds do; which comes first goes with the scene's seed. Every second run of
    as many scenes as there are families is asked in phrasings that training never sees. Two of five queries for nothing
    are for parts.
    """
    twins: dict[Level, Twin] = {}
    held_out = (scene.seed // len(families)) % 2 == 1
    found: dict[str, tuple[Twin, Query]] = {}
    for turn in range(scene.seed, scene.seed + 3 * count):  # a family may offer nothing here
        level, granularity, kinds = FAMILIES[families[turn % len(families)]]
        number = turn // len(families) + scene.seed // (2 * len(families))
        if kinds == ("none",) and "part" in families and number % 5 < 2:
            level = "part"
        if level not in twins:
            twins[level] = twin_of(scene, level)
        query = _query(scene, twins[level], granularity, _turned(kinds, number), f"{turn}", held_out)
        if query and len(found) < count:
            found.setdefault(query.text, (twins[level], query))
    return list(found.values())


def _turned(kinds: tuple[str, ...], number: int) -> tuple[str, ...]:
    first = number % len(kinds)
    return kinds[first:] + kinds[:first]


def _query(
    scene: Scene, twin: Twin, granularity: str | None, kinds: tuple[str, ...], seed: str, held_out: bool
) -> Query | None:
    """The first of the kinds that the twin offers; the scene's groups come before all that is said of several."""
    asker = asker_of(twin, f"export {scene.seed} {seed}", held_out=held_out)
    if granularity == "group" and scene.groups:
        kinds = ("group", *kinds)
    for kind in kinds:
        for _ in range(TRIES):
            query = asker.draw(kind)
            if query and granularity in (None, query.granularity) and faithful(query, scene):
                return query
    return None


def lines(folder: Path, seeds: range, size: tuple[int, int], each: int) -> Iterator[SceneLine]:
    """Render the scene of each seed, (height, width) pixels, into `folder`/images and say what is asked of it."""
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    height, width = size
    for seed in seeds:
        scene = render_scene(seed, width, height)
        name = f"{seed:08d}"
        Image.fromarray(scene.image).save(folder / IMAGES / f"{name}.png")
        for k, (twin, query) in enumerate(queries(scene, each)):
            yield SceneLine(
                sample_id=name if each == 1 else f"{name}#{k}",
                image=f"{name}.png",
                query=query.text,
                kind=query.kind,
                granularity=query.granularity,
                phrasing=query.phrasing,
                targets=len(query.indices),
                mask=Mask.encode(twin.answer(query)),
                objects=_seen(scene, twin),
            )


def _seen(scene: Scene, twin: Twin) -> tuple[SceneObject, ...]:
    """What the scene shows at the level of the twin, and what a perfect VLM says of it."""
    if twin.level == "object":
        said = [true_semantics(found) for found in scene.objects]
    else:
        said = [true_part_semantics(found, part) for found, part in true_parts(scene)]
    masks = (found.mask for found in twin.objects)
    return tuple(SceneObject(mask=mask, semantics=words) for mask, words in zip(masks, said, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.scenes.export", description=__doc__)
    parser.add_argument("folder", type=Path, help="the root of the data set; made where it is not there")
    parser.add_argument("--split", default="val", help="the split's name")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="below 10,000 nothing was trained on")
    parser.add_argument("--queries", type=int, default=1, help="of each scene, at most")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 512), metavar=("HEIGHT", "WIDTH"), help="pixels")
    asked = parser.parse_args()
    split = asked.folder / asked.split
    seeds = range(asked.first_seed, asked.first_seed + asked.scenes)
    samples = lines(split, seeds, tuple(asked.size), asked.queries)
    count = write(split, track(samples, description="scenes", total=asked.scenes * asked.queries, transient=True))
    print(f"{count} samples in {split}")


if __name__ == "__main__":
    main()
