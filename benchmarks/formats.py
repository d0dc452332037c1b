"""What telling a twin takes: polygons, exports and the overlay. Run: `python -m benchmarks.formats`."""

import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from dtwinseger.twin import Answer, DigitalTwin, ImageInfo, Mask, Provenance, build_objects
from dtwinseger.twin.polygons import to_polygons
from gateway.export import exported
from gateway.overlay import overlay_png
from gateway.result import encode_image

REPEATS = 7


def main() -> None:
    """Print the median time of each over REPEATS."""
    rng = np.random.default_rng(0)
    masks = [blob(rng, 1920, 1080) for _ in range(64)]
    vertices = sum(len(ring) - 1 for mask in masks for rings in to_polygons(mask) for ring in rings)
    report(f"polygons of 64 masks at 1920x1080, {vertices:,} vertices", lambda: [to_polygons(mask) for mask in masks])
    twin = twin_of([blob(rng, 1600, 1066) for _ in range(100)])
    jpeg = encode_image(rng.integers(0, 256, (67, 100, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)[:1066])
    report("overlay of 100 objects at 1600x1066", lambda: overlay_png(twin, jpeg))
    report("COCO of 100 objects at 1600x1066", lambda: exported(twin, "coco"))
    report("GeoJSON of 100 objects at 1600x1066", lambda: exported(twin, "geojson"))


def report(what: str, work: Callable[[], object]) -> None:
    """Print the median time of `work` on the wall and on the processor, which differ where others keep it busy."""
    wall, cpu = [], []
    for _ in range(REPEATS):
        started, used = perf_counter(), process_time()
        work()
        wall.append(1000 * (perf_counter() - started))
        cpu.append(1000 * (process_time() - used))
    print(f"{what}: {statistics.median(wall):,.0f} ms, {statistics.median(cpu):,.0f} ms of processor time")


def blob(rng: np.random.Generator, width: int, height: int) -> Mask:
    """A wavy shape of 1 to 25 % of the picture's height in radius; every third has a hole."""
    y, x = np.indices((height, width)) - rng.uniform(0, (height, width))[:, None, None]
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    edge = rng.uniform(0.01, 0.25) * height * (1 + 0.2 * np.sin(angle * rng.integers(3, 20)))
    inside: NDArray[np.bool_] = distance < edge
    if rng.integers(3) == 0:
        inside &= distance > edge / 2
    return Mask.encode(inside)


def twin_of(masks: list[Mask]) -> DigitalTwin:
    """A twin of undescribed objects, of which the first and the tenth answer."""
    height, width = masks[0].size
    return DigitalTwin(
        id="0" * 32,
        image=ImageInfo(width=width, height=height, sha256="0" * 64),
        query="what is it?",
        granularity="object",
        objects=build_objects(masks, [0.9] * len(masks), [None] * len(masks)),
        answer=Answer(indices=(1, 10), path=()),
        provenance=Provenance(models={}, options={}, prompts="", created=datetime.now(UTC)),
    )


if __name__ == "__main__":
    main()
