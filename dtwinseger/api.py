"""Wire contracts shared by the client, the gateway and the three services. Pixels, x right, y down, throughout."""

import base64
from datetime import datetime
from io import BytesIO
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dtwinseger.problems import ProblemDetails
from dtwinseger.twin.mask import BBox, Mask
from dtwinseger.twin.model import Granularity, TwinRow
from dtwinseger.twin.path import Index, Step
from dtwinseger.twin.polygons import Polygon, from_polygons

MAX_BODY_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MAX_QUERY_CHARACTERS = 2_000
# What the gateway checks of a query in words of its own, for the schema.
QUERY_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": MAX_QUERY_CHARACTERS, "pattern": r"\S"}
TIMEOUT_HEADER = "X-Timeout-Ms"  # what remains of the caller's deadline
REQUEST_ID_HEADER = "X-Request-Id"

MaskFormat = Literal["rle", "polygon", "png"]
ExportFormat = Literal["json", "coco", "geojson"]  # of a twin
Level = Granularity  # proposals are made for a granularity
Share = Annotated[float, Field(ge=0, le=1)]


class Contract(BaseModel):
    """Immutable; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProposalOptions(Contract):
    """Section 3.1. A null takes what suits strategy, level and checkpoint; the answer says what was taken.

    `hierarchical` is the paper's: a pass over a grid, and for group and object a second one over the centroids of what
    was found. `everything` is its ablation "SAM only", segment-anything's own mask generator; `tuned` is "SAM with
    fine-tuning", the same with parameters for each level. 0 switches a lower threshold off, 1 an upper one.
    """

    strategy: Literal["hierarchical", "everything", "tuned"] = "hierarchical"
    points_per_side: Annotated[int, Field(ge=4, le=64)] = 32  # of the grid: 1024 prompts
    iou_threshold: Share | None = None  # on the predicted IoU; 0.88 for SAM's own checkpoints
    max_area_percent: Annotated[float, Field(gt=0, le=100)] | None = None  # of the image; a larger mask is background
    min_area: Annotated[int, Field(ge=0)] | None = None  # pixels
    max_masks: Annotated[int, Field(ge=1, le=200)] = 100  # of a level, kept by predicted IoU
    # hierarchical
    duplicate_threshold: Share = 0.95  # IoU of two masks of one pass above which they are one that was found twice
    overlap_threshold: Share = 0.7  # part: IoU of two masks above which the one with the lower predicted IoU goes
    containment_threshold: Share = 0.8  # group and object, Eq. 3: |M ∩ K| / |M| above which M goes
    rounds: Annotated[int, Field(ge=1)] | None = None  # Eq. 3 for this many kept masks; null is for all of them
    # everything and tuned
    stability_threshold: Share | None = None  # IoU of a mask with itself at thresholds +- stability_offset
    stability_offset: Annotated[float, Field(ge=0, le=10)] = 1.0  # logits
    box_overlap_threshold: Share | None = None  # IoU of two boxes above which the lesser mask goes


class SemanticsOptions(Contract):
    """Eq. 4. What the VLM is shown of a mask, how it is asked, and what that may cost."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "properties": {"crop": {"const": "none"}, "context": {"const": "none"}},
                "required": ["crop", "context"],
            }
        }
    )

    source: Literal["vlm", "owlv2"] = "vlm"  # owlv2: detections handed to masks by IoU, the paper's ablation
    prompting: Literal["direct", "in_context", "system"] = "system"  # system: observe, propose, select
    scope: Literal["query", "image"] = "query"  # image leaves the query out, so the twin serves any query
    crop: Literal["none", "plain", "dimmed", "cut"] = "dimmed"  # the mask's box with a margin; its surroundings
    context: Literal["none", "outlined", "numbered"] = "outlined"  # the whole image; numbered: among the other masks
    votes: Annotated[int, Field(ge=1, le=5)] = 1  # times that each mask is asked about
    batch: Annotated[int, Field(ge=1, le=16)] = 1  # masks a call; 1 is the paper's
    vocabulary: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=100)] = ()
    max_calls: Annotated[int, Field(ge=1)] | None = None  # of the VLM for one image; what is left out is told
    max_cost_usd: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _something_is_shown(self) -> Self:
        if self.crop == "none" and self.context == "none":
            raise ValueError("crop and context are both none: the model would see nothing")
        return self


class ReasoningOptions(Contract):
    """Eqs. 6-9. `auto` is sftdt where an adapter is configured or the served model is a tuned one, else zero_shot."""

    mode: Literal["auto", "zero_shot", "sftdt"] = "auto"  # zero_shot: the base model; sftdt: a model tuned on paths
    adapter: Annotated[str, Field(min_length=1, max_length=100)] | None = None  # as configured; None is the default one
    votes: Annotated[int, Field(ge=1, le=5)] = 1  # samples of the answer; each object as most of them decide on it


