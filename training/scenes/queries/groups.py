"""Queries for several things as one: a container with what is in it, or things of a kind that are close together.

They are asked only where what the twin tells leads to the whole of it.
"""

from training.scenes import phrases
from training.scenes.criteria import Criterion, IsKind, Relates, Together
from training.scenes.looks import Look
from training.scenes.paths import complete, pairs
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.things import Thing
from training.scenes.words import CLASSES, plural

CONTAINERS = ("bowl", "basket", "box", "plate", "vase", "pan", "mug")
CONTENTS = (
    "apple pear carrot mushroom ball book candle shoe bottle flower fish pencil spoon".split()  # noqa: SIM905 - shorter
)
LEAST = 3  # things that make a flock


def group(speaker: Speaker) -> Query | None:
    """ "the bowl of apples", "the apples in the bowl", "the stack of books"."""
    held = set(speaker.kinds) & set(CONTAINERS)
    if held and speaker.rng.random() < 0.7 and (query := _held(speaker, speaker.rng.choice(sorted(held)))):
        return query
    return _gathered(speaker)


def _held(speaker: Speaker, container: str) -> Query | None:
    """A container with at least two things in it, which the twin tells as inside of it or, heaped up, as above it."""
    rng = speaker.rng
    target = rng.choice(speaker.fitting(Look(kinds=(container,))))
    told = [(s, p) for s, p, t in pairs(speaker.things) if t == target and p in ("inside", "above")]
    predicate = rng.choice(told)[1] if told else ""
    held = [s for s, p in told if p == predicate and _touch(speaker.things[s - 1], speaker.things[target - 1])]
    if len(held) < 2:
        return None
    kinds = {speaker.things[index - 1].kind or "" for index in held}
    wide = next((name for name in ("fruit", "food") if kinds <= set(CLASSES[name])), None)
    if not kinds <= set(CONTENTS) or (len(kinds) > 1 and wide is None):
        return None
    one = min(kinds)
    look = (
        Look(kinds=(one,))
        if len(kinds) == 1 and (wide is None or rng.random() < 0.8)
        else speaker.class_look(wide or "")
    )
    said = look.noun or plural(one)
    like = speaker.fitting(look)
    if container in look.kinds or any(
        _touch(speaker.things[i - 1], speaker.things[target - 1]) != (i in held) for i in like
    ):
        return None
    name = speaker.things[target - 1].name
    content: list[Criterion] = [*look.steps(), Relates(predicate, target, name)]
    if not complete(speaker.things, like, target) or speaker.meeting(content) != held:
        return None
    if rng.random() < 0.3:
        anchor = speaker.unique_look(target)
        where = rng.choice(("in", "inside") if container != "plate" else ("on",))
        text = speaker.say(phrases.SEVERAL_TOLD, nps=f"{said} {where} the {anchor.phrase()}") if anchor else ""
        return speaker.query("group", text, content) if text else None
    others = [i for i in speaker.fitting(Look(kinds=(container,))) if i != target]
    if any(_touch(speaker.things[i - 1], speaker.things[j - 1]) for i in like for j in others):
        return None  # there may be two such
    whole: list[Criterion] = [IsKind((container, *look.kinds)), Relates(predicate, target, name, whole=True)]
    text = speaker.say(phrases.GROUP, np=f"{container} of {said}")
    return speaker.query("group", text, whole) if speaker.meeting(whole) == sorted([*held, target]) else None


def _touch(one: Thing, other: Thing) -> bool:
    """Whether their boxes meet."""
    return (
        one.bbox[0] < other.bbox[2]
        and other.bbox[0] < one.bbox[2]
        and one.bbox[1] < other.bbox[3]
        and other.bbox[1] < one.bbox[3]
    )


def _gathered(speaker: Speaker) -> Query | None:
    """All of a kind that are close to another of it."""
    kinds = [kind for kind in speaker.kinds if kind in phrases.GROUPED]
    kinds = [kind for kind in kinds if len(speaker.fitting(Look(kinds=(kind,)))) >= LEAST]
    if not kinds:
        return None
    kind = speaker.rng.choice(kinds)
    like = speaker.fitting(Look(kinds=(kind,)))
    steps: list[Criterion] = [IsKind((kind,)), Together()]
    close = speaker.meeting(steps)
    alone = set(like) - set(close)
    if len({speaker.things[index - 1].size for index in close}) != 1:
        return None  # a large one may only stand by
    if len(close) < LEAST or not all(complete(speaker.things, like, index) for index in alone):
        return None
    word = speaker.rng.choice(phrases.GROUPED[kind])
    return speaker.query("group", speaker.say(phrases.GROUP, np=f"{word} of {plural(kind)}"), steps)
