"""The command line and the launcher against real stacks."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from dtwinseger.api import SegmentResult
from dtwinseger.twin import DigitalTwin
from embedded import example
from embedded.ports import free_ports, variable
from embedded.stack import ROOT, Stack


def _dtwinseger(stack: Stack, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("dtwinseger"), *arguments],
        env=os.environ
        | {"DTWINSEGER_URL": stack.url, "COLUMNS": "200"}
        | {f"GATEWAY_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in stack.ports.items()},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_segment_prints_the_answer_and_saves_the_overlay(stack: Stack, answered: SegmentResult, tmp_path: Path) -> None:
    done = _dtwinseger(stack, "segment", example.IMAGE, answered.query, "-o", tmp_path / "overlay.png")
    assert done.returncode == 0, done.stderr
    assert answered.twin_id in done.stdout
    assert str(answered.objects[0].semantic) in done.stdout
    assert answered.path[0].criterion in done.stdout
    with Image.open(BytesIO((tmp_path / "overlay.png").read_bytes())) as overlay:
        assert overlay.format == "PNG"


def test_segment_as_json_is_the_result(stack: Stack, answered: SegmentResult) -> None:
    done = _dtwinseger(stack, "segment", example.IMAGE, answered.query, "--json")
    assert SegmentResult.model_validate_json(done.stdout).indices == answered.indices


def test_twin_prints_every_object(stack: Stack, answered: SegmentResult) -> None:
    done = _dtwinseger(stack, "twin", answered.twin_id, "--format", "json")
    twin = DigitalTwin.model_validate_json(done.stdout)
    told = _dtwinseger(stack, "twin", answered.twin_id)
    assert told.returncode == 0, told.stderr
    assert all(str(o.semantic) in told.stdout for o in twin.objects if o.semantic)


def test_twin_prints_its_exports(stack: Stack, answered: SegmentResult) -> None:
    coco = json.loads(_dtwinseger(stack, "twin", answered.twin_id, "--format", "coco").stdout)
    geojson = json.loads(_dtwinseger(stack, "twin", answered.twin_id, "--format", "geojson").stdout)
    assert [item["id"] for item in coco["annotations"]] == [item["id"] for item in geojson["features"]]
    assert tuple(coco["info"]["answer"]) == answered.indices


def test_a_mistake_is_one_line_and_exit_code_1(stack: Stack) -> None:
    for arguments, words in (
        (("twin", "0" * 32), "error not_found: "),
        (("segment", example.QUESTION, "a mug"), "error invalid_image: "),
        (("segment", example.IMAGE, "a mug", "--options", '{"granularity": "atom"}'), "error invalid_options: "),
    ):
        done = _dtwinseger(stack, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(words)
        assert len(done.stderr.splitlines()) == 1


def test_doctor_finds_everything_well(stack: Stack) -> None:
    done = _dtwinseger(stack, "doctor")
    assert done.returncode == 0, done.stdout
    for what in (
        "gateway",
        "perception",
        "semantics",
        "semantics: engine",
        "reasoner: engine",
        "store",
        "dtwin-mini-sam",
    ):
        assert what in done.stdout
    assert "✗" not in done.stdout


def test_a_launch_for_one_question_exits_0_because_the_answer_is_right(tmp_path: Path) -> None:
    ports = {variable(name): str(port) for name, port in free_ports().items()}
    done = subprocess.run(
        [sys.executable, "-m", "embedded", "--once"],
        cwd=ROOT,
        env=os.environ | ports | {"GATEWAY_STORE_URL": f"sqlite:///{tmp_path / 'twins.sqlite'}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    question = json.loads(example.QUESTION.read_text())
    assert question["query"] in done.stdout
    assert "right: IoU with the truth" in done.stdout
    assert (ROOT / ".run" / "overlay.png").exists()
