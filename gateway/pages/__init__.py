"""The web pages: plain HTML with autoescaping, one style sheet, one script, no other host."""

from importlib.resources import files

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from dtwinseger.api import MAX_QUERY_CHARACTERS
from dtwinseger.twin import DigitalTwin

STATIC = {"style.css": "text/css", "ask.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_pages = Environment(loader=PackageLoader("gateway", "pages"), autoescape=True, undefined=StrictUndefined)


def index_page() -> HTMLResponse:
    """`GET /`: the form."""
    return _page("index.html", max_query=MAX_QUERY_CHARACTERS)


def twin_page(twin: DigitalTwin) -> HTMLResponse:
    """`GET /dt/<id>` in a browser: image, masks, objects, path."""
    return _page("twin.html", twin=twin, semantics={item.index: item.semantic for item in twin.objects})


def static_file(name: str) -> bytes:
    """The bytes of a file named in STATIC."""
    return files(__package__).joinpath(name).read_bytes()


def _page(name: str, **values: object) -> HTMLResponse:
    return HTMLResponse(_pages.get_template(name).render(**values), headers=_HEADERS)
