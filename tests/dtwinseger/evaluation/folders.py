"""Small data sets in the exact formats of their authors."""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Size = tuple[int, int]  # height, width


def photograph(path: Path, size: Size, orientation: int | None = None) -> Path:
    """A gray JPEG of `size` as stored, with an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(np.full(size, 128, dtype=np.uint8)).save(path, exif=exif)
    return path


def shape(label: str, *points: tuple[float, float]) -> dict[str, Any]:
    """A shape of ReasonSeg, as labelme writes it."""
    return {
        "label": label,
        "labels": [label],
        "shape_type": "polygon",
        "image_name": "x.jpg",
        "points": [list(point) for point in points],
        "group_id": None,
        "group_ids": [None],
        "flags": {},
    }


def box(label: str, x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    """A rectangle of ReasonSeg; its edges are inclusive."""
    return shape(label, (x1, y1), (x2, y1), (x2, y2), (x1, y2))


def reasonseg(
    root: Path,
    stem: str = "one",
    *,
    shapes: Sequence[dict[str, Any]] = (box("target", 2, 3, 6, 8),),
    text: Sequence[str] = ("what is it?", "another way to ask"),
    is_sentence: bool = True,
    size: Size = (20, 30),
    split: str = "val",
    folders: tuple[str, str] = ("reason_seg/ReasonSeg/{split}", "reason_seg/ReasonSeg/{split}"),
    encoding: str = "utf-8",
    orientation: int | None = None,
) -> Path:
    """Add a sample of ReasonSeg to `root`; returns its JSON."""
    images, questions = (root / folder.format(split=split) for folder in folders)
    photograph(images / f"{stem}.jpg", size, orientation)
    questions.mkdir(parents=True, exist_ok=True)
    content = {"text": list(text), "is_sentence": is_sentence, "shapes": list(shapes)}
    path = questions / f"{stem}.json"
    path.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    return path


def llmseg40k(root: Path, photographs: dict[str, Any], name: str = "validation.json") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / name
    path.write_text(json.dumps(photographs))
    return path


def question(text: str, rle: Any) -> dict[str, Any]:
    return {"question": text, "answer": "it", "rle_seg": rle, "segmentation_path": "somewhere/else.png"}


def ref(
    ref_id: int, ann_id: int | list[int], sentences: Sequence[str], *, image_id: int = 7, split: str = "val"
) -> dict[str, Any]:
    """A reference as refer keeps it."""
    return {
        "ref_id": ref_id,
        "ann_id": ann_id,
        "image_id": image_id,
        "category_id": 1,
        "split": split,
        "file_name": f"COCO_train2014_{image_id:012d}_{ref_id}.jpg",
        "sent_ids": list(range(len(sentences))),
        "sentences": [{"sent": s, "sent_id": k, "tokens": s.split(), "raw": s} for k, s in enumerate(sentences)],
    }


def refcoco(
    root: Path,
    refs: Sequence[dict[str, Any]],
    segmentations: dict[int, Any],
    *,
    dataset: str = "refcoco",
    refs_file: str = "refs(unc).p",
    size: Size = (40, 50),
    crowds: Sequence[int] = (),
) -> Path:
    """A data set of refer with one image, 7; returns its folder."""
    folder = root / "refer_seg" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    height, width = size
    name = "COCO_train2014_000000000007.jpg"
    annotations = [
        {"id": number, "image_id": 7, "category_id": 1, "segmentation": drawn, "iscrowd": int(number in crowds)}
        for number, drawn in segmentations.items()
    ]
    images = [{"id": 7, "file_name": name, "height": height, "width": width}]
    instances = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "instances.json").write_text(json.dumps(instances))
    if refs_file.endswith(".p"):
        (folder / refs_file).write_bytes(pickle.dumps(list(refs), protocol=2))  # as Python 2 wrote them
    else:
        (folder / refs_file).write_text(json.dumps(list(refs)))
    photograph(root / "refer_seg" / "images" / "mscoco" / "images" / "train2014" / name, size)
    return folder


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """A COCO polygon; x2 and y2 exclusive."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]
