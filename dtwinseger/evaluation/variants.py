"""How other repositories count, so that their numbers can be reproduced. The default is LISA's definition."""

from dataclasses import dataclass
from enum import StrEnum

SAMPLER_RANKS = 8  # GPUs over which torch's DistributedSampler deals the samples, the first ones again to fill up
FIRST = 100


class Variant(StrEnum):
    """A departure from LISA's definition, and who makes it."""

    EMPTY_ZERO = "empty-zero"  # an empty answer to an empty truth has IoU 0, not 1 (VisionReasoner)
    EMPTY_DROPPED = "empty-dropped"  # such a sample counts nowhere (Seg-Zero)
    IGNORED_AS_TARGET = "ignored-as-target"  # ignored pixels belong to the target (Seg-Zero)
    MISSING_SKIPPED = "missing-skipped"  # samples without a prediction count nowhere (Sa2VA)
    OVERLAPS_LOST = "overlaps-lost"  # where parts of an annotation overlap is background (LISA's dataset.py)
    SAMPLER_PADDED = "sampler-padded"  # the first samples count again until SAMPLER_RANKS divide their number
    FIRST_100 = "first-100"  # only the first FIRST samples (LLM-Seg)
    ONE_PER_INSTANCE = "one-per-instance"  # only the first expression of each reference (RefCOCO, some)


@dataclass(frozen=True)
class Definition:
    """What is counted. Without variants LISA's gIoU and cIoU, where a missing prediction is an empty one."""

    variants: frozenset[Variant] = frozenset()

    def __post_init__(self) -> None:
        """Raises ValueError where two variants exclude each other."""
        if {Variant.EMPTY_ZERO, Variant.EMPTY_DROPPED} <= self.variants:
            raise ValueError("empty-zero and empty-dropped exclude each other")

    def has(self, variant: Variant) -> bool:
        return variant in self.variants

    @property
    def names(self) -> tuple[str, ...] | None:
        """The variants in the order of their list; None for LISA's definition itself."""
        return tuple(variant.value for variant in Variant if variant in self.variants) or None


LISA = Definition()
