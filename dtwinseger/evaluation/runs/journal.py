"""Results on disk: a file that only grows by whole lines, so that a kill at any moment loses and doubles nothing."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from dtwinseger.evaluation.runs.record import MANIFEST, RESULTS, Failure, FreshRecord, Manifest, RunError, Stopped
from dtwinseger.evaluation.runs.tally import Tally


class Cost(BaseModel):
    """Of one answer, in USD; null where a price is not configured."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cost_usd: float | None


class Place(BaseModel):
    """A line of results: as much as resuming, merging and running figures need, and where it stands."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sample_id: str
    position: int
    problem: Failure | None
    intersection: int
    union: int
    usage: Cost
    offset: int = 0
    length: int = 0


class Journal:
    """The results of one run, open for more, and locked against a second writer. Use it as a context manager.

    Opening drops a last line that a kill has torn. Raises RunError where the folder holds another run, another
    process writes to it, or a line that is not the last cannot be read; OSError where the folder cannot be written.
    tally: told of each line, those that are there too.
    """

    def __init__(self, folder: Path, manifest: Manifest, tally: Tally) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / RESULTS
        self._tally = tally
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock()
            _agree(folder, manifest)
            self._length = _drop_torn_line(self._file)
            self.done: set[str] = set()
            for place in places(self._path):
                self._count(place)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, record: FreshRecord) -> None:
        """Add a line by one write. Raises Stopped where the disk takes no more; what it took of the line is undone."""
        line = record.model_dump_json().encode() + b"\n"
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, self._length)
            kept = f"{len(self.done)} results are kept; make room and run the same command again"
            raise Stopped(f"{self._path}: {error.strerror}; {kept}") from error
        self._length += len(line)
        self._count(record)

    def _count(self, line: Place | FreshRecord) -> None:
        self.done.add(line.sample_id)
        self._tally.add(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"{self._path}: another run is writing to it; wait for it, or choose another --out"
            ) from error


def places(path: Path) -> Iterator[Place]:
    """Each line of a file of results, masks and twins not kept. Raises RunError with the line that is none."""
    seen: dict[str, int] = {}
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                raise RunError(f"{path}:{number}: the last line is torn; resume the run first")
            try:
                place = Place.model_validate_json(line)
            except ValidationError as error:
                raise RunError(f"{path}:{number}: not a result: {error.errors()[0]['msg']}") from error
            if place.sample_id in seen:
                raise RunError(f"{path}:{number}: sample {place.sample_id} is in line {seen[place.sample_id]} already")
            seen[place.sample_id] = number
            yield place.model_copy(update={"offset": offset, "length": len(line)})
            offset += len(line)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run. Raises RunError where there is none."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: no run is here: {error.strerror}") from error
    except ValidationError as error:
        raise RunError(f"{path}: not a manifest of this version: {error.errors()[0]['msg']}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all."""
    new = folder / f"{MANIFEST}.new"
    new.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    new.replace(folder / MANIFEST)


def _agree(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, or compare with the one that is there."""
    if not (folder / MANIFEST).exists():
        if (folder / RESULTS).stat().st_size:
            raise RunError(f"{folder}: results without a manifest; choose another --out")
        write_manifest(folder, manifest)
        return
    before = read_manifest(folder)
    found = before.differences(manifest)
    if before.shard != manifest.shard:
        found.append(f"the shard was {before.shard.index}/{before.shard.count}")
    if found:
        raise RunError(f"{folder} holds another run: {'; '.join(found)}. Choose another --out")


def _drop_torn_line(file: int) -> int:
    """Cut what follows the last line end; the length that remains."""
    length = os.fstat(file).st_size
    keep, step = length, 1 << 16
    while keep:
        start = max(0, keep - step)
        end = os.pread(file, keep - start, start).rfind(b"\n")
        if end >= 0:
            keep = start + end + 1
            break
        keep = start
    if keep < length:
        os.ftruncate(file, keep)
    return keep