class SegmentOptions(Contract):
    """`options` of `POST /segment`; every field is optional."""

    granularity: Literal["auto", "group", "object", "part"] = "auto"
    proposals: ProposalOptions = ProposalOptions()
    semantics: SemanticsOptions = SemanticsOptions()
    reasoning: ReasoningOptions = ReasoningOptions()
    mask_format: MaskFormat = "rle"


class EngineUsage(Contract):
    """Calls to one engine, what it counted, and what that costs; null where a price or a count is unknown."""

    calls: int = 0
    images: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt's, those that the engine had in its prefix cache
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "EngineUsage") -> "EngineUsage":
        known = self.cost_usd is not None and other.cost_usd is not None
        return EngineUsage(
            calls=self.calls + other.calls,
            images=self.images + other.images,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        )


class Usage(Contract):
    """What a request cost. `cost_usd` is the sum, null where a price is not configured or a count is unknown."""

    vlm: EngineUsage = EngineUsage()
    llm: EngineUsage = EngineUsage()
    cost_usd: float | None = 0.0

    @classmethod
    def of(cls, vlm: EngineUsage, llm: EngineUsage) -> "Usage":
        """Of a request that asked both engines."""
        return cls(vlm=vlm, llm=llm, cost_usd=(vlm + llm).cost_usd)


class PngMask(Contract):
    """A mask as a PNG of 0 and 255, base64."""

    size: tuple[int, int]  # height, width
    png: str

    def decode(self) -> NDArray[np.bool_]:
        """The mask as [H, W] bool."""
        with Image.open(BytesIO(base64.b64decode(self.png)), formats=["PNG"]) as image:
            return np.asarray(image) > 0


class PolygonMask(Contract):
    """A mask as polygons whose rings follow the edges of its pixels: exact, parts and holes and all.

    A polygon is a list of rings, the first the outer one and the others its holes; a ring is a closed list of [x, y].
    They are corners of pixels, x right, y down: [0, 0] is the top left corner of the image, [width, height] its bottom
    right one, and the pixel in column c and row r the square from [c, r] to [c + 1, r + 1]. Pixels that meet at a
    corner only are polygons of their own (4-connectivity). See `dtwinseger.twin.polygons`.
    """

    size: tuple[int, int]  # height, width
    polygons: tuple[Polygon, ...]

    def decode(self) -> NDArray[np.bool_]:
        """The mask as [H, W] bool; raises ValueError where a vertex lies outside of the image."""
        return from_polygons(self.polygons, self.size)


AnyMask = Mask | PolygonMask | PngMask  # as `mask_format` asks for it; each has `size` and `decode`


class SegmentedObject(Contract):
    """One of the objects that answer the query."""

    index: Index
    semantic: str | None
    bbox: BBox
    area_percent: float
    confidence: float | None
    mask: AnyMask


class SegmentResult(Contract):
    """The answer of `POST /segment`. `indices` [] is an answer: nothing in the image fits."""

    twin_id: str
    query: str
    granularity: Granularity
    indices: tuple[Index, ...]
    mask: AnyMask  # union of the chosen objects
    objects: tuple[SegmentedObject, ...]
    path: tuple[Step, ...]
    usage: Usage
    timings_ms: dict[str, float]
    cached: tuple[str, ...] = ()  # stages that the store answered
    warnings: tuple[str, ...] = ()


# --- a twin in the making: GET /dt/<id> and its events ---

Stage = Literal["perception", "granularity", "semantics", "reasoning"]


class StageProgress(Contract):
    """How far one stage is; the event `stage`. `done` of `total` masks are described, of semantics alone."""

    stage: Stage
    state: Literal["running", "done", "stored"]  # stored: the store had it
    done: int = 0
    total: int = 0
    ms: float | None = None  # once it is done


class SeenObject(Contract):
    """An object of the twin as soon as it is described, without its relations; the event `object`."""

    index: Index  # the one that it has in the twin
    semantic: str | None
    bbox: BBox
    area_percent: float
    mask: Mask


class TwinStatus(Contract):
    """`GET /dt/<id>` while the twin is being built, and after its build has failed."""

    id: str
    status: Literal["building", "failed"]
    query: str
    created: datetime
    stage: Stage | None = None  # the one that is waited for; null before the first
    stages: tuple[StageProgress, ...] = ()  # those that have begun
    problem: ProblemDetails | None = None  # why it has failed


class AskRequest(Contract):
    """`POST /dt/<id>/segment`: another query on the same image. Options that are left out are those of the twin."""

    query: Annotated[str, Field(json_schema_extra=QUERY_SCHEMA)]
    semantics: SemanticsOptions | None = None
    reasoning: ReasoningOptions | None = None
    mask_format: MaskFormat = "rle"


