"""A twin as a COCO detection file, which `pycocotools.coco.COCO` loads. Pixels, x right, y down.

Each object is an annotation whose id is its index. Its segmentation is the compressed RLE that the twin holds: exact,
holes and all, which COCO's own polygons cannot say. `iscrowd` is 0 all the same, as each is one object: 1 is what
evaluators and loaders read as a region to ignore.
"""

from typing import Literal

from dtwinseger.twin.mask import Mask
from dtwinseger.twin.model import DigitalTwin, TwinModel, TwinObject
from dtwinseger.twin.path import Index

UNDESCRIBED = "object"  # the category of objects whose description failed


class CocoInfo(TwinModel):
    description: str
    version: str  # of the twin's schema
    year: int
    date_created: str  # ISO 8601
    contributor: str
    # Ours.
    twin_id: str
    query: str
    granularity: str
    answer: tuple[Index, ...]  # ids of the annotations that answer the query


class CocoImage(TwinModel):
    id: Literal[1] = 1
    width: int
    height: int
    file_name: str  # the SHA-256 of the image as it was sent; its name is not kept


class CocoCategory(TwinModel):
    id: int  # from 1, by name
    name: str
    supercategory: str = ""


class CocoAttributes(TwinModel):
    """What the twin knows of the object beside COCO's fields, where CVAT and Datumaro keep such things."""

    semantic: str | None
    attributes: tuple[str, ...]
    relevance: float | None
    spatial: str
    answer: bool  # whether the object answers the query
    confidence: float | None  # null where it does not, or nothing measures it


class CocoAnnotation(TwinModel):
    id: Index
    image_id: Literal[1] = 1
    category_id: int
    segmentation: Mask
    area: int  # pixels
    bbox: tuple[int, int, int, int]  # x, y, width, height
    iscrowd: Literal[0] = 0
    score: float  # the predicted IoU of the mask
    attributes: CocoAttributes


class CocoDataset(TwinModel):
    """The file. Its one image is the twin's, upright."""

    info: CocoInfo
    licenses: tuple[()] = ()
    images: tuple[CocoImage]
    annotations: tuple[CocoAnnotation, ...]
    categories: tuple[CocoCategory, ...]


def to_coco(twin: DigitalTwin) -> CocoDataset:
    """The twin's objects, in their order, as annotations; a category for each of theirs."""
    names = sorted({_category(item) for item in twin.objects})
    categories = {name: number for number, name in enumerate(names, start=1)}
    created = twin.provenance.created
    return CocoDataset(
        info=CocoInfo(
            description="Digital twin of an image, by dtwinseger",
            version=str(twin.schema_version),
            year=created.year,
            date_created=created.isoformat(),
            contributor="dtwinseger",
            twin_id=twin.id,
            query=twin.query,
            granularity=twin.granularity,
            answer=twin.answer.indices,
        ),
        images=(CocoImage(width=twin.image.width, height=twin.image.height, file_name=twin.image.sha256),),
        annotations=tuple(_annotation(twin, item, categories[_category(item)]) for item in twin.objects),
        categories=tuple(CocoCategory(id=number, name=name) for name, number in categories.items()),
    )


def _annotation(twin: DigitalTwin, item: TwinObject, category: int) -> CocoAnnotation:
    x1, y1, x2, y2 = item.bbox
    return CocoAnnotation(
        id=item.index,
        category_id=category,
        segmentation=item.mask,
        area=item.mask.area,
        bbox=(x1, y1, x2 - x1, y2 - y1),
        score=item.predicted_iou,
        attributes=CocoAttributes(
            semantic=item.semantic,
            attributes=item.attributes,
            relevance=item.relevance,
            spatial=item.spatial,
            answer=item.index in twin.answer.indices,
            confidence=twin.answer.confidence.get(item.index),
        ),
    )


def _category(item: TwinObject) -> str:
    return item.category or UNDESCRIBED
