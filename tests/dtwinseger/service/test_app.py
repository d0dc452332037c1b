"""What every deployable gets from the factory: problems, ids, limits, health."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, redirect_stderr

import httpx2
import pytest
from fastapi import FastAPI, Request

from dtwinseger.api import MAX_BODY_BYTES
from dtwinseger.problems import PROBLEM_CODES, STATUS, Problem
from dtwinseger.service.admission import Admission
from dtwinseger.service.app import create_app
from dtwinseger.service.deadline import remaining
from dtwinseger.service.request import attend
from tests.doubles.serving import serving

needs = {"engine": "ok"}
life = {"state": "ok"}


def app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    async def readiness(app: FastAPI) -> Mapping[str, str]:
        return needs

    made = create_app("tested", lifespan=lifespan, readiness=readiness, liveness=lambda: life["state"])
    admission = Admission(running=1, queued=1)

    @made.get("/crash")
    async def crash() -> None:
        raise RuntimeError("the secret is swordfish")

    @made.get("/problem/{code}")
    async def problem(code: str) -> None:
        raise Problem(code, "in words", retry_after=2.4)  # type: ignore[arg-type]

    @made.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @made.get("/left")
    async def left(request: Request) -> float | None:
        async def work() -> float | None:
            return remaining()

        return await attend(request, admission, 60, work)

    @made.get("/slow")
    async def slow(request: Request) -> None:
        await attend(request, admission, 60, lambda: asyncio.sleep(3600))

    return made


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with serving(app()) as url, httpx2.Client(base_url=url, timeout=10) as client:
        yield client


def test_what_nobody_foresaw_is_internal_and_tells_no_secrets(http: httpx2.Client) -> None:
    response = http.get("/crash", headers={"X-Request-Id": "abc"})
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "swordfish" not in response.text
    assert response.headers["x-request-id"] == response.json()["request_id"] == "abc"


def test_methods_that_callers_make_up_are_counted_as_one(http: httpx2.Client) -> None:
    for number in range(3):
        http.request(f"MADEUP{number}", "/livez")
    counted = http.get("/metrics").text
    assert "MADEUP" not in counted
    assert 'method="other"' in counted


def test_a_crash_is_counted_and_logged_as_500(http: httpx2.Client) -> None:
    with redirect_stderr(io.StringIO()) as log:
        http.get("/crash", headers={"Connection": "close", "X-Request-Id": "the-crash"})
        counted = http.get("/metrics").text
    assert re.search(r'http_request_seconds_count\{[^}]*route="/crash"[^}]*status="500"', counted)
    lines = [json.loads(line) for line in log.getvalue().splitlines() if "the-crash" in line]
    assert {line["event"] for line in lines} == {"request.done", "request.failed"}
    assert next(line["status"] for line in lines if line["event"] == "request.done") == 500


@pytest.mark.parametrize("code", PROBLEM_CODES)
def test_every_code_has_its_status_and_shape(http: httpx2.Client, code: str) -> None:
    response = http.get(f"/problem/{code}")
    assert response.status_code == STATUS[code]  # type: ignore[index]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "2"
    assert set(response.json()) == {"type", "title", "status", "code", "detail", "request_id"}


def test_a_sane_request_id_is_kept_and_another_replaced(http: httpx2.Client) -> None:
    assert http.get("/livez", headers={"X-Request-Id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    assert http.get("/livez", headers={"X-Request-Id": 'x" onload='}).headers["x-request-id"] != 'x" onload='


def test_a_body_over_the_limit_is_refused_with_and_without_a_declared_length(http: httpx2.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(22):
            yield bytes(1_000_000)

    for content in (bytes(MAX_BODY_BYTES + 1_000_000), chunks()):
        response = http.post("/size", content=content)
        assert response.json()["code"] == "image_too_large"
    assert http.post("/size", content=bytes(1000)).json() == 1000


def test_a_method_that_a_path_lacks_is_405_and_told_which_it_has(http: httpx2.Client) -> None:
    response = http.delete("/size")
    assert (response.status_code, response.json()["status"]) == (405, 405)
    assert response.headers["allow"] == "POST"


def test_ready_means_that_every_need_is_met_or_merely_degraded(http: httpx2.Client) -> None:
    assert http.get("/readyz").status_code == 200
    needs["engine"] = "degraded: slow"
    assert http.get("/readyz").status_code == 200
    needs["engine"] = "cannot be reached"
    assert http.get("/readyz").json() == {"status": "unready", "needs": {"engine": "cannot be reached"}}
    needs["engine"] = "ok"


def test_a_process_that_only_a_restart_mends_is_not_alive(http: httpx2.Client) -> None:
    assert (http.get("/livez").status_code, http.get("/livez").json()) == (200, {"status": "ok"})
    life["state"] = "the device failed"
    dead = http.get("/livez")
    assert (dead.status_code, dead.json()) == (503, {"status": "the device failed"})
    life["state"] = "ok"


def test_the_callers_deadline_is_kept_but_never_lengthens_ours(http: httpx2.Client) -> None:
    assert http.get("/left", headers={"X-Timeout-Ms": "5000"}).json() <= 5
    assert 5 < http.get("/left", headers={"X-Timeout-Ms": "900000"}).json() <= 60
    for strange in ("9" * 4000, "1_000", "\u00b2", "0x10"):
        refused = http.get("/left", headers=[(b"X-Timeout-Ms", strange.encode("latin-1"))])
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_options")
    late = http.get("/slow", headers={"X-Timeout-Ms": "50"})
    assert late.json()["code"] == "deadline_exceeded"
