"""Predictions of any system as JSONL: one sample a line, with its mask as COCO compressed RLE."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtwinseger.twin import Mask

Line = TypeVar("Line", bound=BaseModel)


class PredictionError(Exception):
    """A file of predictions that cannot be scored. The message names file and line."""


class Prediction(BaseModel):
    """One line: `{"sample_id": …, "mask": {"size": [h, w], "counts": …}}`. Other keys are left alone."""

    model_config = ConfigDict(frozen=True)

    sample_id: Annotated[str, Field(min_length=1)]
    mask: Mask


class _Named(BaseModel):
    """As much of a line as an index needs."""

    sample_id: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file a prediction stands: its line, from 1, and its bytes."""

    line: int
    offset: int
    length: int


def read(path: Path) -> Iterator[Prediction]:
    """The predictions of a file, one at a time.

    Raises PredictionError with file and line where a line is not a prediction, its RLE does not decode, or a
    sample comes a second time; OSError where the file cannot be read.
    """
    seen: dict[str, int] = {}
    for place, line in _lines(path):
        prediction = _parsed(Prediction, line, path, place.line)
        _refuse_second(seen, prediction.sample_id, path, place.line)
        yield prediction


def index(path: Path) -> dict[str, Place]:
    """Where the prediction of each sample stands, in the file's order. Masks are not looked at yet.

    Raises PredictionError where a line is not JSON with a sample_id, or a sample comes a second time.
    """
    seen: dict[str, int] = {}
    places: dict[str, Place] = {}
    for place, line in _lines(path):
        name = _parsed(_Named, line, path, place.line).sample_id
        _refuse_second(seen, name, path, place.line)
        places[name] = place
    return places


def read_at(path: Path, place: Place) -> Prediction:
    """The prediction at `place`. Raises PredictionError where it is none, or its RLE does not decode."""
    with path.open("rb") as file:
        file.seek(place.offset)
        return _parsed(Prediction, file.read(place.length), path, place.line)


def to_line(prediction: Prediction) -> str:
    """The line of a file that holds `prediction`, with its line end."""
    return prediction.model_dump_json() + "\n"


def write(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write `predictions` to `path`, replacing what is there."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(to_line(prediction) for prediction in predictions)


def _lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    """Each line that is not blank."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield Place(number, offset, len(line)), line
            offset += len(line)


def _parsed(model: type[Line], line: bytes, path: Path, number: int) -> Line:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PredictionError(f"{path}:{number}: {where + ': ' if where else ''}{first['msg']}") from error


def _refuse_second(seen: dict[str, int], name: str, path: Path, number: int) -> None:
    if name in seen:
        raise PredictionError(f"{path}:{number}: sample {name} was predicted in line {seen[name]} already")
    seen[name] = number
