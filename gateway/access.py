"""Who may come in: API keys in the header, or in the cookie that the page's sign-in sets. Pure ASGI."""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dtwinseger.problems import Problem
from dtwinseger.service.app import problem_response
from dtwinseger.service.middleware import count_problem, drain
from gateway import pages
from gateway.keyring import Keyring
from gateway.keys import PUBLIC
from gateway.negotiation import preferred
from gateway.tenant import address_of, signed_in

COOKIE = "dtwinseger_key"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="dtwinseger"'}
_OPEN = {"/livez", "/readyz", "/openapi.json", "/signin", "/signout"}
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Access:
    """Finds the request's tenant before anything of its body is used; without one answers `unauthorized`.

    Everything needs a key, unless none is configured or the path is one of _OPEN. What another site's page sends
    without a key in the header is refused in any case: a browser adds its cookie, or its place in the network, itself.
    """

    def __init__(self, app: ASGIApp, service: str, keyring: Keyring) -> None:
        self.app = app
        self.service = service
        self.keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        authorization = connection.headers.get("authorization")
        signed_in.set(False)
        try:
            if scope["method"] not in _SAFE and _bearer(authorization) is None and _from_elsewhere(connection.headers):
                raise Problem("unauthorized", "a page of another site sent this; use the gateway's own page or a key")
            state = scope.setdefault("state", {})
            if self.keyring.required:
                state["tenant"] = self._tenant(connection, authorization)
                state["caller"] = f"tenant {state['tenant']}"
            else:
                state["tenant"], state["caller"] = PUBLIC, f"address {address_of(scope)}"
        except Problem as problem:
            await drain(receive)
            count_problem(self.service, problem)
            await _refusal(connection, scope, problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _tenant(self, connection: HTTPConnection, authorization: str | None) -> str | None:
        path = connection.scope["path"]
        if path in _OPEN or path.startswith("/static/"):
            return None
        if authorization is not None:
            key = _bearer(authorization)
            tenant = None if key is None else self.keyring.tenant(key)
            if tenant is None:
                raise Problem("unauthorized", "the API key in Authorization is not known; send `Bearer KEY`")
            return tenant
        cookie = connection.cookies.get(COOKIE)
        if cookie is None:
            raise Problem("unauthorized", "an API key is needed: send `Authorization: Bearer KEY`")
        tenant = self.keyring.tenant(cookie)
        if tenant is None:
            raise Problem("unauthorized", "the key that you signed in with is no longer known; sign in again")
        signed_in.set(True)
        return tenant


def _bearer(authorization: str | None) -> str | None:
    """The key in the header Authorization. A password there is none: a browser adds that one itself, for a proxy."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this. Programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _refusal(connection: HTTPConnection, scope: Scope, problem: Problem) -> Response:
    """A problem, or the sign-in form where a browser asks for a page."""
    accept = connection.headers.get("accept", "*/*")
    if scope["method"] == "GET" and preferred(accept, ("application/json", "text/html")) == "text/html":
        return pages.signin_page(connection.url.path, headers=CHALLENGE)
    return problem_response(problem, headers=CHALLENGE)
