"""The words of the rendered world: kinds with their parts, what they may be made of, their colors and sizes.

Everything else is derived from here: shapes, queries, tokenizers. A word names one thing only: no part is called like a
kind, a color or a material, but for a kind without parts, which is its own.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of object. `parts`: their names, at most four. `classes`: what it is in wider words. `materials`: what it
    may be said to be made of. `patterned`: whether its main surface may bear a pattern."""

    parts: tuple[str, ...]
    classes: tuple[str, ...]
    materials: tuple[str, ...] = ()
    patterned: bool = True


KINDS: dict[str, Kind] = {
    # to eat and drink with
    "mug": Kind(("body", "handle"), ("dish",), ("metal",)),
    "bottle": Kind(("body", "neck", "lid"), ("container",), ("glass", "metal")),
    "bowl": Kind(("body", "rim"), ("dish", "container"), ("wooden", "metal", "glass")),
    "plate": Kind(("rim", "middle"), ("dish",), ("wooden", "metal", "glass"), patterned=False),
    "teapot": Kind(("body", "spout", "handle", "lid"), ("container",), ("metal",)),
    "goblet": Kind(("cup", "stem", "foot"), ("dish",), ("glass", "metal"), patterned=False),
    "pan": Kind(("body", "handle"), ("container",), ("metal",), patterned=False),
    "knife": Kind(("blade", "handle"), ("tool", "cutlery"), ("wooden",), patterned=False),
    "fork": Kind(("tines", "handle"), ("tool", "cutlery"), ("wooden",), patterned=False),
    "spoon": Kind(("scoop", "handle"), ("tool", "cutlery"), ("wooden",), patterned=False),
    # food
    "apple": Kind(("flesh", "stem", "leaf"), ("food", "fruit"), patterned=False),
    "pear": Kind(("flesh", "stem", "leaf"), ("food", "fruit"), patterned=False),
    "carrot": Kind(("root", "leaves"), ("food",), patterned=False),
    "mushroom": Kind(("cap", "stem"), ("food",), patterned=True),
    "cake": Kind(("sponge", "icing", "cherry"), ("food",)),
    # furniture and things of the house
    "chair": Kind(("back", "seat", "legs"), ("furniture",), ("wooden", "metal")),
    "table": Kind(("top", "legs"), ("furniture",), ("wooden", "metal", "glass")),
    "sofa": Kind(("back", "seat", "arms", "legs"), ("furniture",)),
    "bed": Kind(("headboard", "mattress", "pillow", "legs"), ("furniture",), ("wooden", "metal")),
    "lamp": Kind(("shade", "base"), (), ("metal",)),
    "vase": Kind(("body", "neck"), ("container",), ("glass", "wooden")),
    "basket": Kind(("body", "handle"), ("container",), ("wooden",)),
    "box": Kind(("side", "lid"), ("container",), ("wooden", "metal")),
    "candle": Kind(("wax", "flame", "holder"), (), patterned=True),
    "clock": Kind(("bells", "rim", "face", "hands"), (), ("wooden", "metal"), patterned=False),
    "book": Kind(("cover", "spine", "pages"), ()),
    # tools
    "hammer": Kind(("head", "handle"), ("tool",), ("wooden",), patterned=False),
    "scissors": Kind(("blades", "grips"), ("tool",), patterned=False),
    "saw": Kind(("blade", "handle"), ("tool",), ("wooden",), patterned=False),
    "pencil": Kind(("shaft", "tip", "eraser"), ("tool",), ("wooden",)),
    "key": Kind(("bow", "bit"), (), ("metal",), patterned=False),
    # to wear and carry
    "hat": Kind(("crown", "brim"), ("clothing",)),
    "shoe": Kind(("upper", "sole", "laces"), ("clothing",)),
    "umbrella": Kind(("canopy", "shaft"), ()),
    "backpack": Kind(("body", "pocket", "straps"), ("container",)),
    # vehicles
    "car": Kind(("body", "window", "wheels"), ("vehicle",), ("wooden",)),
    "truck": Kind(("cab", "trailer", "window", "wheels"), ("vehicle",), ("wooden",)),
    "bicycle": Kind(("frame", "saddle", "handlebar", "wheels"), ("vehicle",), patterned=False),
    "boat": Kind(("hull", "mast", "sail"), ("vehicle",), ("wooden",)),
    "airplane": Kind(("fuselage", "wings", "tail"), ("vehicle",), ("wooden", "metal")),
    # animals
    "fish": Kind(("body", "tail", "fin"), ("animal",)),
    "bird": Kind(("body", "wing", "beak", "tail"), ("animal",), patterned=False),
    "cat": Kind(("body", "head", "tail", "legs"), ("animal",)),
    "butterfly": Kind(("body", "wings"), ("animal",)),
    # plants and buildings
    "tree": Kind(("foliage", "trunk"), ("plant",), patterned=False),
    "flower": Kind(("petals", "middle", "stem", "leaves"), ("plant",), patterned=False),
    "cactus": Kind(("stem", "pot"), ("plant",), patterned=False),
    "house": Kind(("walls", "roof", "door", "window"), ("building",), ("wooden",)),
    # toys and music
    "ball": Kind(("ball",), ("toy",), patterned=True),
    "balloon": Kind(("envelope", "string"), ("toy",)),
    "kite": Kind(("sail", "tail"), ("toy",)),
    "drum": Kind(("skin", "shell"), ("instrument",), ("wooden", "metal")),
    "guitar": Kind(("body", "neck", "strings"), ("instrument",), ("wooden",), patterned=False),
}

# Color -> RGB of an object's dominant part, before a jitter of +-11 per channel.
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (206, 36, 40),
    "orange": (243, 130, 22),
    "yellow": (246, 216, 40),
    "green": (42, 150, 60),
    "blue": (36, 88, 204),
    "purple": (132, 50, 176),
    "pink": (246, 142, 186),
    "brown": (122, 74, 38),
    "white": (244, 244, 242),
    "black": (26, 26, 30),
}

# Size -> longest side of the object's box as a share of the image's shorter side, before a jitter of +-8 %.
SIZES: dict[str, float] = {"small": 0.15, "medium": 0.25, "large": 0.38}

# An object bears a pattern, or is of a material, or neither; only what it has is said.
PATTERNS = ("striped", "dotted", "checked")
MATERIALS = ("wooden", "metal", "glass")


def wording(size: str, color: str, kind: str, pattern: str | None = None, material: str | None = None) -> str:
    """An object in words: "a small red striped mug"."""
    return "a " + " ".join(word for word in (size, color, pattern or material, kind) if word)


def part_wording(part: str, whole: str) -> str:
    """A part in words; whole: its object's: "the handle of a small red striped mug"."""
    return f"the {part} of {whole}"


def held_out(color: str, kind: str) -> bool:
    """Whether this color of this kind is kept from training: about one pair in ten, spread over both."""
    return (3 * list(COLORS).index(color) + 7 * list(KINDS).index(kind)) % 10 == 4
