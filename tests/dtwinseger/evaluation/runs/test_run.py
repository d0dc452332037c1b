"""A run keeps every answer once, whatever happens to it, its gateway or its disk."""

import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from dtwinseger.evaluation import predictions
from dtwinseger.evaluation.runs.record import MANIFEST, RESULTS
from dtwinseger.problems import Problem
from tests.doubles.serving import free_port
from tests.dtwinseger.evaluation.runs.conftest import SAMPLES, asking, command, evaluate, records
from tests.dtwinseger.evaluation.runs.relay import Relay
from tests.gateway.conftest import Gateway


def _url(front: Gateway) -> str:
    return str(front.http.base_url)


def _until(process: "subprocess.Popen[bytes]", results: Path, size: int) -> None:
    """Wait until the results have `size` bytes, or the run has ended."""
    while process.poll() is None and not (results.exists() and results.stat().st_size >= size):
        time.sleep(0.005)


def test_every_sample_is_answered_once_and_the_results_are_predictions(
    front: Gateway, scenes: Path, tmp_path: Path
) -> None:
    done = evaluate(*asking(_url(front), scenes, tmp_path / "run"))
    assert done.exit_code == 0, done.stderr
    kept = records(tmp_path / "run")
    assert [record.position for record in kept] == list(range(SAMPLES))
    # A third of the scenes has no target and was given one: IoU 0; the others are right.
    assert f"{SAMPLES} samples  gIoU 0.6667" in done.stdout
    assert "0 failed" in done.stdout
    assert all(record.twin is not None and len(record.twin.objects) == 3 for record in kept)
    assert len(list(predictions.read(tmp_path / "run" / RESULTS))) == SAMPLES
    manifest = json.loads((tmp_path / "run" / MANIFEST).read_text())
    assert manifest["gateway"]["services"][0]["models"] == {"model": "double"}


