"""The pages in a real Chromium, against a real gateway in front of scripted services."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright

from dtwinseger.twin import DigitalTwin
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway, png

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 30_000  # on a machine that does much else
SIZE = (320, 240)  # of the images that are asked about


@dataclass
class Faults:
    """What a page did wrong; a test takes out what it wants to happen."""

    base: str
    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("dialog", lambda dialog: self.found.append(f"dialog: {dialog.message}"))
        page.on("request", self._sent)
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.found.append(f"console: {message.text}")  # violations of the CSP are told here

    def _sent(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.found.append(f"another host: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.found.append(f"{response.status}: {response.request.method} {response.url.removeprefix(self.base)}")


@dataclass
class Site:
    """A gateway, and pages of it."""

    gateway: Gateway
    browser: Browser
    faults: Faults

    @property
    def script(self) -> Script:
        return self.gateway.script

    def open(self, path: str = "/", **context: Any) -> Page:
        """A page in a browser context of its own."""
        context = {"base_url": self.faults.base, "viewport": {"width": 1280, "height": 900}} | context
        page = self.browser.new_context(**context).new_page()
        page.set_default_timeout(PATIENCE_MS)
        self.faults.watch(page)
        page.goto(path)
        return page

    def asked(self, query: str = "the mug", color: str = "teal") -> str:
        """The id of a twin that is ready."""
        return str(self.gateway.segment(png(*SIZE, color), query).json()["twin_id"])

    def inspect(self, identity: str, **context: Any) -> Page:
        """The page of a twin, its masks drawn."""
        page = self.open(f"/dt/{identity}", **context)
        page.wait_for_selector("#overlay[data-ready]")
        return page

    def twin(self, identity: str) -> DigitalTwin:
        return DigitalTwin.model_validate_json(self.gateway.http.get(f"/dt/{identity}?format=json").content)


def choose(page: Page, query: str = "the mug", image: bytes | None = None) -> None:
    """Fill in the form."""
    file = {"name": "image.png", "mimeType": "image/png", "buffer": png(*SIZE) if image is None else image}
    page.set_input_files("input[type=file]", file)  # type: ignore[arg-type]
    page.fill("[name=query]", query)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def script() -> Script:
    """Five objects and a path of two steps: one large, two that overlap it, two apart; object 2 answers."""
    boxes = [(10, 10, 160, 150), (180, 20, 300, 120), (20, 20, 90, 60), (200, 160, 260, 220), (100, 100, 200, 140)]
    return Script(boxes=boxes, keep={2}, earlier=[{1, 2}])


@pytest.fixture
def site(browser: Browser, script: Script, monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[Site]:
    """A gateway of its own; a page that faults fails the test."""
    monkeypatch.setattr("gateway.store.punctual.STORE_TIMEOUT_S", 10.0)  # a slow disk is not what these tests are about
    with gateway(script, monkeypatch, store_url) as running:
        site = Site(running, browser, Faults(str(running.http.base_url).rstrip("/")))
        yield site
        for context in browser.contexts:
            context.close()
        assert site.faults.found == []
