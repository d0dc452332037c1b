"""Renders the worked examples of prompting `in_context`: `python -m tests.dtwinseger.prompts.examples`."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter

from dtwinseger.prompts import worked
from dtwinseger.twin import Mask
from training.scenes import render_scene

FOLDER = Path(worked.__file__).parent / "examples"
COLORS = 128  # of the stored picture, so that it stays small


@dataclass(frozen=True)
class Wanted:
    """A scene and what is said of some of its objects, by their kind and color; the first is asked about alone."""

    name: str
    seed: int
    query: str
    answers: dict[tuple[str, str], dict[str, object]]


WANTED = (
    Wanted(
        "rain.png",
        500_245,
        "what would keep me dry?",
        {
            ("umbrella", "pink"): {
                "semantic": "a large pink dotted umbrella, open, that keeps the rain off",
                "category": "umbrella",
                "attributes": ["large", "pink", "dotted"],
                "relevance": 0.97,
            },
            ("shoe", "purple"): {
                "semantic": "a purple shoe with white laces",
                "category": "shoe",
                "attributes": ["large", "purple"],
                "relevance": 0.03,
            },
        },
    ),
    Wanted(
        "drink.png",
        500_402,
        "something to drink from",
        {
            ("clock", "black"): {
                "semantic": "a black alarm clock with two bells",
                "category": "clock",
                "attributes": ["medium", "black", "round"],
                "relevance": 0.01,
            },
            ("mug", "pink"): {
                "semantic": "a large pink mug with a handle, to drink from",
                "category": "mug",
                "attributes": ["large", "pink"],
                "relevance": 0.98,
            },
        },
    ),
)


def render() -> dict[str, bytes]:
    """The files by name."""
    rendered: dict[str, bytes] = {}
    examples = []
    for wanted in WANTED:
        scene = render_scene(wanted.seed, worked.SIDE, worked.SIDE)
        calm = Image.fromarray(scene.image).filter(ImageFilter.MedianFilter(3))  # noise does not compress
        few = calm.quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        few.save(buffer, "PNG", optimize=True)
        rendered[wanted.name] = buffer.getvalue()
        indices = {(found.kind, found.color): index for index, found in enumerate(scene.objects, start=1)}
        examples.append(
            {
                "image": wanted.name,
                "query": wanted.query,
                "masks": [Mask.encode(found.mask).model_dump() for found in scene.objects],
                "answers": {str(indices[which]): answer for which, answer in wanted.answers.items()},
            }
        )
    rendered["examples.json"] = (json.dumps(examples, ensure_ascii=False, indent=1) + "\n").encode()
    return rendered


if __name__ == "__main__":
    for name, data in render().items():
        (FOLDER / name).write_bytes(data)
        print(f"{name}: {len(data):,} bytes")
