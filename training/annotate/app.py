"""The server of the page: its files, the samples, and where paths are saved."""

from importlib.resources import files
from pathlib import PurePath

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from dtwinseger.service.headers import SecurityHeaders
from training.annotate.local import HEADERS, Local
from training.annotate.output import AnnotateError
from training.annotate.session import Progress, Session, ShownSample
from training.annotate.written import Written

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = files(__package__).joinpath("pages")
# name -> media type
STATIC = {item.name: _TYPES[PurePath(item.name).suffix] for item in _FILES.iterdir()}


def create(session: Session) -> FastAPI:
    """The app. Positions in its URLs count from 1, as the page does."""
    app = FastAPI(title="annotate", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Local)
    app.add_middleware(SecurityHeaders, headers=HEADERS)  # of what Local refuses too

    @app.exception_handler(AnnotateError)
    async def on_error(request: Request, error: AnnotateError) -> Response:
        return JSONResponse({"detail": str(error)}, 500)

    def at(number: int) -> int:
        if not 1 <= number <= len(session.samples):
            raise HTTPException(404, f"there is no sample {number}; there are {len(session.samples):,}")
        return number - 1

    @app.get("/progress")
    def progress() -> Progress:
        return session.progress()

    @app.get("/samples/{number}")
    def sample(number: int) -> ShownSample:
        return session.show(at(number))

    @app.get("/samples/{number}/image")
    def image(number: int) -> Response:
        return Response(session.picture(at(number)), media_type="image/jpeg")

    @app.put("/samples/{number}", response_model=None)
    def save(number: int, of: str, written: Written) -> Response | Progress:
        if of != session.samples[at(number)].id:  # the server was started again with another file
            raise HTTPException(409, f"sample {number} is another one now; reload the page")
        if wrong := session.save(at(number), written):
            return JSONResponse({"faults": [vars(fault) for fault in wrong]}, 422)
        return session.progress()

    @app.get("/")
    def page() -> Response:
        return static("index.html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, f"there is no file {name!r}")
        return Response(_FILES.joinpath(name).read_bytes(), media_type=STATIC[name])

    return app
