"""The report is one page that needs nothing else, and says why answers are wrong."""

import json
import re
from pathlib import Path

import httpx2
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from dtwinseger.api import Semantics
from dtwinseger.evaluation.report.faults import best_union, fault, truly_described
from dtwinseger.evaluation.report.published import ABLATION, TABLES
from dtwinseger.evaluation.runs.record import MANIFEST, RESULTS
from dtwinseger.evaluation.samples import TrueObject, Truth
from dtwinseger.problems import Problem
from dtwinseger.twin import DigitalTwin, Mask, build_objects
from tests.dtwinseger.evaluation.runs.conftest import asking, evaluate
from tests.gateway.conftest import Gateway

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def report(front: Gateway, scenes: Path, tmp_path: Path) -> Path:
    """Of eight scenes: those with a target answered rightly, those without wrongly."""
    evaluate(*asking(front.http.base_url, scenes, tmp_path / "first", "--limit", 8))
    done = evaluate("report", tmp_path / "first", "--out", tmp_path / "report.html")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "report.html"


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium: apt-get install chromium")
def test_the_page_needs_no_other_host(report: Path) -> None:
    page = report.read_text()
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", page)
    asked: list[str] = []
    told: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: told.append(message.text))
        tab.goto(report.as_uri())
        loaded = tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        browser.close()
    assert loaded
    assert asked
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert not told  # its own policy allows all that it has


def test_page_and_markdown_show_the_figures_the_faults_and_the_twins(report: Path) -> None:
    page, beside = report.read_text(), report.with_suffix(".md").read_text()
    for text in (page, beside):
        assert "62.5 [" in text  # 5 of 8 have a target, and are answered rightly
        assert "described or reasoned wrongly" in text
    assert page.count("<article>") == 3 + 4  # the wrong ones, and the best
    assert "thing 2 &lt;b&gt;&amp;" in page  # what a model says is text
    assert "is asked for" in page


def test_a_failed_request_is_a_class_of_its_own(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    front.script.failing["reason"] = Problem("upstream_invalid", "no path")
    evaluate(*asking(front.http.base_url, scenes, tmp_path / "run", "--limit", 2))
    assert evaluate("report", tmp_path / "run", "--out", tmp_path / "report.html").exit_code == 0
    assert "| request failed | 2 |" in (tmp_path / "report.md").read_text()
    assert "answer: upstream_invalid, no path" in (tmp_path / "report.html").read_text()


def test_a_twin_whose_mask_does_not_decode_is_told_with_its_line(report: Path) -> None:
    """A run keeps twins as they came: they are checked here."""
    results = report.parent / "first" / RESULTS
    first, *others = results.read_text().splitlines()
    record = json.loads(first)
    record["twin"]["objects"][0]["mask"]["counts"] = "0"
    results.write_text("\n".join([json.dumps(record), *others]) + "\n")
    done = evaluate("report", results.parent, "--out", report)
    assert done.exit_code == 1
    assert f"{RESULTS}:1: not a result" in done.stderr
    assert "do not fill an image" in done.stderr


def test_a_report_on_another_data_set_is_refused(report: Path) -> None:
    manifest = report.with_name("first") / MANIFEST
    manifest.write_text(re.sub(r'"sample_ids": "\w{8}', '"sample_ids": "00000000', manifest.read_text()))
    done = evaluate("report", report.with_name("first"), "--out", report)
    assert done.exit_code == 1
    assert "name the data set's folder with --root" in done.stderr


def _box(x1: int, x2: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    pixels = np.zeros((10, 40), dtype=np.bool_)
    pixels[:, x1:x2] = True
    return pixels


def _twin(front: Gateway, *boxes: tuple[int, int]) -> DigitalTwin:
    answer = front.segment().json()
    twin = DigitalTwin.model_validate(front.http.get(f"/dt/{answer['twin_id']}", params={"format": "json"}).json())
    said = [Semantics(semantic="a blur", category="blur")] * len(boxes)
    masks = [Mask.encode(_box(*box)) for box in boxes]
    return twin.model_copy(update={"objects": build_objects(masks, [0.9] * len(boxes), said)})


def _truth(*boxes: tuple[int, int]) -> Truth:
    nothing = _box(0, 0)
    target = np.logical_or.reduce([nothing, *(_box(*box) for box in boxes)])
    return Truth(target, nothing, nothing)


def test_the_best_union_takes_what_raises_the_iou(front: Gateway) -> None:
    twin = _twin(front, (0, 10), (10, 18), (25, 30), (0, 40))
    indices, iou = best_union(twin, _truth((0, 18)))
    assert [twin.objects[index - 1].bbox[0::2] for index in indices] == [(0, 10), (10, 18)]
    assert iou == 1.0
    assert best_union(twin, _truth()) == ((), 1.0)


def test_a_wrong_answer_is_laid_to_the_stage_that_would_mend_it(front: Gateway) -> None:
    twin = _twin(front, (0, 10), (20, 28))
    mug = TrueObject(Mask.encode(_box(0, 9)), Semantics(semantic="a red mug", category="mug"))
    truth = _truth((0, 9))

    def reads(query: str, rows: object) -> list[int]:
        return [row.index for row in rows if row.semantic == query]  # type: ignore[attr-defined]

    assert [row.semantic for row in truly_described(twin, [mug])] == ["a red mug", "a blur"]
    assert fault("a red mug", twin, truth, 0.9, 0.9, (mug,), reads) == "right"
    assert fault("a red mug", twin, truth, 0.0, 0.3, (mug,), reads) == "not proposed"
    assert fault("a red mug", twin, truth, 0.0, 0.9, (mug,), reads) == "mis-described"
    assert fault("a cup", twin, truth, 0.0, 0.9, (mug,), reads) == "mis-reasoned"
    assert fault("a cup", twin, truth, 0.0, 0.9, None, reads) == "described or reasoned wrongly"


def test_a_reasoner_that_does_not_answer_is_told(front: Gateway, report: Path) -> None:
    from dtwinseger.api import ReasoningOptions
    from dtwinseger.evaluation.report.faults import reasoner_at

    with pytest.raises(httpx2.HTTPError):
        reasoner_at("http://127.0.0.1:9", ReasoningOptions())("a mug", [])


def test_every_published_row_has_a_cell_a_column() -> None:
    for table in TABLES:
        assert all(len(row.cells) == len(table.columns) for row in table.rows)
    assert [len(table.rows) for table in TABLES] == [12, 7, 8, 8, 8]
    assert len(ABLATION) == 11
