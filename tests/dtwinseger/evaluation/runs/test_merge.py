"""Shards become one run: whole, in order, and of one system; the Kubernetes jobs make and merge them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dtwinseger.evaluation.runs.record import MANIFEST, RESULTS, RunError, Shard
from tests.dtwinseger.evaluation.runs.conftest import SAMPLES, asking, evaluate, records
from tests.gateway.conftest import Gateway

JOBS = Path(__file__).parents[4] / "k8s" / "eval"


@pytest.fixture
def shards(front: Gateway, scenes: Path, tmp_path: Path) -> list[Path]:
    folders = [tmp_path / f"shard-{index}" for index in range(3)]
    for index, folder in enumerate(folders):
        assert evaluate(*asking(front.http.base_url, scenes, folder, "--shard", f"{index}/3")).exit_code == 0
    return folders


def test_shards_merge_into_what_one_run_would_be(
    shards: list[Path], front: Gateway, scenes: Path, tmp_path: Path
) -> None:
    merged = evaluate("merge", *reversed(shards), "--out", tmp_path / "merged")
    assert merged.exit_code == 0, merged.stderr
    evaluate(*asking(front.http.base_url, scenes, tmp_path / "whole"))
    assert records(tmp_path / "merged") == records(tmp_path / "whole")
    assert (tmp_path / "merged" / MANIFEST).read_text() == (tmp_path / "whole" / MANIFEST).read_text()
    lines = (tmp_path / "merged" / RESULTS).read_text().splitlines()
    assert [line.split('"')[3] for line in lines] == [f"{k:04d}" for k in range(SAMPLES)]


def test_a_gap_is_refused_unless_told(shards: list[Path], tmp_path: Path) -> None:
    refused = evaluate("merge", shards[0], shards[2], "--out", tmp_path / "merged")
    assert refused.exit_code == 1
    assert "8 of 24 samples are missing, position 8 the first" in refused.stderr
    assert not (tmp_path / "merged").exists()
    told = evaluate("merge", shards[0], shards[2], "--out", tmp_path / "merged", "--partial")
    assert told.exit_code == 0
    assert "8 of 24 samples are missing" in told.stderr


def test_an_overlap_and_another_system_are_refused(shards: list[Path], tmp_path: Path) -> None:
    twice = evaluate("merge", *shards, shards[0], "--out", tmp_path / "merged")
    assert twice.exit_code == 0  # one folder named twice is one folder
    (tmp_path / "copy").mkdir()
    for name in (MANIFEST, RESULTS):
        (tmp_path / "copy" / name).write_bytes((shards[0] / name).read_bytes())
    overlap = evaluate("merge", *shards, tmp_path / "copy", "--out", tmp_path / "other")
    assert "both hold sample 00" in overlap.stderr
    manifest = shards[1] / MANIFEST
    manifest.write_text(manifest.read_text().replace('"val"', '"test"'))
    other = evaluate("merge", *shards, "--out", tmp_path / "other")
    assert other.exit_code == 1
    assert "split was val and is test" in other.stderr


@pytest.mark.parametrize("text", ["3/3", "-1/2", "1", "a/b", "1/0"])
def test_a_shard_is_i_of_n(text: str) -> None:
    with pytest.raises(RunError, match="must be i/n"):
        Shard.parse(text)


def test_shards_share_every_sample_out_once() -> None:
    for total in (0, 5, 100):
        spans = [Shard(index=index, count=7).span(total) for index in range(7)]
        assert [position for span in spans for position in span] == list(range(total))


def test_the_jobs_run_and_merge_every_shard(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    job = yaml.safe_load((JOBS / "job.yaml").read_text())["spec"]
    container = job["template"]["spec"]["containers"][0]
    assert container["command"] == ["dtwinseger", "eval", "run"]
    here = {
        "/data": str(scenes),
        "/runs": str(tmp_path),
        "reasonseg-test": "all",
        "reasonseg": "scenes",
        "=test": "=val",
    }
    for index in range(job["completions"]):
        arguments = [_there(text.replace("$(JOB_COMPLETION_INDEX)", str(index)), here) for text in container["args"]]
        done = evaluate("run", *arguments, "--url", front.http.base_url)
        assert done.exit_code == 0, done.stderr
    merge = yaml.safe_load((JOBS / "merge.yaml").read_text())["spec"]["template"]["spec"]["containers"][0]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run([_there(text, here) for text in merge["command"]], check=True, env=os.environ | {"PATH": path})
    assert len(records(tmp_path / "all" / "merged")) == SAMPLES


def _there(text: str, here: dict[str, str]) -> str:
    for name, value in here.items():
        text = text.replace(name, value)
    return text


def test_an_ablation_is_a_row_for_each_file(front: Gateway, scenes: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "full.yaml").write_text("semantics: {prompting: system}\n")
    (rows / "prompting-direct.yaml").write_text("semantics: {prompting: direct}\n")
    (rows / "mine.yaml").write_text("granularity: part\n")
    _, *arguments = asking(front.http.base_url, scenes, tmp_path / "runs", "--limit", 6)
    done = evaluate("ablate", rows, *arguments)
    assert done.exit_code == 0, done.stderr
    table = (tmp_path / "runs" / "table.md").read_text()
    assert table in done.stdout
    assert "| **Prompting** | direct (prompting-direct) | 66.7 [33.3, 100.0] |" in table
    assert "| 50.6 / 50.2 |" in table
    assert "|  | **mine** | 66.7" in table


def test_the_papers_ablation_is_made_of_options_that_exist() -> None:
    from dtwinseger.evaluation.report.published import ABLATION
    from dtwinseger.evaluation.runs import ablate, options

    folder = Path(ablate.__file__).parents[1] / "ablations"
    named = {name for _, _, name, _, _ in ABLATION if name}
    assert {path.stem for path in folder.glob("*.yaml")} == named
    for path in folder.glob("*.yaml"):
        assert options.read_options(path)
