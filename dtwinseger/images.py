"""Decoding of images that strangers send, with every limit checked before a pixel is decoded."""

import hashlib
import warnings
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from dtwinseger.api import MAX_BODY_BYTES, MAX_PIXELS
from dtwinseger.problems import Problem

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_ACCEPTED = "send a JPEG, PNG, WebP, BMP or TIFF"


@dataclass(frozen=True)
class DecodedImage:
    """An upright RGB picture and what identifies it."""

    pixels: NDArray[np.uint8]  # [H, W, 3] RGB, EXIF orientation applied
    sha256: str  # of the bytes as sent

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def decode_image(data: bytes) -> DecodedImage:
    """Decode the first frame of `data` to upright RGB; transparency is laid over white, metadata dropped.

    Raises Problem `invalid_image` for what is empty, of another format, truncated or corrupt, and `image_too_large`
    past MAX_BODY_BYTES or MAX_PIXELS. CPU-bound: call it off the event loop.
    """
    if not data:
        raise Problem("invalid_image", f"the image is empty; {_ACCEPTED}")
    if len(data) > MAX_BODY_BYTES:
        raise Problem("image_too_large", f"the image has {len(data):,} bytes; at most {MAX_BODY_BYTES:,} are accepted")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning comes later than our limit
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise Problem(
                        "image_too_large",
                        f"the image has {width}x{height} pixels; at most {MAX_PIXELS:,} are accepted: scale it down",
                    )
                image.seek(0)
                pixels = _to_rgb(ImageOps.exif_transpose(image))
    except Problem:
        raise
    except Image.DecompressionBombError as error:
        raise Problem("image_too_large", f"the image has more than {MAX_PIXELS:,} pixels: scale it down") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # What Pillow's parsers raise on bytes that are not what they claim to be.
        raise Problem("invalid_image", f"the image cannot be decoded ({_reason(error)}); {_ACCEPTED}") from error
    return DecodedImage(pixels=pixels, sha256=hashlib.sha256(data).hexdigest())


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips 16-bit gray at 255 on conversion; scale it instead.
        gray = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode != "F" else max(float(gray.max(initial=0.0)), 1.0)
        eight = np.clip(gray / top * 255.0 + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(eight[..., None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _reason(error: Exception) -> str:
    return "not a known format" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
