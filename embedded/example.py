"""The bundled example: an image, a question that implies its target, and the true masks.

`python -m embedded.example` renders it anew from its scene.
"""

from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict

from dtwinseger.api import SegmentResult
from dtwinseger.evaluation.metrics import pixel_counts
from dtwinseger.twin import Mask
from dtwinseger.twin.mask import union

FOLDER = Path(__file__).with_name("example")
IMAGE = FOLDER / "scene.png"
QUESTION = FOLDER / "question.json"
ON_THE_PAGE = FOLDER.parent.parent / "gateway" / "pages" / "example.jpg"  # the same image, as the web page offers it

SEED = 38  # held out: nothing is trained on scenes below 10,000
SIDE = 512  # pixels
QUERY = "what would keep me dry?"
KIND = "umbrella"  # what does

MIN_IOU = 0.5


class Question(BaseModel):
    """A query about the image and its true answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    masks: tuple[Mask, ...]  # one an object


class Verdict(BaseModel):
    """An answer beside the truth."""

    iou: float
    objects: int
    expected: int

    @property
    def right(self) -> bool:
        """The mask lies where it should and the objects are as many as there are."""
        return self.iou > MIN_IOU and self.objects == self.expected

    def __str__(self) -> str:
        return f"IoU with the truth {self.iou:.2f}; {self.objects} of {self.expected} objects"


def load() -> Question:
    """The bundled question."""
    return Question.model_validate_json(QUESTION.read_text())


def judge(question: Question, result: SegmentResult) -> Verdict:
    """Compare a result, its mask as RLE, with the truth."""
    if not isinstance(result.mask, Mask):
        raise TypeError("ask for mask_format rle to have the answer judged")
    truth = union(question.masks, result.mask.size)
    intersection, together = pixel_counts(result.mask.decode(), truth.decode())
    return Verdict(iou=intersection / max(together, 1), objects=len(result.indices), expected=len(question.masks))


def render() -> None:
    """Write the image, for the page too, and the question."""
    from training.scenes import render_scene  # the rendered world is needed here alone

    scene = render_scene(SEED, SIDE, SIDE)
    masks = tuple(Mask.encode(found.mask) for found in scene.objects if found.kind == KIND)
    FOLDER.mkdir(exist_ok=True)
    image = Image.fromarray(scene.image)
    image.save(IMAGE, optimize=True)
    image.save(ON_THE_PAGE, quality=90, optimize=True)
    QUESTION.write_text(Question(query=QUERY, masks=masks).model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    render()
