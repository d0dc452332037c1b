"""A twin as GeoJSON (RFC 7946), each object a Feature.

Coordinates are not on the earth: they are pixels of the image, x right and y down, as QuPath and other tools of imaging
have them, so there is no CRS and a map shows the image upside down. Rings follow the edges of pixels, and are those of
`dtwinseger.twin.polygons`.
"""

from typing import Literal

from dtwinseger.twin.mask import BBox
from dtwinseger.twin.model import DigitalTwin, ImageInfo, TwinModel, TwinObject
from dtwinseger.twin.path import Index
from dtwinseger.twin.polygons import Polygon, to_polygons


class PolygonGeometry(TwinModel):
    type: Literal["Polygon"] = "Polygon"
    coordinates: Polygon


class MultiPolygonGeometry(TwinModel):
    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: tuple[Polygon, ...]


class FeatureProperties(TwinModel):
    index: Index
    semantic: str | None
    category: str | None
    attributes: tuple[str, ...]
    area_percent: float  # of the image
    predicted_iou: float
    answer: bool  # whether the object answers the query
    confidence: float | None  # null where it does not, or nothing measures it


class Feature(TwinModel):
    type: Literal["Feature"] = "Feature"
    id: Index
    bbox: BBox
    geometry: PolygonGeometry | MultiPolygonGeometry
    properties: FeatureProperties


class FeatureCollection(TwinModel):
    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: tuple[Feature, ...]
    # Ours: foreign members, as RFC 7946 calls them.
    twin_id: str
    query: str
    granularity: str
    image: ImageInfo


def to_geojson(twin: DigitalTwin) -> FeatureCollection:
    """The twin's objects, in their order, as Features."""
    return FeatureCollection(
        features=tuple(_feature(twin, item) for item in twin.objects),
        twin_id=twin.id,
        query=twin.query,
        granularity=twin.granularity,
        image=twin.image,
    )


def _feature(twin: DigitalTwin, item: TwinObject) -> Feature:
    polygons = to_polygons(item.mask)
    one = len(polygons) == 1
    return Feature(
        id=item.index,
        bbox=item.bbox,
        geometry=PolygonGeometry(coordinates=polygons[0]) if one else MultiPolygonGeometry(coordinates=polygons),
        properties=FeatureProperties(
            index=item.index,
            semantic=item.semantic,
            category=item.category,
            attributes=item.attributes,
            area_percent=item.area_percent,
            predicted_iou=item.predicted_iou,
            answer=item.index in twin.answer.indices,
            confidence=twin.answer.confidence.get(item.index),
        ),
    )
