"""Queries that take knowledge of the world: what things are for, alone and as one of two steps of thought."""

from training.scenes import phrases
from training.scenes.criteria import Criterion, Is, IsKind, Not, Place
from training.scenes.looks import Look
from training.scenes.paths import pairs
from training.scenes.queries.relations import extreme, related
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.things import place
from training.scenes.uses import DOES, FOR
from training.scenes.words import third


def affordance(speaker: Speaker) -> Query | None:
    """By what it is for."""
    table = DOES if speaker.rng.random() < 0.5 else FOR
    fitting = [verb for verb, kinds in table.items() if not set(kinds).isdisjoint(speaker.kinds)]
    return by_use(speaker, "affordance", speaker.rng.choice(fitting)) if fitting else None


def by_use(speaker: Speaker, kind: str, verb: str, more: tuple[Criterion, ...] = (), suffix: str = "") -> Query:
    """Ask for what is for that, DOES or FOR, and meets the criteria that the suffix says."""
    steps = [IsKind(DOES.get(verb) or FOR[verb]), *more]
    several = len(speaker.meeting(steps)) > 1
    if verb in DOES:
        use = does(speaker, verb, several) + suffix
        return speaker.query(kind, speaker.say(phrases.DOING if several else phrases.DOING_ONE, use=use), steps)
    return speaker.query(kind, speaker.say(phrases.FOR if several else phrases.FOR_ONE, verb=verb + suffix), steps)


def does(speaker: Speaker, verb: str, several: bool = False) -> str:
    """ "tells the time", or "would tell the time"."""
    if not several and speaker.rng.random() < 0.35:
        return third(verb)
    return f"{speaker.rng.choice(('can', 'would', 'could'))} {verb}"


def two_step(speaker: Speaker) -> Query | None:
    """Knowledge and then another thought: which of what is for that, or what relates to it."""
    how = speaker.rng.choice(("relation", "relation", "class", "order", "attribute", "place", "negation"))
    return _beside_known(speaker) if how in ("relation", "class") else _narrowed(speaker, how)


def _beside_known(speaker: Speaker) -> Query | None:
    """What relates to a thing that is told by its class, its use, or its order: "what is next to the animal?"."""
    listed = pairs(speaker.things)
    if not listed:
        return None
    subject, predicate, target = speaker.rng.choice(listed)
    kind = speaker.things[subject - 1].kind
    if not {subject, target} <= set(speaker.known) or kind is None:
        return None
    said = speaker.rng.choice(phrases.PREDICATES[predicate])
    look = None
    if speaker.rng.random() < 0.4:
        classes = [name for name in speaker.classes if kind in speaker.class_look(name).kinds]
        look = speaker.class_look(speaker.rng.choice(classes)) if classes else None
    anchor = speaker.unique_look(target) if look and speaker.rng.random() < 0.5 else None
    spoken = f"the {anchor.phrase()}" if anchor else _known(speaker, target)
    return related(speaker, "two_step", subject, predicate, target, f"{said} {spoken}", look) if spoken else None


def _known(speaker: Speaker, target: int) -> str | None:
    """A thing by its class, its use, or its order among its like, where only it is so."""
    rng = speaker.rng
    kind = speaker.things[target - 1].kind or ""
    here = set(speaker.kinds)
    if len(speaker.fitting(Look(kinds=(kind,)))) > 1:
        look = Look(kinds=(kind,))
        end = extreme(speaker, look)
        only = end is not None and speaker.meeting([*look.steps(), *end[0]]) == [target]
        return f"the {end[1]} {kind}" if end and only else None
    options = [name for name in speaker.classes if speaker.fitting(speaker.class_look(name)) == [target]]
    doing = [verb for verb, kinds in DOES.items() if kind in kinds and here.isdisjoint({*kinds} - {kind})]
    using = [verb for verb, kinds in FOR.items() if kind in kinds and here.isdisjoint({*kinds} - {kind})]
    how = rng.choice(("class", "does", "for"))
    if how == "class" and options:
        return f"the {speaker.class_look(rng.choice(options)).phrase()}"
    if how == "does" and doing:
        return f"{rng.choice(('what', 'the thing that', 'something that'))} {does(speaker, rng.choice(doing))}"
    if how == "for" and using:
        return f"{rng.choice(('what I can', 'the thing to', 'the thing I can', 'something to'))} {rng.choice(using)}"
    return None


def _narrowed(speaker: Speaker, how: str) -> Query | None:
    """Of what is for that, or of a class, the largest, the red one, the one at the left, the one that is not small."""
    rng = speaker.rng
    tables = {**DOES, **FOR}
    wide = [verb for verb, kinds in tables.items() if not set(kinds).isdisjoint(speaker.kinds)]
    if not wide:
        return None
    verb = rng.choice(wide)
    look = Look(kinds=tables[verb])
    among = speaker.fitting(look)
    thing = speaker.things[rng.choice(among) - 1]
    spoken = f"that {does(speaker, verb, True)}" if verb in DOES else rng.choice((f"to {verb}", f"I can {verb}"))
    named = Look(kinds=look.kinds, noun="thing")
    if how == "order":
        end = extreme(speaker, look)
        return speaker.ask("two_step", named, end[0], spoken, prefix=f"{end[1]} ") if end else None
    if how == "place":
        where = place(thing, speaker.size)
        said = rng.choice(phrases.PLACES[where])
        return speaker.ask("two_step", named, [Place(where)], f"{said} {spoken}")
    word, attribute = (thing.color, "color") if rng.random() < 0.6 else (thing.size, "size")
    if word is None:
        return None
    if how == "attribute":
        named = Look(**{attribute: word}, kinds=look.kinds, noun="thing")
        return speaker.ask("two_step", named, suffix=spoken)
    criterion = Is("color" if attribute == "color" else "size", (word,))
    if len(speaker.meeting([*look.steps(), criterion])) == len(among):
        return None
    return speaker.ask("two_step", named, [Not(criterion)], f"{spoken} and {{be}} not {word}")
