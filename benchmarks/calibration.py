"""Is a confidence what it says? The reliability table, and the expected calibration error."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

BINS = 10


@dataclass(frozen=True)
class Claim:
    """What was said to be right with this confidence, 0 to 1, and whether it is."""

    confidence: float
    right: bool


@dataclass(frozen=True)
class Bin:
    """Claims with a confidence from `low` up to `high` (1 included): how many, their mean, and the share right."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


def reliability(claims: Sequence[Claim], bins: int = BINS) -> list[Bin]:
    """The bins of equal width that have claims, from the lowest."""
    within: dict[int, list[Claim]] = {}
    for claim in claims:
        within.setdefault(min(int(claim.confidence * bins), bins - 1), []).append(claim)
    return [
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            count=len(held),
            confidence=fmean(claim.confidence for claim in held),
            right=fmean(claim.right for claim in held),
        )
        for number, held in sorted(within.items())
    ]


def calibration_error(claims: Sequence[Claim], bins: int = BINS) -> float:
    """ECE: the gap between mean confidence and share right, averaged over the bins by their claims."""
    table = reliability(claims, bins)
    return sum(one.count * abs(one.confidence - one.right) for one in table) / len(claims)
