"""Several valid answers to one query: which of them stands, and how sure they are of it together."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from services.reasoner.answer import Vote

Kept = Sequence[int]  # the indices of one answer, ascending


def majority(votes: Sequence[Kept]) -> list[int]:
    """The objects that more than half of `votes` keep, ascending; of a tie, those that the first vote keeps."""
    counts = Counter(index for kept in votes for index in kept)
    return sorted(
        index
        for index, count in counts.items()
        if 2 * count > len(votes) or (2 * count == len(votes) and index in votes[0])
    )


def elected(votes: Sequence[Kept]) -> int:
    """The number of the vote that differs from the majority in the fewest objects, the first of equals."""
    wanted = set(majority(votes))
    return min(range(len(votes)), key=lambda number: len(wanted.symmetric_difference(votes[number])))


def confidence(votes: Sequence[Vote], indices: Kept) -> tuple[dict[int, float], float | None]:
    """Of each of `indices`, and of them as a whole; ({}, None) where nothing measures it.

    The mean over the votes of what each gives to the index, or to exactly this list: its certainty, or 1 where any vote
    has none, and 0 where it says something else. That is the share of votes, or the certainty of the only one.
    """
    certainties = [vote.certainty for vote in votes if vote.certainty]
    if len(certainties) == len(votes):
        each = {index: fmean(sure.of_indices.get(index, 0.0) for sure in certainties) for index in indices}
        whole = [sure.of_list for sure in certainties]
    elif len(votes) > 1:
        each = {index: fmean(index in vote.answer.indices for vote in votes) for index in indices}
        whole = [1.0] * len(votes)
    else:
        return {}, None
    same = [list(vote.answer.indices) == list(indices) for vote in votes]
    return each, fmean(sure * agrees for sure, agrees in zip(whole, same, strict=True))
