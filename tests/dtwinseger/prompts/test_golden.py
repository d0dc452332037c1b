"""What the bundled VLM was trained on, to the byte: who changes it must train the model again.

Pictures are compared by their pixels: another zlib packs the same ones into other bytes.
"""

import hashlib

import numpy as np

from dtwinseger import prompts
from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts import views
from dtwinseger.prompts.questions import question, semantics_digest
from dtwinseger.prompts.showing import prepare, show

SIDE = 96  # of the bundled model's pictures
SEMANTICS = "ae8f8d33bdfb41d1cb1a9db2d89505763dc988ff1b098d5f1709cf61a2419b66"
GRANULARITY = "26eed18b520ca56b5da0138953cfc39433f9d5420bc6403b1f4337afd06c63b3"
WHOLE = "101325a68637dc64e291983ce6fc8e6a8d14261cbc6d7b4625699295411c4b32"
MARKED = "830f4d9d0c66fcd916007d2c2113708de7d6a69d6b582a90fbec7f2b3341762c"
CROP = "b1c1921ac905f0a57161a6c6021da37dc0d79055c213d2991c5aef8ab7f4b3e4"


def sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def picture() -> views.Picture:
    """[120, 200, 3]: ramps, and a checkered square."""
    y, x = np.mgrid[:120, :200]
    ramps = np.stack([x, 2 * y, 255 - x], axis=2)
    ramps[40:80, 60:110] = ((y + x)[40:80, 60:110, None] // 7 % 2) * 200
    return ramps.astype(np.uint8)


def mask() -> np.ndarray:
    inside = np.zeros((120, 200), dtype=np.bool_)
    inside[40:80, 60:110] = True
    inside[50:60, 70:80] = False
    return inside


def test_the_instructions_are_those_that_the_bundled_model_knows() -> None:
    assert sha256(prompts.SEMANTICS) == SEMANTICS
    assert sha256(prompts.GRANULARITY) == GRANULARITY
    assert semantics_digest(SemanticsOptions()) == SEMANTICS


def test_the_pictures_are_those_that_the_bundled_model_knows() -> None:
    whole = views.scaled(picture(), SIDE)
    shown = [whole, views.marked(whole, mask(), 7, SIDE), views.crop(picture(), mask(), SIDE)]
    assert [sha256(each.tobytes()) for each in shown] == [WHOLE, MARKED, CROP]
    assert all(views.encoded(each) == views.png(each) for each in shown)


def test_the_messages_are_those_that_the_bundled_model_knows() -> None:
    system = {"role": "system", "content": prompts.SEMANTICS}
    marked = {"type": "image_url", "image_url": {"url": "data:image/png;base64,bQ=="}}
    crop = {"type": "image_url", "image_url": {"url": "data:image/png;base64,Yw=="}}
    for query, asked in (
        ("the mug?", "Query: the mug?\nObject: 7"),
        (None, "There is no query: describe the object for any.\nObject: 7"),
    ):
        content = [{"type": "text", "text": asked}, marked, crop]
        assert prompts.semantics(query, 7, b"m", b"c") == [system, {"role": "user", "content": content}]
    text, whole = prompts.granularity("the mug?", b"m")[1]["content"][::-1]
    assert (text, whole) == ({"type": "text", "text": "Query: the mug?"}, marked)


def test_the_options_as_they_come_ask_exactly_so() -> None:
    options = SemanticsOptions()
    shown = show(prepare(options, picture(), [(7, mask())], SIDE), [(7, mask())])
    whole = views.scaled(picture(), SIDE)
    pictures = views.png(views.marked(whole, mask(), 7, SIDE)), views.png(views.crop(picture(), mask(), SIDE))
    assert question(options, "the mug?", shown, SIDE) == prompts.semantics("the mug?", 7, *pictures)
