"""A real gateway over HTTP in front of scripted services."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from gateway.app import create
from tests.doubles.services import Script, services_app
from tests.doubles.serving import serving


@dataclass
class Gateway:
    """A client of the gateway, and the script of what stands behind it."""

    http: httpx2.Client
    script: Script

    def segment(
        self, image: bytes | None = None, query: str = "the mug", options: str | None = None, **headers: str
    ) -> httpx2.Response:
        form = {"query": query} | ({} if options is None else {"options": options})
        files = {"image": ("image.png", png() if image is None else image)}
        return self.http.post("/segment", data=form, files=files, headers=headers)


def png(width: int = 64, height: int = 56, color: str = "teal") -> bytes:
    return encoded(Image.new("RGB", (width, height), color))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@contextmanager
def gateway(script: Script, monkeypatch: pytest.MonkeyPatch, store_url: str, **settings: str) -> Iterator[Gateway]:
    """A gateway of its own: its settings come from the environment, as in production."""
    with serving(services_app(script)) as services:
        for name in ("PERCEPTION", "SEMANTICS", "REASONER"):
            monkeypatch.setenv(f"GATEWAY_{name}_URL", services)
        monkeypatch.setenv("GATEWAY_STORE_URL", store_url)
        for name, value in settings.items():
            monkeypatch.setenv(f"GATEWAY_{name.upper()}", value)
        with serving(create()) as url, httpx2.Client(base_url=url, timeout=30) as http:
            yield Gateway(http, script)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/twins.sqlite"


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[Gateway]:
    with gateway(Script(), monkeypatch, store_url) as running:
        yield running
