"""Seg-DT files checked whole: every line, and the images that they name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtwinseger.images import decode_image
from dtwinseger.problems import Problem
from training.segdt.reading import LineError, lines
from training.segdt.schema import SegDTImage, SegDTSample


@dataclass
class Checked:
    """What a check found. `shown` are the first errors, as many as were asked for; `errors` counts all."""

    samples: int = 0  # without an error
    errors: int = 0
    shown: list[LineError] = field(default_factory=list)


def check(files: Sequence[Path], images: Path | None, most: int) -> Checked:
    """Check `files`, and with `images` the folder that holds their images; keep at most `most` errors."""
    found = Checked()
    pictures = Pictures(images) if images else None
    for path, at, item in lines(files):
        wrong = [item] if isinstance(item, LineError) else []
        if isinstance(item, SegDTSample):
            if pictures and (fault := pictures.fault(item.image)):
                wrong = [LineError(path, at, f"image: {fault}")]
            else:
                found.samples += 1
        found.errors += len(wrong)
        found.shown += wrong[: most - len(found.shown)]
    return found


class Pictures:
    """The images of a folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, int, str] | str] = {}  # width, height, SHA-256; or why there are none

    def fault(self, image: SegDTImage) -> str:
        """What is wrong with the file of `image`; "" where nothing is."""
        if image.file not in self._known:
            self._known[image.file] = self._look(image.file)
        found = self._known[image.file]
        if isinstance(found, str):
            return found
        width, height, sha256 = found
        if (width, height) != (image.width, image.height):
            return f"{image.file} is {width}x{height}, not {image.width}x{image.height}"
        if sha256 != image.sha256:
            return f"{image.file} has SHA-256 {sha256[:12]}…, not {image.sha256[:12]}…"
        return ""

    def _look(self, name: str) -> tuple[int, int, str] | str:
        path = self._folder / name
        try:
            data = path.read_bytes()
            height, width = decode_image(data).size
        except OSError as error:
            return f"{path}: {error.strerror or error}"
        except Problem as problem:
            return f"{path}: {problem.detail}"
        return width, height, hashlib.sha256(data).hexdigest()
