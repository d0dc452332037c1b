"""A line of Seg-DT, and the rules that its fields keep among themselves."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from dtwinseger.twin import Granularity, ImageInfo, Index, Step, TwinRow, violations
from dtwinseger.twin.model import TwinModel
from dtwinseger.twin.text import told_relations

SCHEMA: Final = 1
_SHA256 = r"^[0-9a-f]{64}$"
_FILE = r"^[^/\\\x00]+$"

Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class SegDTImage(ImageInfo):
    """The image that the twin was made of. Its size is that of the upright picture, EXIF orientation applied."""

    width: Annotated[int, Field(gt=0)]  # pixels
    height: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern=_SHA256)]  # of the file's bytes
    file: Annotated[str, Field(pattern=_FILE)]  # its name in the folder of images


class SegDTProvenance(TwinModel):
    """Who wrote the path, and where the sample comes from.

    annotator: "world" (solved by the rendered world's own rules), "draft:<model>" (an LLM that knew the answer), or who
    wrote or corrected it. generator: the builder, and after a colon the kind of query, where it is known.
    """

    annotator: Text
    split: Text
    generator: Text

    @property
    def kind(self) -> str:
        """The kind of query; "-" where nothing says."""
        return self.generator.partition(":")[2] or "-"


class SegDTSample(TwinModel):
    """A twin, a query, and the reasoning path that leads to the answer. `indices` [] is an answer: nothing fits."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    id: Text
    schema_version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    granularity: Granularity
    image: SegDTImage
    query: Text
    dt0: tuple[TwinRow, ...]  # the objects as the reasoner reads them, in index order
    path: tuple[Step, ...]
    indices: tuple[Index, ...]
    provenance: SegDTProvenance

    def line(self) -> str:
        """The sample as its line of the file, without the newline."""
        return self.model_dump_json()


def faults(sample: SegDTSample, *, unwritten: bool = False) -> list[str]:
    """What the sample says that cannot be, in words that begin with the field; empty where nothing is wrong.

    The path obeys `dtwinseger.twin.violations`, relations and indices name objects of the twin, boxes lie in the image.
    unwritten: a path may be [] too.
    """
    path = [] if unwritten and not sample.path else _path_faults(sample)
    return [*_twin_faults(sample), *(f"path: {fault}" for fault in path)]


def _twin_faults(sample: SegDTSample) -> Iterator[str]:
    indices = [row.index for row in sample.dt0]
    if indices != sorted(set(indices)):
        yield f"dt0: objects must be in index order, each once; they are {_some(indices)}"
    known = set(indices)
    for row in sample.dt0:
        where = f"dt0: object {row.index}"
        x1, y1, x2, y2 = row.bbox
        if not (0 <= x1 < x2 <= sample.image.width and 0 <= y1 < y2 <= sample.image.height):
            yield f"{where}: bbox {list(row.bbox)} is not within {sample.image.width}x{sample.image.height}"
        if not 0 <= row.area_percent <= 100:
            yield f"{where}: area_percent is {row.area_percent}"
        targets = [target for _, target in told_relations(row.spatial)]
        if unknown := sorted(set(targets) - known):
            yield f"{where}: spatial relates it to {_some(unknown)}, which are not in the twin"
        if row.index in targets:
            yield f"{where}: spatial relates it to itself"
    if unknown := sorted(set(sample.indices) - known):
        yield f"indices: {_some(unknown)} are not in the twin"


def _path_faults(sample: SegDTSample) -> list[str]:
    return violations(sample.path, sample.indices, [row.index for row in sample.dt0])


def _some(values: list[int]) -> str:
    return str(values) if len(values) <= 10 else f"{str(values[:10])[:-1]}, … {len(values)} in all]"
