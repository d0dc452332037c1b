"""From an image to the proposals of each level: the passes over it, and what is kept of them (section 3.1)."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtwinseger import api
from services.perception.candidates import Candidates
from services.perception.measure import Measured
from services.perception.options import resolve
from services.perception.proposals import grid, largest_passing, of_fitting_area, stability, suppress_boxes
from services.perception.sam import Decoded, Encoded, Prompts, Timings, timed

Indices = NDArray[np.int64]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Proposed:
    """The proposals of each level that was asked for, by area, largest first. None are an answer too."""

    levels: dict[api.Level, tuple[api.Proposal, ...]]
    options: dict[api.Level, api.ProposalOptions]  # as resolved
    timings_ms: Timings
    warnings: dict[api.Level, tuple[str, ...]]


def propose(
    encoded: Encoded,
    request: api.ProposalsRequest,
    recommended_iou: float,
    abandoned: Callable[[], bool],
) -> Generator[Prompts, Decoded, Proposed]:
    """Yields the prompts of a pass and is sent its masks, so that passes over several images can run together.

    recommended_iou: the threshold on the predicted IoU where the request sets none. Raises Abandoned soon after
    `abandoned` says that nobody waits any more.
    """
    timings_ms: Timings = {}
    height, width = encoded.frame.size
    levels = tuple(dict.fromkeys(request.levels))
    options = {level: resolve(request.options, level, recommended_iou, height * width) for level in levels}
    one = options[levels[0]]  # what passes depend on is the same for all levels
    asked = _Asked(encoded, one.iou_threshold or 0.0, abandoned, timings_ms)
    points = grid(one.points_per_side, width, height)
    hierarchical = one.strategy == "hierarchical"
    first = asked.candidates((yield asked.prompts(points, multimask=not hierarchical)), points)
    chosen: dict[api.Level, tuple[Candidates, Indices]] = {}
    if not hierarchical:
        with timed(timings_ms, "filter"):
            measured = first.measured(np.arange(len(first.scores)), one.stability_offset)
            chosen.update({level: (first, everything(first, measured, options[level])) for level in levels})
    else:
        with timed(timings_ms, "filter"):
            distinct = first.distinct(np.flatnonzero(first.low_areas), one.duplicate_threshold)
        if "part" in levels:
            with timed(timings_ms, "filter"):
                fitting = first.fitting(distinct, options["part"])
                chosen["part"] = first, first.unsuppressed(fitting, one.overlap_threshold)
        if whole := [level for level in levels if level != "part"]:
            with timed(timings_ms, "filter"):  # Eq. 2
                points = np.unique(first.centroids(distinct), axis=0)
            second = asked.candidates((yield asked.prompts(points, multimask=True)), points)
            with timed(timings_ms, "filter"):
                chosen.update(dict.fromkeys(whole, (second, objects(second, one))))
    found: dict[api.Level, tuple[api.Proposal, ...]] = {}
    warnings: dict[api.Level, tuple[str, ...]] = {}
    for level in levels:
        candidates, kept = chosen[level]
        limit = options[level].max_masks
        if len(kept) > limit:
            warnings[level] = (
                f"{level}: {len(kept)} masks were found and the {limit} of the highest predicted IoU kept; "
                "raise max_masks or iou_threshold",
            )
        best = kept[np.argsort(-candidates.scores[kept], kind="stable")[:limit]]
        found[level] = tuple(candidates.proposals(best.tolist()))
    return Proposed(found, options, timings_ms, warnings)


def objects(candidates: Candidates, options: api.ProposalOptions) -> Indices:
    """Group and object level: each prompt's largest mask, of these what no kept one contains (Eq. 3)."""
    decoded = candidates.decoded
    count = int(decoded.prompt.max(initial=-1)) + 1
    areas, scores = np.zeros((count, 4), np.int64), np.full((count, 4), -np.inf)
    index = np.zeros((count, 4), np.int64)
    where = decoded.prompt, decoded.token
    areas[where], scores[where], index[where] = candidates.low_areas, candidates.scores, np.arange(len(decoded.prompt))
    token = largest_passing(areas, scores, options.iou_threshold or -np.inf)
    prompts = np.flatnonzero(token >= 0)
    distinct = candidates.distinct(index[prompts, token[prompts]], options.duplicate_threshold)
    fitting = candidates.fitting(distinct, options)
    return candidates.uncontained(fitting, options.containment_threshold, options.rounds)


def everything(candidates: Candidates, measured: Measured, options: api.ProposalOptions) -> Indices:
    """The ablations: of all three masks of each grid point the stable ones, and box suppression, as SAM's generator."""
    stable = np.flatnonzero(stability(measured.inner, measured.outer) >= (options.stability_threshold or -np.inf))
    height, width = candidates.frame.size
    most, least = options.max_area_percent or 100.0, options.min_area or 0
    chosen = stable[of_fitting_area(measured.areas[stable], height * width, most, least)]
    boxes = measured.boxes[chosen] - np.array([0, 0, 1, 1])  # SAM's end on their last pixel
    kept = suppress_boxes(boxes, candidates.scores[chosen], options.box_overlap_threshold or 0.0)
    return chosen[kept]


@dataclass(frozen=True)
class _Asked:
    """What the passes of a request have in common."""

    encoded: Encoded
    iou_threshold: float
    abandoned: Callable[[], bool]
    timings_ms: Timings

    def prompts(self, points: Points, *, multimask: bool) -> Prompts:
        return Prompts(self.encoded, points, multimask, self.iou_threshold, self.abandoned)

    def candidates(self, decoded: Decoded, points: Points) -> Candidates:
        return Candidates(decoded, points, self.encoded.frame, self.abandoned, self.timings_ms)
