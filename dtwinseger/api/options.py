"""`options` of `POST /segment`, stage by stage."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from dtwinseger.api.contract import Contract, MaskFormat, Share


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
