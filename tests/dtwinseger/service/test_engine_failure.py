"""How long an engine asks to wait, in every way that it may say so."""

import time
from email.utils import formatdate

import httpx2
import pytest

from dtwinseger.service.engine.failure import patience


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "20", "Retry-After": "1"}, 0.02),
        ({"retry-after-ms": "soon", "Retry-After": "1"}, 1.0),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Mon, 99 Jan 99999999999999999999 99:99:99 GMT"}, None),
    ],
)
def test_a_wait_is_read_or_left_out(headers: dict[str, str], seconds: float | None) -> None:
    assert patience(httpx2.Headers(headers)) == seconds


def test_a_date_is_a_wait_until_then() -> None:
    headers = httpx2.Headers({"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert patience(headers) == pytest.approx(60, abs=5)
