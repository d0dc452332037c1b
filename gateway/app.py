"""The gateway: the public API of DESIGN section 4. Run: `uvicorn --factory gateway.app:create`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
from fastapi import FastAPI, Response
from starlette.middleware import Middleware

from dtwinseger import __version__, api
from dtwinseger.problems import Problem
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.headers import SecurityHeaders
from dtwinseger.service.start import UnusableError, read_settings, starting
from gateway import pages, resources, segmenting
from gateway.access import Access
from gateway.cache import Cache
from gateway.headers import HEADERS
from gateway.keyring import Keyring
from gateway.openapi import describe
from gateway.rate import Limiter, RateLimit
from gateway.runs import Runs
from gateway.settings import GatewaySettings
from gateway.signin import signin_routes
from gateway.store import open_store
from gateway.store.usable import require_usable
from gateway.upstream import Service, Services

KEPT_S = 2.0  # of an idle connection to a service, which closes it after 5 s: none is used while it is being closed


def create() -> FastAPI:
    """The app, configured from the environment. Exits with one line where a setting or the store is unusable."""
    with starting("gateway", ValueError):
        settings = read_settings(GatewaySettings)
        keyring = _keyring(settings)
        store = open_store(settings.store_url)
        limiter = _limiter(settings)
        require_usable(settings.store_url)
    urls: dict[Service, str] = {
        "perception": settings.perception_url,
        "semantics": settings.semantics_url,
        "reasoner": settings.reasoner_url,
    }
    cache = Cache(store, settings.ttl_s)
    http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEPT_S))
    services = Services(http, urls)
    runs = Runs(services, Admission(settings.max_running, settings.max_queued))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with http:
            yield
            await runs.close()
        await store.close()
        if limiter:
            await limiter.close()

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        """Nothing here makes it unready: what is stored is answered without services, and they answer without it."""
        states = await asyncio.gather(*(services.ready(service) for service in urls))
        await cache.probe()
        needs = dict(zip(urls, states, strict=True)) | {"store": cache.last_error or "ok"}
        return {need: state if state == "ok" else f"degraded: {state}" for need, state in needs.items()}

    middleware = [Middleware(Access, service="gateway", keyring=keyring)]
    if limiter:
        middleware.append(Middleware(RateLimit, service="gateway", limiter=limiter))
    app = create_app(
        "gateway",
        lifespan=lifespan,
        readiness=readiness,
        middleware=middleware,
        log_level=settings.log_level,
        drain_s=settings.drain_s,
    )
    app.add_middleware(SecurityHeaders, headers=HEADERS)
    app.state.cache = cache
    app.include_router(segmenting.router(services, runs, settings))
    app.include_router(resources.router(runs))
    app.include_router(signin_routes(keyring))
    describe(app, keys_required=keyring.required)

    @app.get("/v1/info")
    async def info() -> api.GatewayInfo:
        """The models, prompts and settings behind the answers."""
        return api.GatewayInfo(version=__version__, services=tuple(await services.infos()))

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return pages.index_page()

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in pages.STATIC:
            raise Problem("not_found", f"there is no file {name!r}")
        return Response(pages.static_file(name), media_type=pages.STATIC[name])

    return app


def _keyring(settings: GatewaySettings) -> Keyring:
    """The keys that are accepted. Raises UnusableError or ValueError."""
    try:
        return Keyring(settings.api_keys, settings.api_keys_file)
    except OSError as error:
        raise UnusableError(f"GATEWAY_API_KEYS_FILE: {error.filename} cannot be read ({error.strerror})") from error


def _limiter(settings: GatewaySettings) -> Limiter | None:
    """What counts requests, where they are limited. Raises UnusableError for a rate that is none."""
    try:
        return Limiter(settings.rate_limit, settings.store_url) if settings.rate_limit else None
    except ValueError as error:
        raise UnusableError(f"GATEWAY_RATE_LIMIT: {error}") from error
