"""What `/openapi.json` says beyond the routes' own types: every problem, and how to come in."""

from collections import defaultdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Path, UploadFile
from fastapi.openapi.utils import get_openapi
from pydantic import AfterValidator, BaseModel

from dtwinseger.api import QUERY_SCHEMA, SegmentOptions
from dtwinseger.problems import MEDIA_TYPE, STATUS, Problem, ProblemCode, ProblemDetails
from dtwinseger.twin.geojson import FeatureCollection
from gateway import sse
from gateway.export import MEDIA_TYPES
from gateway.keys import ID_CHARACTERS

_ANYWHERE: tuple[ProblemCode, ...] = ("invalid_options", "internal")
# Of a stream, each event.
_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event": {"enum": ["stage", "object", "result", "problem"]},
        "id": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_IMAGES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff")
_REFERENCE = "#/components/schemas/{model}"
_HEADERS: dict[int, str] = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def problems(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers these problems, beside those that any may answer."""
    by_status: dict[int, list[ProblemCode]] = defaultdict(list)
    for code in (*codes, *(code for code in _ANYWHERE if code not in codes)):
        by_status[STATUS[code]].append(code)
    return {status: _response(status, alike) for status, alike in sorted(by_status.items())}


def content(*kinds: str, words: str = "Successful Response") -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route whose 200 is, beside its model, text or bytes of these media types."""
    known = {sse.MEDIA_TYPE: _EVENT, MEDIA_TYPES["geojson"]: _reference(FeatureCollection)}
    kept = {kind: {"schema": known.get(kind) or _bytes(kind)} for kind in kinds}
    return {200: {"content": kept, "description": words}}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _bytes(kind: str) -> dict[str, Any]:
    return {"type": "string", "contentMediaType": kind}


def _known(identity: str) -> str:
    if len(identity) != ID_CHARACTERS or set(identity) - set("0123456789abcdef"):
        raise Problem("not_found", "there is no twin with this id: an id has 32 hexadecimal digits")
    return identity


# A twin's id in a path. What cannot be one is not looked for: it reaches no key and no log.
TwinId = Annotated[str, AfterValidator(_known), Path(json_schema_extra={"pattern": f"^[0-9a-f]{{{ID_CHARACTERS}}}$"})]
# The fields of a form: what the gateway checks itself, in words of its own, is told here.
ImageField = Annotated[UploadFile, File(json_schema_extra={"minLength": 1})]
QueryField = Annotated[str, Form(json_schema_extra=QUERY_SCHEMA)]
OptionsField = Annotated[str, Form()]  # `_complete` tells what it holds


def describe(app: FastAPI, *, keys_required: bool) -> None:
    """Let `app.openapi` tell of ProblemDetails and API keys, and not of FastAPI's own 422, which we never answer."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(title=app.title, version=app.version, routes=app.routes), keys_required
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(schema: dict[str, Any], keys_required: bool) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (ProblemDetails, SegmentOptions, FeatureCollection):
        told = model.model_json_schema(ref_template=_REFERENCE)
        schemas |= told.pop("$defs", {}) | {model.__name__: told}
    for ours in ("HTTPValidationError", "ValidationError"):
        schemas.pop(ours, None)
    for name in (name for name in schemas if name.startswith("Body_")):
        schemas[name]["additionalProperties"] = False
        if "options" in schemas[name]["properties"]:
            schemas[name]["properties"]["options"] = _reference(SegmentOptions)  # in JSON, as objects are in a form
    for operations in schema["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            for form in operation.get("requestBody", {}).get("content", {}).values():
                if form["schema"].get("$ref", "").startswith(_REFERENCE.format(model="Body_")):
                    form["encoding"] = {"image": {"contentType": ", ".join(_IMAGES)}}
            if keys_required:
                operation["responses"]["401"] = _response(401, ["unauthorized"])
    if keys_required:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
    return schema


def _response(status: int, codes: list[ProblemCode]) -> dict[str, Any]:
    words = " or ".join(f"`{code}`" for code in codes)
    described: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {words}",
        "content": {MEDIA_TYPE: {"schema": _reference(ProblemDetails)}},
    }
    if status in _HEADERS:
        described["headers"] = {_HEADERS[status]: {"schema": {"type": "string"}}}
    return described
