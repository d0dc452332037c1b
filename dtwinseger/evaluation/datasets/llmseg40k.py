"""LLM-Seg40K (LLM-Seg): questions about photographs of COCO and EgoObjects, their masks as RLE in one JSON a split."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dtwinseger.evaluation.datasets.annotations import draw_parts, read_json, rle_size, words
from dtwinseger.evaluation.samples import DatasetError, Facets, Sample, Truth, no_pixels, overlapping

FILES = {"train": "train.json", "val": "validation.json", "validation": "validation.json", "test": "test.json"}
SPLITS = ("train", "val", "test")
# Where the photographs are, under the root: as LLM-Seg's own scripts have them, then as the archives unpack.
FOLDERS = {
    "coco": ("coco/train2017", "train2017"),
    "ego_objects": ("ego_objects/images", "EgoObjects/images"),
}


class _Pair(BaseModel):
    question: Annotated[str, Field(min_length=1)]
    rle_seg: Any


class _Photograph(BaseModel):
    from_dataset: Literal["coco", "ego_objects"]
    qa_pairs: list[_Pair]


_Annotations = TypeAdapter(dict[str, _Photograph])


def load(root: Path, split: str) -> list[Sample]:
    """The questions of `split` in the file's order; the k-th about a photograph is `stem#k`, from 0.

    Raises DatasetError where the split's JSON is not under `root` or is not LLM-Seg40K's.
    """
    if split not in FILES:
        raise DatasetError(f"LLM-Seg40K has no split {split!r}; it has {', '.join(SPLITS)}")
    path = _file(root, FILES[split])
    try:
        photographs = _Annotations.validate_python(read_json(path))
    except ValidationError as error:
        raise DatasetError(f"{path}: not an annotation of LLM-Seg40K: {words(error)}") from error
    facets = Facets(dataset="llmseg40k", split=split)
    folders = {source: _folder(path.parent, names) for source, names in FOLDERS.items()}
    return [
        Sample(f"{Path(name).stem}#{k}", folders[of.from_dataset] / name, pair.question.strip(), truth, facets)
        for name, of in photographs.items()
        for k, pair in enumerate(of.qa_pairs)
        for truth in [partial(_truth, path, name, k, pair.rle_seg)]
    ]


def _truth(path: Path, name: str, k: int, rle: Any) -> Truth:
    try:
        size = rle_size(rle)
        parts = draw_parts(rle, size)
    except ValueError as error:
        raise DatasetError(f"{path}: question {k} about {name}: {error}") from error
    return Truth(*overlapping(parts, size), no_pixels(size))


def _file(root: Path, name: str) -> Path:
    for path in (root / name, root / "LLM-Seg40K" / name):
        if path.is_file():
            return path
    raise DatasetError(f"{root}: no LLM-Seg40K here: the folder has no {name}")


def _folder(base: Path, names: tuple[str, ...]) -> Path:
    """The first of `names` that is there, else the first: whoever opens an image is told where it should be."""
    candidates = [parent / name for parent in (base, base.parent) for name in names]
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])
