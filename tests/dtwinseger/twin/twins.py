"""Twins from masks, for tests of what is made of them."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from dtwinseger.api import Semantics
from dtwinseger.twin import Answer, DigitalTwin, ImageInfo, Mask, Provenance, build_objects


def twin_of(
    masks: Sequence[np.ndarray], said: Sequence[Semantics | None] | None = None, answer: Sequence[int] = ()
) -> DigitalTwin:
    """A twin of objects with `masks`, [H, W] bool; without `said`, each is a thing. Confidence is 0.75."""
    height, width = masks[0].shape
    described = [Semantics(semantic="a thing", category="thing")] * len(masks) if said is None else said
    return DigitalTwin(
        id="0" * 32,
        image=ImageInfo(width=width, height=height, sha256="ab" * 32),
        query="what is <it> & why?",
        granularity="object",
        objects=build_objects([Mask.encode(mask) for mask in masks], [0.9] * len(masks), described),
        answer=Answer(indices=tuple(answer), path=(), confidence=dict.fromkeys(answer, 0.75)),
        provenance=Provenance(models={}, options={}, prompts="", created=datetime(2026, 1, 2, tzinfo=UTC)),
    )
