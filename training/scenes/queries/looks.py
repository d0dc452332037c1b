"""Queries by what a thing is: its kind and class, color, size, surface and number, and what it is not."""

from training.scenes import phrases
from training.scenes.criteria import Is, IsKind, Not, Place
from training.scenes.looks import Look
from training.scenes.queries.speaker import Query, Speaker
from training.scenes.things import place
from training.scenes.vocabulary import PATTERNS, SIZES
from training.scenes.words import NUMBERS, article, plural


def name(speaker: Speaker) -> Query | None:
    thing = speaker.thing()
    return speaker.ask("name", Look(kinds=(thing.kind,))) if thing and thing.kind else None


def description(speaker: Speaker) -> Query | None:
    thing = speaker.thing()
    look = speaker.look_of(thing) if thing else None
    if look is None or not (look.color or look.size or look.surface):
        return None
    return speaker.ask("description", look)


def color(speaker: Speaker) -> Query | None:
    """By color alone, or by one of two."""
    thing, other = speaker.thing(), speaker.thing()
    if thing is None or other is None or thing.color is None or other.color is None:
        return None
    if other.color == thing.color or speaker.rng.random() < 0.8:
        return speaker.ask("color", Look(color=thing.color))
    words = (thing.color, other.color)
    return speaker.ask("color", Look(), [Is("color", words)], "that {be} " + " or ".join(words))


def by_size(speaker: Speaker) -> Query | None:
    thing = speaker.thing()
    if thing is None or thing.size is None:
        return None
    with_color = speaker.rng.random() < 0.3
    return speaker.ask("size", Look(size=thing.size, color=thing.color if with_color else None))


def surface(speaker: Speaker) -> Query | None:
    """By a pattern or a material, with the kind or without; or by having any pattern."""
    thing = speaker.thing()
    if thing is None or thing.kind is None:
        return None
    kinds = (thing.kind,) if speaker.rng.random() < 0.5 else ()
    if thing.pattern and speaker.rng.random() < 0.25:
        said = speaker.rng.choice(phrases.PATTERNED)
        return speaker.ask("surface", Look(kinds=kinds), [Is("surface", PATTERNS)], said)
    word = thing.pattern or thing.material
    if word is None:
        return None
    if speaker.rng.random() < 0.5:
        return speaker.ask("surface", Look(surface=word, kinds=kinds))
    said = speaker.rng.choice(phrases.SURFACES[word])
    return speaker.ask("surface", Look(kinds=kinds), [Is("surface", (word,))], said)


def number(speaker: Speaker) -> Query | None:
    """By how many there are; it is said of what there are that many of."""
    thing = speaker.thing()
    if thing is None:
        return None
    look = speaker.look_of(thing, loosely=True)
    if speaker.rng.random() < 0.2 and speaker.classes:
        look = speaker.class_look(speaker.rng.choice(speaker.classes))
    elif speaker.rng.random() < 0.5:
        look = Look(kinds=look.kinds) if look.kinds else Look(color=look.color)
    if not look.steps():  # of something without a description nothing can be said
        return None
    found = speaker.fitting(look)
    if len(found) in NUMBERS:
        return speaker.query("number", speaker.counted(len(found), look.plural_phrase()), look.steps())
    if len(found) == 1 and speaker.rng.random() < 0.15:
        return speaker.query("number", speaker.say(phrases.ONLY, np=look.phrase()), look.steps())
    return None


def several(speaker: Speaker) -> Query | None:
    """All of a look, or two kinds joined by "and"."""
    thing, other = speaker.thing(), speaker.thing()
    if thing is None or other is None or thing.kind is None or other.kind is None:
        return None
    if thing.kind != other.kind and speaker.rng.random() < 0.4:
        both = (thing.kind, other.kind)
        counts = [len(speaker.fitting(Look(kinds=(kind,)))) for kind in both]
        spoken = [kind if n == 1 else plural(kind) for kind, n in zip(both, counts, strict=True)]
        joined = speaker.rng.choice((" and the ", " and ")).join(spoken)
        return speaker.query("several", speaker.say(phrases.SEVERAL_TOLD, nps=joined), Look(kinds=both).steps())
    look = speaker.look_of(thing, loosely=True)
    return speaker.ask("several", look, counted=0) if len(speaker.fitting(look)) > 1 else None


