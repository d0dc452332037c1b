"""Twins in the store: kept, found, listed by image, and forgotten."""

import asyncio
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from dtwinseger.problems import Problem
from dtwinseger.twin import Asked as AskedQuery
from dtwinseger.twin import DigitalTwin
from gateway.build import Asked, StoredImage, StoredRequest, Tombstone
from gateway.cache import Cache
from gateway.result import encode_image

TOMBSTONE_TTL_S = 30 * 86_400.0  # an expired twin is known to have existed for this much longer
LISTED = 50  # queries on one image that its twins list, the latest


async def keep_image(cache: Cache, sha256: str, pixels: NDArray[np.uint8]) -> None:
    """Store the upright image, [H, W, 3] RGB, as JPEG, for overlays and further queries."""
    jpeg = await asyncio.to_thread(encode_image, pixels)
    await cache.put(f"image:{sha256}", StoredImage.of(jpeg))


async def keep_twin(cache: Cache, asked: Asked, twin: DigitalTwin) -> None:
    """Store a twin, what was asked for it, and that it existed."""
    request = StoredRequest(query=asked.query, options=asked.options, created=datetime.now(UTC))
    await asyncio.gather(
        remember(cache, twin.id),
        cache.put(f"request:{twin.id}", request),
        cache.include(f"asked:{twin.image.sha256}", twin.id, LISTED + 1),
    )
    await cache.put(f"twin:{twin.id}", twin)  # last: with it the others are found


async def remember(cache: Cache, identity: str) -> None:
    """Store that this twin has been known, so that later it is gone and not unknown."""
    await cache.put(f"tombstone:{identity}", Tombstone.now(), extra_ttl_s=TOMBSTONE_TTL_S)


async def find_whole(cache: Cache, identity: str) -> DigitalTwin | None:
    """The twin if it is stored and every object is described; one that is not is worth another try."""
    twin = await cache.get(f"twin:{identity}", DigitalTwin)
    return twin if twin is not None and all(item.semantic is not None for item in twin.objects) else None


async def find(cache: Cache, identity: str) -> DigitalTwin:
    """The twin with this id. Raises Problem `not_found`, `gone` or `storage_unavailable`."""
    twin = await cache.get(f"twin:{identity}", DigitalTwin)
    if twin is not None:
        return twin
    if error := cache.last_error:
        raise Problem("storage_unavailable", f"the twin store does not answer ({error}); try again shortly")
    if await cache.get(f"tombstone:{identity}", Tombstone) is not None:
        raise Problem("gone", "this twin has expired or was removed; send the image and the query again")
    raise Problem("not_found", "there is no twin with this id")


async def with_asked(cache: Cache, twin: DigitalTwin) -> DigitalTwin:
    """The twin with the other queries on its image, the latest first."""
    others = [other for other in await cache.members(f"asked:{twin.image.sha256}") if other != twin.id][:LISTED]
    requests = await asyncio.gather(*(cache.get(f"request:{other}", StoredRequest) for other in others))
    found = zip(others, requests, strict=True)
    asked = tuple(AskedQuery(id=other, query=request.query) for other, request in found if request is not None)
    return twin.model_copy(update={"asked": asked})


async def image_of(cache: Cache, twin: DigitalTwin) -> bytes:
    """The twin's image, upright, as JPEG. Raises Problem `gone`."""
    stored = await cache.get(f"image:{twin.image.sha256}", StoredImage)
    if stored is None:
        raise Problem("gone", "the image of this twin is no longer stored; send it again")
    return stored.jpeg


async def request_of(cache: Cache, identity: str) -> StoredRequest:
    """What was asked for the twin. Raises Problem `gone`."""
    stored = await cache.get(f"request:{identity}", StoredRequest)
    if stored is None:
        raise Problem("gone", "the request of this twin is no longer stored; send the image and the query again")
    return stored


async def forget(cache: Cache, identity: str) -> None:
    """Remove the twin with this id. Raises Problem as `find` does, and `storage_unavailable`."""
    await find(cache, identity)
    await cache.delete(f"request:{identity}")
    await cache.delete(f"twin:{identity}")
