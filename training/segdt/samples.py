"""A sample put together from what a builder found."""

import hashlib
from collections.abc import Sequence

from dtwinseger.twin import Granularity, Step, TwinObject, TwinRow
from training.segdt.schema import SegDTImage, SegDTProvenance, SegDTSample


def image_of(file: str, data: bytes, size: tuple[int, int]) -> SegDTImage:
    """The record of an image's file. size: (height, width) of the upright picture."""
    height, width = size
    return SegDTImage(width=width, height=height, sha256=hashlib.sha256(data).hexdigest(), file=file)


def rows_of(objects: Sequence[TwinObject]) -> tuple[TwinRow, ...]:
    """The objects as the reasoner reads them: without masks, in index order."""
    shown = set(TwinRow.model_fields)
    ordered = sorted(objects, key=lambda found: found.index)
    return tuple(TwinRow.model_validate(found.model_dump(include=shown)) for found in ordered)


def sample(
    identity: str,
    image: SegDTImage,
    query: str,
    granularity: Granularity,
    objects: Sequence[TwinObject],
    answer: tuple[tuple[Step, ...], Sequence[int]],
    provenance: SegDTProvenance,
) -> SegDTSample:
    """A sample about `objects`; answer: the path and the indices that it keeps."""
    path, indices = answer
    return SegDTSample(
        id=identity,
        granularity=granularity,
        image=image,
        query=query,
        dt0=rows_of(objects),
        path=path,
        indices=tuple(indices),
        provenance=provenance,
    )
