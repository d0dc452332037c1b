"""The digital twin: objects with masks, geometry, relations and semantics (DTwinSeger, section 3.1)."""

from dtwinseger.twin.build import build_objects
from dtwinseger.twin.mask import Mask
from dtwinseger.twin.model import (
    Answer,
    Asked,
    DigitalTwin,
    Granularity,
    ImageInfo,
    Provenance,
    Relation,
    TwinObject,
    TwinRow,
)
from dtwinseger.twin.path import Decision, Index, Step, violations
from dtwinseger.twin.relations import PREDICATES, relate
from dtwinseger.twin.text import render_answer, render_twin, spatial

__all__ = [
    "PREDICATES",
    "Answer",
    "Asked",
    "Decision",
    "DigitalTwin",
    "Granularity",
    "ImageInfo",
    "Index",
    "Mask",
    "Provenance",
    "Relation",
    "Step",
    "TwinObject",
    "TwinRow",
    "build_objects",
    "relate",
    "render_answer",
    "render_twin",
    "spatial",
    "violations",
]
