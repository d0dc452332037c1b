"""ReasonSeg (LISA): a photograph and a JSON of outlines each; only the first text of each is asked."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from dtwinseger.evaluation.datasets.annotations import read_json, words
from dtwinseger.evaluation.samples import DatasetError, Facets, Sample, Truth, image_size, no_pixels

SPLITS = ("train", "val", "test")
MAX_COORDINATE = 2**15  # pixels; OpenCV's rasteriser is exact within it

Coordinate = Annotated[FiniteFloat, Field(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]


class _Shape(BaseModel):
    """An outline. Labels are compared as LISA does: `flag` is void, what contains `ignore` is not counted."""

    label: Annotated[str, BeforeValidator(lambda label: label.lower() if isinstance(label, str) else label)]
    points: list[tuple[Coordinate, Coordinate]]  # (x, y) in pixels


class _Annotation(BaseModel):
    model_config = ConfigDict(strict=False)

    text: Annotated[list[str], Field(min_length=1)]
    is_sentence: bool
    shapes: list[_Shape]

    @property
    def drawn(self) -> list[_Shape]:
        return [shape for shape in self.shapes if shape.label != "flag"]

    @property
    def targets(self) -> int:
        return sum("ignore" not in shape.label for shape in self.drawn)


def load(root: Path, split: str) -> list[Sample]:
    """The samples of `split`, by file name.

    Raises DatasetError where the split is not under `root`, a photograph has no JSON or a JSON no photograph, or an
    annotation is broken.
    """
    images, questions = _folders(root, split)
    photographs = {path.stem: path for path in sorted(images.glob("*.jpg"))}
    annotations = {path.stem: path for path in sorted(questions.glob("*.json"))}
    if not photographs and not annotations:
        raise DatasetError(f"{images}: no ReasonSeg here: the folder has no *.jpg with a *.json")
    _refuse_alone(photographs, annotations, questions, "JSON")
    _refuse_alone(annotations, photographs, images, "photograph")
    return [_sample(photographs[stem], path, split) for stem, path in annotations.items()]


def _sample(image: Path, path: Path, split: str) -> Sample:
    annotation = _read(path)
    facets = Facets(dataset="reasonseg", split=split, is_sentence=annotation.is_sentence, targets=annotation.targets)
    return Sample(image.stem, image, annotation.text[0].strip(), partial(_truth, image, path), facets)


def _truth(image: Path, path: Path) -> Truth:
    try:
        from dtwinseger.evaluation.datasets.outlines import IGNORED, TARGET, draw
    except ImportError as error:  # OpenCV comes with an extra
        raise DatasetError(
            f"ReasonSeg's masks are drawn with OpenCV: pip install 'dtwinseger[eval]' ({error})"
        ) from error
    outlines = []
    for number, shape in enumerate(_read(path).drawn):
        if not shape.points:
            raise DatasetError(f"{path}: shape {number} ({shape.label}) has no points")
        # Toward zero, as NumPy makes LISA's points integers.
        points = np.array(shape.points, dtype=np.float64).astype(np.int32)
        outlines.append((points, IGNORED if "ignore" in shape.label else TARGET))
    size = image_size(image)
    drawn = draw(outlines, size)
    return Truth(drawn == TARGET, no_pixels(size), drawn == IGNORED)


def _read(path: Path) -> _Annotation:
    content: Any = read_json(path)
    try:
        return _Annotation.model_validate(content)
    except ValidationError as error:
        raise DatasetError(f"{path}: not an annotation of ReasonSeg: {words(error)}") from error


def _folders(root: Path, split: str) -> tuple[Path, Path]:
    """Where the photographs and the JSON of `split` are: side by side as published, or in folders of their own."""
    if split not in SPLITS:
        raise DatasetError(f"ReasonSeg has no split {split!r}; it has {', '.join(SPLITS)}")
    bases = [root / "reason_seg" / "ReasonSeg", root / "ReasonSeg", root]
    for base in bases:
        for images, questions in (
            (base / split / "images", base / split / "questions"),
            (base / "images" / split, base / "questions" / split),
            (base / split, base / split),
        ):
            if images.is_dir() and questions.is_dir():
                return images, questions
    raise DatasetError(f"{root}: no ReasonSeg here: neither {bases[0] / split} nor {bases[1] / split} is a folder")


def _refuse_alone(those: dict[str, Path], others: dict[str, Path], folder: Path, what: str) -> None:
    alone = [stem for stem in those if stem not in others]
    if alone:
        raise DatasetError(
            f"{folder}: half a data set: {len(alone)} of {len(those)} have no {what} here, {alone[0]} the first"
        )
