import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dtwinseger import api
from dtwinseger.twin import Mask
from tests.doubles.openai_server import Body, Fails, OpenAIServer, Reply, Says, openai_server
from tests.training.segdt.seeing import Eyes, Seen, eyes
from training.annotate.sight import masks_of
from training.segdt import SegDTSample, read
from training.segdt.commands import app
from training.segdt.validate import check

SHARED = Path(__file__).parents[4] / "shared/data"
HEIGHT, WIDTH = 40, 60
MUG, HANDLE, DESK = (5, 5, 20, 20), (20, 8, 26, 16), (0, 22, 60, 40)  # x1, y1, x2, y2


def box(x1: int, y1: int, x2: int, y2: int) -> Mask:
    """A mask of a box."""
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    pixels[y1:y2, x1:x2] = True
    return Mask.encode(pixels)


def outline(label: str, x1: int, y1: int, x2: int, y2: int) -> dict[str, Any]:
    """A shape as ReasonSeg has it, drawn with its edge."""
    return {"label": label, "points": [[x1, y1], [x2 - 1, y1], [x2 - 1, y2 - 1], [x1, y2 - 1]]}


def saw(name: str, where: tuple[int, int, int, int], predicted_iou: float = 0.9) -> Seen:
    """What the services make of a box."""
    return Seen(box(*where), api.Semantics(semantic=f"a {name}", category=name), predicted_iou)


def add(root: Path, name: str, query: str, *shapes: dict[str, Any]) -> bytes:
    """A photograph with its annotation; the bytes of the photograph."""
    folder = root / "train"
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (len(name), 80, 80)).save(folder / f"{name}.jpg")
    (folder / f"{name}.json").write_text(json.dumps({"text": [query], "is_sentence": True, "shapes": list(shapes)}))
    return (folder / f"{name}.jpg").read_bytes()


def drafted(body: Body) -> str:
    """A path of one step to the answer that the LLM is told."""
    user = body["messages"][1]["content"]
    twin, _, after = user.removeprefix("Twin: ").partition("\nQuery: ")
    answer = json.loads(after.rpartition("\nAnswer: ")[2])
    return path_to(json.loads(twin), answer)


def path_to(twin: list[dict[str, Any]], answer: list[int], reasoning: str | None = None) -> str:
    """An answer as an LLM writes it."""
    decisions = [
        {
            "index": row["index"],
            "reasoning": reasoning or row["semantic"],
            "keep": row["index"] in answer,
            "semantic": row["semantic"] if row["index"] in answer else None,
        }
        for row in twin
    ]
    step = {"step": 1, "criterion": "holds a drink", "decisions": decisions, "otherwise": None}
    return json.dumps({"path": [step], "indices": answer})


@pytest.fixture
def sight() -> Iterator[Eyes]:
    with eyes() as seeing:
        yield seeing


@contextmanager
def llm(monkeypatch: pytest.MonkeyPatch, *script: Reply) -> Iterator[OpenAIServer]:
    """An LLM that drafts as scripted."""
    with openai_server(*script) as engine:
        monkeypatch.setenv("SEGDT_ENGINE_URL", engine.url)
        monkeypatch.setenv("SEGDT_ENGINE_MODEL", "drafty")
        yield engine


def build(folder: Path, root: Path, sight: Eyes, *more: str) -> Result:
    urls = ["--perception", sight.url, "--semantics", sight.url]
    return CliRunner().invoke(app, ["build", "reasonseg", str(folder), "--root", str(root), *urls, *more])


def built(folder: Path) -> dict[str, SegDTSample]:
    """Id -> sample, all valid and with their images."""
    found = check([folder / "segdt.jsonl"], folder / "images", 10)
    assert found.shown == []
    return {sample.id: sample for sample in read(folder / "segdt.jsonl")}


def left_out(folder: Path) -> dict[str, int]:
    """Reason -> samples, of the whole build."""
    records = [json.loads(line) for line in (folder / "done.jsonl").read_text().splitlines()]
    return {reason: count for record in records for reason, count in record["left_out"].items()}


