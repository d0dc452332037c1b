"""What every wire contract has, and what bounds requests."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dtwinseger.twin.model import Granularity

MAX_BODY_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MAX_QUERY_CHARACTERS = 2_000
# What the gateway checks of a query in words of its own, for the schema.
QUERY_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": MAX_QUERY_CHARACTERS, "pattern": r"\S"}
TIMEOUT_HEADER = "X-Timeout-Ms"  # what remains of the caller's deadline
REQUEST_ID_HEADER = "X-Request-Id"

MaskFormat = Literal["rle", "polygon", "png"]
ExportFormat = Literal["json", "coco", "geojson"]  # of a twin
Level = Granularity  # proposals are made for a granularity
Share = Annotated[float, Field(ge=0, le=1)]


class Contract(BaseModel):
    """Immutable; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
