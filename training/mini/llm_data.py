"""Training data of dtwin-mini-llm: twins of scenes, perturbed, each packed with several queries about it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from transformers import PreTrainedTokenizerFast

from dtwinseger.prompts import reasoning
from dtwinseger.twin import Relation, render_answer
from dtwinseger.twin.model import Predicate
from training.mini.llm_text import ASSISTANT, END, QUERY
from training.scenes import COLORS, KINDS, SIZES, render_scene
from training.scenes.queries import Asker
from training.scenes.things import Thing, rows, take_apart
from training.scenes.twins import true_twin

FIRST_SEED = 10_000  # seeds below are held out
IMAGES = ((256, 256), (256, 256), (480, 640), (512, 512))  # height, width; drawn evenly
UNKNOWN_SHARE = 0.06  # of the queries
CROWD = 24  # objects of a twin about which only unknown things are asked
QUERIES = 5  # about one twin
MOST = 10  # objects

Size = tuple[int, int]


@dataclass(frozen=True)
class Packed:
    """One twin and several queries with their answers, as tokens.

    twin: the tokens that the queries share. queries: for each what follows, its answer included. answers: for each the
    position in it at which the answer begins.
    """

    twin: list[int]
    queries: list[list[int]]
    answers: list[int]

    @property
    def padded(self) -> int:
        """Tokens, with every query as long as the longest."""
        return len(self.twin) + len(self.queries) * max(len(query) for query in self.queries)


def scene_things(seed: int) -> tuple[tuple[Thing, ...], Size]:
    """The things of a scene, its image of one of IMAGES, and that image's (height, width)."""
    height, width = IMAGES[seed % len(IMAGES)]
    return take_apart(true_twin(render_scene(seed, width, height))), (height, width)


def perturb(things: Sequence[Thing], size: Size, most: int, rng: random.Random) -> tuple[Thing, ...]:
    """A twin that perception and semantics might have made: other looks, lost, doubled and undescribed objects.

    Its relations are the scene's where both objects are left; added objects are placed by the nearest larger ones.
    """
    parts = [_Part(thing, None) for thing in things]
    for part in parts:
        part.related = [(r.predicate, parts[r.target - 1]) for r in part.thing.relations]
    if rng.random() < 0.6:
        kinds = rng.sample(list(KINDS), rng.randint(2, 8))
        for part in parts:
            part.thing = _looking(part.thing, rng, kinds)
    keep = rng.randint(1, len(parts)) if most < len(parts) or rng.random() < 0.25 else len(parts)
    parts = rng.sample(parts, min(keep, most))
    if rng.random() < 0.4:
        wanted = rng.randint(len(parts), most)
        while len(parts) < wanted:
            parts.append(_added(parts, size, rng))
    if rng.random() < 0.1:
        chosen = rng.choice(parts)
        chosen.thing = replace(chosen.thing, size=None, color=None, kind=None, semantic=None)
    parts.sort(key=lambda part: -part.thing.area_percent)
    index = {id(part): n for n, part in enumerate(parts, start=1)}
    found = []
    for part in parts:
        related = part.related if part.related is not None else _nearest(part, parts, size)
        relations = tuple(
            Relation(predicate=cast(Predicate, predicate), target=index[id(other)])
            for predicate, other in related
            if index.get(id(other), 99) < index[id(part)]
        )
        found.append(replace(part.thing, relations=relations[:4]))
    return tuple(found)


def pack(
    tokenizer: PreTrainedTokenizerFast,
    things: Sequence[Thing],
    size: Size,
    rng: random.Random,
    kind: str | None = None,
) -> Iterator[Packed]:
    """A twin with short queries about it, and with long ones: together they need less padding than mixed.

    kind: of all queries; None draws each.
    """
    asker = Asker(things, size, rng)
    queries = {query.text: query for query in (asker.draw(kind or _kind(rng)) for _ in range(2 * QUERIES)) if query}
    table = rows(things, size)
    texts = []
    for query in queries.values():
        prompt = tokenizer.apply_chat_template(reasoning(query.text, table), tokenize=False, add_generation_prompt=True)
        texts.append(f"{prompt}{render_answer(query.path, query.indices)}{END}")
    encoded = sorted(tokenizer(texts)["input_ids"], key=len)
    answer, asked = tokenizer.convert_tokens_to_ids(ASSISTANT), tokenizer(QUERY)["input_ids"][-1]
    for some in (encoded[:QUERIES], encoded[QUERIES:]):
        if some:
            shared = some[0].index(asked)
            yield Packed(
                twin=some[0][:shared],
                queries=[ids[shared:] for ids in some],
                answers=[ids.index(answer) + 1 - shared for ids in some],
            )


