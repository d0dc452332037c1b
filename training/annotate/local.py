"""Only pages that this server gave out itself may ask it anything. Pure ASGI."""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Local:
    """Refuses a Host that is not this machine's (a name that was rebound to it), and what another site's page sends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        headers = Headers(scope=scope)
        answer: ASGIApp = self.app
        if not _is_loopback(headers.get("host", "")):
            answer = PlainTextResponse("open this page as http://127.0.0.1 or http://localhost, with its port", 421)
        elif _from_elsewhere(headers):
            answer = PlainTextResponse("a page of another site sent this", 403)
        await answer(scope, receive, send)


def _is_loopback(host: str) -> bool:
    """Whether the Host is loopback's, at any port: a tunnel may begin at another one."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _from_elsewhere(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers['host']}":
        return True
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
