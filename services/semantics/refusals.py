"""Requests that are refused before anything is asked."""

from collections.abc import Sequence

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.service.engine import EngineSettings

MAX_MASKS = 200  # as many as perception proposes at most


def require_supported(asked: api.SemanticsRequest, engine: EngineSettings, owlv2: bool) -> None:
    """Raise Problem `invalid_options` for what nothing here honors. owlv2: whether that source is served."""
    options = asked.options
    if options.source == "owlv2" and not owlv2:
        raise Problem("invalid_options", "source owlv2 is not served here: use vlm, or set SEMANTICS_OWLV2_MODEL")
    if options.vocabulary and options.source == "vlm":
        raise Problem("invalid_options", "vocabulary is for source owlv2; a VLM takes none: leave it out")
    if options.max_cost_usd is not None and engine.cost_usd(0, 0, 0) is None:
        raise Problem(
            "invalid_options",
            "max_cost_usd needs the engine's prices: set SEMANTICS_ENGINE_PRICE_INPUT and "
            "SEMANTICS_ENGINE_PRICE_OUTPUT, or leave it out and use max_calls",
        )
    if len(asked.masks) > MAX_MASKS:
        raise Problem("invalid_options", f"{len(asked.masks):,} masks are too many; send at most {MAX_MASKS}")


def require_describable(masks: Sequence[api.DescribedMask], size: tuple[int, int]) -> None:
    """Raise Problem `invalid_options` unless every mask has the image's `size` (height, width), an index of its own
    and a pixel.
    """
    seen: set[int] = set()
    for item in masks:
        if item.mask.size != size:
            (height, width), (rows, columns) = size, item.mask.size
            raise Problem("invalid_options", f"mask {item.index} is {columns}x{rows}, the image {width}x{height}")
        if item.index in seen:
            raise Problem("invalid_options", f"index {item.index} is given to two masks; give each its own")
        if not item.mask.area:
            raise Problem("invalid_options", f"mask {item.index} is empty; leave it out")
        seen.add(item.index)