def test_targets_are_the_objects_that_the_mask_shows(
    tmp_path: Path, sight: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [saw("mug", MUG), saw("handle", HANDLE), saw("desk", DESK), saw("blur", (4, 4, 27, 21), 0.5)]
    both = add(tmp_path, "both", "what holds a drink?", outline("target", *MUG), outline("target", *HANDLE))
    none = add(tmp_path, "none", "what flies?", outline("ignore", *DESK))
    away = add(tmp_path, "away", "what is up there?", outline("target", 40, 2, 55, 12))
    for image in (both, none, away):
        sight.show(image, objects)
    with llm(monkeypatch, Says(drafted)) as engine:
        done = build(tmp_path / "out", tmp_path, sight)
    assert done.exit_code == 0, done.output
    samples = built(tmp_path / "out")
    assert set(samples) == {"reasonseg-both", "reasonseg-none"}
    kept = [row.semantic for row in samples["reasonseg-both"].dt0 if row.index in samples["reasonseg-both"].indices]
    assert kept == ["a mug", "a handle"]  # the blur fits best alone, but SAM is not sure of it
    assert samples["reasonseg-none"].indices == ()
    assert left_out(tmp_path / "out") == {"not all targets were found": 1}
    assert samples["reasonseg-both"].provenance.annotator == "draft:drafty"
    assert samples["reasonseg-both"].provenance.generator == "reasonseg:sentence"
    assert (tmp_path / "out/images/both.jpg").read_bytes() == both
    shown = masks_of(samples["reasonseg-both"], tmp_path / "out/masks")  # a person sees outlines
    assert {index: mask.bbox for index, mask in shown.items()} == {
        row.index: row.bbox for row in samples["reasonseg-both"].dt0
    }
    assert sorted(filter(None, sight.queries)) == ["what flies?", "what holds a drink?", "what is up there?"]
    assert len(engine.requests) == 2
    assert "2 calls" in done.output


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda twin: path_to(twin, [1]), "the answer is [2]"),
        (lambda twin: path_to(twin[:1], [2]), "does not decide on [2]"),
        (lambda twin: path_to(twin, [2], "the known answer says so"), "the path says 'known answer'"),
        (lambda twin: "I would say the mug.", "That answer is not valid"),
    ],
    ids=["other objects", "a broken rule", "a betrayed answer", "no JSON"],
)
def test_a_bad_draft_is_sent_back_once_and_then_left_out(
    tmp_path: Path, sight: Eyes, monkeypatch: pytest.MonkeyPatch, spoil: Any, complaint: str
) -> None:
    sight.show(
        add(tmp_path, "mug", "what holds a drink?", outline("target", *MUG)), [saw("mug", MUG), saw("desk", DESK)]
    )

    def bad(body: Body) -> str:
        twin = body["messages"][1]["content"].removeprefix("Twin: ").partition("\nQuery: ")[0]
        return str(spoil(json.loads(twin)))

    with llm(monkeypatch, Says(bad), Says(drafted)) as engine:
        assert build(tmp_path / "mended", tmp_path, sight).exit_code == 0
    assert len(built(tmp_path / "mended")) == 1
    assert complaint in engine.requests[1]["messages"][-1]["content"]
    with llm(monkeypatch, Says(bad)):
        done = build(tmp_path / "left", tmp_path, sight)
    assert done.exit_code == 1
    assert "no sample was written" in done.output
    assert left_out(tmp_path / "left") == {"the LLM drafted no valid path": 1}


def test_an_engine_that_fails_ends_the_build_and_the_same_command_goes_on(
    tmp_path: Path, sight: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second2"):
        sight.show(add(tmp_path, name, "what holds a drink?", outline("target", *MUG)), [saw("mug", MUG)])
    with openai_server(Says(drafted), Fails(401)) as engine:
        monkeypatch.setenv("SEGDT_ENGINE_URL", engine.url)
        monkeypatch.setenv("SEGDT_ENGINE_MODEL", "drafty")
        failed = build(tmp_path / "out", tmp_path, sight)
        assert failed.exit_code == 1
        assert "it refuses the API key; the same command goes on from here" in failed.output
        engine.script[:] = [Says(drafted)]
        assert build(tmp_path / "out", tmp_path, sight).exit_code == 0
    assert list(built(tmp_path / "out")) == ["reasonseg-first", "reasonseg-second2"]


def test_what_is_missing_is_told(tmp_path: Path, sight: Eyes, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = build(tmp_path / "out", tmp_path, sight)
    assert nothing.exit_code == 1
    assert "SEGDT_ENGINE_" in nothing.output
    monkeypatch.setenv("SEGDT_ENGINE_MODEL", "drafty")
    no_data = build(tmp_path / "out", tmp_path, sight)
    assert no_data.exit_code == 1
    assert "no ReasonSeg here" in no_data.output


def recorded(name: str) -> list[Seen]:
    """What SAM 2 and a VLM made of one of ReasonSeg's photographs."""
    folder = SHARED / "recorded" / name
    said = json.loads((folder / "descriptions.json").read_text())
    seen = []
    for number, words in said.items():
        if number != "whole":
            with Image.open(folder / f"mask_{number}.png") as picture:
                mask = Mask.encode(np.asarray(picture.convert("L")) > 127)
            seen.append(Seen(mask, api.Semantics(semantic=words["des"][:500], category="thing")))
    return seen


@pytest.mark.skipif(not (SHARED / "recorded").is_dir(), reason="no recordings in ../shared/data")
def test_photographs_of_reasonseg_with_recorded_masks_give_samples(
    tmp_path: Path, sight: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = SHARED / "reason_seg"
    for image in sorted((root / "ReasonSeg/val").glob("*.jpg")):
        sight.show(image.read_bytes(), recorded(image.stem))
    with llm(monkeypatch, Says(drafted)):
        done = build(tmp_path, root, sight, "--split", "val")
    assert done.exit_code == 0, done.output
    samples = built(tmp_path)
    told = json.loads((SHARED / "recorded/692198_ac99d18ac5_o/answer.json").read_text())["answer_mask_id"]
    right = samples["reasonseg-692198_ac99d18ac5_o"]
    carpet = recorded("692198_ac99d18ac5_o")[int(told[0])].said
    assert carpet
    assert [row.semantic for row in right.dt0 if row.index in right.indices] == [carpet.semantic]
    assert {sample.provenance.generator for sample in samples.values()} <= {"reasonseg:sentence", "reasonseg:phrase"}
