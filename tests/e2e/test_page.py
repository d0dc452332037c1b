"""The gateway's pages in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dtwinseger.api import SegmentResult
from dtwinseger.client import Client
from embedded import example
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
    _keep(page, "twin")
    text = page.inner_text("body")
    assert answered.query in text
    for o in twin.objects:
        assert o.semantic is None or o.semantic in text
    for step in twin.answer.path:
        assert step.criterion in text
    shown = page.locator("img").first
    assert shown.evaluate("image => image.complete && image.naturalWidth") > 0


def test_a_question_asked_on_the_page_is_answered(page: Page, stack: Stack, question: example.Question) -> None:
    page.goto(f"{stack.url}/")
    page.set_input_files("input[type=file]", example.IMAGE)
    page.fill("[name=query]", question.query)
    _keep(page, "form")
    page.click("form button")
    page.wait_for_selector("img[src*='overlay.png']", timeout=60_000)
    _keep(page, "answer")
    assert question.query in page.inner_text("body")
