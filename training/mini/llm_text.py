"""The tokens of dtwin-mini-llm: the reasoning instruction as one token, twins and answers in few."""

import random
import re
from collections.abc import Iterable

from transformers import PreTrainedTokenizerFast

from dtwinseger.prompts import REASONING
from dtwinseger.twin import PREDICATES
from training.mini.tokenizer import WORD, build_tokenizer
from training.scenes import phrases
from training.scenes.paths import words as predicate_words
from training.scenes.queries import Asker
from training.scenes.things import Thing
from training.scenes.world import COLORS, KINDS, SIZES

MOST_OBJECTS = 24  # indices with a token of their own; more still encode
QUERY = '"}]\nQuery:'  # ends the twin
PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

_ROW = (
    *(f'{{"index":{index}' for index in range(1, MOST_OBJECTS + 1)),
    ',"semantic":"', ',"semantic":"a', ',"semantic":null', '","bbox":[', ',"bbox":[', '],"area_percent":',
    ',"spatial":"', '"},\n', '"}]\nQuery:', "Twin: [", *phrases.PLACES,
)  # fmt: skip
_ANSWER = (
    '{"path":[{"step":1,"criterion":"is',
    *(f'],"otherwise":null}},{{"step":{step},"criterion":"is' for step in (2, 3, 4)), '","decisions":[',
    ',"reasoning":"', ',"reasoning":"a', ',"reasoning":"an', ',"reasoning":"is',
    '","keep":false,"semantic":null},', '","keep":false,"semantic":null}',
    '","keep":true,"semantic":"', '","keep":true,"semantic":"a', '","keep":true,"semantic":null',
    '"}', '"},', "}", "},", '],"otherwise":null}],"indices":[', "]}",
    "no description", "the largest", "the smallest", "smaller than ", "larger than ", "not related to ", "there is no",
    " itself",
)  # fmt: skip
_RELATIONS = tuple(
    text.format(predicate_words(predicate))
    for predicate in PREDICATES
    for text in ("; {} ", ", {} ", " {} ", "{} ", " is {} it")
)
# A fragment of a relation is one only before a number: "left of 3", but not in "left of the tree".
_BEFORE_NUMBER = "(?:" + "|".join(re.escape(text) for text in _RELATIONS if text.endswith(" ")) + r")(?=\d)"
_PATTERNS = (
    rf'\{{"index":(?:{"|".join(str(i) for i in range(MOST_OBJECTS, 0, -1))})(?=,)',
    r',"(?:reasoning|semantic)":"a(?= )',
    r',"reasoning":"(?:an|is)(?= )',
    r'","keep":true,"semantic":"a(?= )',
    _BEFORE_NUMBER,
    r" \([a-z]+\)",
    r",(?:2[1-9]|[3-9]\d|\d{3,4})(?=[,\]])",  # a coordinate with its comma; indices stay apart from theirs
    r"\.\d",
    r"\d+",
)


def build() -> PreTrainedTokenizerFast:
    """The tokenizer of dtwin-mini-llm, the same one every time."""
    plain = [
        f
        for f in (*_ROW, *_ANSWER)
        if not f.endswith(('":"a', 'g":"an', 'g":"is')) and not re.fullmatch(r'\{"index":\d+', f)
    ]
    plain += [text for text in _RELATIONS if text.endswith(" it")]
    words = [
        *_ROW, *_ANSWER, *_RELATIONS, *_spoken(),
        *(str(n) for n in range(1024)),
        *(f",{n}" for n in range(21, 1024)),
        *(f".{digit}" for digit in range(10)),
        *(f" ({name})" for name in (*KINDS, "object", "background")),
        " background", "the",
    ]  # fmt: skip
    tokenizer = build_tokenizer(
        [REASONING, *plain], words, (PAD, END, SYSTEM, USER, ASSISTANT), CHAT_TEMPLATE, _PATTERNS
    )
    tokenizer.model_max_length = 4096
    return tokenizer


def _spoken() -> Iterable[str]:
    """Every word that queries, criteria and semantics are made of."""
    looks = [(s, c, k) for k in KINDS for c in COLORS for s in SIZES]
    rng = random.Random(0)  # noqa: S311
    found: set[str] = set()
    for _ in range(2000):
        things = [
            Thing(size, color, kind, f"a {size} {color} {kind}", (0, 0, 9, 9), 50.0 - n, _spot(rng), ())
            for n, (size, color, kind) in enumerate(rng.sample(looks, 6))
        ]
        asker = Asker(things, (100, 100), rng)
        for query in [asker.draw(kind, 1) for kind in asker.makers if kind != "unknown"] + [asker.part()]:
            if query:
                text = [f"Query: {query.text}", *(step.criterion for step in query.path)]
                found |= set(re.findall(WORD, "\n".join(text)))
    for look in looks:
        found |= set(re.findall(WORD, f"a {look[0]} {look[1]} {look[2]}"))
    for predicate in PREDICATES:
        found |= set(re.findall(WORD, " ".join(("x", *phrases.PREDICATES[predicate], predicate_words(predicate)))))
    return found


def _spot(rng: random.Random) -> tuple[float, float]:
    return rng.uniform(0, 100), rng.uniform(0, 100)
