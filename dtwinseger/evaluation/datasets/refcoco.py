"""RefCOCO, RefCOCO+, RefCOCOg (refer) and gRefCOCO (GRES): every expression about an object of COCO is a sample."""

import pickle
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dtwinseger.evaluation.datasets.annotations import draw_parts, read_json, words
from dtwinseger.evaluation.samples import DatasetError, Facets, Sample, Truth, no_pixels, overlapping

REFS = {"refcoco": "refs(unc).p", "refcoco+": "refs(unc).p", "refcocog": "refs(umd).p", "grefcoco": "grefs(unc).json"}
SPLITS = {
    "refcoco": ("train", "val", "testA", "testB"),
    "refcoco+": ("train", "val", "testA", "testB"),
    "refcocog": ("train", "val", "test"),
    "grefcoco": ("train", "val", "testA", "testB"),
}
NO_TARGET = -1  # the annotation that gRefCOCO gives an expression that nothing answers


class _Sentence(BaseModel):
    sent: str


class _Ref(BaseModel):
    """What is said about an object, or of several (gRefCOCO)."""

    ref_id: int
    ann_id: int | list[int]
    image_id: int
    split: str
    sentences: list[_Sentence]

    @property
    def annotations(self) -> list[int]:
        ids = self.ann_id if isinstance(self.ann_id, list) else [self.ann_id]
        return [number for number in ids if number != NO_TARGET]


class _Image(BaseModel):
    id: int
    file_name: str
    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]


class _Annotation(BaseModel):
    id: int
    segmentation: Any
    iscrowd: int = 0


class _Instances(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]


_Refs = TypeAdapter(list[_Ref])


def load(root: Path, split: str, dataset: str) -> list[Sample]:
    """The expressions of `split` in the file's order; the k-th about an image is `stem#k`, from 0.

    Raises DatasetError where the data set is not under `root`, a file is not its own, or a reference names an image or
    an annotation that the instances lack.
    """
    folder = _folder(root, dataset)
    path = folder / REFS[dataset]
    refs = _read_refs(path)
    chosen = [ref for ref in refs if ref.split == split]
    if not chosen:
        raise DatasetError(f"{path}: no split {split!r}; it has {', '.join(sorted({ref.split for ref in refs}))}")
    images, annotations = _read_instances(folder / "instances.json", chosen)
    photographs = _photographs(folder.parent)
    said: Counter[int] = Counter()
    samples = []
    for ref in chosen:
        image = images[ref.image_id]
        found = [annotations[number] for number in ref.annotations]
        if dataset == "grefcoco":  # GRES leaves crowds out of a target
            found = [annotation for annotation in found if not annotation.iscrowd]
        truth = partial(_truth, folder, ref.ref_id, (image.height, image.width), [a.segmentation for a in found])
        facets = Facets(dataset=dataset, split=split, targets=len(found), instance=str(ref.ref_id))
        for sentence in ref.sentences:
            name = f"{Path(image.file_name).stem}#{said[ref.image_id]}"
            said[ref.image_id] += 1
            samples.append(Sample(name, photographs / image.file_name, sentence.sent.strip(), truth, facets))
    return samples


def _truth(folder: Path, ref_id: int, size: tuple[int, int], segmentations: list[Any]) -> Truth:
    try:
        parts = [part for segmentation in segmentations for part in draw_parts(segmentation, size)]
    except ValueError as error:
        raise DatasetError(f"{folder}: reference {ref_id}: {error}") from error
    return Truth(*overlapping(parts, size), no_pixels(size))


class _Plain(pickle.Unpickler):
    """Lists, dictionaries, numbers and text, which is what a refs file holds. Nothing is imported, so nothing runs."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and a refs file holds plain data only")


def _read_refs(path: Path) -> list[_Ref]:
    try:
        if path.suffix == ".json":
            content = read_json(path)
        else:
            with path.open("rb") as file:
                content = _Plain(file, encoding="utf-8", errors="replace").load()  # bytes of Python 2
        return _Refs.validate_python(content)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise DatasetError(f"{path}: not a refs file: {words(error)}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        # What the unpickler raises on bytes that are no pickle, or one cut short.
        raise DatasetError(f"{path}: not a refs file: {error}") from error


def _read_instances(path: Path, refs: Iterable[_Ref]) -> tuple[dict[int, _Image], dict[int, _Annotation]]:
    """The images and annotations that `refs` name, by id."""
    try:
        instances = _Instances.model_validate(read_json(path))
    except ValidationError as error:
        raise DatasetError(f"{path}: not COCO's instances: {words(error)}") from error
    images = {image.id: image for image in instances.images}
    wanted = {number for ref in refs for number in ref.annotations}
    annotations = {each.id: each for each in instances.annotations if each.id in wanted}
    for ref in refs:
        if ref.image_id not in images:
            raise DatasetError(f"{path}: lacks image {ref.image_id}, which reference {ref.ref_id} names")
        for number in ref.annotations:
            if number not in annotations:
                raise DatasetError(f"{path}: lacks annotation {number}, which reference {ref.ref_id} names")
    return images, annotations


def _folder(root: Path, dataset: str) -> Path:
    candidates = [root / "refer_seg" / dataset, root / dataset]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise DatasetError(f"{root}: no {dataset} here: neither {candidates[0]} nor {candidates[1]} is a folder")


def _photographs(base: Path) -> Path:
    """COCO's train2014: where refer has it, or, where that is not there, where GRES has it."""
    usual, other = base / "images" / "mscoco" / "images" / "train2014", base / "images" / "train2014"
    return other if other.is_dir() and not usual.is_dir() else usual
