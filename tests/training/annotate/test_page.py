"""The page in a real Chromium, by its keys alone, against the real command."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.doubles.serving import serving
from tests.training.annotate.conftest import Job
from training.annotate.app import create
from training.annotate.session import Session
from training.segdt import SegDTSample, read
from training.segdt.validate import check

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 30_000  # on a machine that does much else

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test where its scripts fail or break the CSP."""
    faults: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    yield page
    page.close()
    assert faults == []


@contextmanager
def command(job: Job) -> Iterator[str]:
    """The command; the page's address."""
    line = [sys.executable, "-m", "training.annotate", *job.arguments, "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
        finally:
            process.send_signal(signal.SIGINT)
        assert "The same command goes on." in process.stdout.read()
    assert process.returncode == 0


def press(page: Page, *keys: str) -> None:
    """Press keys; what begins with an apostrophe is text that is entered."""
    for key in keys:
        if key.startswith("'"):
            page.keyboard.insert_text(key[1:])
        else:
            page.keyboard.press(key)


def saved(job: Job) -> dict[str, SegDTSample]:
    assert check([job.out], job.images, 9).shown == []
    return {sample.id: sample for sample in read(job.out)}


def test_samples_are_annotated_by_keyboard_and_the_work_goes_on_after_a_restart(page: Page, job: Job) -> None:
    where = page.locator("#where")
    with command(job) as address:
        page.goto(address)
        expect(where).to_have_text("Sample 1 of 3")
        # The draft of a: object 3 is kept too, for another reason, and a second step keeps it alone.
        press(page, "ArrowDown", "ArrowDown")
        expect(page.locator("#caption")).to_contain_text("3 · not described")
        press(page, "y", "'may be a cup", "Enter", "a", "'is not red", "Escape")
        expect(page.locator("#rows .chip")).to_have_text(["2", "3"])
        press(page, "x", "'is red", "Enter")
        expect(page.locator("#answer")).to_contain_text("not decided yet")
        press(page, "s")
        expect(page.locator("#problem")).to_have_text("Not saved: 1 to mend.")
        expect(page.locator("#rows li.current .fault")).to_contain_text("Keep or reject it")
        page.reload()  # what is not saved is kept by the browser
        expect(page.locator("#steps .step")).to_have_count(2)
        press(page, "]")
        expect(page.locator("#criterion")).to_have_value("is not red")
        press(page, "ArrowDown", "y", "'is not described as red", "Enter")
        expect(page.locator("#answer")).to_have_text("Answer: 3 unlike the file's, 2")
        press(page, "s")
        expect(where).to_have_text("Sample 2 of 3")
        expect(page.locator("#done")).to_have_text("1 of 3 annotated")
    first = saved(job)["a"]
    assert first.indices == (3,)
    assert [step.criterion for step in first.path] == ["is something to drink from", "is not red"]
    assert first.path[0].decisions[2].reasoning == "may be a cup"

    with command(job) as address:
        page.goto("about:blank")
        page.goto(address)
        expect(where).to_have_text("Sample 2 of 3")  # the first one that is left
        press(page, "n")
        expect(where).to_have_text("Sample 3 of 3")
        press(page, "p")
        expect(where).to_have_text("Sample 2 of 3")
        expect(page.locator("#query")).to_be_visible()
        press(page, "c", "'is hot", "Enter", "0", "'nothing here is hot", "Control+Enter")
        expect(where).to_have_text("Sample 3 of 3")
        press(page, "s")
        expect(page.locator("#done")).to_have_text("3 of 3 annotated")
        # Back to what is saved already, which is corrected.
        press(page, "p")
        expect(where).to_have_text("Sample 2 of 3 ✓")
        expect(page.locator("#otherwise")).to_have_value("nothing here is hot")
        press(page, "c", "'' outside", "Control+Enter")
        expect(page.locator("#answer")).to_contain_text("Every sample is annotated")
    done = saved(job)
    assert {sample.provenance.annotator for sample in done.values()} == {"Ada"}
    assert (done["b"].indices, done["b"].path[0].otherwise) == ((), "nothing here is hot")
    assert done["c"].indices == (2,)


class Holding:
    """An app that lets what is put wait until it is `released`. held: the URLs that were put to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.released = False
        self.held: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "PUT":
            self.held.append(f"{scope['path']}?{scope['query_string'].decode()}")
            while not self.released:  # noqa: ASYNC110 - the test sets it from another thread
                await asyncio.sleep(0.01)
        await self._app(scope, receive, send)


def test_what_is_written_before_the_server_answers_is_kept(page: Page, job: Job) -> None:
    session = Session(job.file, job.images, job.out, "Ada")
    app = Holding(create(session))
    where, criterion = page.locator("#where"), page.locator("#criterion")
    with closing(session.output), serving(app) as address:
        page.goto(address)
        expect(where).to_have_text("Sample 1 of 3")
        press(page, "s", "s", "n")
        expect(where).to_have_text("Sample 2 of 3")
        press(page, "c", "'is hot", "Escape")
        app.released = True
        expect(page.locator("#done")).to_have_text("1 of 3 annotated")
        expect(where).to_have_text("Sample 2 of 3")
        page.reload()
        expect(criterion).to_have_value("is hot")
        # A key that is slipped on takes nothing away unasked: Playwright dismisses what is asked.
        press(page, "u", "d")
        expect(criterion).to_have_value("is hot")
    assert app.held == ["/samples/1?of=a"]
    assert [sample.id for sample in read(job.out)] == ["a"]


def test_image_and_list_point_at_the_same_object(page: Page, job: Job) -> None:
    session = Session(job.file, job.images, job.out, "Ada")
    with closing(session.output), serving(create(session)) as address:
        page.goto(address)
        page.locator(".shape[data-index='2'] .line").hover()
        expect(page.locator("#rows li.lit .chip")).to_have_text("2")
        page.locator(".shape[data-index='2'] .line").click()
        expect(page.locator("#rows li.current .row")).to_be_focused()
        page.locator("#rows li[data-index='3']").hover()
        expect(page.locator(".label.lit .number")).to_have_text("3")
        page.locator("#rows li[data-index='2'] [data-keep=false]").click()
        expect(page.locator(".shape[data-index='2']")).to_have_attribute("data-state", "rejected")
        # Every control has a name, and letters do nothing once they are turned off.
        assert (
            page.locator("button, input").evaluate_all(
                "all => all.filter(e => !e.ariaLabel && !e.innerText && !e.labels?.length).length"
            )
            == 0
        )
        page.locator("#letters").uncheck()
        page.locator("#rows li[data-index='3'] .row").focus()
        page.keyboard.press("y")
        expect(page.locator("#rows li[data-index='3']")).to_have_attribute("data-verdict", "rejected")
