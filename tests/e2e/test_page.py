"""The gateway's pages in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dtwinseger.api import SegmentResult
from dtwinseger.client import Client
from embedded.stack import ROOT, Stack

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test where its scripts or its requests do."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("response", lambda response: faults.append(response.url) if response.status >= 400 else None)
    yield page
    page.close()
    assert faults == []


def _keep(page: Page, name: str) -> None:
    folder = ROOT / ".run" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)


def test_the_page_of_a_twin_shows_image_objects_and_path(
    page: Page, stack: Stack, client: Client, answered: SegmentResult
) -> None:
    twin = client.twin(answered.twin_id)
    page.goto(f"{stack.url}/dt/{answered.twin_id}")
    page.wait_for_selector("#overlay[data-ready]")
    _keep(page, "twin")
    text = page.inner_text("body")
    assert answered.query in text
    for item in twin.objects:
        assert item.semantic is None or item.semantic in text
    for step in twin.answer.path:
        assert step.criterion in text
    assert page.locator(".object").count() == len(twin.objects)
    answer = page.locator(".object[data-state=answer]").evaluate_all("found => found.map(g => +g.dataset.index)")
    assert tuple(answer) == answered.indices
    assert page.locator("#image").evaluate("image => image.complete && image.naturalWidth") == twin.image.width
    looks: list[tuple[str, Literal["dark", "light"], int]] = [("twin-dark", "dark", 1280), ("twin-phone", "light", 360)]
    for name, scheme, width in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        _keep(page, name)


def test_a_question_asked_on_the_page_is_answered(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/")
    page.click("#example")
    page.wait_for_selector("#preview", state="visible")
    _keep(page, "form")
    page.click("form button[type=submit]")
    page.wait_for_url("**/dt/*")  # what it shows until then may be there too briefly to be caught
    page.wait_for_selector("#overlay[data-ready]")
    _keep(page, "answer")
    page.fill("#query", "which things are green?")
    page.click("#again button")
    page.wait_for_selector("h1 >> text=which things are green?")
    page.wait_for_selector("#overlay[data-ready]")
    _keep(page, "again")
    assert page.locator(".asked a").count() == 1
