"""An annotation: the samples, their images and masks, and what is saved of them."""

import threading
from io import BytesIO
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict

from dtwinseger.images import decode_image
from dtwinseger.twin import Granularity, Index, Step, TwinRow
from training.annotate.output import AnnotateError, Output
from training.annotate.sight import Drawn, draw, masks_of
from training.annotate.written import Fault, Written, complete
from training.segdt.output import MASKS
from training.segdt.reading import SegDTError, read
from training.segdt.schema import SegDTSample
from training.segdt.validate import Pictures


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Progress(_Shown):
    """Where an annotation stands. `file` is the samples' whole path: a browser keeps unsaved edits by it. `saved` says
    of each sample whether it is annotated."""

    file: str
    output: str
    annotator: str
    saved: tuple[bool, ...]


class ShownObject(_Shown):
    row: TwinRow
    drawn: Drawn


class ShownSample(_Shown):
    """A sample as the page gets it. `path` is what was saved, else the file's; `expected` the file's answer, where
    it tells one."""

    id: str
    query: str
    granularity: Granularity
    width: int  # pixels
    height: int
    objects: tuple[ShownObject, ...]
    path: tuple[Step, ...]
    written_by: str
    expected: tuple[Index, ...] | None


class Session:
    """The samples of a file, by their position from 0. Raises AnnotateError where one cannot be annotated."""

    def __init__(self, file: Path, images: Path, out: Path, annotator: str) -> None:
        self.annotator = _name(annotator)
        self._file, self._images = file, images
        try:
            self.samples = read(file, unwritten=True)
        except SegDTError as error:
            more = f" (and {len(error.errors) - 1:,} more errors)" if len(error.errors) > 1 else ""
            raise AnnotateError(f"{error.errors[0]}{more}") from error
        if out.exists() and out.samefile(file):
            raise AnnotateError(f"{out} is what is to be annotated; choose another --out")
        pictures = Pictures(images)
        for number, sample in enumerate(self.samples, start=1):
            if fault := pictures.fault(sample.image):
                raise AnnotateError(f"{file}:{number}: image: {fault}")
        self.output = Output(out, {sample.id: sample for sample in self.samples})
        self._saving = threading.Lock()

    def progress(self) -> Progress:
        """Where the annotation stands."""
        return Progress(
            file=str(self._file.resolve()),
            output=str(self.output.path),
            annotator=self.annotator,
            saved=tuple(sample.id in self.output.saved for sample in self.samples),
        )

    def show(self, position: int) -> ShownSample:
        """The sample as it is to be shown. Raises AnnotateError where its masks cannot be read."""
        sample = self.samples[position]
        now = self.output.saved.get(sample.id, sample)
        masks = masks_of(sample, self._file.parent / MASKS)
        return ShownSample(
            id=sample.id,
            query=sample.query,
            granularity=sample.granularity,
            width=sample.image.width,
            height=sample.image.height,
            objects=tuple(ShownObject(row=row, drawn=draw(row, masks.get(row.index))) for row in sample.dt0),
            path=now.path,
            written_by=now.provenance.annotator,
            expected=sample.indices if sample.path or sample.indices else None,
        )

    def picture(self, position: int) -> bytes:
        """The sample's image as JPEG, upright, in its full size: browsers do not show every format that is read."""
        pixels = decode_image((self._images / self.samples[position].image.file).read_bytes()).pixels
        encoded = BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=95, subsampling=0)
        return encoded.getvalue()

    def save(self, position: int, written: Written) -> list[Fault]:
        """Save the path if nothing is missing or wrong; else say what is, and save nothing.

        Raises AnnotateError where the output cannot be written.
        """
        made = complete(self.samples[position], written, self.annotator)
        if not isinstance(made, SegDTSample):
            return made
        with self._saving:
            self.output.save(made)
        return []


def _name(annotator: str) -> str:
    if not annotator.strip() or annotator == "world" or annotator.startswith("draft:"):
        raise AnnotateError(f"--annotator {annotator!r} is no person's name")
    return annotator.strip()
