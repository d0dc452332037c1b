"""Answers that no engine should give, made from a seed: none holds a valid description, nor a valid granularity."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, cast

from tests.doubles.openai_server import Garbage, Reply, Says

MEGABYTE = 1_000_000
_WORDS = (
    "a",
    "red mug",
    "I cannot",
    "see",
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "0.5",
    "null",
    "日本",
    "ü",
    "🙂",
    "<|im_end|>",
)
_JUNK: tuple[Any, ...] = (None, True, -1, 7, 1e308, 10**40, "", " \n", "x" * 501, [], ["a"], [[]], {}, {"a": {"a": 1}})
_MUG = {"semantic": "a red mug", "category": "mug", "attributes": ["red"], "relevance": 0.9}
_GRANULARITY = {"granularity": "object", "reason": "one is asked for"}
# What would do all the same.
_NO_JUNK: dict[str, tuple[Any, ...]] = {
    "attributes": ([], ["a"]),
    "index": (True, 7),
    "reason": ("", " \n"),
    "relevance": (True,),
}

Maker = Callable[[random.Random], Reply]


def replies(count: int, seed: int) -> Iterator[Reply]:
    """`count` replies, each way of being wrong as often as any other; the same ones every time."""
    rng = random.Random(seed)  # noqa: S311 - a benchmark repeats
    for number in range(count):
        yield WAYS[number % len(WAYS)](rng)


def _object(rng: random.Random) -> dict[str, Any]:
    """A valid answer, before it is spoiled: about one mask, about several, or a granularity."""
    several = {"objects": [{"index": index} | _MUG for index in range(1, rng.randint(2, 5))]}
    return cast(dict[str, Any], json.loads(json.dumps(rng.choice([_MUG, several, _GRANULARITY]))))


def _innermost(rng: random.Random, answer: dict[str, Any]) -> dict[str, Any]:
    """What has the fields: the answer, or one of its objects."""
    return cast(dict[str, Any], rng.choice(answer["objects"]) if "objects" in answer else answer)


def _said(answer: object, rng: random.Random) -> Says:
    text = json.dumps(answer, ensure_ascii=rng.random() < 0.5)
    return Says(f"```json\n{text}\n```" if rng.random() < 0.2 else text)


def _prose(rng: random.Random) -> Reply:
    return Says(" ".join(rng.choices(_WORDS, k=rng.randint(1, 200))))


def _around(rng: random.Random) -> Reply:
    return Says(f"Sure! Here is the JSON:\n{json.dumps(_object(rng))}\nI hope that this helps.")


def _html(rng: random.Random) -> Reply:
    return Says(f"<html><body><h1>{rng.randint(400, 599)}</h1><p>{json.dumps(_MUG)}</p></body></html>")


def _truncated(rng: random.Random) -> Reply:
    text = json.dumps(_object(rng))
    return Says(text[: rng.randrange(1, len(text))], finish_reason=rng.choice(["stop", "length"]))


def _flipped(rng: random.Random) -> Reply:
    """A character changed, so that it is no JSON any more."""
    text = list(json.dumps(_object(rng)))
    while True:
        changed = text.copy()
        changed[rng.randrange(len(text))] = rng.choice('{}[]",:0aé\x00\n\\')
        try:
            json.loads("".join(changed))
        except ValueError:
            return Says("".join(changed))


def _mistyped(rng: random.Random) -> Reply:
    answer = _object(rng)
    within = _innermost(rng, answer)
    name = rng.choice(list(within))
    within[name] = rng.choice([junk for junk in _JUNK if junk not in _NO_JUNK.get(name, ())])
    return _said(answer, rng)


def _missing(rng: random.Random) -> Reply:
    answer = _object(rng)
    within = _innermost(rng, answer)
    del within[rng.choice([name for name in ("semantic", "category", "granularity") if name in within])]
    return _said(answer, rng)


def _unknown(rng: random.Random) -> Reply:
    answer = _object(rng)
    _innermost(rng, answer)[rng.choice(["mask", "indices", "__class__", "x" * 300])] = rng.choice(_JUNK)
    return _said(answer, rng)


def _huge_number(rng: random.Random) -> Reply:
    number = rng.choice(["1e999", "-1e999", "9" * rng.randint(20, 6_000), "NaN", "-Infinity", "1e-999999999x"])
    return Says(json.dumps(_MUG | {"relevance": "@"}).replace('"@"', number))


def _twice(rng: random.Random) -> Reply:
    """A key twice, where the first value would do and the last does not."""
    name = rng.choice(["semantic", "category", "relevance"])
    text = json.dumps(_MUG)
    return Says(f'{text[:-1]}, "{name}": {json.dumps(rng.choice([{}, [], None]))}}}')


def _nested(rng: random.Random) -> Reply:
    depth = rng.choice([3, 100, 10_000])
    opened, closed = rng.choice([("[", "]"), ('{"semantic":', "}")])
    return Says(opened * depth + json.dumps(_MUG) + closed * depth)


def _wrapped(rng: random.Random) -> Reply:
    answer = _object(rng)
    return _said(rng.choice([[answer], [answer, answer], {"answer": answer}, json.dumps(answer)]), rng)


def _repeated(rng: random.Random) -> Reply:
    return Says("\n".join([json.dumps(_object(rng))] * rng.randint(2, 5)))


def _empty(rng: random.Random) -> Reply:
    return Says(rng.choice([None, "", " ", "\n\n", "null", "{}", "[]", '""', "0", "```json\n```"]))


def _refusal(rng: random.Random) -> Reply:
    text = rng.choice([None, json.dumps(_MUG)])
    return rng.choice([Says(text, refusal="I cannot help."), Says(text, finish_reason="content_filter")])


def _long(rng: random.Random) -> Reply:
    return rng.choice(_LONG)


def _not_utf8(rng: random.Random) -> Reply:
    text = json.dumps(_completion(json.dumps(_MUG))).encode()
    at = rng.randrange(text.index(b"mug"))
    return _body(text[:at] + rng.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\x80" * 50]) + text[at:])


def _half_a_pair(rng: random.Random) -> Reply:
    """Half of a surrogate pair, escaped: JSON by its grammar, but no text."""
    half = rng.choice(["\\ud800", "\\udfff", "\\udc00\\ud800"])
    return _body(json.dumps(_completion(json.dumps(_MUG))).replace("red mug", f"red mug {half}").encode())


def _no_completion(rng: random.Random) -> Reply:
    """A 200 that is none: in the place of one of its fields is something else, or it is cut."""
    whole = _completion(rng.choice(_WORDS))
    spoilt: list[Any] = [
        whole | {"choices": rng.choice([None, [], {}, "x", [None], [{}], [{"message": None}], [{"message": []}]])},
        _completion(rng.choice([["a"], 5, {"text": "a"}, True])),
        whole | {"usage": rng.choice([[], {"prompt_tokens": -1, "completion_tokens": 10**30}, "many"])},
        rng.choice([None, 0, [], "x", {"error": {"message": "overloaded"}}, [whole]]),
    ]
    text = json.dumps(rng.choice(spoilt))
    return _body(text[: rng.randrange(len(text))].encode() if rng.random() < 0.3 else text.encode())


def _page(rng: random.Random) -> Reply:
    return rng.choice(_PAGES)


def _completion(content: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}


def _body(data: bytes) -> Garbage:
    return Garbage(cast(str, data), "application/json")  # Starlette sends bytes as they are


# Made once: thousands of them would not fit into memory.
_PAGES = (Garbage(), Garbage("", "application/json"), Garbage("<" * MEGABYTE), _body(b"\x00" * 1_000))
_LONG: tuple[Reply, ...] = (
    Says("x" * MEGABYTE),
    Says(json.dumps(_MUG | {"semantic": "mug " * (MEGABYTE // 4)})),
    Says(json.dumps(_MUG | {"attributes": ["red"] * (MEGABYTE // 8)})),
    Says(json.dumps(_MUG | {"x" * MEGABYTE: 1})),
    Says(json.dumps({"objects": [{"index": 1} | _MUG] * 10_000})),
    Says(" " * MEGABYTE + "x"),
)
WAYS: tuple[Maker, ...] = (
    *(_prose, _around, _html, _truncated, _flipped, _mistyped, _missing, _unknown, _huge_number, _twice, _nested),
    *(_wrapped, _repeated, _empty, _refusal, _not_utf8, _half_a_pair, _no_completion, _page, _long),
)
