"""Shards of one run made into one: nothing twice, nothing missing, in the order of the data set."""

import os
from collections.abc import Sequence
from pathlib import Path

from dtwinseger.evaluation.runs.journal import places, read_manifest, write_manifest
from dtwinseger.evaluation.runs.record import RESULTS, Manifest, RunError, Shard
from dtwinseger.evaluation.runs.tally import Tally


def merge(folders: Sequence[Path], out: Path, *, partial: bool) -> tuple[Manifest, Tally]:
    """Write the results of `folders` to `out`, by position; returns its manifest and the figures.

    partial: samples may be missing. Raises RunError where manifests differ beyond their shard, two folders hold one
    sample, a sample is missing, or `out` holds results.
    """
    manifests = {folder: read_manifest(folder) for folder in folders}
    first_folder, first = next(iter(manifests.items()))
    for folder, manifest in manifests.items():
        if found := first.differences(manifest):
            raise RunError(f"{folder} is another run than {first_folder}: {'; '.join(found)}")
    if (out / RESULTS).exists():
        raise RunError(f"{out} holds results already; choose another --out")
    tally = Tally()
    where = _where(list(manifests), tally)
    missing = first.samples - len(where)
    if missing and not partial:
        gap = next(position for position in range(first.samples) if position not in where)
        part = f"{missing} of {first.samples} samples are missing, position {gap} the first"
        raise RunError(f"{part}; finish the shards, or say --partial")
    merged = first.model_copy(update={"shard": Shard()})
    out.mkdir(parents=True, exist_ok=True)
    _copy(list(manifests), where, out / RESULTS)
    write_manifest(out, merged)
    return merged, tally


def _where(folders: Sequence[Path], tally: Tally) -> dict[int, tuple[int, int, int]]:
    """Position in the split -> which folder, offset and length in bytes. Raises RunError for one that comes twice."""
    where: dict[int, tuple[int, int, int]] = {}
    for number, folder in enumerate(folders):
        for place in places(folder / RESULTS):
            if place.position in where:
                other = folders[where[place.position][0]]
                raise RunError(f"{folder} and {other} both hold sample {place.sample_id}")
            where[place.position] = (number, place.offset, place.length)
            tally.add(place)
    return where


def _copy(folders: Sequence[Path], where: dict[int, tuple[int, int, int]], path: Path) -> None:
    """Write the lines in order of position, whole or not at all."""
    files = [os.open(folder / RESULTS, os.O_RDONLY) for folder in folders]
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as out:
            for position in sorted(where):
                number, offset, length = where[position]
                out.write(os.pread(files[number], length, offset))
    finally:
        for file in files:
            os.close(file)
    new.replace(path)