# --- perception: POST /v1/proposals, multipart: image, options (ProposalsRequest as JSON) ---


class ProposalsRequest(Contract):
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = ("object",)
    options: ProposalOptions = ProposalOptions()


class Proposal(Contract):
    """A candidate mask. `point` is the prompt that made it."""

    mask: Mask
    predicted_iou: float
    point: tuple[float, float]


class ProposalsResponse(Contract):
    width: int
    height: int
    levels: dict[Level, tuple[Proposal, ...]]  # each by area, largest first; none are an answer too
    options: dict[Level, ProposalOptions]  # as resolved: no nulls but `rounds`
    model: str  # name and content hash of the checkpoint
    timings_ms: dict[str, float]
    warnings: dict[Level, tuple[str, ...]] = Field(default_factory=dict)


# --- semantics: POST /v1/granularity and /v1/semantics, multipart: image, request (JSON) ---


class GranularityRequest(Contract):
    query: str


class GranularityResponse(Contract):
    """Eq. 1."""

    granularity: Granularity
    reason: str
    model: str
    prompts: str  # SHA-256 of the prompt
    usage: EngineUsage


class DescribedMask(Contract):
    """A mask to describe, under the index that the answer will carry."""

    index: Index
    mask: Mask


class SemanticsRequest(Contract):
    query: str | None  # null for scope `image`
    masks: tuple[DescribedMask, ...]
    options: SemanticsOptions = SemanticsOptions()


class Semantics(Contract):
    """What the VLM says of one mask (Eq. 4)."""

    semantic: Annotated[str, Field(min_length=1, max_length=500)]
    category: Annotated[str, Field(min_length=1, max_length=100)]
    attributes: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    relevance: Share = 0.0


class SemanticsLine(Contract):
    """A line of the NDJSON answer: one mask described, or its error, in any order."""

    kind: Literal["semantics"] = "semantics"
    index: Index
    semantics: Semantics | None = None
    error: ProblemDetails | None = None


class SemanticsEnd(Contract):
    """The closing line. A stream without it was cut."""

    kind: Literal["end"] = "end"
    model: str
    prompts: str
    usage: EngineUsage


# --- reasoner: POST /v1/reason and /v1/reason/many, JSON ---


class ReasonRequest(Contract):
    query: str
    objects: tuple[TwinRow, ...]  # under any indices, each its own
    options: ReasoningOptions = ReasoningOptions()


class ReasonResponse(Contract):
    """Eqs. 6-9; the path obeys `dtwinseger.twin.path.violations`.

    Where the engine gives log-probabilities, the confidence of an object is the probability that the model gave to its
    index where the list of indices holds it, and that of the answer the probability of the whole list, its end
    included; both once the path is written, so they do not doubt the path. Else they are the share of votes that keep
    the object, and of those that keep exactly these objects. Over several votes with log-probabilities they are the
    mean, where a vote for something else counts 0. One vote without log-probabilities measures none.
    """

    indices: tuple[Index, ...]
    path: tuple[Step, ...]
    confidence: dict[Index, Share]  # of each of `indices`, or empty where nothing measures it
    answer_confidence: Share | None = None  # of `indices` as a whole, [] too; null where nothing measures it
    mode: Literal["zero_shot", "sftdt"]  # as resolved
    model: str  # that was asked: the base, or an adapter under the name by which the engine serves it
    prompts: str
    usage: EngineUsage
    warnings: tuple[str, ...] = ()


class ReasonManyRequest(Contract):
    """Many queries on one twin."""

    queries: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    objects: tuple[TwinRow, ...]
    options: ReasoningOptions = ReasoningOptions()


class ReasonOutcome(Contract):
    """What became of one query: its answer or its error."""

    query: str
    answer: ReasonResponse | None = None
    error: ProblemDetails | None = None


class ReasonManyResponse(Contract):
    outcomes: tuple[ReasonOutcome, ...]  # one for each query, in their order
    usage: EngineUsage  # of all of them, what ended in errors included


class ServiceInfo(Contract):
    """`GET /v1/info` of every service: what cache keys and provenance need to know before a request."""

    service: str
    version: str
    models: dict[str, str]  # role -> name and version
    prompts: str = ""  # SHA-256 over the prompts that the service uses
    settings: dict[str, Any] = Field(default_factory=dict)  # what changes results, and nothing secret


class GatewayInfo(Contract):
    """`GET /v1/info` of the gateway: what answers are made with, so that a run of many requests can say it."""

    version: str
    services: tuple[ServiceInfo, ...]  # perception, semantics, reasoner
