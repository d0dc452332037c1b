"""How certain the model was of the indices that it wrote, from the log-probabilities of their tokens."""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from dtwinseger.service.engine.completion import Token

# A key, not a word of the path: a string would have its quotes escaped.
_LIST = re.compile(r'"indices"\s*:\s*\[([\s\d,]*)\]')


@dataclass(frozen=True)
class Certainty:
    """Probabilities that the model gave, once the path was written."""

    of_indices: dict[int, float]  # index -> of its digits where the list has them
    of_list: float  # of the whole list, with the bracket that ends it


def certainty(tokens: Sequence[Token], indices: Sequence[int]) -> Certainty | None:
    """Of an answer with these `indices`, from its tokens; None where they do not hold that very list.

    Only the list need be spelt by the tokens: engines spell letters that span several tokens in ways of their own, and
    some add the token that ends the answer. A token that holds more than an index counts for all that it holds.
    """
    found = list(_LIST.finditer("".join(token.token for token in tokens)))
    if not found:
        return None
    listed = found[-1]  # the last of equal keys is the one that is read
    spans = [(listed.start(1) + m.start(), listed.start(1) + m.end()) for m in re.finditer(r"\d+", listed[1])]
    if [listed.string[start:end] for start, end in spans] != [str(index) for index in indices]:
        return None
    ends = list(accumulate(len(token.token) for token in tokens))

    def probability(start: int, end: int) -> float:
        """Of the tokens that hold any of the characters from `start` up to `end`."""
        held = tokens[bisect_right(ends, start) : bisect_left(ends, end) + 1]
        return math.exp(min(0.0, math.fsum(token.logprob for token in held)))

    of_indices = {index: probability(*span) for index, span in zip(indices, spans, strict=True)}
    return Certainty(of_indices, probability(listed.start(1), listed.end()))
