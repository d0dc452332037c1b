"""Objects of the twin from masks and what was said of them: geometry, relations and spatial text (section 3.1)."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dtwinseger.twin.mask import Mask, segments
from dtwinseger.twin.model import TwinObject
from dtwinseger.twin.relations import relate
from dtwinseger.twin.text import spatial


class Described(Protocol):
    """What a VLM says of one mask (Eq. 4)."""

    @property
    def semantic(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def relevance(self) -> float: ...


def build_objects(
    masks: Sequence[Mask], predicted_ious: Sequence[float], semantics: Sequence[Described | None]
) -> tuple[TwinObject, ...]:
    """The objects of the twin, by area, largest first, with indices 1..N; of equal areas the earlier stays first.

    masks: N masks of one size, none empty. semantics: None where the description failed. Raises ValueError where the
    three differ in length.
    """
    described = sorted(zip(masks, predicted_ious, semantics, strict=True), key=lambda item: -item[0].area)
    if not described:
        return ()
    ordered = [mask for mask, _, _ in described]
    height, width = ordered[0].size
    centers = np.array([_centroid(mask) for mask in ordered])
    names = {index: _name(said) for index, (_, _, said) in enumerate(described, start=1)}
    objects = []
    for index, (item, center, relations) in enumerate(
        zip(described, centers, relate(ordered, centers), strict=True), start=1
    ):
        mask, predicted_iou, said = item
        centroid = (float(center[0]), float(center[1]))
        objects.append(
            TwinObject(
                index=index,
                semantic=said.semantic if said else None,
                category=said.category if said else None,
                attributes=said.attributes if said else (),
                relevance=said.relevance if said else None,
                bbox=mask.bbox,
                area_percent=round(100 * mask.area / (height * width), 1),
                spatial=spatial(centroid, (height, width), relations, names),
                centroid=centroid,
                predicted_iou=predicted_iou,
                mask=mask,
                relations=relations,
            )
        )
    return tuple(objects)


def _name(said: Described | None) -> str:
    """What relations call the object."""
    return (said.category or said.semantic) if said else "object"


def _centroid(mask: Mask) -> NDArray[np.float64]:
    """[2] x, y: the mean of the mask's pixels (Eq. 2), from its runs."""
    x, top, bottom = segments(mask)
    return np.average([x, (top + bottom - 1) / 2], axis=1, weights=bottom - top)
