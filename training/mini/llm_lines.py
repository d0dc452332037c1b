"""Writes the Seg-DT lines that dtwin-mini-llm's adapter is trained on: drawn twins, and queries with their paths.

python -m training.mini.llm_lines runs/sftdt.jsonl --samples 200000

The twins are those of `training.mini.llm_twins`, of objects and of parts, half of them with the errors of perception;
there is no picture, so `image.sha256` is that of nothing. Lines of rendered scenes, with true or perceived twins, come
from `training.segdt build`; the trainer takes several files. The same seed and number give the same file.
"""

import argparse
import hashlib
import multiprocessing
import os
import random
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from training.mini.llm_data import PARTS_SHARE, asked
from training.mini.llm_twins import MOST_OBJECTS, Level, draw
from training.scenes.queries import OF_OBJECTS, OF_PARTS, QUERY_KINDS
from training.scenes.things import rows, take_apart
from training.segdt.schema import SegDTImage, SegDTProvenance, SegDTSample
from training.segdt.world import ANNOTATOR

GENERATOR = "twins"
QUERIES = 4  # about one twin
UNIT = 500  # samples that are decided by one seed and made at once


def samples(
    unit: int, seed: int, parts: float = PARTS_SHARE, kinds: Sequence[str] = (), most: int = MOST_OBJECTS
) -> Iterator[SegDTSample]:
    """UNIT samples, decided by their number and the seed. parts: share of the twins that are of parts. kinds: of the
    queries, all where it is empty. most: objects of a twin, whose parts are more.
    """
    rng = random.Random(f"lines {seed} {unit}")  # noqa: S311
    made = 0
    while made < UNIT:
        level: Level = "part" if rng.random() < parts else "object"
        objects, size = draw(rng, most, level)
        things = take_apart(objects)
        image = SegDTImage(
            width=size[1], height=size[0], sha256=hashlib.sha256().hexdigest(), file=f"{GENERATOR}-{unit}-{made}"
        )
        table = rows(things, size)
        for query in asked(things, size, rng, QUERIES, kinds)[: UNIT - made]:
            yield SegDTSample(
                id=f"{GENERATOR}-{seed}-{unit}-{made}",
                granularity=query.granularity,
                image=image,
                query=query.text,
                dt0=table,
                path=query.path,
                indices=query.indices,
                provenance=SegDTProvenance(
                    annotator=ANNOTATOR, split="train", generator=f"{GENERATOR}:{query.kind}"
                ),
            )  # fmt: skip
            made += 1


def lines(unit: int, seed: int, parts: float, kinds: Sequence[str], most: int) -> str:
    """The samples of a unit as lines."""
    return "".join(sample.line() + "\n" for sample in samples(unit, seed, parts, kinds, most))


def write(file: Path, count: int, seed: int, parts: float, kinds: Sequence[str], most: int, workers: int) -> None:
    """Write `count` samples, rounded up to whole units; the file is there when it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    with multiprocessing.Pool(workers) as pool, fresh.open("w") as out:
        made = partial(lines, seed=seed, parts=parts, kinds=kinds, most=most)
        for text in pool.imap(made, range(-(-count // UNIT))):
            out.write(text)
    os.replace(fresh, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", type=float, default=PARTS_SHARE, help="share of the twins that are of parts")
    parser.add_argument("--kind", action="append", choices=QUERY_KINDS, help="of query, repeated; all without it")
    parser.add_argument("--most", type=int, default=MOST_OBJECTS, help="objects of a twin, at most")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    offered = {
        kind for kinds, share in ((OF_PARTS, options.parts), (OF_OBJECTS, 1 - options.parts)) if share for kind in kinds
    }
    if options.kind and offered.isdisjoint(options.kind):
        parser.error(f"twins at --parts {options.parts:g} are not asked for {', '.join(options.kind)}")
    if options.most < 1:
        parser.error("--most is 1 or more")
    began = time.monotonic()
    write(options.file, options.samples, options.seed, options.parts, options.kind or (), options.most, options.workers)
    print(f"{options.file}: {options.file.stat().st_size / 1e6:,.0f} MB in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
