"""Queries that nothing in the twin answers."""

from dataclasses import replace

from dtwinseger.twin import Granularity, Step
from training.scenes import phrases, strange
from training.scenes.criteria import ATTRIBUTES, Attribute, Is, IsKind, Missing, Not, Place, Relates
from training.scenes.looks import Look
from training.scenes.paths import pairs
from training.scenes.queries.combined import by_use
from training.scenes.queries.groups import CONTAINERS, CONTENTS
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.uses import DOES, FOR
from training.scenes.vocabulary import COLORS, KINDS, MATERIALS, PATTERNS, SIZES
from training.scenes.words import CLASSES, article, plural

OPPOSITE = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}


def none(speaker: Speaker) -> Query | None:
    """An absent look, class, use, place of a look or group, a relation that the twin contradicts, nothing left over."""
    makers = (_look, _look, _kind, _kind, _class, _use, _use, _place, _relation, _missing, _negation, _group)
    return speaker.rng.choice(makers)(speaker)


def unknown(speaker: Speaker) -> Query:
    """Something in words that the rendered world does not have: nothing fits, for a reason that says so."""
    path = (Step(step=1, criterion=strange.CRITERION, decisions=(), otherwise=strange.REASON),)
    granularity: Granularity = "part" if speaker.of_parts else speaker.rng.choice(("object", "object", "group"))
    text = strange.strange(speaker.rng, speaker.held_out)
    return Query(text, "unknown", granularity, (), path, "held_out" if speaker.held_out else "seen")


def absent_look(speaker: Speaker) -> Look | None:
    """A look that nothing has, though something is nearly so."""
    rng = speaker.rng
    thing = speaker.thing()
    if thing is None:
        return None
    look = speaker.look_of(thing)
    swapped = rng.choice([name for name in ("size", "color", "surface") if getattr(look, name)] or ["color"])
    if rng.random() < 0.25:
        look = replace(look, kinds=(rng.choice(speaker.kinds),))
    elif swapped == "color":
        look = replace(look, color=rng.choice(list(COLORS)))
    elif swapped == "size":
        look = replace(look, size=rng.choice(list(SIZES)))
    else:
        look = replace(look, surface=rng.choice(PATTERNS + MATERIALS))
    return look if speaker.may_name(look) and not speaker.fitting(look) else None


def absent_kind(speaker: Speaker) -> Look | None:
    look = Look(color=speaker.rng.choice((None, None, *COLORS)), kinds=(speaker.rng.choice(list(KINDS)),))
    return look if speaker.may_name(look) and not speaker.fitting(look) else None


def _look(speaker: Speaker) -> Query | None:
    if speaker.rng.random() < 0.2:
        look = Look(color=speaker.rng.choice(list(COLORS)), surface=speaker.rng.choice((None, *PATTERNS, *MATERIALS)))
        return speaker.ask("none", look, none=True)
    look = absent_look(speaker) or Look()
    return speaker.ask("none", look, none=True)


def _kind(speaker: Speaker) -> Query | None:
    return speaker.ask("none", absent_kind(speaker) or Look(), none=True)


def _class(speaker: Speaker) -> Query | None:
    color = speaker.rng.choice((None, None, *COLORS))
    look = speaker.class_look(speaker.rng.choice(list(CLASSES)), color)
    if not speaker.fitting(look) and speaker.rng.random() < 0.3:
        return speaker.query("none", speaker.say(phrases.ANY, a_np=article(look.phrase())), look.steps())
    return speaker.ask("none", look, none=True)


def _use(speaker: Speaker) -> Query | None:
    verb, kinds = speaker.rng.choice([*DOES.items(), *FOR.items()])
    return by_use(speaker, "none", verb) if set(kinds).isdisjoint(speaker.kinds) else None


def _place(speaker: Speaker) -> Query | None:
    thing = speaker.thing()
    where = speaker.rng.choice(list(phrases.PLACES))
    if thing is None:
        return None
    said = speaker.rng.choice(phrases.PLACES[where])
    return speaker.ask("none", speaker.look_of(thing, loosely=True), [Place(where)], said, none=True)


def _relation(speaker: Speaker) -> Query | None:
    """The opposite of what the twin says of all that look so."""
    turned = [(s, OPPOSITE[p], t) for s, p, t in pairs(speaker.things) if p in OPPOSITE]
    if not turned:
        return None
    subject, predicate, target = speaker.rng.choice(turned)
    thing, anchor = speaker.things[subject - 1], speaker.unique_look(target)
    if anchor is None or not thing.known:
        return None
    look = speaker.look_of(thing)
    contradicted = {s for s, p, t in turned if t == target and p == predicate}
    if look.fits(speaker.things[target - 1]) or not set(speaker.fitting(look)) <= contradicted:
        return None
    spoken = f"{speaker.rng.choice(phrases.PREDICATES[predicate])} the {anchor.phrase()}"
    relates = Relates(predicate, target, speaker.things[target - 1].name)
    return speaker.ask("none", look, [relates], spoken, none=True)


def _missing(speaker: Speaker) -> Query | None:
    """Related to what is not there."""
    thing = speaker.thing()
    absent = absent_kind(speaker) if speaker.rng.random() < 0.7 else absent_look(speaker)
    if thing is None or absent is None or not absent.kinds:
        return None
    predicate = speaker.rng.choice(list(phrases.PREDICATES))
    spoken = f"{speaker.rng.choice(phrases.PREDICATES[predicate])} the {absent.phrase()}"
    missing = Missing(predicate, absent.phrase())
    return speaker.ask("none", speaker.look_of(thing, loosely=True), [missing], spoken, none=True)


def _negation(speaker: Speaker) -> Query | None:
    """All of its like are so: nothing is left."""
    thing = speaker.thing()
    if thing is None or thing.kind is None:
        return None
    said: Attribute = speaker.rng.choice(ATTRIBUTES)
    word = getattr(thing, said)
    if word in (None, "plain"):
        return None
    suffix = speaker.rng.choice(phrases.NOT).replace("{word}", word)
    return speaker.ask("none", Look(kinds=(thing.kind,)), [Not(Is(said, (word,)))], suffix, none=True)


def _group(speaker: Speaker) -> Query | None:
    """A container that is not there, with something in it, or a flock of what is not there."""
    if speaker.rng.random() < 0.5:
        kind = speaker.rng.choice(CONTAINERS)
        said = f"{kind} of {plural(speaker.rng.choice(CONTENTS))}"
    else:
        kind = speaker.rng.choice(list(phrases.GROUPED))
        said = f"{speaker.rng.choice(phrases.GROUPED[kind])} of {plural(kind)}"
    if speaker.fitting(Look(kinds=(kind,))):
        return None
    return speaker.query("none", speaker.say(phrases.GROUP, np=said), [IsKind((kind,))], "group")
