"""Seg-DT from rendered scenes with perceived twins: the services' proposals and descriptions, errors and all.

The ground truth picks the labels of training data here, by IoU with what was perceived, and nothing else: the twin is
what the services make of the picture alone. Nothing of this enters the pipeline or an evaluation.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from dtwinseger.problems import Problem
from dtwinseger.twin import Granularity, Step, TwinObject
from training.segdt.build import OF_A_SAMPLE
from training.segdt.matching import matches
from training.segdt.output import Made
from training.segdt.reexpress import ContradictedError, NotFoundError, reexpress
from training.segdt.samples import image_of, sample
from training.segdt.schema import SegDTProvenance, SegDTSample
from training.segdt.world import ANNOTATOR, TrueQuery, TrueScene

GENERATOR = "perceived"

TARGETS_MISSING = "not all targets were found"
RELATED_MISSING = "an object that the path refers to was not found"
CONTRADICTED = "the perceived twin leads to another answer"
NOT_PERCEIVED = "the services could not make the twin"


class Perceive(Protocol):
    """Makes the perceived twin of an image (its file's bytes); `training.segdt.perceive.Services` does."""

    async def twin(self, image: bytes, query: str, granularity: Granularity) -> tuple[TwinObject, ...]: ...


async def make(scene: TrueScene, split: str, perceive: Perceive, threshold: float, one_twin: bool) -> Made:
    """A sample for each query whose targets were perceived and whose answer follows from the perceived twin.

    threshold: the IoU of a perceived mask with a true one from which they are the same object. one_twin: the twin does
    not depend on the query, so one of each granularity serves all.
    """
    image = image_of(scene.file, scene.png, scene.size)
    twins: dict[tuple[str, Granularity], tuple[TwinObject, ...]] = {}
    samples: list[SegDTSample] = []
    left_out: Counter[str] = Counter()
    for number, asked in enumerate(scene.queries):
        query = asked.query
        key = ("" if one_twin else query.text, query.granularity)
        try:
            if key not in twins:
                twins[key] = await perceive.twin(scene.png, query.text, query.granularity)
        except Problem as problem:
            if problem.code not in OF_A_SAMPLE:
                raise
            left_out[NOT_PERCEIVED] += 1
            continue
        answer = _answer(asked, twins[key], scene.size, threshold)
        if isinstance(answer, str):
            left_out[answer] += 1
            continue
        provenance = SegDTProvenance(annotator=ANNOTATOR, split=split, generator=f"{GENERATOR}:{query.kind}")
        identity = f"{GENERATOR}-{scene.name}-{number}"
        samples.append(sample(identity, image, query.text, query.granularity, twins[key], answer, provenance))
    return Made(tuple(samples), {scene.file: scene.png} if samples else {}, left_out)


def _answer(
    asked: TrueQuery, objects: Sequence[TwinObject], size: tuple[int, int], threshold: float
) -> tuple[tuple[Step, ...], tuple[int, ...]] | str:
    """The path and indices over the perceived objects, or why there are none."""
    masks, true = [found.mask for found in objects], [found.mask for found in asked.objects]
    pairs = matches(true, masks, threshold)
    same = {asked.objects[a].index: objects[b].index for a, b in pairs.items()}
    if set(asked.query.indices) - set(same):
        return TARGETS_MISSING
    try:
        return reexpress(asked.query, objects, size, same)
    except NotFoundError:
        return RELATED_MISSING
    except ContradictedError:
        return CONTRADICTED
