"""A twin in the formats that `GET /dt/<id>?format=` offers."""

from typing import Literal

from dtwinseger.api import ExportFormat
from dtwinseger.twin import DigitalTwin
from dtwinseger.twin.coco import to_coco
from dtwinseger.twin.geojson import to_geojson

MEDIA_TYPES: dict[ExportFormat, str] = {
    "json": "application/json",
    "coco": "application/json",
    "geojson": "application/geo+json",
}


def exported(twin: DigitalTwin, kind: Literal["coco", "geojson"]) -> str:
    """The twin in JSON of this format, of media type MEDIA_TYPES[kind]. CPU-bound: call it off the event loop."""
    return (to_coco(twin) if kind == "coco" else to_geojson(twin)).model_dump_json()