def test_a_run_killed_three_times_ends_as_one_that_was_not(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    front.script.latency_s["reason"] = 0.1
    results = tmp_path / "killed" / RESULTS
    again = command(*asking(_url(front), scenes, tmp_path / "killed", "--concurrency", 3))
    for size in (1, 9_000, 20_000):
        with subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _until(process, results, size)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    results.write_bytes(results.read_bytes() + b'{"sample_id":"0023","pos')  # a line torn by the kill
    last = evaluate(*asking(_url(front), scenes, tmp_path / "killed"))
    assert last.exit_code == 0, last.stderr
    evaluate(*asking(_url(front), scenes, tmp_path / "whole"))
    assert records(tmp_path / "killed") == records(tmp_path / "whole")


def test_another_run_in_the_same_folder_is_refused(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    evaluate(*asking(_url(front), scenes, tmp_path / "run", "--limit", 2))
    options = tmp_path / "part.yaml"
    options.write_text("granularity: part\n")
    done = evaluate(*asking(_url(front), scenes, tmp_path / "run", "--limit", 2, "--options", options))
    assert done.exit_code == 1
    assert "options was {} and is {'granularity': 'part'}" in done.stderr
    assert len(records(tmp_path / "run")) == 2


def test_two_writers_at_once_are_refused(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    front.script.holding.add("reason")
    arguments = asking(_url(front), scenes, tmp_path / "run")
    with subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL) as first:
        while not (tmp_path / "run" / MANIFEST).exists():
            assert first.poll() is None
            time.sleep(0.005)
        second = evaluate(*arguments)
        first.kill()
    assert second.exit_code == 1
    assert "another run is writing to it" in second.stderr
    front.script.holding.clear()


def test_a_failed_sample_is_an_empty_prediction_and_is_not_tried_again(
    front: Gateway, scenes: Path, tmp_path: Path
) -> None:
    front.script.failing["reason"] = Problem("upstream_invalid", "no path")
    done = evaluate(*asking(_url(front), scenes, tmp_path / "run", "--limit", 3))
    assert done.exit_code == 0, done.stderr
    assert "3 failed (upstream_invalid 3)" in done.stdout
    for record in records(tmp_path / "run"):
        assert record.problem is not None
        assert record.mask.area == 0
    # Where nothing was to be found, nothing is right; the two others count 0.
    assert "gIoU 0.3333" in done.stdout
    assert front.script.calls["reason"] == 3


def test_a_gateway_that_has_too_much_to_do_is_waited_for(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    front.script.failing["granularity"] = Problem("overloaded", "one moment", retry_after=1)
    with subprocess.Popen(
        command(*asking(_url(front), scenes, tmp_path / "run", "--limit", 2)), stdout=subprocess.PIPE, text=True
    ) as process:
        while front.script.calls["granularity"] < 2:
            assert process.poll() is None
            time.sleep(0.005)
        front.script.failing.clear()
        told, _ = process.communicate(timeout=60)
    assert "0 failed" in told


def test_without_a_gateway_nothing_begins(scenes: Path, tmp_path: Path) -> None:
    done = evaluate(*asking(f"http://127.0.0.1:{free_port()}", scenes, tmp_path / "run"))
    assert done.exit_code == 1
    assert done.stderr.startswith("error upstream_unavailable: no gateway answers at")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_service_that_stays_away_stops_the_run_which_goes_on_later(
    front: Gateway, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = asking(_url(front), scenes, tmp_path / "run", "--patience", 0.2, "--concurrency", 2)
    proxy = Relay(_url(front), dies_after=6)
    with proxy as url:
        done = evaluate(*asking(url, scenes, tmp_path / "run", "--patience", 0.2, "--concurrency", 2))
    assert done.exit_code == 3, done.stderr
    assert "has been away for 0.2 s; results are kept: run the same command again" in done.stderr
    before = len(records(tmp_path / "run"))
    front.script.unready = "the engine cannot be reached"
    front.script.failing["reason"] = Problem("upstream_unavailable", "no engine")
    done = evaluate(*arguments)
    assert done.exit_code == 3, done.stderr
    front.script.unready = ""
    front.script.failing.clear()
    assert 0 < before < SAMPLES
    assert all(record.problem is None for record in records(tmp_path / "run"))
    done = evaluate(*arguments)
    assert done.exit_code == 0, done.stderr
    assert len(records(tmp_path / "run")) == SAMPLES


def test_a_full_disk_stops_the_run_and_keeps_whole_lines(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    arguments = asking(_url(front), scenes, tmp_path / "run")

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, preexec_fn=small_disk, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "results are kept; make room and run the same command again" in done.stderr
    assert 0 < len(records(tmp_path / "run")) < SAMPLES
    assert evaluate(*arguments).exit_code == 0
    assert len(records(tmp_path / "run")) == SAMPLES


def test_a_missing_image_is_told_before_the_first_request(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    (scenes / "val" / "images" / "0003.png").unlink()
    done = evaluate(*asking(_url(front), scenes, tmp_path / "run"))
    assert done.exit_code == 1
    assert f"1 of {SAMPLES} samples have no image" in done.stderr
    assert not front.script.calls["proposals"]


def test_another_model_ends_the_run(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    evaluate(*asking(_url(front), scenes, tmp_path / "run", "--shard", "0/2"))
    manifest = tmp_path / "run" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"double"', '"another"'))
    done = evaluate(*asking(_url(front), scenes, tmp_path / "run", "--shard", "0/2"))
    assert done.exit_code == 1
    assert "gateway was" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("granularity: [", "neither YAML nor JSON"),
        ("mask_format: png", "kept as rle"),
        ("granulrity: part", "granulrity"),
    ],
)
def test_options_that_are_none_are_told_in_one_line(text: str, told: str, scenes: Path, tmp_path: Path) -> None:
    options = tmp_path / "options.yaml"
    options.write_text(text)
    done = evaluate(*asking("http://127.0.0.1:9", scenes, tmp_path / "run", "--options", options))
    assert done.exit_code == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_gateway_says_what_it_answers_with(front: Gateway) -> None:
    answer: httpx2.Response = front.http.get("/v1/info")
    assert [service["service"] for service in answer.json()["services"]] == ["double"] * 3
