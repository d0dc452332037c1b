"""A way to the gateway that breaks after so many requests."""

from types import TracebackType

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.doubles.serving import serving


class Relay:
    """Passes on `dies_after` answers to POST /segment; then every request fails as a dead gateway's proxy has it."""

    def __init__(self, url: str, dies_after: int) -> None:
        self._url = url
        self._left = dies_after
        routes = [Route("/{path:path}", self._pass_on, methods=["GET", "POST"])]
        self._serving = serving(Starlette(routes=routes))

    async def _pass_on(self, request: Request) -> Response:
        if self._left <= 0:
            return Response("<h1>Bad Gateway</h1>", 502)
        self._left -= request.method == "POST"
        async with httpx2.AsyncClient(base_url=self._url, timeout=30) as http:
            headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
            body = await request.body()
            answer = await http.request(request.method, request.url.path, content=body, headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

    def __enter__(self) -> str:
        return self._serving.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._serving.__exit__(kind, error, tb)
