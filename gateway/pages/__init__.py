"""The web pages: plain HTML with autoescaping, one style sheet, small scripts as modules, no other host."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath
from typing import get_args

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from dtwinseger.api import MAX_QUERY_CHARACTERS, Stage, TwinStatus
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin import DigitalTwin
from gateway.build import StoredRequest
from gateway.pages.curl import curl_command
from gateway.pages.inspection import fates, steps_of
from gateway.tenant import signed_in

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}
# name -> media type; example.jpg is embedded/example/scene.png.
STATIC = {
    item.name: _TYPES[PurePath(item.name).suffix]
    for item in files(__package__).iterdir()
    if PurePath(item.name).suffix in _TYPES
}
_pages = Environment(
    loader=PackageLoader("gateway", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def index_page() -> HTMLResponse:
    """`GET /`: the form."""
    return _page("index.html", max_query=MAX_QUERY_CHARACTERS, stages=get_args(Stage), begun={})


def twin_page(twin: DigitalTwin, request: StoredRequest | None, base_url: str) -> HTMLResponse:
    """`GET /dt/<id>` in a browser: image, masks, objects, path. `request` is what was asked, if it is still known."""
    return _page(
        "twin.html",
        twin=twin,
        by_index={item.index: item for item in twin.objects},
        steps=steps_of(twin),
        fates=fates(twin),
        options=json.dumps(twin.provenance.options, indent=2, ensure_ascii=False),
        curl=curl_command(base_url, request, with_key=signed_in.get()) if request else None,
        max_query=MAX_QUERY_CHARACTERS,
        stages=get_args(Stage),
        begun={},
    )


def building_page(status: TwinStatus) -> HTMLResponse:
    """`GET /dt/<id>` in a browser while the twin is being built, and after its build has failed."""
    begun = {progress.stage: progress for progress in status.stages}
    return _page("building.html", status=status, stages=get_args(Stage), begun=begun)


def problem_page(problem: ProblemDetails) -> HTMLResponse:
    """A twin that a browser asked for and cannot have, and why."""
    page = _page("problem.html", problem=problem)
    page.status_code = problem.status
    return page


def signin_page(page: str, *, problem: str = "", headers: Mapping[str, str]) -> HTMLResponse:
    """The 401 of a browser: a form that asks for the key and leads on to `page`."""
    response = _page("signin.html", page=page, problem=problem)
    response.status_code = 401
    response.headers.update(headers)
    return response


def static_file(name: str) -> bytes:
    """The bytes of a file named in STATIC."""
    return files(__package__).joinpath(name).read_bytes()


def _page(name: str, **values: object) -> HTMLResponse:
    html = _pages.get_template(name).render(**values, signed_in=signed_in.get())
    return HTMLResponse(html, headers={"Vary": "Accept"})