def by_class(speaker: Speaker) -> Query | None:
    """By a wider word: "all the fruit", "an animal", "the red vehicle"."""
    if not speaker.classes:
        return None
    look = speaker.class_look(speaker.rng.choice(speaker.classes))
    how = speaker.rng.random()
    if how < 0.25:
        index = speaker.rng.choice(speaker.fitting(look))
        look = speaker.class_look(look.noun or "", speaker.things[index - 1].color)
    elif how < 0.5 and (query := speaker.any_of("class", look)):
        return query
    return speaker.ask("class", look)


def negation(speaker: Speaker) -> Query | None:
    """By what it is not; at least one thing of the kind that is named is left out."""
    thing = speaker.thing()
    if thing is None or thing.kind is None:
        return None
    how = speaker.rng.choice(("attribute", "attribute", "attribute", "kind", "pattern", "place"))
    if how == "kind":
        return _not_kind(speaker)
    look = Look(kinds=(thing.kind,))
    if speaker.rng.random() < 0.3:
        classes = [one for one in speaker.classes if thing.kind in speaker.class_look(one).kinds]
        look = speaker.class_look(speaker.rng.choice(classes)) if classes else look
    if how == "pattern":
        bare = speaker.rng.random() < 0.3
        return _without(speaker, Look() if bare else look, Is("surface", PATTERNS), phrases.NOT_PATTERNED)
    if how == "place":
        where = place(speaker.things[speaker.rng.choice(speaker.fitting(look)) - 1], speaker.size)
        said = f"that {{be}} not {speaker.rng.choice(phrases.PLACES[where])}"
        return _without(speaker, look, Place(where), (said,))
    return _not_attribute(speaker, look)


def _not_attribute(speaker: Speaker, look: Look) -> Query | None:
    rng = speaker.rng
    among = [speaker.things[index - 1] for index in speaker.fitting(look)]
    of = rng.choice(among)
    options = [Is("color", (of.color,)) if of.color else None, Is("size", (of.size,)) if of.size else None]
    if (word := of.pattern or of.material) is not None:
        options.append(Is("surface", (word,)))
    attribute = rng.choice(options)
    if attribute is None:
        return None
    word = attribute.words[0]
    others = sorted({other for t in among if (other := getattr(t, attribute.name)) and other not in (word, "plain")})
    if others and len(among) > 2 and rng.random() < 0.25:
        other = rng.choice(others)
        said = tuple(one.replace("{word}", word).replace("{other}", other) for one in phrases.NEITHER)
        return _without(speaker, look, Is(attribute.name, (word, other)), said)
    if len(among) > 2 and rng.random() < 0.3:
        steps = [*look.steps(), Not(attribute)]
        excepted = sum(attribute.judge(among, n, (), speaker.size)[1] for n in range(1, len(among) + 1))
        if len(speaker.meeting(steps)) < 2:
            return None
        words = {"word": word, "ones": "one" if excepted == 1 else "ones"}
        text = speaker.say(phrases.EXCEPT, np=look.phrase(), nps=look.plural_phrase(), **words)
        return speaker.query("negation", text, steps)
    return _without(speaker, look, attribute, tuple(one.replace("{word}", word) for one in phrases.NOT))


def _without(speaker: Speaker, look: Look, that: Is | Place, said: tuple[str, ...]) -> Query | None:
    steps = look.steps()
    if not speaker.meeting([*steps, that]):
        return None  # it leaves nothing out
    return speaker.ask("negation", look, [Not(that)], speaker.rng.choice(said))


def _not_kind(speaker: Speaker) -> Query | None:
    """Everything but the things of a kind or a class, or of all things of a size."""
    rng = speaker.rng
    look = Look(kinds=(rng.choice(speaker.kinds),))
    if rng.random() < 0.5 and speaker.classes:
        look = speaker.class_look(rng.choice(speaker.classes))
    size = rng.choice((None, None, *SIZES))
    steps = [*Look(size=size).steps(), Not(IsKind(look.kinds))]
    left = speaker.meeting(steps)
    if not left:
        return None
    if size:
        noun = article(look.phrase())
        return speaker.ask("negation", Look(size=size), [Not(IsKind(look.kinds))], f"that {{be}} not {noun}")
    phrasings = phrases.NOT_KIND if len(left) > 1 else phrases.NOT_KIND_ONE
    text = speaker.say(phrasings, a_np=article(look.phrase()), nps=look.plural_phrase())
    return speaker.query("negation", text, steps)
