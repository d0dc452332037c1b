"""Why an answer is wrong, by oracle substitution: which stage would have to be perfect for it to be right.

An answer is right from an IoU of RIGHT_IOU on. Perception is at fault where no union of the twin's proposals is right.
Else something was described or reasoned wrongly; which of the two can be told where the data set knows what is truly
there: the reasoner is asked again with the true descriptions in place of those of the VLM.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import httpx2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from dtwinseger.api import ReasoningOptions, ReasonRequest, ReasonResponse, Semantics
from dtwinseger.evaluation.metrics import ious, pixel_counts
from dtwinseger.evaluation.samples import TrueObject, Truth
from dtwinseger.twin import DigitalTwin, TwinRow, build_objects
from dtwinseger.twin.mask import union

RIGHT_IOU = 0.5
MATCH_IOU = 0.5  # of a proposal and a true object, from which the one is described as the other

Fault = Literal[
    "right",
    "request failed",
    "not proposed",
    "mis-described",
    "mis-reasoned",
    "described or reasoned wrongly",
    "no twin",
]
Reasoner = Callable[[str, Sequence[TwinRow]], Sequence[int] | None]  # query, rows -> indices; None where it fails


def best_union(twin: DigitalTwin, truth: Truth) -> tuple[tuple[int, ...], float]:
    """Indices of the proposals whose union is nearest the truth, chosen greedily, and its IoU.

    From the empty union, the proposal that raises the IoU most is added until none raises it. What reasoning could
    have reached at best; an optimal choice may be a little better. (), 1.0 where there is no target.
    """
    if not truth.target.any():
        return (), 1.0
    counted = ~truth.ignore
    masks = np.array([item.mask.decode()[counted] for item in twin.objects], dtype=np.bool_)  # [N, P]
    target = truth.target[counted]
    inside, outside = target.copy(), ~target  # pixels that the union does not cover yet
    hit, extra = 0, 0
    chosen: list[int] = []
    wanted = int(target.sum())
    while len(chosen) < len(masks):
        hits, extras = masks[:, inside].sum(axis=1), masks[:, outside].sum(axis=1)  # [N] each
        reached = (hit + hits) / (wanted + extra + extras)
        best = int(reached.argmax())
        if reached[best] <= hit / (wanted + extra):
            break
        hit, extra = hit + int(hits[best]), extra + int(extras[best])
        inside &= ~masks[best]
        outside &= ~masks[best]
        chosen.append(twin.objects[best].index)
    return tuple(sorted(chosen)), hit / (wanted + extra)


def fault(
    query: str,
    twin: DigitalTwin,
    truth: Truth,
    iou: float,
    best_iou: float,
    objects: tuple[TrueObject, ...] | None,
    reasoner: Reasoner | None,
) -> Fault:
    """Which stage the answer with `iou` failed in.

    best_iou: of `best_union`. objects: what is truly there, where the data set says. reasoner: asks the one of the
    system, where it can be reached.
    """
    if iou >= RIGHT_IOU:
        return "right"
    if best_iou < RIGHT_IOU:
        return "not proposed"
    if objects is None or reasoner is None:
        return "described or reasoned wrongly"
    indices = reasoner(query, truly_described(twin, objects))
    if indices is None:
        return "mis-reasoned"  # the true descriptions did not lead to an answer at all
    return "mis-described" if _iou(twin, indices, truth) >= RIGHT_IOU else "mis-reasoned"


def truly_described(twin: DigitalTwin, objects: Sequence[TrueObject]) -> list[TwinRow]:
    """The twin's rows with the description of the true object that each covers; others keep their own."""
    proposals = [item.mask for item in twin.objects]
    overlaps = coco.iou([mask.to_coco() for mask in proposals], [o.mask.to_coco() for o in objects], [0] * len(objects))
    said: list[Semantics | None] = []
    for item, row in zip(twin.objects, np.asarray(overlaps).reshape(len(proposals), len(objects)), strict=True):
        best = int(row.argmax())
        if row[best] >= MATCH_IOU:
            said.append(objects[best].semantics)
        elif item.semantic is None:
            said.append(None)
        else:
            said.append(Semantics(semantic=item.semantic, category=item.category or "object", relevance=0.0))
    rebuilt = build_objects(proposals, [item.predicted_iou for item in twin.objects], said)
    return [TwinRow.model_validate(item.model_dump(include=set(TwinRow.model_fields))) for item in rebuilt]


def reasoner_at(url: str, options: ReasoningOptions, timeout_s: float = 120.0) -> Reasoner:
    """Asks `POST /v1/reason` at `url`. Raises httpx2.HTTPError where nothing answers there."""

    def ask(query: str, rows: Sequence[TwinRow]) -> Sequence[int] | None:
        body = ReasonRequest(query=query, objects=tuple(rows), options=options).model_dump(mode="json")
        response = httpx2.post(f"{url.rstrip('/')}/v1/reason", json=body, timeout=timeout_s)
        return ReasonResponse.model_validate_json(response.content).indices if response.is_success else None

    return ask


def _iou(twin: DigitalTwin, indices: Sequence[int], truth: Truth) -> float:
    chosen = [item.mask for item in twin.objects if item.index in set(indices)]
    prediction: NDArray[np.bool_] = union(chosen, truth.size).decode()
    intersection, joined = pixel_counts(prediction, truth.target, truth.ignore)
    return float(ious(np.array([intersection]), np.array([joined]))[0])
