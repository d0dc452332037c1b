"""English nouns: their plurals and articles, and verbs in the third person."""

from training.scenes.vocabulary import KINDS

CLASSES: dict[str, tuple[str, ...]] = {
    name: tuple(kind for kind, about in KINDS.items() if name in about.classes)
    for name in dict.fromkeys(name for about in KINDS.values() for name in about.classes)
}
MASS = frozenset(("food", "fruit", "furniture", "clothing", "cutlery"))  # classes that are counted by the piece
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

_PLURALS = {"fish": "fish", "scissors": "scissors", "knife": "knives", "leaf": "leaves"}
_UNCOUNTED = frozenset(("flesh", "wax", "icing", "foliage"))  # parts without an article


def plural(noun: str) -> str:
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "sh", "ch")) else "s")


def article(noun: str) -> str:
    """The noun phrase with "a" or "an"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def part_article(part: str) -> str:
    """The name of a part with its article, if it takes one: "a handle", "wheels", "wax"."""
    return part if part.endswith("s") or part in _UNCOUNTED else article(part)


def part_plural(part: str) -> str:
    return part if part.endswith("s") or part in _UNCOUNTED else plural(part)


def third(verb: str) -> str:
    """The verb phrase of a single thing: "tells the time"."""
    first, _, rest = verb.partition(" ")
    if first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "es" if first.endswith(("x", "sh", "ch", "ss", "o")) else "s"
    return f"{first} {rest}".rstrip()
