"""Whose request this is. What is stored belongs to one tenant; for every other it does not exist."""

from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from gateway.cache import Cache

signed_in: ContextVar[bool] = ContextVar("signed_in", default=False)  # by the page's cookie: it offers to sign out


def own_cache(request: Request) -> Cache:
    """The cache of the tenant that `gateway.access.Access` found for this request."""
    cache: Cache = request.app.state.cache
    return cache.of(request.state.tenant)


OwnCache = Annotated[Cache, Depends(own_cache)]


def address_of(scope: Scope) -> str:
    """The client's address as the server tells it; of IPv6 the /64, since one client has all of it."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ip_address(host)
    except ValueError:
        return "local"  # a Unix socket
    return str(ip_network(f"{address}/64", strict=False)) if isinstance(address, IPv6Address) else str(address)
