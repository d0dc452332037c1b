"""Queries by where a thing is: its place, what the twin relates it to, the end of an order that it is at."""

from training.scenes import phrases
from training.scenes.criteria import SIDES, Criterion, Edge, Extreme, Place, Relates, UpTo
from training.scenes.looks import Look
from training.scenes.paths import complete, furthest, nearing, pairs
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.things import place as place_of

MARGIN = 0.02  # of the image's side, by which the leftmost of all is further left than the next


def place(speaker: Speaker) -> Query | None:
    """By place, with a look or without."""
    thing = speaker.thing()
    if thing is None:
        return None
    where = place_of(thing, speaker.size)
    spoken = speaker.rng.choice(phrases.PLACES[where])
    if speaker.rng.random() < 0.3:
        if len(speaker.meeting([Place(where)])) != 1:
            return None
        return speaker.query("place", speaker.say(phrases.AT_PLACE, place=spoken), [Place(where)])
    joined = speaker.rng.choice(("", "", "that {be} "))
    return speaker.ask("place", speaker.look_of(thing, loosely=True), [Place(where)], joined + spoken)


def relation(speaker: Speaker) -> Query | None:
    """By a relation that the twin lists, at the one object or, inverted, at the other."""
    listed = pairs(speaker.things)
    if not listed:
        return None
    subject, predicate, target = speaker.rng.choice(listed)
    anchor = speaker.unique_look(target)
    thing = speaker.things[subject - 1]
    if anchor is None or not thing.known:
        return None
    spoken = f"{speaker.rng.choice(phrases.PREDICATES[predicate])} the {anchor.phrase()}"
    return related(speaker, "relation", subject, predicate, target, spoken)


def related(
    speaker: Speaker, kind: str, subject: int, predicate: str, target: int, spoken: str, look: Look | None = None
) -> Query | None:
    """Ask for what relates so to the target, as `spoken` says it: anything, or what looks like the subject.

    None where the text leaves open what does.
    """
    relates = Relates(predicate, target, speaker.things[target - 1].name)
    if look is None and speaker.rng.random() < 0.2:
        if not complete(speaker.things, range(1, len(speaker.things) + 1), target):
            return None
        if len(speaker.meeting([relates])) != 1:
            return None
        return speaker.query(kind, speaker.say(phrases.RELATED, relation=spoken), [relates])
    look = look or speaker.look_of(speaker.things[subject - 1], loosely=True)
    if look.fits(speaker.things[target - 1]) or not complete(speaker.things, speaker.fitting(look), target):
        return None
    return speaker.ask(kind, look, [relates], spoken)


def superlative(speaker: Speaker) -> Query | None:
    """The one at the end of an order, of its like or of all."""
    thing = speaker.thing()
    if thing is None or thing.kind is None:
        return None
    look = Look(kinds=(thing.kind,), color=thing.color if speaker.rng.random() < 0.2 else None)
    if speaker.rng.random() < 0.25:
        look = Look(color=thing.color) if speaker.rng.random() < 0.5 else Look()
    end = extreme(speaker, look)
    return speaker.ask("superlative", look, end[0], prefix=f"{end[1]} ") if end else None


def extreme(speaker: Speaker, look: Look) -> tuple[list[Criterion], str] | None:
    """An order that clearly has an end among at least two that look so, and the word for it; None where it has none.

    To a side, by what is the furthest up to each, and of those by its edge: the last. Of all things, which are many, by
    a place that some are not in before.
    """
    among = speaker.fitting(look)
    if len(among) < 2:
        return None
    word = speaker.rng.choice(("largest", "largest", "smallest", *SIDES))
    said = speaker.rng.choice(phrases.SUPERLATIVES[word])
    if word in SIDES:
        best = furthest(speaker.things, among, word, MARGIN * max(speaker.size))
        if best is None:
            return None
        edge = Edge(word, best, speaker.things[best - 1].name)
        near = None if look.steps() else nearing(speaker.things, speaker.size, among, word, best)
        return [*([near] if near else []), UpTo(word), edge], said
    first, second = among[:2] if word == "largest" else among[:-3:-1]
    if speaker.things[first - 1].area_percent == speaker.things[second - 1].area_percent:
        return None  # the text does not tell them apart
    return [Extreme(word == "largest")], said
