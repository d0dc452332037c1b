"""Wire contracts shared by the client, the gateway and the three services. Pixels, x right, y down, throughout."""

from dtwinseger.api.building import AskRequest, SeenObject, Stage, StageProgress, TwinStatus
from dtwinseger.api.contract import (
    MAX_BODY_BYTES,
    MAX_PIXELS,
    MAX_QUERY_CHARACTERS,
    QUERY_SCHEMA,
    REQUEST_ID_HEADER,
    TIMEOUT_HEADER,
    Contract,
    ExportFormat,
    Level,
    MaskFormat,
    Share,
)
from dtwinseger.api.info import GatewayInfo, Readiness, ServiceInfo
from dtwinseger.api.options import ProposalOptions, ReasoningOptions, SegmentOptions, SemanticsOptions
from dtwinseger.api.perception import Proposal, ProposalsRequest, ProposalsResponse
from dtwinseger.api.reasoner import ReasonManyRequest, ReasonManyResponse, ReasonOutcome, ReasonRequest, ReasonResponse
from dtwinseger.api.result import AnyMask, PngMask, PolygonMask, SegmentedObject, SegmentResult
from dtwinseger.api.semantics import (
    DescribedMask,
    GranularityRequest,
    GranularityResponse,
    Semantics,
    SemanticsEnd,
    SemanticsLine,
    SemanticsRequest,
)
from dtwinseger.api.usage import EngineUsage, Usage

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_PIXELS",
    "MAX_QUERY_CHARACTERS",
    "QUERY_SCHEMA",
    "REQUEST_ID_HEADER",
    "TIMEOUT_HEADER",
    "AnyMask",
    "AskRequest",
    "Contract",
    "DescribedMask",
    "EngineUsage",
    "ExportFormat",
    "GatewayInfo",
    "GranularityRequest",
    "GranularityResponse",
    "Level",
    "MaskFormat",
    "PngMask",
    "PolygonMask",
    "Proposal",
    "ProposalOptions",
    "ProposalsRequest",
    "ProposalsResponse",
    "Readiness",
    "ReasonManyRequest",
    "ReasonManyResponse",
    "ReasonOutcome",
    "ReasonRequest",
    "ReasonResponse",
    "ReasoningOptions",
    "SeenObject",
    "SegmentOptions",
    "SegmentResult",
    "SegmentedObject",
    "Semantics",
    "SemanticsEnd",
    "SemanticsLine",
    "SemanticsOptions",
    "SemanticsRequest",
    "ServiceInfo",
    "Share",
    "Stage",
    "StageProgress",
    "TwinStatus",
    "Usage",
]
