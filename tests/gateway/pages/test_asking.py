"""`/`: an image and a question go in, the stages are watched, the answer or the problem comes."""

import pytest
from playwright.sync_api import Browser, Page, expect

from dtwinseger.credentials import credential, new_key
from dtwinseger.problems import Problem
from tests.doubles.services import Script
from tests.gateway.conftest import gateway, png
from tests.gateway.pages.conftest import SIZE, Site, choose
from tests.gateway.test_failure import until

DROP = """async (zone) => {
  const bytes = await (await fetch("/static/example.jpg")).blob();
  const data = new DataTransfer();
  data.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
  for (const name of ["dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""
PASTE = """async () => {
  const bytes = await (await fetch("/static/example.jpg")).blob();
  const data = new DataTransfer();
  data.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
}"""


def _state(page: Page, stage: str) -> str | None:
    return page.get_attribute(f"[data-stage={stage}]", "data-state")


def test_a_question_is_asked_and_answered(site: Site) -> None:
    page = site.open()
    choose(page, "what would keep me dry?")
    page.click("button[type=submit]")
    page.wait_for_selector("#overlay[data-ready='5']")
    expect(page.locator("h1")).to_have_text("what would keep me dry?")
    expect(page.locator("#answer .chip")).to_have_text("2")
    assert page.locator("#image").evaluate("image => [image.naturalWidth, image.naturalHeight]") == list(SIZE)
    assert page.locator(".object[data-state=answer]").count() == 1


def test_stages_are_shown_as_they_run_and_objects_as_they_are_described(site: Site) -> None:
    site.script.holding = {"proposals", "granularity"}
    page = site.open()
    choose(page)
    page.click("button[type=submit]")
    for stage in ("perception", "granularity"):  # together
        page.wait_for_selector(f"[data-stage={stage}][data-state=running]")
    assert _state(page, "semantics") == "waiting"
    site.script.holding = {"masks"}
    page.wait_for_selector("[data-stage=semantics][data-state=running] >> text=1 of 5")
    assert _state(page, "perception") == "done"
    page.wait_for_selector("#seen .object[data-state=seen]")
    assert page.locator("#seen .object").count() == 1
    expect(page.locator("#caption")).to_contain_text("<b>&")
    expect(page.locator("#stages [role=status]")).to_have_text("semantics: running")
    site.script.holding = set()
    page.wait_for_selector("#overlay[data-ready]")


def test_a_problem_is_shown_in_its_own_words_and_the_form_keeps_what_it_holds(site: Site) -> None:
    site.script.failing["reason"] = Problem("upstream_unavailable", "the LLM is <b>down</b>")
    page = site.open()
    choose(page)
    page.click("button[type=submit]")
    shown = page.locator("#problem")
    expect(shown).to_contain_text("the LLM is <b>down</b>")
    expect(shown).to_contain_text("Send it again")
    expect(page.locator("[name=query]")).to_have_value("the mug")
    assert page.locator("[name=image]").evaluate("input => input.files.length") == 1
    site.script.failing.clear()
    page.click("button[type=submit]")
    page.wait_for_selector("#overlay[data-ready]")
    assert site.script.calls["masks"] == 5, "what was finished was not repeated"


def test_what_is_no_image_is_a_problem_at_once(site: Site) -> None:
    page = site.open()
    choose(page, image=b"this is text")
    expect(page.locator("#file")).to_contain_text("no preview")
    page.click("button[type=submit]")
    expect(page.locator("#problem")).to_contain_text("Choose a JPEG, PNG, WebP, BMP or TIFF.")
    assert [fault.partition(":")[0] for fault in site.faults.found] == ["400"]
    site.faults.found.clear()


def test_a_gateway_that_is_gone_is_told(site: Site) -> None:
    page = site.open()
    choose(page)
    page.context.set_offline(True)
    page.click("button[type=submit]")
    expect(page.locator("#problem")).to_contain_text("The gateway does not answer")


@pytest.mark.parametrize(("act", "name"), [(DROP, "dropped.jpg"), (PASTE, "pasted.jpg")])
def test_an_image_can_be_dropped_and_pasted(site: Site, act: str, name: str) -> None:
    page = site.open()
    page.locator("#drop").evaluate(act)
    expect(page.locator("#file")).to_have_text(f"{name} · 512 × 512 pixels")
    expect(page.locator("#preview")).to_be_visible()
    assert page.locator("[name=image]").evaluate("input => input.files[0].name") == name


def test_the_example_fills_in_the_form(site: Site) -> None:
    page = site.open()
    page.click("#example")
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("[name=query]")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("#overlay[data-ready]")


def test_stopping_ends_the_work_and_leaves_the_form(site: Site) -> None:
    site.script.holding = {"proposals"}
    page = site.open()
    choose(page)
    page.click("button[type=submit]")
    page.click("button.stop")
    expect(page.locator("#stages")).to_be_hidden()
    expect(page.locator("button[type=submit]")).to_be_enabled()
    expect(page.locator("#problem")).to_be_hidden()
    site.script.holding = set()
    assert site.script.cancelled["proposals"] == 1


def test_the_address_of_a_twin_in_the_making_watches_it_and_shows_it(site: Site) -> None:
    site.script.holding = {"masks"}
    body = site.gateway.segment(png(*SIZE), Prefer="respond-async").json()
    page = site.open(f"/dt/{body['id']}")
    expect(page.locator("h1")).to_have_text("the mug")
    page.wait_for_selector("[data-stage=semantics][data-state=running] >> text=1 of 5")
    page.wait_for_selector("#seen .object")
    site.script.holding = set()
    page.wait_for_selector("#overlay[data-ready]")


def test_the_address_of_a_twin_that_failed_says_why(site: Site) -> None:
    site.script.failing["reason"] = Problem("upstream_unavailable", "the LLM is <b>down</b>")
    identity = site.gateway.segment(png(*SIZE), Prefer="respond-async").json()["id"]
    until(lambda: site.gateway.http.get(f"/dt/{identity}").json()["status"] == "failed")
    page = site.open(f"/dt/{identity}")
    expect(page.locator("#problem")).to_contain_text("the LLM is <b>down</b>")
    expect(page.locator("[data-stage=semantics] .state")).to_have_text("done")


def test_an_unknown_twin_is_a_page_too(site: Site) -> None:
    page = site.open(f"/dt/{'0' * 32}")
    expect(page.locator(".problem")).to_contain_text("there is no twin with this id")
    assert [fault.partition(":")[0] for fault in site.faults.found] == ["404"]
    site.faults.found.clear()


def test_asking_again_goes_to_the_new_twin_and_each_lists_the_other(site: Site) -> None:
    first = site.asked("the mug")
    page = site.inspect(first)
    site.script.holding = {"masks"}
    page.fill("#query", "the 'other' <one>")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-stage=perception][data-state=stored]")
    page.wait_for_selector("#seen .object")
    site.script.holding = set()
    expect(page.locator("h1")).to_have_text("the 'other' <one>")
    page.wait_for_selector("#overlay[data-ready]")
    assert site.script.calls["proposals"] == 1
    page.click(".asked a >> text=the mug")
    expect(page.locator("h1")).to_have_text("the mug")
    expect(page.locator(".asked a")).to_have_text("the 'other' <one>")


def test_a_problem_of_asking_again_leaves_the_twin_as_it_is(site: Site) -> None:
    page = site.inspect(site.asked())
    site.script.failing["reason"] = Problem("upstream_invalid", "the LLM talks nonsense")
    page.fill("#query", "the lamp")
    page.click("#again button")
    expect(page.locator("#problem")).to_contain_text("the LLM talks nonsense")
    expect(page.locator("#query")).to_have_value("the lamp")
    expect(page.locator("#seen")).to_be_hidden()
    expect(page.locator("h1")).to_have_text("the mug")


def test_who_signs_in_asks_and_is_shown_a_curl_that_takes_the_key_from_the_environment(
    browser: Browser, script: Script, monkeypatch: pytest.MonkeyPatch, store_url: str
) -> None:
    key = new_key()
    with gateway(script, monkeypatch, store_url, api_keys=f"{credential('acme', key)}") as keyed:
        page = browser.new_context(base_url=str(keyed.http.base_url)).new_page()
        page.goto("/")
        page.fill("[name=key]", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#ask")
        choose(page)
        page.click("#ask button[type=submit]")
        page.wait_for_selector("#overlay[data-ready='5']")
        assert '-H "Authorization: Bearer $DTWINSEGER_API_KEY"' in str(page.text_content("#curl"))
        assert key not in page.content()
        page.click("text=Sign out")
        page.wait_for_selector("#signin")
        page.context.close()
