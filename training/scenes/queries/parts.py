"""Queries about a twin of parts: a part by its name and its object, by what it is for, and one that is not there."""

from collections.abc import Sequence

from training.scenes import phrases
from training.scenes.criteria import Criterion, Is, Not, Place
from training.scenes.looks import Look
from training.scenes.part_uses import PART_USES
from training.scenes.queries.nothing import absent_kind, absent_look
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.things import place
from training.scenes.vocabulary import KINDS
from training.scenes.words import CLASSES, part_plural


def part(speaker: Speaker) -> Query | None:
    """A part of an object by its look, or of several; with its place, what the object is not, or neither."""
    rng = speaker.rng
    thing = speaker.thing()
    if thing is None or thing.part is None or thing.kind is None:
        return None
    how = rng.random()
    look = speaker.look_of(thing)
    if how < 0.12:
        name = rng.choice([one for one, kinds in CLASSES.items() if thing.kind in kinds] or [""])
        look = Look(kinds=CLASSES[name], noun=name) if name else look
    elif how < 0.2:
        look = Look(color=look.color)  # of whatever object
    if how > 0.9:
        where = place(thing, speaker.size)
        said = " " + rng.choice(phrases.PLACES[where])
        return _asked(speaker, "part", thing.part, look, [Place(where)], said)
    if how > 0.82 and (word := rng.choice((thing.color, thing.size))):
        others = Look(kinds=(thing.kind,))
        attribute = Is("color" if word == thing.color else "size", (word,))
        return _asked(speaker, "part", thing.part, others, [Not(attribute)], f" that {{be}} not {word}")
    return _asked(speaker, "part", thing.part, look)


def _asked(
    speaker: Speaker,
    kind: str,
    name: str,
    look: Look,
    more: Sequence[Criterion] = (),
    suffix: str = "",
    none: bool = False,
) -> Query | None:
    """Ask for the parts with that name of what looks so."""
    steps = [*look.part_steps((name,)), *more]
    found = speaker.meeting(steps)
    if bool(found) == none:
        return None
    if len(found) < 2:
        np = look.phrase("object") + suffix.format(be="is")
        return speaker.query(
            kind, speaker.say(phrases.PART, part=name, np=np, be="are" if name.endswith("s") else "is"), steps, "part"
        )
    words = {"part": name, "parts": part_plural(name), "nps": look.plural_phrase("object") + suffix.format(be="are")}
    return speaker.query(kind, speaker.say(phrases.PARTS, **words), steps, "part")


def use(speaker: Speaker) -> Query | None:
    """A part by what it is for, of an object that is named."""
    thing = speaker.thing()
    if thing is None or thing.kind is None:
        return None
    uses = [one for one in PART_USES if one.parts.get(thing.kind) == thing.part]
    if not uses:
        return None
    chosen = speaker.rng.choice(uses)
    look = speaker.look_of(thing)
    steps = look.part_steps((chosen.parts[thing.kind],))
    if len(speaker.meeting(steps)) != 1:
        return None
    return _used(speaker, "part_use", chosen.asked, look, steps)


def _used(speaker: Speaker, kind: str, asked: Sequence[str], look: Look, steps: Sequence[Criterion]) -> Query:
    said = speaker.rng.choice(asked).format(np=look.phrase())
    return speaker.query(kind, speaker.say(phrases.PART_USED, use=said), steps, "part")


def none(speaker: Speaker) -> Query | None:
    """A part of an object that is not there, of one that does not have such a part, or the use of either."""
    rng = speaker.rng
    thing = speaker.thing()
    if thing is None or thing.kind is None:
        return None
    how = rng.choice(("kind", "look", "look", "part", "part", "use"))
    if how == "part":
        name = rng.choice([one for i in speaker.known if (one := speaker.things[i - 1].part)])
        if rng.random() < 0.3:
            name = rng.choice(KINDS[rng.choice(list(KINDS))].parts)
        return _asked(speaker, "none", name, speaker.look_of(thing), none=True)
    look = absent_kind(speaker) if how == "kind" or rng.random() < 0.5 else absent_look(speaker)
    if look is None or not look.kinds:
        return None
    if how == "use":
        uses = [one for one in PART_USES if look.kinds[0] in one.parts]
        if not uses:
            return None
        chosen = rng.choice(uses)
        return _used(speaker, "none", chosen.asked, look, look.part_steps((chosen.parts[look.kinds[0]],)))
    return _asked(speaker, "none", rng.choice(KINDS[look.kinds[0]].parts), look, none=True)
