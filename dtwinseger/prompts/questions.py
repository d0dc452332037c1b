"""The question about one mask or several (Eq. 4), under every option of how it is put.

An instruction is the file of its prompting, in which the sentence about the pictures follows from what is shown and,
for several masks, the form of the answer is that of `semantics_batch.txt`. Then come worked examples, where asked for,
and last what differs: the query, the numbers, the pictures.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Literal, get_args

from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts import SEMANTICS, asked, digest, worked
from dtwinseger.prompts.parts import Message, picture, text
from dtwinseger.prompts.showing import Shown, prepare, show

Prompting = Literal["direct", "in_context", "system"]
Crop = Literal["none", "plain", "dimmed", "cut"]
Context = Literal["none", "outlined", "numbered"]

DIRECT, IN_CONTEXT, BATCH, _VOTES = (
    files(__package__).joinpath(f"semantics_{name}.txt").read_text("utf-8").strip()
    for name in ("direct", "in_context", "batch", "votes")
)
PROMPTINGS: dict[Prompting, str] = {"system": SEMANTICS, "direct": DIRECT, "in_context": IN_CONTEXT}
# The first vote is the question itself; each further one starts from another point, since an engine that is asked the
# same at temperature 0 says the same.
VOTES = ("", *_VOTES.splitlines())
_PICTURES, _ANSWER = SEMANTICS.splitlines()[1], SEMANTICS.splitlines()[-2]  # lines of every file, which options replace

_CONTEXT = {
    "outlined": ("with the object outlined", "with the objects outlined and numbered"),
    "numbered": (
        "with the object outlined in magenta under its number, and others thinly under theirs",
        "with the objects outlined in magenta under their numbers, and others thinly under theirs",
    ),
}
_CROP = {
    "plain": "in the middle of what is around it",
    "dimmed": "its surroundings dimmed",
    "cut": "its surroundings cut away",
}


def pictures(options: SemanticsOptions, several: bool) -> str:
    """The sentence that says what the pictures are."""
    whole = options.context != "none" and f"the whole image {_CONTEXT[options.context][several]}"
    crop = options.crop != "none" and f"{'one' if several else 'the'} object, {_CROP[options.crop]}"
    if several and crop:
        crop += ", announced by its number"
    if whole and crop:
        return f"The first picture is {whole}. {'Each further' if several else 'The second'} picture is {crop}."
    return f"{'Each' if several and crop else 'The'} picture is {whole or crop}."


def instruction(options: SemanticsOptions, several: bool) -> str:
    """What comes first, for one mask or for `several` in a call."""
    whole = PROMPTINGS[options.prompting].replace(_PICTURES, pictures(options, several))
    if options.context == "none":
        whole = whole.replace("inside the outline", "of the object")
    return whole.replace(_ANSWER, BATCH) if several else whole


def question(options: SemanticsOptions, query: str | None, shown: Shown, side: int, vote: int = 0) -> list[Message]:
    """The messages about the masks that `shown` shows, with pictures of `side` pixels, for the vote of that number.

    For several masks the answer is one object, "objects", of which each has its "index". Votes count from 0.
    """
    several = len(shown.crops) > 1
    messages: list[Message] = [{"role": "system", "content": instruction(options, several)}]
    if options.prompting == "in_context":
        messages += _examples(options.crop, options.context, several, query is not None, min(side, worked.SIDE))
    return [*messages, _user(query, shown, vote)]


def semantics_digest(*asked_how: SemanticsOptions) -> str:
    """SHA-256 over every text and example picture that the options' questions may use."""
    parts: dict[str, None] = {}  # each once, in order
    for options in asked_how:
        parts[instruction(options, several=False)] = None
        if options.batch > 1:  # beside the one: what is left over, and what failed, is asked about alone
            parts[instruction(options, several=True)] = None
        if options.prompting == "in_context":
            parts[worked.fingerprint()] = None
        parts |= dict.fromkeys(VOTES[1 : options.votes])
    return digest(*parts)


@cache
def _examples(crop: Crop, context: Context, several: bool, with_query: bool, side: int) -> tuple[Message, ...]:
    """Each example as a question with the pictures that are asked for, and its answer."""
    options = SemanticsOptions(crop=crop, context=context)
    messages: list[Message] = []
    for example in worked.examples():
        prepared = prepare(options, example.picture(), example.smallest_first(), side)
        query = example.query if with_query else None
        messages.append(_user(query, show(prepared, example.asked(several)), vote=0))
        messages.append({"role": "assistant", "content": example.said(several, with_query)})
    return tuple(messages)


def every_way() -> Iterator[SemanticsOptions]:
    """Options that between them use every text and picture."""
    for prompting, crop, context in product(get_args(Prompting), get_args(Crop), get_args(Context)):
        if (crop, context) != ("none", "none"):
            yield SemanticsOptions(prompting=prompting, crop=crop, context=context, batch=2, votes=len(VOTES))


def _user(query: str | None, shown: Shown, vote: int) -> Message:
    several = len(shown.crops) > 1
    numbers = f"Object{'s' if several else ''}: {', '.join(map(str, shown.crops))}"
    said = "\n".join(filter(None, (asked(query), numbers, VOTES[vote])))
    content = [text(said)]
    if shown.whole is not None:
        content.append(picture(shown.whole))
    for index, crop in shown.crops.items():
        if crop is not None:
            content += [text(f"Object: {index}"), picture(crop)] if several else [picture(crop)]
    return {"role": "user", "content": content}
