"""How people ask: the phrasings and the uses of things from which queries are made."""

PLURALS = {"fish": "fish"}  # all others take an s

# Asked for one object, and for several. {np} is a noun phrase without its article, {nps} its plural.
ONE = (
    "the {np}",
    "{np}",
    "find the {np}",
    "where is the {np}?",
    "show me the {np}",
    "segment the {np}",
    "which one is the {np}?",
    "please select the {np}",
)
SEVERAL = (
    "the {nps}",
    "all the {nps}",
    "all {nps}",
    "find the {nps}",
    "find all the {nps}",
    "where are the {nps}?",
    "every {np}",
    "show me all {nps}",
    "segment the {nps}",
    "please select all {nps}",
)
COUNTED = ("both {nps}", "the two {nps}", "the pair of {nps}"), ("the three {nps}", "all three {nps}")

# Asked by place alone, and by a relation alone. {place} is "at the top left", {relation} "left of the tree".
AT_PLACE = (
    "what is {place}?",
    "the thing {place}",
    "the object {place}",
    "find the thing {place}",
    "what do you see {place}?",
)
RELATED = (
    "what is {relation}?",
    "the thing {relation}",
    "the object {relation}",
    "find the thing {relation}",
    "which object is {relation}?",
)

PREDICATES = {
    "left_of": ("left of", "to the left of", "on the left of"),
    "right_of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "beneath"),
    "next_to": ("next to", "beside", "right beside", "close to"),
    "inside": ("inside", "within"),
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

LARGEST = ("largest", "biggest", "greatest")
SMALLEST = ("smallest", "tiniest", "littlest")

# What a thing can do, and the kinds that do it: it completes "what ...?" and "something that ...".
USES: dict[str, tuple[str, ...]] = {
    "would keep me dry": ("umbrella",),
    "can shelter me from the rain": ("umbrella",),
    "would help on a rainy day": ("umbrella",),
    "can hold a drink": ("bottle", "mug"),
    "can I drink from": ("bottle", "mug"),
    "would hold hot coffee": ("mug",),
    "can keep my tea warm": ("mug",),
    "would carry water on a hike": ("bottle",),
    "can be closed with a cap": ("bottle",),
    "can I sit on": ("chair",),
    "would let me rest my legs": ("chair",),
    "tells the time": ("clock",),
    "would wake me up in the morning": ("clock",),
    "can I read": ("book",),
    "would tell me a story": ("book",),
    "has pages": ("book",),
    "can light the room": ("lamp",),
    "would help me see in the dark": ("lamp",),
    "can drive on a road": ("car",),
    "would take me to work": ("car",),
    "can sail": ("boat",),
    "would take me across a lake": ("boat",),
    "can carry people": ("boat", "car"),
    "is a vehicle": ("boat", "car"),
    "can swim": ("fish",),
    "is an animal": ("fish",),
    "lives in water": ("fish",),
    "is alive": ("fish", "tree"),
    "has leaves": ("tree",),
    "grows in a forest": ("tree",),
    "would a family live in": ("house",),
    "is a building": ("house",),
    "has a roof and a door": ("house",),
    "can bounce": ("ball",),
    "would I kick": ("ball",),
    "can fly in the wind": ("kite",),
    "would I fly on a string": ("kite",),
    "would decorate a party": ("balloon",),
    "is filled with air": ("ball", "balloon"),
    "can I wear": ("hat",),
    "would keep the sun off my head": ("hat",),
    "is a toy": ("ball", "balloon", "kite"),
    "is furniture": ("chair",),
}
USED_ONE = (
    "what {use}?",
    "something that {use}",
    "the thing that {use}",
    "which object {use}?",
    "find something that {use}",
)
USED_SEVERAL = ("everything that {use}", "all the things that {use}", "which objects {use}?", "find all that {use}")
# The same for uses that put the subject last: "can I sit on" completes only a question; these complete the rest.
SUBJECT_LAST = {
    "can I drink from": ("I can drink from", "to drink from"),
    "can I sit on": ("I can sit on", "to sit on"),
    "can I read": ("I can read", "to read"),
    "would a family live in": ("a family would live in", "for a family to live in"),
    "would I kick": ("I would kick", "to kick"),
    "would I fly on a string": ("I would fly on a string", "to fly on a string"),
    "can I wear": ("I can wear", "to wear"),
}
USED_LAST_ONE = ("something {use}", "a thing {use}", "find something {use}")
USED_LAST_SEVERAL = ("everything {use}", "all the things {use}", "find all the things {use}")

PART_OF = (
    "the {part} of the {np}",
    "find the {part} of the {np}",
    "the {np}'s {part}",
    "where is the {part} of the {np}?",
)


def plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")


def article(noun: str) -> str:
    """The noun phrase with "a" or "an"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
