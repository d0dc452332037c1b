"""Several descriptions of one mask, consolidated into one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from dtwinseger.api import Semantics


def consolidated(votes: Sequence[Semantics]) -> Semantics:
    """One description from `votes`, of which there is at least one.

    The category is that of most votes, the first of equals; the attributes are those of more than half of the votes, in
    the order in which they were first said; relevance is the mean. Of those who say the category, the vote whose
    attributes differ least from these gives the semantic. Case does not count.
    """
    category, _ = Counter(_plain(vote.category) for vote in votes).most_common(1)[0]
    said = Counter(attribute for vote in votes for attribute in _set(vote.attributes))
    attributes = {
        _plain(attribute): attribute
        for vote in reversed(votes)
        for attribute in reversed(vote.attributes)
        if 2 * said[_plain(attribute)] > len(votes)
    }
    agreeing = [vote for vote in votes if _plain(vote.category) == category]
    nearest = min(agreeing, key=lambda vote: len(_set(vote.attributes) ^ attributes.keys()))
    return Semantics(
        semantic=nearest.semantic,
        category=agreeing[0].category,
        attributes=tuple(reversed(attributes.values()))[:20],
        relevance=fmean(vote.relevance for vote in votes),
    )


def _plain(word: str) -> str:
    return " ".join(word.split()).casefold()


def _set(words: Iterable[str]) -> set[str]:
    return {_plain(word) for word in words}
