"""At which granularity a query is answered (Eq. 1)."""

import asyncio
from typing import Annotated

from pydantic import Field

from dtwinseger import api, prompts
from dtwinseger.prompts import views
from dtwinseger.service.engine import Engine
from dtwinseger.twin import Granularity

MAX_TOKENS = 200


class GranularityAnswer(api.Contract):
    """What the VLM says."""

    granularity: Granularity
    reason: Annotated[str, Field(max_length=500)]


async def granularity(engine: Engine, image: views.Picture, query: str, side: int) -> api.GranularityResponse:
    """Ask the VLM, showing `image`, [H, W, 3] uint8, with its longest side at `side` pixels. Raises Problems."""
    whole = await asyncio.to_thread(lambda: views.encoded(views.scaled(image, side)))
    answer, usage = await engine.ask(prompts.granularity(query, whole), GranularityAnswer, MAX_TOKENS)
    return api.GranularityResponse(
        granularity=answer.granularity,
        reason=answer.reason,
        model=engine.settings.identity,
        prompts=prompts.digest(prompts.GRANULARITY),
        usage=usage,
    )
