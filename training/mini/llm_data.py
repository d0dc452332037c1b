"""Training data of dtwin-mini-llm's base: twins, each with several queries answered at once or by a path, or read out.

The base answers directly: one step that lists the objects that fit, and one reason for all others. From such answers
alone a small model does not learn to read (docs/training.md), so a share of the queries is answered by a path, though
at so little weight that it never begins one itself, and some twins are read out instead: for every row what it says of
one thing. And a few random tokens are to be repeated, which gives each token of the vocabulary a meaning.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from dtwinseger.prompts import reasoning
from dtwinseger.twin import Decision, Step, render_answer
from dtwinseger.twin.text import Rendering
from training.mini.llm_text import ASSISTANT, DIRECT, END, FITS, FITS_NOT, QUERY, QUERY_ROWS, READ
from training.mini.llm_twins import MOST_OBJECTS, Level, Size, draw
from training.scenes.criteria import told
from training.scenes.queries import Asker, Query
from training.scenes.things import Thing, place, rows, take_apart
from training.scenes.words import article

ROWS_SHARE = 0.15  # of the twins are rows, the others JSON
PARTS_SHARE = 0.4  # of the twins are of parts
READ_SHARE = 0.3  # of the twins are read out
PATH_SHARE = 0.5  # of the queries are answered by a path
UNKNOWN_SHARE, GROUP_SHARE = 0.06, 0.06  # of the queries; of groups where the twin has one
QUERIES, READINGS = 6, 2  # about one twin: queries at most, readings always
REPEATED = 24  # tokens, at most
DIRECT_WEIGHT = 4.0  # of a token of a direct answer, where one of a path, or that is read out or repeated, counts 1
PLACE_WEIGHT = 4.0  # likewise of a place that is read out
READ_OUT = ("semantic", "kind", "size", "color", "pattern", "material", "part", "place")  # and relations to one row


@dataclass(frozen=True)
class Packed:
    """One twin and several queries with their answers, as tokens.

    twin: the tokens that the queries share. queries: for each what follows, its answer included. answers: for each the
    position in it at which the answer begins. weights: what a token of each answer counts.
    """

    twin: list[int]
    queries: list[list[int]]
    answers: list[int]
    weights: list[float]


def direct(indices: Sequence[int]) -> str:
    """The answer at once: which objects, in one step that says no more."""
    decisions = tuple(Decision(index=index, reasoning=FITS, keep=True) for index in indices)
    return render_answer([Step(step=1, criterion=DIRECT, decisions=decisions, otherwise=FITS_NOT)], indices)


def stream(
    tokenizer: PreTrainedTokenizerFast, rng: random.Random, most: int = MOST_OBJECTS, read: float = READ_SHARE
) -> Iterator[Packed]:
    """Twins of up to `most` objects with queries, without end, decided by `rng`. read: share that is read out."""
    while True:
        level: Level = "part" if rng.random() < PARTS_SHARE else "object"
        objects, size = draw(rng, most, level)
        things = take_apart(objects)
        if texts := (readings if rng.random() < read else queries)(things, size, rng):
            yield pack(tokenizer, things, size, texts, rng)


def queries(things: Sequence[Thing], size: Size, rng: random.Random) -> list[tuple[str, str, float]]:
    """Different queries, each with its answer, direct or by its path, and that one's weight."""
    return [
        (query.text, render_answer(query.path, query.indices), 1.0)
        if rng.random() < PATH_SHARE
        else (query.text, direct(query.indices), DIRECT_WEIGHT)
        for query in asked(things, size, rng, QUERIES)
    ]


