"""What each mask shows (Eq. 4): two pictures of it to the VLM, a description or an error back, as each completes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dtwinseger import api, prompts
from dtwinseger.problems import Problem
from dtwinseger.prompts import views
from dtwinseger.service.engine import Engine
from dtwinseger.service.middleware import request_id

MAX_TOKENS = 300


@dataclass(frozen=True)
class Described:
    """The line of one mask and what it cost."""

    line: api.SemanticsLine
    usage: api.EngineUsage


Emit = Callable[[Described], None]


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


async def describe(engine: Engine, image: views.Picture, asked: api.SemanticsRequest, side: int, emit: Emit) -> None:
    """Describe every mask of `asked`, handing each line to `emit` as it completes.

    image: [H, W, 3] uint8, the size of the masks; the VLM sees pictures of `side` pixels. A mask that fails becomes a
    line with its error. Cancelling this cancels every call.
    """
    whole = await asyncio.to_thread(views.scaled, image, side)
    # No more pictures are held ready than there are calls at once.
    slots = asyncio.Semaphore(engine.settings.max_in_flight)

    async def one(item: api.DescribedMask) -> None:
        async with slots:
            try:
                marked, crop = await asyncio.to_thread(_pictures, image, whole, item, side)
                messages = prompts.semantics(asked.query, item.index, marked, crop)
                said, usage = await engine.ask(messages, api.Semantics, MAX_TOKENS)
            except Problem as problem:
                emit(Described(failed(item.index, problem), api.EngineUsage()))
            else:
                emit(Described(api.SemanticsLine(index=item.index, semantics=said), usage))

    async with asyncio.TaskGroup() as group:
        for item in asked.masks:
            group.create_task(one(item))


def failed(index: int, problem: Problem) -> api.SemanticsLine:
    """The line of a mask that could not be described."""
    return api.SemanticsLine(index=index, error=problem.details(request_id.get()))


def _pictures(image: views.Picture, whole: views.Picture, item: api.DescribedMask, side: int) -> tuple[bytes, bytes]:
    mask = item.mask.decode()
    return views.png(views.marked(whole, mask, item.index, side)), views.png(views.crop(image, mask, side))
