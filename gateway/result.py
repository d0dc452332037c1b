"""A twin's answer as the caller wants it: the response, and pictures of masks."""

import base64
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dtwinseger import api
from dtwinseger.twin import DigitalTwin, Mask
from dtwinseger.twin.mask import union
from dtwinseger.twin.polygons import to_polygons
from gateway.build import STAGES

LARGE_PIXELS = 4_000_000


def answer_mask(twin: DigitalTwin) -> Mask:
    """The union of the chosen objects, the size of the image."""
    chosen = set(twin.answer.indices)
    masks = [item.mask for item in twin.objects if item.index in chosen]
    return union(masks, (twin.image.height, twin.image.width))


def to_result(
    twin: DigitalTwin,
    mask_format: api.MaskFormat,
    usage: api.Usage,
    timings_ms: dict[str, float],
    cached: Sequence[str],
    more_warnings: Sequence[str] = (),
) -> api.SegmentResult:
    """The response to `POST /segment`: what the twin holds, and what this request cost."""

    def told(mask: Mask) -> api.AnyMask:
        if mask_format == "rle":
            return mask
        if mask_format == "polygon":
            return api.PolygonMask(size=mask.size, polygons=to_polygons(mask))
        return api.PngMask(size=mask.size, png=base64.b64encode(mask_png(mask)).decode())

    by_index = {item.index: item for item in twin.objects}
    return api.SegmentResult(
        twin_id=twin.id,
        query=twin.query,
        granularity=twin.granularity,
        indices=twin.answer.indices,
        mask=told(answer_mask(twin)),
        objects=tuple(
            api.SegmentedObject(
                index=index,
                semantic=by_index[index].semantic,
                bbox=by_index[index].bbox,
                area_percent=by_index[index].area_percent,
                confidence=twin.answer.confidence.get(index),
                mask=told(by_index[index].mask),
            )
            for index in twin.answer.indices
        ),
        path=twin.answer.path,
        usage=usage,
        timings_ms=timings_ms,
        cached=tuple(cached),
        warnings=(*twin.warnings, *more_warnings),
    )


def stored_result(twin: DigitalTwin) -> api.SegmentResult:
    """The answer of a twin that is in the store, with masks as RLE; it costs nothing now."""
    return to_result(twin, "rle", api.Usage(), twin.timings_ms, tuple(STAGES.values()))


def mask_png(mask: Mask) -> bytes:
    """A mask as an 8-bit gray PNG of 0 and 255."""
    return _encoded(Image.fromarray(mask.decode().astype(np.uint8) * 255), "PNG")


def encode_image(pixels: NDArray[np.uint8]) -> bytes:
    """[H, W, 3] RGB as a JPEG near enough to the original to describe it again; a large one is seen scaled down."""
    large = pixels.shape[0] * pixels.shape[1] > LARGE_PIXELS
    return _encoded(Image.fromarray(pixels), "JPEG", quality=85 if large else 95, subsampling=2 if large else 0)


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