def stream(
    tokenizer: PreTrainedTokenizerFast,
    pool: Sequence[tuple[tuple[Thing, ...], Size]],
    seed: int,
    most: int,
) -> Iterator[Packed]:
    """Perturbed twins of the pool without end, decided by `seed`."""
    rng = random.Random(seed)  # noqa: S311
    while True:
        things, size = rng.choice(pool)
        if most == MOST and rng.random() < 0.05:
            crowd = perturb(things, size, rng.randint(MOST, CROWD), rng)
            yield from pack(tokenizer, crowd, size, rng, "unknown")
            continue
        if most < MOST or rng.random() < 0.8:
            things = perturb(things, size, most, rng)
        if things:
            yield from pack(tokenizer, things, size, rng)


def _kind(rng: random.Random) -> str | None:
    """A query about what the world does not have, now and then; else the Asker's own mix."""
    return "unknown" if rng.random() < UNKNOWN_SHARE else None


class _Part:
    """A thing while it is being perturbed; `related` None is to be worked out from its place."""

    def __init__(self, thing: Thing, related: "list[tuple[str, _Part]] | None") -> None:
        self.thing = thing
        self.related = related


def _looking(thing: Thing, rng: random.Random, kinds: Sequence[str]) -> Thing:
    size, color, kind = rng.choice(list(SIZES)), rng.choice(list(COLORS)), rng.choice(kinds)
    return replace(thing, size=size, color=color, kind=kind, semantic=f"a {size} {color} {kind}")


def _added(parts: Sequence[_Part], size: Size, rng: random.Random) -> _Part:
    """A stray object, a fragment of one that is there, or the background."""
    height, width = size
    how = rng.random()
    if how < 0.25:
        whole = rng.choice(parts)
        x1, y1, x2, y2 = whole.thing.bbox
        box = (x1, y1, max(x1 + 1, (x1 + 2 * x2) // 3), max(y1 + 1, (y1 + 2 * y2) // 3))
        center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        area = round(whole.thing.area_percent * rng.uniform(0.3, 0.99), 1)
        predicate = rng.choice(("inside", "overlapping"))
        return _Part(
            replace(whole.thing, bbox=box, centroid=center, area_percent=area, relations=()), [(predicate, whole)]
        )
    w, h = (max(4, int(n * rng.uniform(0.05, 0.35))) for n in (width, height))
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    area = round(100 * w * h * rng.uniform(0.4, 0.8) / (width * height), 1)
    stray = Thing(None, None, None, None, (x, y, x + w, y + h), area, (x + w / 2, y + h / 2), ())
    if how < 0.35:
        return _Part(replace(stray, semantic="the background", kind="background"), None)
    return _Part(_looking(stray, rng, list(KINDS)), None)


def _nearest(part: _Part, parts: Sequence[_Part], size: Size) -> list[tuple[str, _Part]]:
    """Up to four relations to the nearest larger objects, by the definitions of `dtwinseger.twin.relations`."""
    diagonal = float(np.hypot(*size))
    x, y = part.thing.centroid
    larger = parts[: next(n for n, other in enumerate(parts) if other is part)]
    by_distance = sorted(larger, key=lambda o: (o.thing.centroid[0] - x) ** 2 + (o.thing.centroid[1] - y) ** 2)
    found: list[tuple[str, _Part]] = []
    for other in by_distance[:4]:
        dx, dy = other.thing.centroid[0] - x, other.thing.centroid[1] - y
        ahead = dx if abs(dx) >= abs(dy) else dy
        if abs(ahead) > 0.02 * diagonal:
            forward = ahead > 0
            horizontal = abs(dx) >= abs(dy)
            found.append(
                (("left_of" if forward else "right_of") if horizontal else ("above" if forward else "below"), other)
            )
        if _gap(part.thing.bbox, other.thing.bbox) < 0.05 * diagonal:
            found.append(("next_to", other))
    return found[:4]


def _gap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    dx = max(a[0] - b[2], b[0] - a[2], 0)
    dy = max(a[1] - b[3], b[1] - a[3], 0)
    return float(np.hypot(dx, dy))
