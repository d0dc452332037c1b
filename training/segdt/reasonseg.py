"""Seg-DT from photographs with masks, in ReasonSeg's format: a perceived twin, the objects that the mask shows, and a
path that an LLM drafts from the known answer.

The ground truth picks the labels of training data here, and nothing else: the twin is what the services make of the
photograph and the query alone. Nothing of this enters the pipeline or an evaluation.
"""

import asyncio
from typing import Protocol

from dtwinseger.evaluation.samples import Sample
from dtwinseger.images import decode_image
from dtwinseger.problems import Problem
from dtwinseger.twin import Granularity, TwinObject
from training.segdt.build import OF_A_SAMPLE
from training.segdt.draft import Drafter
from training.segdt.matching import covering
from training.segdt.output import BuildError, Made
from training.segdt.perceived import NOT_PERCEIVED, TARGETS_MISSING
from training.segdt.samples import image_of, rows_of, sample
from training.segdt.schema import SegDTProvenance

GENERATOR = "reasonseg"
NO_DRAFT = "the LLM drafted no valid path"
NO_IMAGE = "the image cannot be read"


class Perceive(Protocol):
    """Makes the perceived twin of an image (its file's bytes); `training.segdt.perceive.Services` does."""

    async def granularity(self, image: bytes, query: str) -> Granularity: ...
    async def twin(self, image: bytes, query: str, granularity: Granularity) -> tuple[TwinObject, ...]: ...


async def make(
    asked: Sample, split: str, perceive: Perceive, drafter: Drafter, threshold: float, predicted_iou: float
) -> Made:
    """The sample, or why it is left out.

    Targets are the objects, of at least `predicted_iou`, whose union fits the true mask best; the sample is left out
    where that union has an IoU under `threshold` with it. A true mask without a pixel has no targets. Raises BuildError
    where the annotation and its image do not belong together.
    """
    try:
        data = await asyncio.to_thread(asked.image.read_bytes)
        size = (await asyncio.to_thread(decode_image, data)).size
    except OSError as error:
        raise BuildError(f"{asked.image}: {error.strerror or error}") from error
    except Problem:
        return Made(left_out={NO_IMAGE: 1})
    try:
        granularity = await perceive.granularity(data, asked.query)
        objects = await perceive.twin(data, asked.query, granularity)
    except Problem as problem:
        return _left_out(problem, NOT_PERCEIVED)
    targets = await asyncio.to_thread(_targets, asked, objects, size, threshold, predicted_iou)
    if targets is None:
        return Made(left_out={TARGETS_MISSING: 1})
    try:
        path = await drafter.path(asked.query, rows_of(objects), targets)
    except Problem as problem:
        return _left_out(problem, NO_DRAFT)
    kind = {None: "", True: ":sentence", False: ":phrase"}[asked.facets.is_sentence]
    made = sample(
        f"{GENERATOR}-{asked.sample_id}",
        image_of(asked.image.name, data, size),
        asked.query,
        granularity,
        objects,
        (path, targets),
        SegDTProvenance(annotator=drafter.annotator, split=split, generator=f"{GENERATOR}{kind}"),
    )
    masks = {found.index: found.mask for found in objects}
    return Made((made,), {asked.image.name: data}, masks={made.id: masks})


def _targets(
    asked: Sample, objects: tuple[TwinObject, ...], size: tuple[int, int], threshold: float, predicted_iou: float
) -> list[int] | None:
    """Indices of the objects that make up the true mask, ascending; None where they do not."""
    truth = asked.load_truth()
    if truth.size != size:
        raise BuildError(f"{asked.image} is {size[1]}x{size[0]}, its annotation {truth.size[1]}x{truth.size[0]}")
    if not (truth.target & ~truth.ignore).any():
        return []
    sure = [found for found in objects if found.predicted_iou >= predicted_iou]
    chosen, iou = covering([found.mask.decode() for found in sure], truth.target, truth.ignore)
    return sorted(sure[at].index for at in chosen) if iou >= threshold else None


def _left_out(problem: Problem, reason: str) -> Made:
    """Raises `problem` again where it is not of this sample alone."""
    if problem.code not in OF_A_SAMPLE:
        raise problem
    return Made(left_out={reason: 1})
