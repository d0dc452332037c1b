"""Labels for a detector that knows only words: which to look for, and which detection each mask takes. Pure."""

import re
from collections.abc import Sequence
from itertools import pairwise
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from dtwinseger.problems import Problem

MAX_OF_QUERY = 16
SHORT = 6  # words of a query that is a label as a whole
MAX_CHARACTERS = 100  # of a category

_LATIN = "a-z0-9ß-öø-ɏ\u1e00-\u1eff"  # letters in lower case, and digits
_TOKEN = re.compile(rf"[{_LATIN}]+(?:-[{_LATIN}]+)*|[^\s\w]")  # a word or a sign
_OTHER_SCRIPT = re.compile(rf"[^\W\d_{_LATIN}]")
_ENDING = re.compile(r"n['’]t\b|['’](?:s|re|ve|ll|d|m)\b")  # isn't, the driver's
_FUNCTION_WORDS = """
    a about all also am among an and another any are as at be because been being between but by can could did do does
    each either else every few find for from give had has have having he help her here him his how i identify if image
    in indicate into is it its just kind let like locate made make mark many mask me might more most much must my name
    near neither no nor not object objects of off on one ones only or other our out outline over own part parts photo
    picture please point put scene segment segmentation select she shot should show shown so some such tell than that
    the their them then there these they thing things this those through to too under up us use used using very want was
    we were what when where which while who whom whose why will with within without would you your
"""  # of English, and what any request for a mask says
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())


def candidates(query: str | None, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """What to look for in an image: the labels of `query`, None for scope `image`, then those of `vocabulary`.

    Each once, whatever its case. Raises Problem `invalid_options` where that leaves none.
    """
    found: dict[str, str] = {}
    for label in (*query_labels(query or ""), *(" ".join(label.split()) for label in vocabulary)):
        if label:
            found.setdefault(label.casefold(), label)
    if not found:
        raise Problem(
            "invalid_options",
            "owlv2 has no label to look for: set semantics.vocabulary, which scope image needs, or ask for things",
        )
    return tuple(found.values())


def query_labels(query: str) -> tuple[str, ...]:
    """The labels that `query` names, in its order and in lower case; at most MAX_OF_QUERY.

    A short query as a whole, without the stop words at its ends; then its words that are no stop words, and each pair
    of adjacent ones. One with letters of another script than Latin, or of stop words alone, is kept as it is.
    """
    lowered = normalize("NFKC", query).lower()
    text = " ".join("".join(c if c.isprintable() else " " for c in lowered).split())
    tokens = _TOKEN.findall(_ENDING.sub("", text))
    labels = _words_and_pairs(tokens)
    if not labels or _OTHER_SCRIPT.search(text):
        labels.insert(0, text)
    elif len(text.split()) <= SHORT:
        labels.insert(0, _without_ends(tokens))
    return tuple(dict.fromkeys(label[:MAX_CHARACTERS].strip() for label in labels if label))[:MAX_OF_QUERY]


def assigned(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.intp],
    masks: NDArray[np.float32],
    iou_threshold: float,
) -> NDArray[np.intp]:
    """The detection that each mask takes, -1 for none: [M] indices into [D].

    boxes: [D, 4] of the detections and masks: [M, 4] of the masks, (x1, y1, x2, y2) in pixels of one frame.
    scores, labels: [D]. iou_threshold: above 0.
    Of the detections whose box has at least that IoU with the mask's box, the one with the largest IoU × score; of
    equal ones that with the higher score, then the lower label, then the first.
    """
    if not len(boxes):
        return np.full(len(masks), -1, dtype=np.intp)
    order = np.lexsort((labels, -scores))
    overlap = box_iou(masks, boxes[order])  # [M, D]
    weight = np.where(overlap >= iou_threshold, overlap * scores[order], -1)
    best = weight.argmax(axis=1)  # the first of equals
    return np.where(weight.max(axis=1) >= 0, order[best], -1)


def box_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of each box of `one`, [N, 4], with each of `other`, [K, 4]: [N, K]; 0 where both are empty."""
    corner = np.maximum(one[:, None, :2], other[None, :, :2])
    opposite = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = (opposite - corner).clip(min=0).prod(axis=2)
    union = (one[:, 2:] - one[:, :2]).prod(axis=1)[:, None] + (other[:, 2:] - other[:, :2]).prod(axis=1) - common
    iou: NDArray[np.float32] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou


def _words_and_pairs(tokens: Sequence[str]) -> list[str]:
    """Every word that is no stop word, and each with the next where no stop word or sign is between."""
    labels = []
    for token, following in pairwise([*tokens, "."]):
        if _tells(token):
            if not token.isdigit():
                labels.append(token)
            if _tells(following):
                labels.append(f"{token} {following}")
    return labels


def _without_ends(tokens: Sequence[str]) -> str:
    """The words from the first to the last that is no stop word; there is one."""
    telling = [position for position, token in enumerate(tokens) if _tells(token)]
    return " ".join(token for token in tokens[telling[0] : telling[-1] + 1] if token[0].isalnum())


def _tells(token: str) -> bool:
    return token[0].isalnum() and token not in _STOP_WORDS
