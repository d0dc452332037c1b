"""How people ask: the phrasings from which queries are made, some of which training never sees.

{np} is a noun phrase without its article, {nps} its plural. A held-out phrasing is made of words that others use too.
"""

from typing import NamedTuple


class Phrasings(NamedTuple):
    """Templates of one meaning. `held_out`: those that are kept for evaluation."""

    seen: tuple[str, ...]
    held_out: tuple[str, ...]


# Asked for one object, for several, and for several of that number.
ONE = Phrasings(
    (
        "the {np}", "{np}", "find the {np}", "where is the {np}?", "show me the {np}", "segment the {np}",
        "which one is the {np}?", "please select the {np}", "I am looking for the {np}", "can you see the {np}?",
    ),
    ("can you show me the {np}?", "please find the {np}"),
)  # fmt: skip
SEVERAL = Phrasings(
    (
        "the {nps}", "all the {nps}", "all {nps}", "find the {nps}", "find all the {nps}", "where are the {nps}?",
        "every {np}", "show me all {nps}", "segment the {nps}", "please select all {nps}", "which ones are the {nps}?",
    ),
    ("can you show me all the {nps}?", "please segment every {np}", "I am looking for all the {nps}"),
)  # fmt: skip
SEVERAL_TOLD = Phrasings(  # {nps} says its number itself: "mug and chairs"
    (
        "the {nps}", "find the {nps}", "where are the {nps}?", "show me the {nps}", "segment the {nps}",
        "please select the {nps}", "I am looking for the {nps}", "which ones are the {nps}?",
    ),
    ("can you show me the {nps}?", "please find the {nps}"),
)  # fmt: skip
COUNTED = Phrasings(
    (
        "the {n} {nps}", "{all_n} {nps}", "find the {n} {nps}", "where are the {n} {nps}?", "segment the {n} {nps}",
        "please select {all_n} {nps}", "{n} {nps}", "the group of {n} {nps}",
    ),
    ("please show me the {n} {nps}", "can you see {all_n} {nps}?"),
)  # fmt: skip
ONLY = Phrasings(
    (
        "the only {np}", "the single {np}", "find the only {np}", "where is the only {np}?", "the one and only {np}",
        "show me the single {np}", "segment the only {np}", "which one is the only {np}?",
    ),
    ("can you find the single {np}?", "please show me the only {np}"),
)  # fmt: skip
WHOLE_CLASS = Phrasings(  # {nps} is a word that has no plural: "fruit"
    (
        "all the {nps}", "the {nps}", "all {nps}", "find the {nps}", "find all the {nps}", "where is all the {nps}?",
        "show me the {nps}", "segment all the {nps}", "please select the {nps}",
    ),
    ("please find all the {nps}", "can you see the {nps}?"),
)  # fmt: skip
ANY = Phrasings(
    (
        "{a_np}", "find {a_np}", "is there {a_np}?", "show me {a_np}", "where can I see {a_np}?", "segment {a_np}",
        "what is {a_np}?", "I am looking for {a_np}",
    ),
    ("please show me {a_np}", "can you see {a_np}?"),
)  # fmt: skip

# Asked by place alone, by a relation alone, and by both sides. {place} is "at the top left".
AT_PLACE = Phrasings(
    (
        "what is {place}?", "the thing {place}", "the object {place}", "find the thing {place}", "the one {place}",
        "what do you see {place}?", "show me what is {place}", "segment the object {place}",
    ),
    ("can you see what is {place}?", "please find the object {place}"),
)  # fmt: skip
RELATED = Phrasings(
    (
        "what is {relation}?", "the thing {relation}", "the object {relation}", "find the thing {relation}",
        "which object is {relation}?", "show me what is {relation}", "what do you see {relation}?",
        "what can you find {relation}?",
    ),
    ("can you find the thing {relation}?", "where is the object {relation}?"),
)  # fmt: skip

PREDICATES = {
    "left_of": ("left of", "to the left of", "on the left of"),
    "right_of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "beneath"),
    "next_to": ("next to", "beside", "right beside", "close to"),
    "inside": ("inside", "within", "in"),
    "surrounding": ("surrounding", "around"),
    "overlapping": ("overlapping", "touching"),
}

# Places as the twin words them, and how else people say them after a noun.
PLACES = {
    "in the center": ("in the center", "in the middle", "at the center"),
    **{
        f"at the {where}": (f"at the {where}", f"in the {where}", f"on the {where}", f"at the {where} of the image")
        for where in ("left", "right", "top", "bottom")
    },
    **{
        f"at the {where}": (f"at the {where}", f"in the {where}", f"in the {where} corner", f"on the {where}")
        for where in ("top left", "top right", "bottom left", "bottom right")
    },
}

SUPERLATIVES = {
    "largest": ("largest", "biggest", "greatest"),
    "smallest": ("smallest", "tiniest", "littlest"),
    "leftmost": ("leftmost", "furthest left"),
    "rightmost": ("rightmost", "furthest right"),
    "topmost": ("topmost", "highest", "uppermost"),
    "lowest": ("lowest", "bottommost"),
}

# What a surface is said to be, after a noun; before one it is said by its own word.
SURFACES = {
    "striped": ("with stripes", "that {be} striped"),
    "dotted": ("with dots", "that {be} dotted"),
    "checked": ("with checks", "that {be} checked"),
    "wooden": ("made of wood", "of wood", "that {be} wooden"),
    "metal": ("made of metal", "of metal"),
    "glass": ("made of glass", "of glass"),
}
PATTERNED = ("with a pattern", "that {have} a pattern", "with some pattern")
NOT_PATTERNED = ("without a pattern", "that {have} no pattern", "with no pattern", "without any pattern")

