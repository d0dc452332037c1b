"""Queries in words that the rendered world does not have, so that a model learns to say that it does not know them."""

import random

CRITERION = "is what the query asks for"
REASON = "the query has unknown words"
WORDS = """
    anchor antenna arrange arrow bag balcony bamboo banana barrel bat bear belt bench blanket brick bridge
    bright broken bucket bus button cabin calendar calm camel camera carpet castle chain cheap cheer chicken
    child chimney city clean clever cloud clown coat coin collect computer cookie cotton cough cow crane cruel
    curious curtain curved dance deliver dentist diamond dig dirty dive doctor dolphin donkey dragon dream dress
    elephant empty engine enormous explain faint farmer feather fence ferry fire forget fountain fragile fresh
    fridge frog furry gather gentle giraffe glove glue gold goose grape grass greet hang happy heat helmet hen
    horse hotel hungry ice invite island ivory jacket jar jewel joke juggle jump kangaroo kettle kitchen kitten
    kneel ladder laptop laugh learn lemon lend leopard lion listen lizard lobster lonely machine magnet man
    march measure melon mend mirror monkey motorcycle mountain mouse narrow new noisy nurse obey ocean old onion
    oven owl oyster paint panda parrot peach penguin person phone piano pig pirate plane planet plastic pole
    polite potato pray pumpkin puppet purse push quick quiet race rare repair rescue rifle ripe river robot
    rocket rope rough rude ruler run salt sand scarf scatter sheep shelf shiny shirt shout shower sink
    skateboard skirt snake sneeze snow soap soldier spider spin squirrel stair station statue steal stone stop
    strawberry stretch sugar suitcase swan sweater sweep swing sword tall teach teacher tease teeth telescope
    television tent thick thin thirsty thread ticket tidy tiger toilet tomato toothbrush towel tractor train
    trumpet tunnel turtle vanish vegetable violin volcano wagon walk wander wash weak wet whale whisper wild
    wolf woman yawn young zebra
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
_HELD_OUT = (
    "please find the {s}",
    "where can I {s} the {s}?",
    "the {s} that can {s} in the picture",
    "who can {s} a {s}?",
)


def strange(rng: random.Random, held_out: bool = False) -> str:
    """A query with words that nothing in the world is called, English ones and made-up ones.

    held_out: in a phrasing that training never sees.
    """

    def word() -> str:
        if rng.random() < 0.6:
            return rng.choice(WORDS) + rng.choice(ENDINGS)
        return "".join(rng.choice("bcdfghklmnprstvw") + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))

    parts = rng.choice(_HELD_OUT if held_out else _FRAMES).split("{s}")
    text = parts[0] + "".join(word() + part for part in parts[1:])
    return text.replace("{c}", rng.choice(COLORS_AND_SIZES))
