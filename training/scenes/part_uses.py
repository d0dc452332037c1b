"""What parts are for, asked of an object that is named."""

from typing import NamedTuple


class PartUse(NamedTuple):
    """What parts are for. asked: questions about the object {np}; parts: the kind of object -> the part that serves."""

    asked: tuple[str, ...]
    parts: dict[str, str]


_HANDLES = dict.fromkeys(("mug", "teapot", "pan", "knife", "fork", "spoon", "basket", "hammer", "saw"), "handle")
_LEGS = dict.fromkeys(("chair", "table", "sofa", "bed", "cat"), "legs")
PART_USES: tuple[PartUse, ...] = (
    PartUse(
        ("where would I hold the {np}", "where do I grip the {np}", "what do I hold the {np} by"),
        {**_HANDLES, "scissors": "grips", "umbrella": "shaft", "goblet": "stem", "key": "bow", "balloon": "string"},
    ),
    PartUse(
        ("what turns when the {np} rolls", "what does the {np} roll on", "what goes round on the {np}"),
        {"car": "wheels", "truck": "wheels", "bicycle": "wheels"},
    ),
    PartUse(
        ("where would I sit on the {np}", "what do I sit on when I use the {np}"),
        {"bicycle": "saddle", "chair": "seat", "sofa": "seat"},
    ),
    PartUse(
        ("where would I lean on the {np}", "what do I lean on when I sit on the {np}"),
        {"chair": "back", "sofa": "back"},
    ),
    PartUse(
        ("where does it pour out of the {np}", "what would I pour from on the {np}"),
        {"teapot": "spout", "bottle": "neck"},
    ),
    PartUse(
        ("what does the {np} stand on", "what holds the {np} up from the ground"),
        {**_LEGS, "lamp": "base", "goblet": "foot"},
    ),
    PartUse(
        ("which part of the {np} cuts", "what is sharp on the {np}"),
        {"knife": "blade", "saw": "blade", "scissors": "blades"},
    ),
    PartUse(
        ("what closes the {np}", "what would I lift to open the {np}"), {"bottle": "lid", "teapot": "lid", "box": "lid"}
    ),
    PartUse(("which part of the {np} hits the nail", "what is heavy on the {np}"), {"hammer": "head"}),
    PartUse(
        ("what keeps the {np} in the air", "what does the {np} fly with"),
        {"bird": "wing", "butterfly": "wings", "airplane": "wings"},
    ),
    PartUse(("what does the {np} eat with", "which part of the {np} picks up seeds"), {"bird": "beak"}),
    PartUse(
        ("where would I look out of the {np}", "what lets light into the {np}"),
        {"car": "window", "truck": "window", "house": "window"},
    ),
    PartUse(("where would I enter the {np}", "what would I open to go into the {np}"), {"house": "door"}),
    PartUse(
        ("which part of the {np} keeps the rain off", "what does the rain fall on at the {np}"),
        {"umbrella": "canopy", "house": "roof"},
    ),
    PartUse(
        ("what catches the wind on the {np}", "what would fill with wind on the {np}"), {"boat": "sail", "kite": "sail"}
    ),
    PartUse(("which part of the {np} floats on the water", "what touches the water under the {np}"), {"boat": "hull"}),
    PartUse(("which part of the {np} is hot", "what burns on the {np}"), {"candle": "flame"}),
    PartUse(("what melts on the {np}", "what is used up as the {np} burns"), {"candle": "wax"}),
    PartUse(("what shows the hour on the {np}", "what moves round on the {np}"), {"clock": "hands"}),
    PartUse(("what rings on the {np}", "what is loud on the {np}"), {"clock": "bells"}),
    PartUse(("which part of the {np} writes", "what touches the paper when I use the {np}"), {"pencil": "tip"}),
    PartUse(("what would remove a mistake on the {np}", "which part of the {np} rubs out"), {"pencil": "eraser"}),
    PartUse(("what would I read in the {np}", "what do I turn in the {np}"), {"book": "pages"}),
    PartUse(("what would I tie on the {np}", "what makes the {np} tight"), {"shoe": "laces"}),
    PartUse(("which part of the {np} touches the street", "what wears out under the {np}"), {"shoe": "sole"}),
    PartUse(("where would I rest my head on the {np}", "what is soft under my head in the {np}"), {"bed": "pillow"}),
    PartUse(("what would I lie on in the {np}", "which part of the {np} do I sleep on"), {"bed": "mattress"}),
    PartUse(("what steers the {np}", "where do my hands go on the {np}"), {"bicycle": "handlebar"}),
    PartUse(("where does the driver of the {np} sit", "what is in front on the {np}"), {"truck": "cab"}),
    PartUse(("what carries the load of the {np}", "where are the goods on the {np}"), {"truck": "trailer"}),
    PartUse(("what would I strum on the {np}", "what sounds on the {np}"), {"guitar": "strings", "drum": "skin"}),
    PartUse(("which part of the {np} goes into the lock", "what opens the lock on the {np}"), {"key": "bit"}),
    PartUse(
        ("which part of the {np} goes into my mouth", "what picks up the food on the {np}"),
        {"fork": "tines", "spoon": "scoop"},
    ),
    PartUse(("what holds the drink in the {np}", "where is the wine in the {np}"), {"goblet": "cup"}),
    PartUse(("where does the {np} stand in earth", "what do the roots of the {np} grow in"), {"cactus": "pot"}),
    PartUse(
        ("what carries the top of the {np}", "which part of the {np} holds it upright"),
        {"tree": "trunk", "flower": "stem", "mushroom": "stem"},
    ),
    PartUse(("what attracts bees on the {np}", "which part of the {np} smells good"), {"flower": "petals"}),
    PartUse(("what would I eat of the {np}", "which part of the {np} is juicy"), {"apple": "flesh", "pear": "flesh"}),
    PartUse(
        ("what would a rabbit pull out of the ground of the {np}", "which part of the {np} grows in the ground"),
        {"carrot": "root"},
    ),
    PartUse(("what keeps the sun out of my eyes on the {np}", "which part of the {np} gives shade"), {"hat": "brim"}),
    PartUse(("what goes over my shoulders on the {np}", "how do I carry the {np} on my back"), {"backpack": "straps"}),
    PartUse(
        ("where would I keep small things in the {np}", "what is on the front of the {np}"), {"backpack": "pocket"}
    ),
)
