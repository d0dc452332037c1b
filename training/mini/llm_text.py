"""The tokens of dtwin-mini-llm: an instruction is one token, twins in both renderings and answers are few."""

import random
import re
from collections.abc import Iterable

from transformers import PreTrainedTokenizerFast

from dtwinseger.prompts import REASONING, REASONING_ROWS
from dtwinseger.twin import PREDICATES
from dtwinseger.twin.text import COLUMNS
from training.mini.llm_twins import draw
from training.mini.tokenizer import WORD, build_tokenizer
from training.scenes import phrases
from training.scenes.criteria import told
from training.scenes.queries import Asker
from training.scenes.things import take_apart
from training.scenes.vocabulary import COLORS, KINDS, MATERIALS, PATTERNS, SIZES

MOST_OBJECTS = 48  # indices with a token of their own; more still encode
TOKENS = 4096  # of a prompt and its answer
QUERY = '"}]\nQuery:'  # ends a twin in JSON
QUERY_ROWS = "\nQuery:"  # ends a twin in rows
PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
READ = "Read the twin."  # the instruction of the reading tasks that the base is trained on beside queries
# The base answers at once: these, and which objects.
DIRECT, FITS, FITS_NOT = "answers the query", "fits", "does not fit"

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
    ',"semantic":"', ',"semantic":"a', ',"semantic":"the', ',"semantic":null', '","bbox":[', ',"bbox":[',
    '],"area_percent":', ',"spatial":"', '"},\n', QUERY, "Twin: [", *phrases.PLACES,
    "Twin:\n" + "\t".join(COLUMNS), *(f"\n{index}\t" for index in range(1, MOST_OBJECTS + 1)), "\t", "\ta", "\tthe",
    QUERY_ROWS, " of a", " of an",
)  # fmt: skip
_ANSWER = (
    '{"path":[{"step":1,"criterion":"is',
    *(f'],"otherwise":null}},{{"step":{step},"criterion":"is' for step in (2, 3, 4, 5, 6)), '","decisions":[',
    ',"reasoning":"', ',"reasoning":"a', ',"reasoning":"an', ',"reasoning":"the', ',"reasoning":"is',
    '","keep":false,"semantic":null},', '","keep":false,"semantic":null}',
    '","keep":true,"semantic":"', '","keep":true,"semantic":"a', '","keep":true,"semantic":"the',
    '","keep":true,"semantic":null', '"}', '"},', "}", "},", '],"otherwise":null}],"indices":[', "]}",
    "no description", "the largest", "the smallest", "smaller than ", "larger than ", "not related to ", "there is no",
    " itself",
    f'{{"path":[{{"step":1,"criterion":"{DIRECT}","decisions":[',
    f',"reasoning":"{FITS}","keep":true,"semantic":null}}', f'],"otherwise":"{FITS_NOT}"}}],"indices":[',
    READ,
)  # fmt: skip
_RELATIONS = tuple(
    text.format(told(predicate)) for predicate in PREDICATES for text in ("; {} ", ", {} ", " {} ", "{} ", " is {} it")
)
_INDEX = "|".join(str(index) for index in range(MOST_OBJECTS, 0, -1))
# A fragment of a relation is one only before a number: "left of 3", but not in "left of the tree".
_BEFORE_NUMBER = "(?:" + "|".join(re.escape(text) for text in _RELATIONS if text.endswith(" ")) + r")(?=\d)"
_PATTERNS = (
    rf'\{{"index":(?:{_INDEX})(?=,)',
    rf"\n(?:{_INDEX})\t",
    r',"(?:reasoning|semantic)":"(?:a|the)(?= )',
    r',"reasoning":"(?:an|is)(?= )',
    r'","keep":true,"semantic":"(?:a|the)(?= )',
    r"\t(?:a|the)(?= )",
    r" of an?(?= )",
    _BEFORE_NUMBER,
    r" \([a-z]+\)",
    r",(?:2[1-9]|[3-9]\d|\d{3,4})(?=[,\]\t])",  # a coordinate with its comma; indices stay apart from theirs
    r"\.\d",
    r"\d+",
)
_BY_PATTERN = re.compile(
    r'\{"index":\d+|\n\d+\t|\t(?:a|the)| of an?|.*"(?:reasoning|semantic)":"(?:an?|the|is)', re.DOTALL
)


def build() -> PreTrainedTokenizerFast:
    """The tokenizer of dtwin-mini-llm, the same one every time."""
    plain = [fragment for fragment in (*_ROW, *_ANSWER) if not _BY_PATTERN.fullmatch(fragment)]
    plain += [text for text in _RELATIONS if text.endswith(" it")]
    parts = {part for kind in KINDS.values() for part in kind.parts}
    words = [
        *_ROW, *_ANSWER, *_RELATIONS, *_spoken(),
        *(str(n) for n in range(1025)),
        *(f",{n}" for n in range(21, 1025)),
        *(f".{digit}" for digit in range(10)),
        *(f" ({name})" for name in sorted({*KINDS, *parts, "object", "background"})),
        " background", "the",
    ]  # fmt: skip
    instructions = [REASONING, REASONING_ROWS, *plain]
    tokenizer = build_tokenizer(instructions, words, (PAD, END, SYSTEM, USER, ASSISTANT), CHAT_TEMPLATE, _PATTERNS)
    tokenizer.model_max_length = TOKENS
    return tokenizer


def _spoken() -> Iterable[str]:
    """Every word that queries, criteria and semantics are made of."""
    rng = random.Random(0)  # noqa: S311
    found: set[str] = set()
    for number in range(4000):
        objects, size = draw(rng, 6, "part" if number % 4 == 0 else "object")
        asker = Asker(take_apart(objects), size, rng, held_out=number % 8 < 2)
        for query in [asker.draw(kind, 1) for kind in asker.makers if kind != "unknown"]:
            if query:
                reasons = [one.reasoning for step in query.path for one in step.decisions]
                decided = (f" {reason}\n{reason}" for reason in reasons)
                text = [f"Query: {query.text}", *(step.criterion for step in query.path), *decided]
                found |= set(re.findall(WORD, "\n".join(text)))
    for name, kind in KINDS.items():
        found |= set(re.findall(WORD, "\n".join(f"the {word}s, {word}" for word in (name, *kind.parts, *kind.classes))))
    found |= {f" {word}" for word in (*COLORS, *SIZES, *PATTERNS, *MATERIALS)}
    for predicate in PREDICATES:
        found |= set(re.findall(WORD, " ".join(("x", predicate, told(predicate)))))
    return found
