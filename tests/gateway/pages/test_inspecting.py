"""`/dt/<id>`: image, objects and path point at each other."""

import subprocess
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.doubles.services import Script
from tests.gateway.conftest import png
from tests.gateway.pages.conftest import SIZE, Site

HOSTILE = """ "><script>alert(1)</script><img src=x onerror=alert(2)>'; echo $(id) `id` {{ 7 * 7 }} """


def _row(page: Page, index: int) -> Locator:
    return page.locator(f"#objects button[data-index='{index}']")


def _mask(page: Page, index: int) -> Locator:
    return page.locator(f".object[data-index='{index}']")


def _states(page: Page) -> list[str | None]:
    return [_mask(page, index).get_attribute("data-state") for index in range(1, 6)]


def _lit(page: Page) -> str | None:
    """The path that is lit."""
    return page.locator(".lit").first.get_attribute("d")


def _drawn(page: Page, index: int) -> str | None:
    return page.locator(f".object[data-index='{index}'] .line").get_attribute("d")


def test_a_row_under_the_pointer_or_in_focus_lights_its_mask(site: Site) -> None:
    page = site.inspect(site.asked())
    assert not _lit(page)
    _row(page, 3).hover()
    assert _lit(page) == _drawn(page, 3)
    expect(page.locator("#caption")).to_contain_text("3 · thing")
    page.locator("h1").hover()
    assert not _lit(page)
    _row(page, 4).focus()
    assert _lit(page) == _drawn(page, 4)


def test_a_mask_under_the_pointer_lights_its_row_and_the_list_scrolls_to_it(site: Site, script: Script) -> None:
    script.boxes = [(10 * n, 4, 10 * n + 8, 200 - 5 * n) for n in range(30)]
    page = site.inspect(site.asked())
    expect(_row(page, 30)).not_to_be_in_viewport()
    before = page.evaluate("scrollY")
    _mask(page, 30).locator(".line").hover()
    expect(_row(page, 30)).to_have_class("row lit")
    frame, box = page.locator("#objects").bounding_box(), _row(page, 30).bounding_box()
    assert frame
    assert box
    assert frame["y"] <= box["y"]
    assert box["y"] + box["height"] <= frame["y"] + frame["height"] + 1
    assert page.evaluate("scrollY") == before, "the image does not move under the pointer"


def test_the_small_object_on_a_large_one_is_the_one_that_is_pointed_at(site: Site) -> None:
    page = site.inspect(site.asked())
    box = page.locator("#overlay").bounding_box()
    assert box
    scale = box["height"] / SIZE[1]
    left = box["x"] + (box["width"] - SIZE[0] * scale) / 2
    inner = next(item for item in site.twin(page.url.rpartition("/")[2]).objects if item.bbox == (20, 20, 90, 60))
    page.mouse.move(left + 50 * scale, box["y"] + 40 * scale)
    expect(_row(page, inner.index)).to_have_class("row lit")
    page.mouse.move(left + 15 * scale, box["y"] + 140 * scale)
    expect(_row(page, 1)).to_have_class("row lit")


def test_a_click_on_a_mask_keeps_it_lit_and_tells_more(site: Site) -> None:
    page = site.inspect(site.asked())
    more = page.locator("#more-2")
    expect(more).to_be_hidden()
    _mask(page, 2).locator(".line").click()
    expect(more).to_be_visible()
    expect(_row(page, 2)).to_have_attribute("aria-expanded", "true")
    expect(more).to_contain_text("in step 2")
    page.locator("h1").hover()
    assert _lit(page) == _drawn(page, 2)
    page.keyboard.press("Escape")
    expect(more).to_be_hidden()
    assert not _lit(page)


def test_the_path_is_stepped_through_on_the_image(site: Site) -> None:
    page = site.inspect(site.asked())
    assert _states(page) == ["out", "answer", "out", "out", "out"]
    page.locator("[name=view]:checked").focus()
    page.keyboard.press("Home")  # not a key of radio buttons: nothing happens
    page.keyboard.press("ArrowRight")  # from the last to the first
    assert _states(page) == ["free"] * 5
    page.keyboard.press("ArrowRight")
    assert _states(page) == ["in", "in", "rejected", "rejected", "rejected"]
    expect(page.locator("#path [data-step='1']")).to_have_attribute("aria-current", "step")
    page.click("#path [data-step='2'] .show")
    assert _states(page) == ["rejected", "in", "out", "out", "out"]
    expect(page.locator("[name=view]:checked")).to_have_value("2")


