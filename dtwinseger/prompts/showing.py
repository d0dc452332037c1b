"""What a VLM is shown of one mask or several, under every option: the whole image, and a crop of each.

Images are [H, W, 3] uint8 RGB and masks [H, W] bool in the same frame, pixels, x right and y down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts import views
from dtwinseger.prompts.marks import Marked, bring_out, mark_all

Numbered = tuple[int, views.MaskArray]  # a mask under the index that its answer carries


@dataclass(frozen=True)
class Shown:
    """The pictures of one question, PNG or JPEG. `crops` has every mask that is asked about, by index, in order."""

    whole: bytes | None
    crops: dict[int, bytes | None]


@dataclass(frozen=True)
class Prepared:
    """An image with what all questions about it share, made once. Each picture is `side` pixels at its longest."""

    options: SemanticsOptions
    image: views.Picture
    whole: views.Picture
    others: Marked | None  # all masks, thinly, for context `numbered`
    side: int


def prepare(options: SemanticsOptions, image: views.Picture, masks: Iterable[Numbered], side: int) -> Prepared:
    """Make `image` ready. masks: all of the image, smallest first; they are taken one at a time."""
    others = mark_all(image, masks, legible(side)) if options.context == "numbered" else None
    return Prepared(options, image, views.scaled(image, side), others, side)


def show(prepared: Prepared, masks: Sequence[Numbered]) -> Shown:
    """The pictures of a question about `masks`. Raises ValueError for an empty one."""
    options, side = prepared.options, prepared.side
    crops = {
        index: views.encoded(views.crop(prepared.image, mask, side, options.crop)) if options.crop != "none" else None
        for index, mask in masks
    }
    return Shown(_whole(prepared, masks), crops)


def legible(side: int) -> int:
    """The side of a picture with numbers, which say nothing where they cannot be read."""
    return max(side, views.LEGIBLE_SIDE)


def _whole(prepared: Prepared, masks: Sequence[Numbered]) -> bytes | None:
    if prepared.options.context == "none":
        return None
    if prepared.others is not None:
        return views.encoded(bring_out(prepared.others, masks))
    if len(masks) == 1:
        index, mask = masks[0]
        return views.encoded(views.marked(prepared.whole, mask, index, prepared.side))
    return views.encoded(bring_out(mark_all(prepared.image, masks, legible(prepared.side)), masks))
