"""A folder with samples to annotate: three of them, on one image."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.training.segdt.samples import spoilt


@dataclass(frozen=True)
class Job:
    """What the command is given."""

    file: Path
    images: Path
    out: Path

    @property
    def arguments(self) -> list[str]:
        return [str(self.file), "--images", str(self.images), "--out", str(self.out), "--annotator", "Ada"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Sample a has a drafted path, b has none, c has a draft that is good as it is."""
    (tmp_path / "images").mkdir()
    picture = tmp_path / "images" / "golden.png"
    Image.new("RGB", (64, 48), "teal").save(picture)
    digest = ("image.sha256", hashlib.sha256(picture.read_bytes()).hexdigest())
    draft = ("provenance.annotator", "draft:some-llm")
    lines = [
        spoilt(digest, draft, identity="a"),
        spoilt(digest, draft, ("path", []), ("indices", []), identity="b"),
        spoilt(digest, draft, identity="c"),
    ]
    file = tmp_path / "segdt.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    return Job(file, tmp_path / "images", tmp_path / "done.jsonl")


def said(index: int, keep: bool | None, reasoning: str = "a thing") -> dict[str, object]:
    """A decision as the page sends it."""
    return {"index": index, "keep": keep, "reasoning": reasoning, "semantic": ""}


def step(*decisions: dict[str, object], criterion: str = "holds a drink", otherwise: str | None = None) -> str:
    """The body of a path of one step."""
    return json.dumps({"path": [{"criterion": criterion, "decisions": decisions, "otherwise": otherwise}]})
