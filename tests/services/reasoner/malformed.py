"""Answers about a twin that no LLM should give, made from a seed: each breaks the shape or the rules of the path."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, cast

from tests.doubles.openai_server import Fails, Garbage, Reply, Says

PRESENT = (3, 7, 8, 20)  # the indices of the twin that is asked about
ABSENT = (1, 4, 99, 10**9)
MEGABYTE = 1_000_000
_WORDS = ("the", "red kite", "index", "7", "{", "}", "[", '"indices"', ":", ",", "null", "日本", "🙂", "<|eot_id|>")
_NO_INDEX: tuple[Any, ...] = (0, -7, 2.5, 10**30, None, "seven", "", "7, 8", [7], [], {}, {"index": 7})
_NO_TEXT: tuple[Any, ...] = (None, 7, True, [], ["a"], {})

Answer = dict[str, Any]
Maker = Callable[[random.Random], Reply]


def replies(count: int, seed: int) -> Iterator[Reply]:
    """`count` replies, each way of being wrong as often as any other; the same ones every time."""
    dice = random.Random(seed)
    for number in range(count):
        yield WAYS[number % len(WAYS)](dice)


def good(dice: random.Random) -> Answer:
    """A valid answer in one to three steps, the first of which drops and keeps at least one object."""
    before, path = list(PRESENT), []
    for number in range(1, dice.randint(2, 4)):
        kept = sorted(dice.sample(before, dice.randint(1, len(before) - 1))) if len(before) > 1 else before
        decisions = [{"index": i, "reasoning": f"it is {i}", "keep": i in kept, "semantic": None} for i in before]
        path.append({"step": number, "criterion": "is a kite", "decisions": decisions, "otherwise": None})
        before = kept
    return {"path": path, "indices": before}


def _said(answer: object, dice: random.Random) -> Says:
    text = json.dumps(answer, ensure_ascii=dice.random() < 0.5)
    return Says(f"```json\n{text}\n```" if dice.random() < 0.2 else text)


def _spoilt(spoil: Callable[[Answer, random.Random], object]) -> Maker:
    """A good answer, but for what `spoil` changes in it."""

    def make(dice: random.Random) -> Reply:
        answer = good(dice)
        spoil(answer, dice)
        return _said(answer, dice)

    return make


def _decisions(answer: Answer) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], answer["path"][0]["decisions"])


def _decision(answer: Answer, dice: random.Random) -> dict[str, Any]:
    return dice.choice(_decisions(answer))


def _contradict(answer: Answer, dice: random.Random) -> None:
    """Other objects of the twin, or fewer, more, or none, than the path keeps."""
    others = [i for i in PRESENT if i not in answer["indices"]]
    answer["indices"] = dice.choice(
        [[], sorted(answer["indices"] + others[:1]), others, list(PRESENT), answer["indices"][1:]]
    )


def _invent(answer: Answer, dice: random.Random) -> None:
    """An object that the twin has not, kept by path and indices alike."""
    invented = dice.choice(ABSENT)
    for step in answer["path"]:
        kept = {"index": invented, "reasoning": "it is there", "keep": True, "semantic": "a kite"}
        step["decisions"] = sorted([*step["decisions"], kept], key=lambda decision: decision["index"])
    answer["indices"] = sorted([*answer["indices"], invented])


def _mistype(answer: Answer, dice: random.Random) -> None:
    where, name, junk = dice.choice(
        [
            (answer, "path", (None, "", 1, {}, [None], [[]], "step 1")),
            (answer, "indices", (None, "7", 7, {}, {"7": True})),
            (answer["path"][0], "decisions", (None, "keep 7", 7, {"7": True}, [7])),
            (answer["path"][0], "criterion", _NO_TEXT),
            (answer["path"][0], "otherwise", (7, [], {})),
            (answer["path"][0], "step", (0, -1, 2, None, "first", 1.5, [])),
            (_decision(answer, dice), "index", _NO_INDEX),
            (_decision(answer, dice), "reasoning", _NO_TEXT),
            (_decision(answer, dice), "keep", (None, "perhaps", 2, 0.5, [], {})),
            (_decision(answer, dice), "semantic", (7, [], {})),
        ]
    )
    where[name] = dice.choice(junk)


def _truncated(dice: random.Random) -> Reply:
    text = json.dumps(good(dice))
    return Says(text[: dice.randrange(1, len(text))], finish_reason=dice.choice(["stop", "length"]))


def _around(dice: random.Random) -> Reply:
    text = json.dumps(good(dice))
    before, after = dice.choice([("Sure! ", ""), ("", " I hope that this helps."), ("```\n", "\n```"), (text, "")])
    return Says(before + text + after)


def _wrapped(dice: random.Random) -> Reply:
    answer = good(dice)
    return _said(dice.choice([[answer], {"answer": answer}, json.dumps(answer), answer["indices"]]), dice)


def _nested(dice: random.Random) -> Reply:
    depth = dice.choice([3, 100, 10_000])
    opened, closed = dice.choice([("[", "]"), ('{"path":', "}")])
    return Says(opened * depth + json.dumps(good(dice)) + closed * depth)


def _half_a_pair(dice: random.Random) -> Reply:
    return Says(json.dumps(good(dice)).replace("it is", dice.choice(["\\ud800", "\\udfff"])))


def _not_utf8(dice: random.Random) -> Reply:
    text = json.dumps({"choices": [{"message": {"content": json.dumps(good(dice))}, "finish_reason": "stop"}]}).encode()
    at = dice.randrange(text.index(b"path"), text.index(b"kite"))
    return _body(text[:at] + dice.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80"]) + text[at:])


def _no_completion(dice: random.Random) -> Reply:
    answer = json.dumps(good(dice))
    spoilt: list[Any] = [None, 7, [], {}, {"choices": None}, {"choices": []}, {"choices": [{"message": [answer]}]}]
    return _body(dice.choice([json.dumps(dice.choice(spoilt)), answer, "", "<html>502</html>"]).encode())


def _body(data: bytes) -> Garbage:
    return Garbage(cast(str, data), "application/json")  # Starlette sends bytes as they are


# Made once: a thousand of them would not fit into memory.
_LONG: tuple[Reply, ...] = (
    Says("x" * 10 * MEGABYTE),
    Says(json.dumps({"path": [], "indices": [7] * (10 * MEGABYTE // 3)})),
    Says(json.dumps({"path": [], "indices": [7] * 50_000})),
    Says(json.dumps({"path": [{"step": 1}] * 10_000, "indices": []})),
    Says(" " * MEGABYTE),
)
WAYS: tuple[Maker, ...] = (
    lambda dice: Says(" ".join(dice.choices(_WORDS, k=dice.randint(1, 200)))),
    lambda dice: Says(dice.choice([None, "", " \n", "null", "{}", "[]", "7", '"7"', "```json\n```"])),
    lambda dice: Says(dice.choice([None, json.dumps(good(dice))]), refusal="I would rather not."),
    lambda dice: Fails(400),
    lambda dice: dice.choice(_LONG),
    *(_truncated, _around, _wrapped, _nested, _half_a_pair, _not_utf8, _no_completion),
    *map(
        _spoilt,
        (
            _contradict,
            _invent,
            _mistype,
            lambda answer, dice: answer["indices"].insert(0, dice.choice(_NO_INDEX)),
            lambda answer, dice: answer["indices"].append(answer["indices"][0]),  # twice
            lambda answer, dice: answer["indices"].append(dice.choice(ABSENT)),
            lambda answer, dice: _decisions(answer).append(_decision(answer, dice)),  # decided twice
            lambda answer, dice: _decisions(answer).reverse(),
            lambda answer, dice: _decisions(answer).remove(_decision(answer, dice)),  # left out, and no reason
            lambda answer, dice: _decision(answer, dice).update(keep=False, semantic="a kite"),
            lambda answer, dice: answer["path"].clear(),
            lambda answer, dice: answer["path"].append(answer["path"][0]),
            lambda answer, dice: answer.pop(dice.choice(["path", "indices"])),
            lambda answer, dice: _decision(answer, dice).pop(dice.choice(["index", "reasoning", "keep"])),
            lambda answer, dice: answer.update({dice.choice(["mask", "answer", "x" * 300]): [7]}),
            lambda answer, dice: _decision(answer, dice).update(confidence=1),
        ),
    ),
)
