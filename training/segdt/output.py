"""The folder that a build writes, and goes on with where it was interrupted.

`segdt.jsonl` has the samples, `images/` their images, `masks/` the masks of drafted ones, `build.json` what the
build was asked for, and `done.jsonl` a record for each unit that is finished: an interrupted build goes on after the
last of them.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from dtwinseger.twin import Mask
from training.segdt.schema import SegDTSample, faults

SAMPLES, IMAGES, MASKS, DONE, BUILD = "segdt.jsonl", "images", "masks", "done.jsonl", "build.json"


class BuildError(Exception):
    """A build that cannot begin or go on. The message says what to change; what was finished is kept."""


@dataclass(frozen=True)
class Made:
    """What one unit of work came to. `left_out` says why samples were not made, with how many each.

    masks: sample id -> object index -> its mask, of samples that a person is to look at.
    """

    samples: tuple[SegDTSample, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict)  # file name -> bytes
    left_out: Mapping[str, int] = field(default_factory=dict)
    masks: Mapping[str, Mapping[int, Mask]] = field(default_factory=dict)


class _Done(BaseModel):
    """A finished unit. `end`: bytes of the samples' file after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    end: int
    samples: int
    left_out: dict[str, int]


class Output:
    """A folder being filled, unit after unit. Raises BuildError where it was begun with other `asked`."""

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        self.folder = folder
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        _begin(folder / BUILD, dict(asked))
        self._done = _finished(folder / DONE)
        path = folder / SAMPLES
        end = self._done[-1].end if self._done else 0
        if (path.stat().st_size if path.exists() else 0) < end:
            raise BuildError(f"{path} is shorter than {folder / DONE} says: it was changed; take another folder")
        with path.open("ab") as file:
            file.truncate(end)
        self._end = end

    def todo(self, units: Sequence[str]) -> Sequence[str]:
        """What is left of `units`. Raises BuildError where others were finished before."""
        done = [record.unit for record in self._done]
        if done != list(units[: len(done)]):
            raise BuildError(f"{self.folder} holds other samples than are asked for; take another folder")
        return units[len(done) :]

    def add(self, unit: str, made: Made) -> None:
        """Write what became of `unit`; once this returns, it is not made again.

        Raises BuildError for a sample that breaks the schema's rules, and writes nothing then.
        """
        for sample in made.samples:
            if wrong := faults(sample):
                raise BuildError(f"{sample.id} breaks the rules of Seg-DT, which is a defect here: {'; '.join(wrong)}")
        for name, data in made.images.items():
            _place(self.folder / IMAGES / name, data)
        for identity, masks in made.masks.items():
            (self.folder / MASKS).mkdir(exist_ok=True)
            told = {index: mask.model_dump() for index, mask in masks.items()}
            _place(self.folder / MASKS / f"{identity}.json", json.dumps(told).encode())
        data = "".join(f"{sample.line()}\n" for sample in made.samples).encode()
        _append(self.folder / SAMPLES, data)
        self._end += len(data)
        record = _Done(
            unit=unit,
            end=self._end,
            samples=len(made.samples),
            left_out=dict(made.left_out),
        )
        _append(self.folder / DONE, record.model_dump_json().encode() + b"\n")
        self._done.append(record)

    @property
    def samples(self) -> int:
        """Samples written, those of earlier runs included."""
        return sum(record.samples for record in self._done)

    @property
    def left_out(self) -> Counter[str]:
        """Reason -> samples that were not made."""
        total: Counter[str] = Counter()
        for record in self._done:
            total.update(record.left_out)
        return total


def _begin(path: Path, asked: dict[str, Any]) -> None:
    asked = json.loads(json.dumps(asked))
    try:
        before = json.loads(path.read_bytes())
    except FileNotFoundError:
        partial = path.with_name(f".{path.name}.part")
        partial.write_text(json.dumps(asked, indent=2) + "\n")
        partial.replace(path)
        return
    except ValueError as error:
        raise BuildError(f"{path} cannot be read ({error}); take another folder") from error
    other = [key for key in {**before, **asked} if before.get(key) != asked.get(key)]
    if other:
        told = ", ".join(f"{key} {json.dumps(before.get(key))}, not {json.dumps(asked.get(key))}" for key in other)
        raise BuildError(f"{path.parent} was begun with {told}; go on as it was begun, or take another folder")


def _finished(path: Path) -> list[_Done]:
    """The records; a last one that was cut off is dropped, from the file too."""
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    try:
        records = [_Done.model_validate_json(line) for line in whole.splitlines()]
    except ValidationError as error:
        raise BuildError(f"{path} cannot be read: it was changed; take another folder") from error
    with path.open("ab") as file:
        file.truncate(len(whole) + 1 if whole else 0)
    return records


def _place(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
