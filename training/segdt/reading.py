"""Seg-DT files read line by line, each line held to the whole contract before anything is made of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dtwinseger.twin import render_twin
from training.segdt.schema import SCHEMA, SegDTSample, faults

MAX_LINE_BYTES = 10_000_000  # a path over 200 objects has a hundredth of that
ERRORS_SHOWN = 100
_OF_A_LINE = 10  # errors of one line that are told
_CHARACTERS = 300  # of an error
_TOO_LONG = f"longer than {MAX_LINE_BYTES:,} bytes; the file is not read further"


@dataclass(frozen=True)
class LineError:
    """What is wrong in a line of a file, counted from 1; `line` 0 is the file itself."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{where}: {self.message}"


class SegDTError(Exception):
    """Files that are not Seg-DT. The message lists the errors, at most ERRORS_SHOWN of them."""

    def __init__(self, errors: Sequence[LineError]) -> None:
        more = len(errors) - ERRORS_SHOWN
        told = [str(error) for error in errors[:ERRORS_SHOWN]]
        super().__init__("\n".join(told + ([f"… and {more:,} more"] if more > 0 else [])))
        self.errors = tuple(errors)


def read(path: Path, *, unwritten: bool = False) -> tuple[SegDTSample, ...]:
    """The samples of a file, in its order. Raises SegDTError with everything that is wrong with it.

    unwritten: a path may be [], for a person to write.
    """
    samples: list[SegDTSample] = []
    errors: list[LineError] = []
    for _, _, found in lines([path], unwritten=unwritten):
        if isinstance(found, SegDTSample):
            samples.append(found)
        else:
            errors.append(found)
    if errors:
        raise SegDTError(errors)
    return tuple(samples)


def lines(files: Sequence[Path], *, unwritten: bool = False) -> Iterator[tuple[Path, int, SegDTSample | LineError]]:
    """Each line of `files` with its file and number: its sample, or one item for each thing that is wrong with it.

    Ids are unique over all files. A file without a line, or one that cannot be opened, is an error of its line 0.
    unwritten: as in `read`.
    """
    seen: dict[str, str] = {}
    for path in files:
        for number, line in raw(path):
            if isinstance(line, LineError):
                yield path, number, line
                continue
            for found in _line(line, seen, f"{path}:{number}", unwritten):
                told = found if isinstance(found, SegDTSample) else LineError(path, number, found)
                yield path, number, told


def raw(path: Path) -> Iterator[tuple[int, bytes | LineError]]:
    """The lines of a file, unread, with their numbers, and what keeps it from being read, or from being read on."""
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    yield number, LineError(path, number, _TOO_LONG)
                    break
                yield number, line
    except OSError as error:
        yield 0, LineError(path, 0, error.strerror or str(error))
        return
    if number == 0:
        yield 0, LineError(path, 0, "the file is empty")


def _line(line: bytes, seen: dict[str, str], where: str, unwritten: bool) -> Iterator[SegDTSample | str]:
    sample, wrong = parse(line, unwritten=unwritten)
    if sample is not None:
        wrong = [*wrong, *repeated(sample.id, seen, where)]
    if wrong:
        yield from shortened(wrong)
    elif sample is not None:
        yield sample


def repeated(identity: str, seen: dict[str, str], where: str) -> list[str]:
    """What is wrong with an id that another line has; notes it in `seen`, with the line, where none has."""
    first = seen.setdefault(identity, where)
    return [] if first == where else [f"id: {identity!r} is that of {first} too"]


def shortened(wrong: Sequence[str]) -> list[str]:
    """The errors of one line as they are told."""
    more = [f"… and {len(wrong) - _OF_A_LINE:,} more in this line"] if len(wrong) > _OF_A_LINE else []
    return [message[:_CHARACTERS] for message in [*wrong[:_OF_A_LINE], *more]]


def parse(line: bytes, *, unwritten: bool = False) -> tuple[SegDTSample | None, list[str]]:
    """The sample, where the line has the right shape, and what is wrong."""
    if not line.strip():
        return None, ["the line is empty"]
    try:
        raw = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return None, [f"not UTF-8: byte {error.start}"]
    except (ValueError, RecursionError) as error:
        return None, [f"not JSON: {error}"]
    if not isinstance(raw, dict):
        return None, [f"not a JSON object but {type(raw).__name__}"]
    version = raw.get("schema", SCHEMA)
    if version != SCHEMA or type(version) is not int:  # true and 1.0 are equal to 1
        return None, [f"schema: this is version {version!r}; version {SCHEMA} is read"]
    missing = ["schema: Field required"] if "schema" not in raw else []
    try:
        sample = SegDTSample.model_validate_json(line, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return None, missing + [f"{_where(item['loc'])}: {item['msg']}" for item in error.errors(include_url=False)]
    return sample, [*missing, *faults(sample, unwritten=unwritten), *_rendering_faults(raw["dt0"], sample)]


def _rendering_faults(dt0: list[Any], sample: SegDTSample) -> Iterator[str]:
    """Where `dt0` is not what `render_twin` makes of it, to the order of its keys and the form of its numbers."""
    # Rows in the file's order: that they are out of order is told already.
    rows = [json.loads(render_twin([row]))[0] for row in sample.dt0]
    for row, given, as_rendered in zip(sample.dt0, dt0, rows, strict=True):
        given_text, text = json.dumps(given), json.dumps(as_rendered)
        if given_text != text:
            yield f"dt0: object {row.index} is not as it is rendered: {given_text[:100]}, not {text[:100]}"


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "value"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
