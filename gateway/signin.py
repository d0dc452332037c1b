"""Signing in on the web page: a browser cannot send a header for an image, so the key goes into a cookie."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from dtwinseger.service.form import FormRoute
from gateway import pages
from gateway.access import CHALLENGE, COOKIE
from gateway.keyring import Keyring

_PAGE = re.compile(r"/|/dt/[0-9a-f]{32}")  # where a sign-in may lead; nothing that leaves this site


def signin_routes(keyring: Keyring) -> APIRouter:
    """`POST /signin` and `POST /signout`.

    The cookie holds the key itself, so taking the key from the settings ends every session; scripts cannot read it,
    other sites cannot cause it to be sent, and it goes with the browser.
    """
    router = APIRouter(include_in_schema=False, route_class=FormRoute)

    @router.post("/signin")
    async def signin(
        request: Request, key: Annotated[str, Form()] = "", page: Annotated[str, Form()] = "/"
    ) -> Response:
        page = page if _PAGE.fullmatch(page) else "/"
        if keyring.tenant(key.strip()) is None:
            return pages.signin_page(page, problem="This key is not known.", headers=CHALLENGE)
        response = RedirectResponse(page, status_code=303)
        response.set_cookie(COOKIE, key.strip(), httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response

    @router.post("/signout")
    async def signout() -> Response:
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return router
