"""The held-out scenes, one query each: what is asked, what is true, and what of it training has never seen.

Of every 20 scenes 8 are asked about an object, 5 about a part, 4 about a group and 3 about what is not there, evenly
mixed, so that the first scenes of a set are balanced too. Half of each are asked in held-out phrasings, and the kinds
of query take turns.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import Image

from dtwinseger.api import Semantics
from dtwinseger.evaluation.datasets.scenes import IMAGES, LINES, SceneLine, SceneObject, write
from dtwinseger.evaluation.samples import Truth, no_pixels
from dtwinseger.twin import Mask, TwinObject, TwinRow, build_objects
from training.scenes.asked import Twin, asker_of, faithful, twin_of
from training.scenes.queries import Query
from training.scenes.render import render_scene
from training.scenes.things import Thing, take_apart
from training.scenes.vocabulary import held_out
from training.scenes.world import Scene

Stratum = Literal["object", "part", "group", "none"]
SHARES: dict[Stratum, int] = {"object": 8, "part": 5, "group": 4, "none": 3}
PERIOD = sum(SHARES.values())
NOTHING = ("none", "unknown")  # kinds of query that nothing answers
SIZES = ((512, 512), (480, 640), (640, 480), (576, 768))  # height, width in pixels, in turn
TRAINED_ON = 10_000  # seeds from here on


class Question(SceneLine):
    """A sample of the set. `objects` are the true twin at the level of the query, in its order."""

    phrasing: Literal["seen", "held_out"]
    unseen_pair: bool | None  # an answer has a color that training keeps from its kind; None where nothing answers
    indices: tuple[int, ...]  # of `objects`, from 1: the answer

    @property
    def stratum(self) -> Stratum:
        return self.granularity if self.targets else "none"

    @property
    def truth(self) -> Truth:
        """The target as the scorer takes it."""
        return Truth(self.mask.decode(), no_pixels(self.mask.size), no_pixels(self.mask.size))

    @property
    def rows(self) -> tuple[TwinRow, ...]:
        """The true twin as the reasoner reads it."""
        masks, said = [found.mask for found in self.objects], [found.semantics for found in self.objects]
        return read_as_rows(build_objects(masks, [1.0] * len(masks), said))


def read_as_rows(objects: Sequence[TwinObject]) -> tuple[TwinRow, ...]:
    """The objects without what the reasoner is not told."""
    return tuple(TwinRow.model_validate(item.model_dump(include=set(TwinRow.model_fields))) for item in objects)


def prepare(root: Path, split: str, first_seed: int, count: int, processes: int) -> list[Question]:
    """The questions of `root`/`split`, rendered first where they are not there.

    Scene k has the seed `first_seed` + k, or one that is n times `count` further where that scene offers no such query.
    """
    folder = root / split
    if not (folder / LINES).exists():
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        making = partial(_question, folder / IMAGES, first_seed, count)
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            lines = list(pool.map(making, range(count)))
        write(root / f"{split}.part", lines)
        (root / f"{split}.part" / LINES).rename(folder / LINES)  # whole or not at all
        (root / f"{split}.part").rmdir()
    return list(read(folder))


def read(folder: Path) -> Iterator[Question]:
    """The questions of a folder that `prepare` wrote."""
    with (folder / LINES).open("rb") as file:
        yield from map(Question.model_validate_json, file)


def strata(count: int) -> list[Stratum]:
    """What the first `count` scenes are asked about: at each the stratum that lags most behind its share."""
    given: list[Stratum] = []
    for number in range(count):
        lag = {name: share * (number + 1) / PERIOD - given.count(name) for name, share in SHARES.items()}
        given.append(max(lag, key=lambda name: lag[name]))
    return given


def _question(images: Path, first_seed: int, count: int, number: int) -> Question:
    """Scene `number` of `count`: rendered, saved, asked about."""
    before = strata(number + 1)
    stratum, turn = before[-1], before.count(before[-1]) - 1
    height, width = SIZES[number % len(SIZES)]
    for seed in range(first_seed + number, TRAINED_ON, count):
        scene = render_scene(seed, width, height)
        if asked := ask(scene, stratum, turn):
            break
    else:
        raise ValueError(f"no scene from seed {first_seed + number} on has a query about: {stratum}")
    name = f"{seed:08d}"
    Image.fromarray(scene.image).save(images / f"{name}.png")
    return _line(name, *asked)


def ask(scene: Scene, stratum: Stratum, turn: int) -> tuple[Twin, Query] | None:
    """The query number `turn` of its stratum, and the twin that it is about; None where the scene offers none."""
    twin = twin_of(scene, "part" if stratum == "part" or (stratum == "none" and turn % 4 == 3) else "object")
    asker = asker_of(twin, f"{scene.seed} {stratum}", held_out=turn % 2 == 1)
    for kind in _in_turn(list(asker.makers), stratum, turn):  # the next kind where the scene offers none of this one
        for _ in range(10):
            query = asker.draw(kind)
            if query and stratum in ("none", query.granularity) and faithful(query, scene):
                return twin, query
    return None


def _in_turn(kinds: list[str], stratum: Stratum, turn: int) -> list[str]:
    """The kinds to try: every second query for a group is for a whole one, every fourth for nothing is in odd words."""
    if stratum == "none":
        return [*NOTHING[::-1]] if turn % 4 == 2 else [*NOTHING]
    kinds = [kind for kind in kinds if kind not in NOTHING]
    first = turn // 2 % len(kinds)
    whole = ["group"] if stratum == "group" and turn // 2 % 2 == 0 else []
    return whole + kinds[first:] + kinds[:first]


def _line(name: str, twin: Twin, query: Query) -> Question:
    things = take_apart(twin.objects)
    return Question(
        sample_id=name,
        image=f"{name}.png",
        query=query.text,
        kind=query.kind,
        granularity=query.granularity,
        targets=len(query.indices),
        mask=Mask.encode(twin.answer(query)),
        objects=tuple(SceneObject(mask=found.mask, semantics=_said(found)) for found in twin.objects),
        phrasing=query.phrasing,
        unseen_pair=any(_unseen(things[index - 1]) for index in query.indices) if query.indices else None,
        indices=query.indices,
    )


def _said(found: TwinObject) -> Semantics:
    if found.semantic is None or found.category is None:
        raise ValueError("a true twin describes all that it holds")
    return Semantics(semantic=found.semantic, category=found.category, attributes=found.attributes)


def _unseen(thing: Thing) -> bool:
    return thing.color is not None and thing.kind is not None and held_out(thing.color, thing.kind)
