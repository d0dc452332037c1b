"""The web pages: plain HTML with autoescaping, one style sheet, one script, no other host."""

from collections.abc import Mapping
from importlib.resources import files

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from dtwinseger.api import MAX_QUERY_CHARACTERS
from dtwinseger.twin import DigitalTwin
from gateway.tenant import signed_in

STATIC = {"style.css": "text/css", "ask.js": "text/javascript"}
_pages = Environment(loader=PackageLoader("gateway", "pages"), autoescape=True, undefined=StrictUndefined)


def index_page() -> HTMLResponse:
    """`GET /`: the form."""
    return _page("index.html", max_query=MAX_QUERY_CHARACTERS)


def twin_page(twin: DigitalTwin) -> HTMLResponse:
    """`GET /dt/<id>` in a browser: image, masks, objects, path."""
    return _page("twin.html", twin=twin, semantics={item.index: item.semantic for item in twin.objects})


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
    return HTMLResponse(_pages.get_template(name).render(**values, signed_in=signed_in.get()))
