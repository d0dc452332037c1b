"""`make eval-scenes`: its questions are balanced and true, failures count as wrong, and what was answered is kept."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.scenes_quality import questions as asking
from benchmarks.scenes_quality.__main__ import app
from benchmarks.scenes_quality.answers import Kept, counted, kept
from benchmarks.scenes_quality.figures import Outcome, gain, group
from benchmarks.scenes_quality.pipeline import stages
from benchmarks.scenes_quality.questions import Question
from dtwinseger.api import Semantics
from dtwinseger.evaluation.datasets.scenes import SceneObject, write
from dtwinseger.evaluation.runs.record import Record
from dtwinseger.twin import DigitalTwin, Mask
from gateway.app import create
from tests.doubles.services import Script, services_app
from tests.doubles.serving import serving
from training.scenes.render import render_scene

BOXES = ((4, 4, 30, 30), (32, 8, 50, 20))  # that the scripted perception proposes; the second is what answers
SECTIONS = ("pipeline", "stages", "ablation", "oracles", "reasoner")


def question(number: int, *, nothing: bool = False) -> Question:
    """About an image of 64x56 whose second object answers, or nothing."""
    masks = []
    for left, top, right, bottom in BOXES:
        pixels = np.zeros((56, 64), dtype=np.bool_)
        pixels[top:bottom, left:right] = True
        masks.append(Mask.encode(pixels))
    said = Semantics(semantic="a small red mug", category="mug")
    return Question(
        sample_id=f"{number:08d}",
        image=f"{number:08d}.png",
        query=f"thing {number}?",
        kind="none" if nothing else "name",
        granularity="object",
        targets=0 if nothing else 1,
        mask=Mask.encode(np.zeros((56, 64), dtype=np.bool_)) if nothing else masks[1],
        objects=tuple(SceneObject(mask=mask, semantics=said) for mask in masks),
        phrasing="held_out" if number % 2 else "seen",
        unseen_pair=None if nothing else False,
        indices=() if nothing else (2,),
    )


@dataclass
class Running:
    gateway: str
    services: str
    script: Script


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Running]:
    """A real gateway in front of scripted services."""
    script = Script()
    with serving(services_app(script)) as services:
        for name in ("PERCEPTION", "SEMANTICS", "REASONER"):
            monkeypatch.setenv(f"GATEWAY_{name}_URL", services)
        monkeypatch.setenv("GATEWAY_STORE_URL", f"sqlite:///{tmp_path}/twins.sqlite")
        with serving(create()) as url:
            yield Running(url, services, script)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder of an evaluation whose four scenes are there; nothing answers the last one's query."""
    folder = tmp_path / "out" / "scenes" / "7-4"
    (folder / "images").mkdir(parents=True)
    asked = [question(7 + k, nothing=k == 3) for k in range(4)]
    for k, one in enumerate(asked):
        Image.new("RGB", (64, 56), (k, 128, 255)).save(folder / "images" / one.image)
    write(folder, asked)
    return tmp_path / "out"


def test_every_beginning_of_the_set_is_balanced() -> None:
    assert Counter(asking.strata(200)) == {"object": 80, "part": 50, "group": 40, "none": 30}
    assert Counter(asking.strata(60)) == {"object": 24, "part": 15, "group": 12, "none": 9}


def test_a_scene_is_asked_the_same_each_time_and_its_answer_is_of_the_stratum() -> None:
    scene = render_scene(5_001, 256, 256)
    for stratum in asking.SHARES:
        asked, again = asking.ask(scene, stratum, 1), asking.ask(scene, stratum, 1)
        if asked is None or again is None:
            assert asked == again
            continue
        twin, query = asked
        assert again[1] == query
        assert query.phrasing == "held_out"
        assert bool(query.indices) == (stratum != "none") == bool(twin.answer(query).any())


def test_a_failed_request_counts_0_even_where_nothing_was_right() -> None:
    nothing = question(1, nothing=True)
    failed, right = Outcome(nothing, 0, 0, failed=True, empty=True), Outcome(nothing, 0, 0, failed=False, empty=True)
    assert group("all", [failed]).giou.value == 0
    assert group("all", [right]).giou.value == 1
    assert gain([failed], [right]).value == 1


def test_objects_count_as_missed_where_nothing_was_proposed() -> None:
    twin = DigitalTwin.model_construct(granularity="object", objects=())
    run = {"00000001": Record.model_construct(granularity="object", twin=twin)}
    shares = {stage.measure: (stage.samples, stage.share.value) for stage in stages([question(1)], run)}
    assert shares["objects proposed at IoU 0.5"] == (2, 0)


def test_kept_answers_are_not_asked_again_and_a_torn_line_is(tmp_path: Path) -> None:
    path, asked = tmp_path / "kept.jsonl", [question(k) for k in range(3)]
    seen: list[str] = []

    def answer(one: Question) -> Kept:
        seen.append(one.sample_id)
        return counted(one, (2,), [found.mask for found in one.objects])

    first = kept(path, asked, answer, 2, Console(quiet=True))
    path.write_bytes(path.read_bytes()[:-10])
    assert kept(path, asked, answer, 2, Console(quiet=True)) == first
    assert Counter(seen) == {"00000000": 1, "00000001": 1, "00000002": 2}


def test_an_evaluation_tells_all_sections_and_asks_nothing_twice(running: Running, out: Path) -> None:
    where = ["--url", running.gateway, "--semantics-url", running.services, "--reasoner-url", running.services]
    counts = ["--scenes", "4", "--first-seed", "7", "--ablation-scenes", "4", "--oracle-scenes", "4"]
    told = CliRunner().invoke(app, [*counts, *where, "--out", str(out)])
    assert told.exit_code == 0, told.output
    figures = json.loads((out / "figures.json").read_text())
    assert all(figures[section] for section in SECTIONS)
    assert figures["pipeline"]["groups"][0]["giou"]["value"] == pytest.approx(0.75, abs=1e-4)  # the last finds one
    assert figures["pipeline"]["no_answer_empty"]["value"] == 0
    gains = {oracle["name"]: oracle["gain"]["value"] for oracle in figures["oracles"]}
    assert gains["reasoner"] == pytest.approx(0.25, abs=1e-4)
    assert gains["semantics"] == 0
    assert figures["reasoner"]["not_run"]["sftdt"] == "the reasoner answered in mode zero_shot"
    asked = running.script.calls["reason"]
    assert CliRunner().invoke(app, [*counts, *where, "--out", str(out)]).exit_code == 0
    assert running.script.calls["reason"] <= asked + 3  # only the modes are tried again
