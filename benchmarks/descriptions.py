"""A request for descriptions, and what it was answered, read without trust."""

import io
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass

import httpx2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from dtwinseger import api
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin import Mask
from training.scenes import render_scene

DEFAULT = api.SemanticsOptions()
SIZE = (1024, 768)  # width, height
MOST_MASKS = 200  # a request's
TINY = (96, 64)  # width, height: the answers count here, not the pictures
TYPED = ("upstream_invalid", "upstream_unavailable")


@dataclass(frozen=True)
class Job:
    """An image, PNG, and its masks."""

    png: bytes
    masks: tuple[api.DescribedMask, ...]


@dataclass(frozen=True)
class Told:
    """What a request was answered. `faults` are what should never be."""

    described: int
    errors: Counter[str]  # problem codes
    faults: Counter[str]
    seconds: float


def picture(masks: int) -> Job:
    """A rendered scene, with masks of objects and parts from as many scenes as it takes."""
    found = (
        mask
        for seed in itertools.count()
        for thing in render_scene(seed, *SIZE).objects
        for mask in (thing.mask, *(part.mask for part in thing.parts))
    )
    described = (
        api.DescribedMask(index=i, mask=Mask.encode(m)) for i, m in enumerate(itertools.islice(found, masks), 1)
    )
    return Job(_png(render_scene(0, *SIZE).image), tuple(described))


def tiny() -> Job:
    """A small gray image and many masks."""
    width, height = TINY
    masks = []
    for index in range(1, MOST_MASKS + 1):
        mask = np.zeros((height, width), dtype=np.bool_)
        y, x = divmod(index, 20)
        mask[5 * y : 5 * y + 4, 4 * x : 4 * x + 3] = True
        masks.append(api.DescribedMask(index=index, mask=Mask.encode(mask)))
    return Job(_png(np.full((height, width, 3), 128, dtype=np.uint8)), tuple(masks))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def form(job: Job, options: api.SemanticsOptions) -> dict[str, object]:
    """A request's body, as the client library takes it."""
    asked = api.SemanticsRequest(query="the mug", masks=job.masks, options=options)
    return {"data": {"request": asked.model_dump_json()}, "files": {"image": ("image", job.png, "image/png")}}


def ask(http: httpx2.Client, job: Job, options: api.SemanticsOptions = DEFAULT) -> Told:
    """Have the masks of `job` described."""
    body = form(job, options)
    started = time.perf_counter()
    response = http.post("/v1/semantics", **body)  # type: ignore[arg-type]
    return read_answer(response, {item.index for item in job.masks}, time.perf_counter() - started)


def read_answer(response: httpx2.Response, asked: set[int], seconds: float) -> Told:
    """Read the answer without trust: by the contract alone, and by what was asked."""
    if not response.is_success:
        code = ProblemDetails.model_validate_json(response.content).code
        return Told(0, Counter([code]), Counter([] if code in TYPED else [f"{response.status_code} {code}"]), seconds)
    *lines, end = response.text.splitlines()
    described, errors, faults = 0, Counter[str](), Counter[str]()
    for text in lines:
        try:
            line = api.SemanticsLine.model_validate_json(text)
        except ValidationError:
            faults["a line breaks the contract"] += 1
            continue
        if line.index not in asked:
            faults["a mask twice, or not asked about"] += 1
        asked.discard(line.index)
        if line.error:
            errors[line.error.code] += 1
            faults[f"line: {line.error.code}"] += line.error.code not in TYPED
        described += line.semantics is not None
        faults["a line that says nothing"] += line.error is None and line.semantics is None
    faults["a mask without a line"] += len(asked)
    faults["no closing line"] += json.loads(end).get("kind") != "end"
    return Told(described, errors, +faults, seconds)
