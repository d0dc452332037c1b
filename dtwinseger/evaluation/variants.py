"""How other repositories count, so that their numbers can be reproduced. The default is LISA's definition."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

Variant = Literal[
    "empty-zero",
    "empty-dropped",
    "ignored-as-target",
    "missing-skipped",
    "overlaps-lost",
    "sampler-padded",
    "first-100",
    "one-per-instance",
]
SAMPLER_RANKS = 8  # GPUs over which torch's DistributedSampler deals the samples, the first ones again to fill up
FIRST = 100


@dataclass(frozen=True)
class Definition:
    """What is counted. Without any of these, LISA's gIoU and cIoU, where a missing prediction is an empty one."""

    empty_zero: bool = False  # an empty answer to an empty truth has IoU 0, not 1 (VisionReasoner)
    empty_dropped: bool = False  # such a sample counts nowhere (Seg-Zero)
    ignored_as_target: bool = False  # ignored pixels belong to the target (Seg-Zero)
    missing_skipped: bool = False  # samples without a prediction count nowhere (Sa2VA)
    overlaps_lost: bool = False  # where parts of an annotation overlap is background (LISA's dataset.py)
    sampler_padded: bool = False  # the first samples count twice until SAMPLER_RANKS divide their number
    first_100: bool = False  # only the first FIRST samples (LLM-Seg)
    one_per_instance: bool = False  # only the first expression of each reference (RefCOCO, some)

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the variants that differ from LISA's definition, as `define` takes them."""
        return tuple(field.name.replace("_", "-") for field in fields(self) if getattr(self, field.name))


LISA = Definition()


def define(variants: Sequence[Variant]) -> Definition:
    """The definition with these variants. Raises ValueError where two exclude each other."""
    if {"empty-zero", "empty-dropped"} <= set(variants):
        raise ValueError("empty-zero and empty-dropped exclude each other")
    return Definition(**{name.replace("-", "_"): True for name in variants})