NOT = ("that {be} not {word}", "which {be} not {word}", "that {isnt} {word}", "not {word}")
NEITHER = ("that {be} neither {word} nor {other}", "that {be} not {word} or {other}")
EXCEPT = Phrasings(
    (
        "all the {nps} except the {word} {ones}", "every {np} but the {word} {ones}",
        "the {nps} except the {word} {ones}",
        "all {nps} but not the {word} {ones}", "find all the {nps} but the {word} {ones}",
        "show me the {nps} without the {word} {ones}", "where are the {nps} except the {word} {ones}?",
        "please select all the {nps} but the {word} {ones}",
    ),
    ("please show me all the {nps} except the {word} {ones}", "can you find every {np} but the {word} {ones}?"),
)  # fmt: skip
NOT_KIND_ONE = Phrasings(
    (
        "what is not {a_np}?", "the thing that is not {a_np}", "the one that is not {a_np}", "find what is not {a_np}",
        "which one is not {a_np}?", "the object that isn't {a_np}", "show me what is not {a_np}",
        "the only thing that is not {a_np}",
    ),
    ("can you find the one that is not {a_np}?", "segment what is not {a_np}"),
)  # fmt: skip
NOT_KIND = Phrasings(
    (
        "everything that is not {a_np}", "everything except the {nps}", "all things but the {nps}", "all but the {nps}",
        "what is not {a_np}?", "find everything but the {nps}", "all the objects that are not {nps}",
        "show me everything except the {nps}", "everything that isn't {a_np}", "which things are not {nps}?",
    ),
    ("segment all the objects that are not {nps}", "can you see everything that is not {a_np}?"),
)  # fmt: skip

# What a thing is for. {use} is "keeps me dry" or "would keep me dry"; {verb} is "sit on".
DOING_ONE = Phrasings(
    (
        "what {use}?", "something that {use}", "the thing that {use}", "which object {use}?", "show me what {use}",
        "find something that {use}", "I need something that {use}", "is there anything that {use}?",
        "segment the object that {use}", "which one {use}?",
    ),
    ("can you find what {use}?", "please select the object that {use}"),
)  # fmt: skip
DOING = Phrasings(
    (
        "everything that {use}", "all the things that {use}", "which objects {use}?", "find all that {use}",
        "show me everything that {use}", "which things {use}?", "segment all the objects that {use}",
        "the things that {use}",
    ),
    ("can you find everything that {use}?", "please select all the things that {use}"),
)  # fmt: skip
FOR_ONE = Phrasings(
    (
        "something to {verb}", "what can I {verb}?", "what would I {verb}?", "something I can {verb}",
        "find something to {verb}", "I need something to {verb}", "which object can I {verb}?", "I want to {verb} it",
        "what is there to {verb}?", "the thing that I can {verb}", "show me something to {verb}",
    ),
    ("can you find something to {verb}?", "please show me something to {verb}", "where is something to {verb}?"),
)  # fmt: skip
FOR = Phrasings(
    (
        "everything I can {verb}", "all the things to {verb}", "which objects can I {verb}?", "find all I can {verb}",
        "all that I could {verb}", "show me everything to {verb}", "which things would I {verb}?",
        "the things that I can {verb}",
    ),
    ("can you find everything I can {verb}?", "please select all the things to {verb}"),
)  # fmt: skip

# Several as one. {np} is "bowl of apples".
GROUP = Phrasings(
    (
        "the {np}", "{np}", "find the {np}", "where is the {np}?", "show me the {np}", "segment the {np}",
        "the whole {np}", "which objects make up the {np}?", "please select the {np}",
    ),
    ("can you find the {np}?", "I am looking for the whole {np}"),
)  # fmt: skip
# Kind -> what several of it together are called.
GROUPED: dict[str, tuple[str, ...]] = {
    "bird": ("flock",),
    "fish": ("school",),
    "butterfly": ("swarm",),
    **dict.fromkeys(("balloon", "flower"), ("bunch",)),
    **dict.fromkeys(("book", "plate"), ("stack", "pile")),
    **dict.fromkeys(("ball", "apple", "pear", "carrot", "mushroom"), ("heap", "pile")),
    **dict.fromkeys(
        "box bottle mug goblet candle vase chair drum tree cactus house car pencil".split(),  # noqa: SIM905 - shorter
        ("row",),
    ),
}

# A part of an object. {np} is the object's noun phrase.
PART = Phrasings(
    (
        "the {part} of the {np}", "find the {part} of the {np}", "the {np}'s {part}",
        "where {be} the {part} of the {np}?",
        "show me the {part} of the {np}", "segment the {np}'s {part}", "the {part} that belongs to the {np}",
        "please select the {part} of the {np}", "which part is the {part} of the {np}?",
    ),
    ("can you see the {np}'s {part}?", "please find the {part} of the {np}", "I am looking for the {np}'s {part}"),
)  # fmt: skip
PARTS = Phrasings(
    (
        "the {parts} of the {nps}", "all the {parts} of the {nps}", "find the {parts} of all the {nps}",
        "where are the {parts} of the {nps}?", "show me the {parts} of the {nps}", "every {part} of the {nps}",
        "segment the {parts} of all {nps}", "please select the {parts} of the {nps}",
    ),
    ("please find every {part} of the {nps}", "can you see the {parts} of all the {nps}?"),
)  # fmt: skip
PART_USED = Phrasings(
    ("{use}?", "{use}?", "{use}?", "show me {use}", "find it: {use}?", "{use}? segment it", "{use}? show me"),
    ("{use}? can you show me?", "please find it: {use}?"),
)
