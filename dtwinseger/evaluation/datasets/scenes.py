"""Rendered scenes in a folder: `<split>/samples.jsonl`, one query a line with its mask, and `<split>/images/`.

`python -m training.scenes.export` writes such a folder.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtwinseger.api import Semantics
from dtwinseger.evaluation.datasets.annotations import words
from dtwinseger.evaluation.samples import DatasetError, Facets, Sample, TrueObject, Truth, no_pixels
from dtwinseger.twin import Granularity, Mask

Phrasing = Literal["seen", "held_out"]
LINES, IMAGES = "samples.jsonl", "images"


class SceneObject(BaseModel):
    """An object of the scene and its true description."""

    model_config = ConfigDict(frozen=True)

    mask: Mask
    semantics: Semantics


class SceneLine(BaseModel):
    """A line of `samples.jsonl`. `mask` is the union of the `targets` objects that answer, in the image's pixels.

    `objects` are all that the scene shows, or all their parts where the query is for a part; a report asks the reasoner
    again with what is truly there.
    """

    model_config = ConfigDict(frozen=True)

    sample_id: Annotated[str, Field(min_length=1)]
    image: Annotated[str, Field(pattern=r"^[^/\\]+$")]  # a file in `images`
    query: Annotated[str, Field(min_length=1)]
    kind: str
    granularity: Granularity
    phrasing: Phrasing = "seen"  # "held_out" where training never sees queries that are put so
    targets: Annotated[int, Field(ge=0)]
    mask: Mask
    objects: tuple[SceneObject, ...] = ()


def load(root: Path, split: str) -> list[Sample]:
    """The samples of `split` in the file's order. Raises DatasetError, with the line, where the file is not ours."""
    folder = root / split
    path = folder / LINES
    return [_sample(folder, split, line) for line in _read(path)]


def write(folder: Path, lines: Iterable[SceneLine]) -> int:
    """Write `lines` as `folder`/samples.jsonl and return how many they are; the images are the caller's."""
    count = 0
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LINES).open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line.model_dump_json() + "\n")
            count += 1
    return count


def splits(root: Path) -> tuple[str, ...]:
    """The splits under `root`, by name."""
    return tuple(sorted(path.parent.name for path in root.glob(f"*/{LINES}")))


def _read(path: Path) -> Iterator[SceneLine]:
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):  # noqa: B007 - the error names it
                yield SceneLine.model_validate_json(line)
    except OSError as error:
        raise DatasetError(f"{path}: no scenes here: {error.strerror or error}") from error
    except ValidationError as error:
        raise DatasetError(f"{path}:{number}: not a sample of the scenes: {words(error)}") from error


def _sample(folder: Path, split: str, line: SceneLine) -> Sample:
    facets = Facets(
        dataset="scenes",
        split=split,
        granularity=line.granularity,
        kind=line.kind,
        phrasing=line.phrasing,
        targets=line.targets,
    )
    image, truth = folder / IMAGES / line.image, partial(_truth, line.mask)
    objects = partial(_objects, line.objects) if line.objects else None
    return Sample(line.sample_id, image, line.query, truth, facets, objects)


def _objects(described: tuple[SceneObject, ...]) -> tuple[TrueObject, ...]:
    return tuple(TrueObject(found.mask, found.semantics) for found in described)


def _truth(mask: Mask) -> Truth:
    return Truth(mask.decode(), no_pixels(mask.size), no_pixels(mask.size))
