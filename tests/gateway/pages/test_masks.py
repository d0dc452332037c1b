"""What the page's scripts make of masks, beside pycocotools."""

import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from dtwinseger.twin import Mask
from tests.gateway.pages.conftest import Site

DECODE = """async (mask) => {
  const { decode } = await import("/static/rle.js");
  const part = decode(mask);
  return { ...part, pixels: btoa(String.fromCharCode(...part.pixels)) };
}"""
INSIDE = """async ([mask, width, height]) => {
  const { decode } = await import("/static/rle.js");
  const { outline, deepest } = await import("/static/outline.js");
  const part = decode(mask);
  const path = new Path2D(outline(part));
  const context = document.createElement("canvas").getContext("2d");
  const rows = [];
  for (let y = 0; y < height; y++) {
    rows.push([]);
    for (let x = 0; x < width; x++) rows[y].push(context.isPointInPath(path, x + 0.5, y + 0.5, "evenodd"));
  }
  return [rows, deepest(part)];
}"""
DRAW = """async (masks) => {
  const { Overlay } = await import("/static/overlay.js");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "overlay");
  document.body.append(svg);
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const started = performance.now();
  const overlay = new Overlay(svg, 1600, 1200);
  masks.forEach((mask, i) => overlay.add(i + 1, mask));
  overlay.mark(() => "free");
  const drawn = performance.now();
  await frame();
  const shown = performance.now();
  for (let i = 1; i <= 10; i++) {
    overlay.light(i);
    await frame();
  }
  return { draw: drawn - started, paint: shown - drawn, light: (performance.now() - shown) / 10 };
}"""


def _ellipse(height: int, width: int, y: float, x: float, radius: float, wobble: float = 0.0) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[:height, :width]
    angle = np.arctan2(ys - y, xs - x)
    return np.hypot(ys - y, (xs - x) / 1.4) < radius * (1 + wobble * np.sin(9 * angle))


def _masks() -> dict[str, NDArray[np.bool_]]:
    random = np.random.default_rng(7)
    ring = _ellipse(60, 90, 30, 45, 25) & ~_ellipse(60, 90, 30, 45, 12)
    one = np.zeros((13, 7), dtype=np.bool_)
    one[12, 6] = True
    return {
        "empty": np.zeros((5, 9), dtype=np.bool_),
        "full": np.ones((9, 5), dtype=np.bool_),
        "one pixel in the corner": one,
        "a column and a row": np.add.outer(np.arange(20) == 3, np.arange(30) == 29),
        "chessboard": np.indices((12, 17)).sum(axis=0) % 2 == 0,
        "noise": random.random((37, 41)) < 0.5,
        "ring": ring,
        "large": _ellipse(600, 800, 300, 400, 200, 0.1),
    }


@pytest.fixture(scope="module")
def masks() -> dict[str, NDArray[np.bool_]]:
    return _masks()


@pytest.fixture
def page(site: Site) -> Page:
    return site.open()


def _decoded(page: Page, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W], as rle.js has it."""
    part: dict[str, Any] = page.evaluate(DECODE, Mask.encode(mask).model_dump())
    pixels = np.frombuffer(base64.b64decode(part["pixels"]), dtype=np.uint8)
    whole = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.bool_)  # room for the border around the part
    x, y = part["left"] + 1, part["top"] + 1
    whole[y : y + part["height"], x : x + part["width"]] = pixels.reshape(part["width"], part["height"]).T
    assert not whole[[0, -1]].any()
    assert not whole[:, [0, -1]].any()
    return whole[1:-1, 1:-1]


def test_rle_is_decoded_as_pycocotools_does(page: Page, masks: dict[str, NDArray[np.bool_]]) -> None:
    for name, mask in masks.items():
        np.testing.assert_array_equal(_decoded(page, mask[:200, :200]), mask[:200, :200], name)


def test_run_lengths_are_those_of_the_library_and_nonsense_is_refused(page: Page) -> None:
    read = """async (counts) => {
      const { runLengths } = await import("/static/rle.js");
      try { return runLengths(counts); } catch (error) { return error.name; }
    }"""
    mask = Mask.encode(_ellipse(1200, 1600, 600, 800, 400, 0.2))
    assert sum(page.evaluate(read, mask.counts)) == 1200 * 1600
    assert [page.evaluate(read, counts) for counts in ("~", "a")] == ["RangeError", "RangeError"]


def test_an_outline_holds_exactly_the_pixels_of_its_mask(page: Page, masks: dict[str, NDArray[np.bool_]]) -> None:
    for name in set(masks) - {"large", "empty"}:
        mask = masks[name]
        height, width = mask.shape
        inside, (x, y) = page.evaluate(INSIDE, [Mask.encode(mask).model_dump(), width, height])
        np.testing.assert_array_equal(np.array(inside), mask, name)
        assert mask[int(y), int(x)], f"the number of {name} lies on it"


def test_a_hundred_large_masks_are_drawn_in_seconds_at_most(page: Page, record_property: Any) -> None:
    random = np.random.default_rng(3)
    shape = _ellipse(300, 400, 150, 200, 120, 0.15)
    masks = []
    for y, x in zip(random.integers(0, 900, 100), random.integers(0, 1200, 100), strict=True):
        mask = np.zeros((1200, 1600), dtype=np.bool_)
        mask[y : y + 300, x : x + 400] = shape
        masks.append(Mask.encode(mask).model_dump())
    took = page.evaluate(DRAW, masks)
    record_property("milliseconds", took)
    print(took)
    assert took["draw"] + took["paint"] < 5_000
    assert took["light"] < 1_000