def test_the_path_says_what_each_step_kept_and_rejected_and_why(site: Site) -> None:
    twin = site.twin(site.asked())
    page = site.inspect(twin.id)
    first = page.locator("#path [data-step='1']")
    expect(first).to_contain_text("5 → 2: 2 kept, 3 rejected")
    for decision in twin.answer.path[0].decisions:
        row = first.locator(f"li.{'kept' if decision.keep else 'rejected'} [data-index='{decision.index}']")
        expect(row).to_contain_text(decision.reasoning)


def test_everything_is_reached_by_the_keyboard(site: Site) -> None:
    page = site.inspect(site.asked())
    reached = []
    page.locator("header a").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("""() => {
              const element = document.activeElement;
              const ring = element.matches("[name=view]") ? element.nextElementSibling : element;
              const seen = getComputedStyle(ring).outlineStyle !== "none";
              const list = element.closest("#objects, #path")?.id;
              return seen && (list && element.matches("[data-index]") ? list : element.name || element.textContent);
            }""")
        )
        if reached[-1] == "Details":
            break
    assert all(reached), "focus is always seen"
    wanted = [
        "view",
        "query",
        "Ask",
        "path",
        "objects",
        "mask",
        "overlay",
        "JSON",
        "COCO",
        "GeoJSON",
        "As curl",
        "Details",
    ]
    assert [name for name in reached if name in wanted] == wanted, "the lists are one stop each"


def test_arrow_keys_move_in_the_list_of_objects_and_in_the_path(site: Site) -> None:
    page = site.inspect(site.asked())
    _row(page, 1).focus()
    for key, index in [("ArrowDown", 2), ("ArrowDown", 3), ("ArrowUp", 2), ("End", 5), ("ArrowDown", 5), ("Home", 1)]:
        page.keyboard.press(key)
        expect(_row(page, index)).to_be_focused()
        assert _lit(page) == _drawn(page, index)
    page.keyboard.press("Enter")
    expect(page.locator("#more-1")).to_be_visible()
    decisions = page.locator("#path button[data-index]")
    decisions.first.focus()
    page.keyboard.press("ArrowDown")
    expect(decisions.nth(1)).to_be_focused()


def test_labels_and_queries_stay_text_everywhere(site: Site, script: Script) -> None:
    script.semantic = "<script>alert('label')</script>\"'><img src=x onerror=alert(1)> {index}"
    identity = site.asked(HOSTILE)
    site.asked(HOSTILE + "again")
    page = site.inspect(identity)
    expect(page.locator("h1")).to_have_text(HOSTILE.strip())
    expect(_row(page, 1)).to_contain_text("<script>alert('label')</script>")
    _row(page, 1).hover()
    expect(page.locator("#caption")).to_contain_text("<script>alert('label')</script>")
    expect(page.locator(".asked a")).to_have_text(HOSTILE.strip() + " again")
    assert page.locator("main script, main img:not(#image)").count() == 0
    assert page.locator("[onerror]").count() == 0


