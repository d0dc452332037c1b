"""Lines of NDJSON from a job at work, so that what goes wrong before the first of them still decides the status."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.requests import ClientDisconnect

from dtwinseger import api
from dtwinseger.service.app import as_problem
from services.semantics.describing import failed

Lines = asyncio.Queue[api.SemanticsLine | None]  # None once the job is done


async def ndjson(
    job: asyncio.Task[None],
    lines: Lines,
    masks: Sequence[api.DescribedMask],
    end: Callable[[], api.SemanticsEnd],
) -> AsyncIterator[str]:
    """Wait for the first line, then return what yields them all. Raises what `job` raises before its first line.

    A job that fails later, by its deadline, leaves each mask that has no line yet one with the error. The job is
    cancelled when nobody reads on.
    """
    job.add_done_callback(lambda _: lines.put_nowait(None))
    try:
        first = await lines.get()
    except asyncio.CancelledError:
        job.cancel()
        raise
    if first is None:
        job.result()
    return _told(job, first, lines, masks, end)


async def _told(
    job: asyncio.Task[None],
    first: api.SemanticsLine | None,
    lines: Lines,
    masks: Sequence[api.DescribedMask],
    end: Callable[[], api.SemanticsEnd],
) -> AsyncIterator[str]:
    untold = {item.index for item in masks}
    try:
        line = first
        while line is not None:
            untold.discard(line.index)
            yield line.model_dump_json() + "\n"
            line = await lines.get()
        if error := job.exception():
            if isinstance(error, ClientDisconnect):
                return
            problem = as_problem(error if isinstance(error, Exception) else RuntimeError(str(error)))
            for index in sorted(untold):
                yield failed(index, problem).model_dump_json() + "\n"
        yield end().model_dump_json() + "\n"
    finally:
        job.cancel()
