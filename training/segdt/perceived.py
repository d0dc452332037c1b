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
from training.segdt.matching import holders, matches
from training.segdt.output import Made
from training.segdt.reexpress import NotFoundError, reexpress
from training.segdt.samples import image_of, sample
from training.segdt.schema import SegDTProvenance, SegDTSample
from training.segdt.world import ANNOTATOR, TrueQuery, TrueScene

GENERATOR = "perceived"
PIECE_SHARE = 0.5  # of a perceived mask that lies in a true object, from which it is a piece of it

TARGETS_MISSING = "not all targets were found"
RELATED_MISSING = "an object that the path refers to was not found"
NOT_PERCEIVED = "the services could not make the twin"
MISDESCRIBED = "written, with a target described otherwise than it is"


class Perceive(Protocol):
    """Makes the perceived twin of an image (its file's bytes); `training.segdt.perceive.Services` does."""

    async def twin(self, image: bytes, query: str, granularity: Granularity) -> tuple[TwinObject, ...]: ...


async def make(scene: TrueScene, split: str, perceive: Perceive, threshold: float, one_twin: bool) -> Made:
    """A sample for each query whose targets, and what its path refers to, were perceived.

    threshold: the IoU of a perceived mask with a true one from which they are the same object. one_twin: the twin does
    not depend on the query, so one of each granularity serves all.
    """
    image = image_of(scene.file, scene.png, scene.size)
    twins: dict[tuple[str, Granularity], tuple[TwinObject, ...]] = {}
    samples: list[SegDTSample] = []
    left_out: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    for number, asked in enumerate(scene.queries):
        query = asked.query
        key = ("" if one_twin else query.text, query.granularity)
        try:
            if key not in twins:
                twins[key] = await perceive.twin(scene.png, query.text, query.granularity)
            answer, described = _answer(asked, twins[key], threshold)
        except NotFoundError as error:
            left_out[str(error)] += 1
            continue
        except Problem as problem:
            if problem.code not in OF_A_SAMPLE:
                raise
            left_out[NOT_PERCEIVED] += 1
            continue
        notes[MISDESCRIBED] += not described
        provenance = SegDTProvenance(annotator=ANNOTATOR, split=split, generator=f"{GENERATOR}:{query.kind}")
        identity = f"{GENERATOR}-{scene.name}-{number}"
        samples.append(sample(identity, image, query.text, query.granularity, twins[key], answer, provenance))
    return Made(tuple(samples), {scene.file: scene.png} if samples else {}, left_out, +notes)


def _answer(
    asked: TrueQuery, objects: Sequence[TwinObject], threshold: float
) -> tuple[tuple[tuple[Step, ...], tuple[int, ...]], bool]:
    """The path and indices over the perceived objects, and whether the targets are described as they are.

    Raises NotFoundError, with the reason to count.
    """
    query = asked.query
    masks, true = [found.mask for found in objects], [found.mask for found in asked.objects]
    pairs = matches(true, masks, threshold)
    found = {asked.objects[a].index: objects[b].index for a, b in pairs.items()}
    if set(query.indices) - set(found):
        raise NotFoundError(TARGETS_MISSING)
    held = {
        objects[at].index: found[asked.objects[holder].index]
        for at, holder in enumerate(holders(masks, true, PIECE_SHARE))
        if holder is not None and holder in pairs and at not in pairs.values()
    }
    try:
        path, indices = reexpress(query.path, objects, found, held)
    except NotFoundError as error:
        raise NotFoundError(RELATED_MISSING) from error
    truly = {there.index: there.semantic for there in asked.objects}
    said = {here.index: here.semantic for here in objects}
    return (path, indices), all(said[found[index]] == truly[index] for index in query.indices)
