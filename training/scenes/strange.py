"""Queries in words that the rendered world does not have, so that a model learns to say that it does not know them."""

import random

CRITERION = "is what the query asks for"
REASON = "the query has unknown words"
WORDS = """
    airplane bag banana beach bed bench bicycle bird blanket bowl bread bridge bright broken bus cake camera cat
    child city clean climb cloud computer cook cow cup curved cut dirty dog eat empty engine feed fence fire food
    fork fresh fruit furry garden glove grass grow guitar hand hang happy heat heavy helmet horse jacket jump key
    kitchen knife ladder laptop leaf machine man metal mirror motorcycle mountain mouse move new old open oven page
    pan paper person phone pillow pizza plane plastic plate play pole pot protect pull purse push repair ripe river
    rope round run sandwich scissors sharp shelf shiny shirt shoe sink skateboard sky sleep snow sofa soft spoon
    station stop street suitcase swan table tall teeth television tent thin throw ticket tie toilet tool toothbrush
    towel train truck turn vase vegetable walk wall wash watch wet wheel wild wing woman wood wooden write young
""".split()  # noqa: SIM905 - forty lines shorter
ENDINGS = ("", "", "", "s", "ing", "ed")
COLORS_AND_SIZES = ("red", "blue", "green", "small", "large", "white", "black")
_FRAMES = (
    "the {s}", "{s}", "the {s} {s}", "find the {s}", "where is the {s}?", "what is {s}?", "the {c} {s}",
    "what would you use to {s} the {s}?", "which {s} in the picture can {s}?", "something that can {s} a {s}",
    "the {s} that the {s} is {s}", "what is the {s} at the left used for?", "the {s} left of the {s}",
    "In the {s}, people often {s} the {s} to {s}. What {s} in the {s} would {s} be {s} for this {s}?",
    "When we {s} a {s}, it is {s} to {s} the {s}. Where in the {s} can we {s} the {s} that can {s} {s}?",
    "What {s} of the {s} can be {s} as a {s} to {s} the {s} in the {s} of {s}?",
    "Please {s} all the {s} {s} in this {s}.", "the {s} next to the {c} {s}", "who is {s} the {s}?",
)  # fmt: skip


def strange(rng: random.Random) -> str:
    """A query with words that nothing in the world is called, English ones and made-up ones."""

    def word() -> str:
        if rng.random() < 0.6:
            return rng.choice(WORDS) + rng.choice(ENDINGS)
        return "".join(rng.choice("bcdfghklmnprstvw") + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))

    parts = rng.choice(_FRAMES).split("{s}")
    text = parts[0] + "".join(word() + part for part in parts[1:])
    return text.replace("{c}", rng.choice(COLORS_AND_SIZES))