def asked(
    things: Sequence[Thing], size: Size, rng: random.Random, count: int, kinds: Sequence[str] = ()
) -> list[Query]:
    """Up to `count` different queries about a twin, as the world mixes them, and more of the rare kinds.

    kinds: those of which all are, in equal shares; a kind that is named twice has two.
    """
    asker = Asker(things, size, rng)
    found: dict[str, Query] = {}
    wanted = [kind for kind in kinds if kind in asker.makers]
    for _ in range(count if wanted or not kinds else 0):
        how = rng.random()
        kind = (
            rng.choice(wanted) if wanted
            else "unknown" if how < UNKNOWN_SHARE
            else "group" if how > 1 - GROUP_SHARE and "group" in asker.makers
            else None
        )  # fmt: skip
        if query := asker.draw(kind, 5 if kind else 40) or (None if kinds else asker.draw()):
            found.setdefault(query.text, query)
    return list(found.values())


def readings(things: Sequence[Thing], size: Size, rng: random.Random) -> list[tuple[str, str, float]]:
    """What is to be read out, that, and its weight: the place always, which is the last that is learned."""
    others = [_reading(things, size, rng) for _ in range(READINGS - 1)]
    return [(*read_out(things, "place", size), PLACE_WEIGHT), *((*other, 1.0) for other in others)]


def read_out(things: Sequence[Thing], what: str, size: Size) -> tuple[str, str]:
    """What to read, one of READ_OUT, and for each row, in the form of a decision without a verdict, what it says of
    it."""
    return f"{READ} {what}", _listed([_said(thing, what, size) for thing in things])


def pack(
    tokenizer: PreTrainedTokenizerFast,
    things: Sequence[Thing],
    size: Size,
    texts: Sequence[tuple[str, str, float]],
    rng: random.Random,
) -> Packed:
    """The twin with what is asked about it and answered, and something to repeat."""
    rendering: Rendering = "rows" if rng.random() < ROWS_SHARE else "json"
    ending = QUERY_ROWS if rendering == "rows" else QUERY
    whole = tokenizer.apply_chat_template(reasoning("", rows(things, size), rendering), tokenize=False)
    twin = whole[: whole.rindex(ending)]
    tails = []
    for query, answer, _ in texts:
        content = reasoning(query, (), rendering)[1]["content"]
        tails.append(f"{ending}{str(content).partition(QUERY_ROWS)[2]}{ASSISTANT}{answer}{END}")
    shared, (read,), *encoded = tokenizer([twin, READ, *tails])["input_ids"]
    assistant, end = tokenizer.convert_tokens_to_ids([ASSISTANT, END])
    repeated = [rng.randrange(assistant + 1, len(tokenizer)) for _ in range(rng.randint(4, REPEATED))]
    encoded.append([encoded[0][0], read, *repeated, assistant, *repeated, end])
    return Packed(
        twin=shared,
        queries=encoded,
        answers=[ids.index(assistant) + 1 for ids in encoded],
        weights=[*(weight for _, _, weight in texts), 1.0],
    )


def _reading(things: Sequence[Thing], size: Size, rng: random.Random) -> tuple[str, str]:
    """As `read_out`, or how every row relates to one."""
    if rng.random() < 0.35:
        target = rng.randint(1, len(things))
        said = [_related(things, index, target) for index in range(1, len(things) + 1)]
        return f"{READ} {target}", _listed(said)
    return read_out(things, rng.choice(READ_OUT), size)


def _said(thing: Thing, what: str, size: Size) -> str:
    if what == "place":
        return place(thing, size)
    word: str | None = getattr(thing, what)
    if word is None:
        return "none" if thing.semantic else "no description"
    return word if what == "semantic" else article(word) if what == "kind" else f"is {word}"


def _related(things: Sequence[Thing], index: int, target: int) -> str:
    """What the twin tells of the two, at either."""
    called = f"{target} ({things[target - 1].name})"
    if index == target:
        return f"{called} itself"
    for relation in things[index - 1].relations:
        if relation.target == target:
            return f"{told(relation.predicate)} {called}"
    for relation in things[target - 1].relations:
        if relation.target == index:
            return f"{called} is {told(relation.predicate)} it"
    return f"not related to {called}"


def _listed(said: Sequence[str]) -> str:
    return ",".join(f'{{"index":{index},"reasoning":"{text}"}}' for index, text in enumerate(said, start=1))
