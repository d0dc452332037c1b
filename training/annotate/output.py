"""The file of annotated samples: a line each, on the disk before a save returns, and none of an id twice."""

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from training.segdt.reading import SegDTError, read
from training.segdt.schema import SegDTSample

_HEAD = b'{"id":'  # of each line that is written here


class AnnotateError(Exception):
    """An annotation that cannot begin or go on. The message is one line and says what to change."""


class Output:
    """What is annotated, by id, and the file that holds it. Only one process at a time has the file.

    A new sample is appended; one that is saved again takes the place of the first in a file written anew, which then
    replaces the old one at once. So a crash leaves what was saved, and at most a torn last line, which is dropped when
    the file is opened again.
    """

    def __init__(self, path: Path, asked: Mapping[str, SegDTSample]) -> None:
        """asked: the samples to annotate, by id. Raises AnnotateError where `path` cannot be their file."""
        self.path = path
        try:
            with ExitStack() as stack:
                self._file = stack.enter_context(_taken(path, "a+b"))
                _mend(self._file)
                self.saved = _belonging(path, asked) if self._file.tell() else {}
                _end_line(self._file)
                stack.pop_all()
        except OSError as error:
            raise AnnotateError(f"{path} cannot be written: {error.strerror or error}") from error
        self._end = self._file.tell()

    def save(self, sample: SegDTSample) -> None:
        """Write `sample`. Raises AnnotateError, with the file as it was, where that fails."""
        try:
            found, held = self.path.stat(), os.fstat(self._file.fileno())
            if (found.st_ino, found.st_size) != (held.st_ino, self._end):
                raise AnnotateError(f"{self.path} was changed by another program; start again with the same command")
            if sample.id in self.saved:
                self._replace(self.saved | {sample.id: sample})
            else:
                self._append(_line(sample))
            self.saved[sample.id] = sample
            _sync(self.path.parent)
        except OSError as error:
            raise AnnotateError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _append(self, line: bytes) -> None:
        try:
            _write(self._file, line)
        except OSError:
            self._file.truncate(self._end)
            self._file.seek(self._end)  # a file that was written anew does not append by itself
            raise
        self._end += len(line)

    def _replace(self, samples: Mapping[str, SegDTSample]) -> None:
        partial = self.path.with_name(f".{self.path.name}.part")
        file = _taken(partial, "wb")
        try:
            _write(file, b"".join(map(_line, samples.values())))
            partial.replace(self.path)
        except OSError:
            file.close()
            partial.unlink(missing_ok=True)
            raise
        self._file.close()
        self._file, self._end = file, file.tell()


def _taken(path: Path, mode: str) -> BinaryIO:
    file: BinaryIO = path.open(mode, buffering=0)  # type: ignore[assignment]  # a raw file has what is used of it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise AnnotateError(
            f"{path} is being written by another annotation; end it, or choose another --out"
        ) from error
    return file


def _write(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Put the folder's entries on the disk: else a power cut may lose a new file, or bring back a replaced one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mend(file: BinaryIO) -> None:
    """Drop a last line that a crash cut off; leave what was never a line of Seg-DT for the reader to tell."""
    file.seek(0)
    data = file.read()
    whole, last = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
    if last[: len(_HEAD)] == _HEAD[: len(last)] and not _is_json(last):
        file.truncate(len(whole))
    file.seek(0, os.SEEK_END)


def _end_line(file: BinaryIO) -> None:
    if file.tell():
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            _write(file, b"\n")


def _belonging(path: Path, asked: Mapping[str, SegDTSample]) -> dict[str, SegDTSample]:
    try:
        samples = read(path)
    except SegDTError as error:
        raise AnnotateError(f"{error.errors[0]}; choose another --out, or mend it") from error
    for number, sample in enumerate(samples, start=1):
        if sample.id not in asked or _question(sample) != _question(asked[sample.id]):
            raise AnnotateError(
                f"{path}:{number}: {sample.id!r} comes from another input than is annotated now; choose another --out"
            )
    return {sample.id: sample for sample in samples}


def _question(sample: SegDTSample) -> SegDTSample:
    """The sample without what an annotator writes."""
    provenance = sample.provenance.model_copy(update={"annotator": ""})
    return sample.model_copy(update={"path": (), "indices": (), "provenance": provenance})


def _line(sample: SegDTSample) -> bytes:
    return f"{sample.line()}\n".encode()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
