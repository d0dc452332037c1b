"""Bad input: the exact problem code, words that help, and nothing in the store."""

import sqlite3
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dtwinseger.twin import Mask
from tests.gateway.conftest import Gateway, encoded, png


def jpeg(size: tuple[int, int] = (64, 56)) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), "JPEG", quality=95)


def huge_png(width: int, height: int) -> bytes:
    """A PNG that claims width x height pixels and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def nothing_is_stored(store_url: str) -> bool:
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'entries'").fetchall()
        return not tables or database.execute("SELECT count(*) FROM entries").fetchone() == (0,)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        pytest.param(b"", "invalid_image", id="0 bytes"),
        pytest.param(b"%PDF-1.7 not an image", "invalid_image", id="not an image"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "invalid_image", id="svg"),
        pytest.param(jpeg()[:900], "invalid_image", id="truncated jpeg"),
        pytest.param(png(400, 400)[:-30], "invalid_image", id="truncated png"),
        pytest.param(huge_png(8000, 5126), "image_too_large", id="41 megapixels"),
        pytest.param(huge_png(60000, 60000), "image_too_large", id="decompression bomb"),
        pytest.param(png() + bytes(21_000_000), "image_too_large", id="21 MB"),
    ],
)
def test_a_bad_image_has_its_code(front: Gateway, store_url: str, image: bytes, code: str) -> None:
    response = front.segment(image)
    assert response.json()["code"] == code, response.text
    assert response.status_code == {"invalid_image": 400, "image_too_large": 413}[code]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"]
    assert not front.script.calls, "nothing was asked of the services"
    assert nothing_is_stored(store_url)


@pytest.mark.parametrize(
    ("query", "words"), [("", "query"), ("   \n", "empty"), ("a" * 3000, "at most 2,000")], ids=["", "blank", "long"]
)
def test_a_bad_query_has_its_code(front: Gateway, store_url: str, query: str, words: str) -> None:
    response = front.segment(query=query)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_query")
    assert words in response.json()["detail"]
    assert nothing_is_stored(store_url)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"granularity": "atom"}', "granularity"),
        ('{"proposals": {"points_per_side": 3}}', "proposals.points_per_side"),
        ('{"proposals": {"iou_threshold": 1.5}}', "proposals.iou_threshold"),
        ('{"proposals": {"iou_treshold": 0.5}}', "proposals.iou_treshold"),
        ('{"semantics": {"source": "owl"}}', "semantics.source"),
        ('{"image_url": "http://127.0.0.1/"}', "image_url"),
    ],
)
def test_broken_or_unknown_options_are_named(front: Gateway, store_url: str, options: str, words: str) -> None:
    response = front.segment(options=options)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_options")
    assert words in response.json()["detail"]
    assert nothing_is_stored(store_url)


def test_a_missing_field_is_named(front: Gateway) -> None:
    assert front.http.post("/segment", data={"query": "x"}).json()["code"] == "invalid_image"
    assert front.http.post("/segment", files={"image": png()}).json()["code"] == "invalid_query"
    assert front.http.post("/segment", json={"query": "x"}).json()["code"] == "invalid_image"


def test_a_deadline_that_is_no_number_is_refused(front: Gateway) -> None:
    assert front.segment(**{"X-Timeout-Ms": "soon"}).json()["code"] == "invalid_options"
    assert front.segment(**{"X-Timeout-Ms": "0"}).json()["code"] == "deadline_exceeded"


def modes() -> dict[str, bytes]:
    gray16 = Image.fromarray((np.arange(64 * 56).reshape(56, 64) * 18).astype(np.uint16))
    palette = Image.new("P", (64, 56), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    frames = [Image.new("RGB", (64, 56), color) for color in ("red", "blue")]
    return {
        "cmyk jpeg": encoded(Image.new("CMYK", (64, 56), (10, 200, 30, 0)), "JPEG"),
        "16-bit png": encoded(gray16),
        "palette with transparency": encoded(palette, "PNG", transparency=1),
        "rgba": encoded(Image.new("RGBA", (64, 56), (255, 0, 0, 10))),
        "gray with alpha": encoded(Image.new("LA", (64, 56), (9, 128))),
        "1-bit": encoded(Image.new("1", (64, 56), 1)),
        "animated webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        "multi-page tiff": encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "bmp": encoded(frames[0], "BMP"),
    }


@pytest.mark.parametrize("kind", list(modes()))
def test_every_mode_and_the_first_frame_is_read(front: Gateway, kind: str) -> None:
    response = front.segment(modes()[kind])
    assert response.status_code == 200, response.text
    assert Mask.model_validate(response.json()["mask"]).size == (56, 64)


def test_an_animated_gif_is_no_accepted_format(front: Gateway) -> None:
    frames = [Image.new("P", (64, 56), color) for color in (1, 2)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    response = front.segment(gif)
    assert response.json()["code"] == "invalid_image"
    assert "WebP" in response.json()["detail"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_by_its_exif(front: Gateway, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encoded(Image.new("RGB", (64, 56), "olive"), "JPEG", exif=exif.tobytes())
    result = front.segment(turned).json()
    upright = (56, 64) if orientation < 5 else (64, 56)
    assert Mask.model_validate(result["mask"]).size == upright
    with Image.open(BytesIO(front.http.get(f"/dt/{result['twin_id']}/mask.png").content)) as mask:
        assert (mask.height, mask.width) == upright


def test_a_line_of_pixels_is_an_image(front: Gateway) -> None:
    front.script.boxes = [(0, 10, 1, 400)]
    front.script.keep = {1}
    result = front.segment(png(1, 3000)).json()
    assert Mask.model_validate(result["mask"]).decode().sum() == 390
    overlay = front.http.get(f"/dt/{result['twin_id']}/overlay.png")
    assert overlay.status_code == 200, overlay.text
