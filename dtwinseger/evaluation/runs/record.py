"""What a run keeps: a manifest that says what was asked of whom, and one record a sample."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtwinseger.api import GatewayInfo, Usage
from dtwinseger.evaluation.datasets import Dataset
from dtwinseger.evaluation.samples import Sample
from dtwinseger.problems import ProblemCode, in_words
from dtwinseger.twin import DigitalTwin, Granularity, Index, Mask

MANIFEST, RESULTS = "manifest.json", "results.jsonl"


class RunError(Exception):
    """A run that cannot be begun, resumed, merged or shown. The message says what to change."""


class Stopped(RunError):
    """A run that ended early with everything so far kept: the same command goes on from there."""


class RunModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(RunModel):
    """Part `index` of `count`, from 0: a contiguous piece, so that queries on one image stay together."""

    index: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "i/n", i from 0. Raises RunError."""
        index, _, count = text.partition("/")
        if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
            raise RunError(f"--shard {text}: must be i/n with i from 0 to n - 1, such as 0/8")
        return cls(index=int(index), count=int(count))

    def span(self, total: int) -> range:
        """The positions, of `total`, that are this shard's."""
        return range(total * self.index // self.count, total * (self.index + 1) // self.count)


class Manifest(RunModel):
    """What a folder of results holds the answers to. Two runs with equal manifests, shard aside, are one system's."""

    schema_version: int = 1
    dataset: Dataset
    split: str
    samples: int  # of the split, after --limit
    sample_ids: str  # SHA-256 over their ids and queries, in order
    options: dict[str, Any]  # of POST /segment, as they were given
    gateway: GatewayInfo  # models, prompts and settings of the system that answered
    client: str  # version of dtwinseger that asked
    shard: Shard = Shard()
    root: str = ""  # where the data set was

    def differences(self, other: "Manifest") -> list[str]:
        """What differs, shards and the data set's place aside, in words."""
        mine, theirs = (manifest.model_dump(exclude={"shard", "root"}) for manifest in (self, other))
        return [f"{name} was {mine[name]} and is {theirs[name]}" for name in mine if mine[name] != theirs[name]]


class Failure(RunModel):
    """Why a sample has no answer."""

    code: ProblemCode
    detail: str


class Result(RunModel):
    """What became of one sample. With its `sample_id` and `mask` it is a prediction that `eval score` reads."""

    sample_id: str
    position: Annotated[int, Field(ge=0)]  # in the split
    mask: Mask  # empty where the request failed
    problem: Failure | None = None
    intersection: int  # pixels, by LISA's definition
    union: int
    granularity: Granularity | None = None
    indices: tuple[Index, ...] = ()
    seconds: float  # from the first try to the answer, waiting included
    attempts: int
    timings_ms: dict[str, float] = Field(default_factory=dict)  # of the gateway's stages
    usage: Usage = Usage()  # what the answer cost when it was made, though the store may have given it now
    warnings: tuple[str, ...] = ()


class Record(Result):
    """One line of `results.jsonl`."""

    twin: DigitalTwin | None = None  # what was seen and why it was kept; null with --no-twins


class AsTold(BaseModel):
    """JSON of which only what is named is looked at."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Models(AsTold):
    models: dict[str, str]


class FreshTwin(AsTold):
    """A twin that the gateway has just told. Its masks, which take longest, are checked when it is read again."""

    provenance: Models
    timings_ms: dict[str, float]
    usage: Usage
    asked: Any = Field(default=(), exclude=True)  # depends on when it is asked, and the record does not


class FreshRecord(Result):
    """A `Record` that is to be written."""

    twin: FreshTwin | None = None


def records(path: Path) -> Iterator[Record]:
    """Each line of a file of results, its twin checked. Raises RunError with the line that is none."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Record.model_validate_json(line)
            except ValidationError as error:
                raise RunError(f"{path}:{number}: not a result: {in_words(error)[:300]}") from error


def digest(samples: Sequence[Sample]) -> str:
    """SHA-256 over the ids and queries of `samples`, in order."""
    hashed = hashlib.sha256()
    for sample in samples:
        hashed.update(f"{sample.sample_id}\0{sample.query}\0".encode())
    return hashed.hexdigest()