@pytest.mark.skipif(which("curl") is None, reason="curl is not installed")
def test_the_copied_curl_makes_the_same_twin(site: Site, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(png(*SIZE))
    options = '{"granularity": "object", "semantics": {"vocabulary": ["it\'s <\\"$HOME\\">"]}}'
    for query in (HOSTILE, "@/etc/passwd", "</etc/passwd", 'two\n"lines"; type=x'):
        twin = site.gateway.segment(png(*SIZE), query, options).json()
        command = site.open(f"/dt/{twin['twin_id']}").text_content("#curl")
        assert command
        done = subprocess.run(["sh", "-c", f"{command} -sS"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert f'"twin_id":"{twin["twin_id"]}"' in done.stdout


def test_the_curl_command_is_copied(site: Site) -> None:
    identity = site.asked('it\'s "here"')
    page = site.inspect(identity)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("text=As curl")
    page.click("[data-copy]")
    expect(page.locator("[data-copy]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.text_content("#curl")


def test_mask_overlay_and_exports_are_downloads(site: Site) -> None:
    page = site.inspect(site.asked())
    files = {"mask": "mask.png", "overlay": "overlay.png", "JSON": "twin.json", "COCO": "coco.json"}
    for link, name in (files | {"GeoJSON": "twin.geojson"}).items():
        with page.expect_download() as download:
            page.click(f".downloads a >> text='{link}'")
        assert download.value.suggested_filename == name
        assert download.value.path().stat().st_size > 0


def test_nothing_that_fits_is_an_answer(site: Site, script: Script) -> None:
    script.keep, script.earlier = set(), []
    page = site.inspect(site.asked())
    expect(page.locator("#answer")).to_have_text("Nothing in this image fits.")
    assert set(_states(page)) == {"out"}


def test_a_twin_without_objects_is_shown(site: Site, script: Script) -> None:
    script.boxes = []
    page = site.open(f"/dt/{site.asked()}")
    page.wait_for_selector("#overlay[data-ready='0']", state="attached")
    expect(page.locator("#objects")).to_have_text("Perception found no objects.")


@pytest.mark.parametrize("path", ["/", "twin", "building"])
def test_nothing_is_wider_than_a_phone(site: Site, path: str) -> None:
    query = "w" * 300
    if path == "twin":
        path = f"/dt/{site.asked(query)}"
    elif path == "building":
        site.script.holding = {"masks"}
        path = f"/dt/{site.gateway.segment(png(*SIZE), query, Prefer='respond-async').json()['id']}"
    page = site.open(path, viewport={"width": 360, "height": 740}, has_touch=True)
    page.evaluate(
        "for (const element of document.querySelectorAll('details, #stages, dl')) {"
        "element.open = true; element.hidden = false; }"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    outside = page.evaluate("""() => [...document.querySelectorAll("main *")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 1 && box.right > innerWidth + 1;
    }).map((element) => element.outerHTML.slice(0, 80))""")
    assert outside == []
    site.script.holding = set()


def test_the_page_is_dark_where_the_reader_wants_it_dark(site: Site) -> None:
    identity = site.asked()
    luminance = """() => getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3)
      .reduce((sum, part) => sum + Number(part), 0)"""
    shades = {scheme: site.inspect(identity, color_scheme=scheme).evaluate(luminance) for scheme in ("light", "dark")}
    assert shades["light"] > 3 * 200
    assert shades["dark"] < 3 * 60


def test_nothing_moves_where_the_reader_wants_that(site: Site) -> None:
    page = site.inspect(site.asked(), reduced_motion="reduce")
    assert _mask(page, 1).locator(".line").evaluate("line => getComputedStyle(line).transitionDuration") == "0s"


def test_an_image_that_is_no_longer_stored_is_told_and_the_masks_are_still_there(site: Site) -> None:
    identity = site.asked()
    page = site.browser.new_context(base_url=site.faults.base).new_page()
    page.route("**/image.jpg", lambda route: route.fulfill(status=410, body="{}"))
    page.goto(f"/dt/{identity}")
    page.wait_for_selector("#overlay[data-ready='5']", state="attached")
    expect(page.locator("#no-image")).to_be_visible()


def test_a_store_that_does_not_answer_at_once_is_asked_again(site: Site) -> None:
    identity = site.asked()
    page = site.browser.new_context(base_url=site.faults.base).new_page()
    away = '{"code": "storage_unavailable", "detail": "the twin store does not answer"}'
    for part in ("**/image.jpg", "**/*?format=json"):
        page.route(part, lambda route: route.fulfill(status=503, body=away), times=1)
    page.goto(f"/dt/{identity}")
    page.wait_for_selector("#overlay[data-ready='5']", state="attached")
    page.wait_for_function("document.getElementById('image').naturalWidth > 0")
    expect(page.locator("#no-image")).to_be_hidden()
