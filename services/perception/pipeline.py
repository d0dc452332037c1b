"""From an image to the proposals of each level: the grid pass, the centroid pass, and what is kept (section 3.1)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dtwinseger import api
from dtwinseger.twin.mask import Mask
from services.perception.proposals import (
    centroid,
    grid,
    largest_passing,
    of_fitting_area,
    suppress,
    suppress_boxes,
    uncontained,
)
from services.perception.sam import Abandoned, Decoded, Encoded, Segmenter

SAME = 0.95  # IoU at the decoder's resolution above which two masks are one that was found twice
MIN_AREA_SHARE = 0.0002  # of the image
BOX_OVERLAP = 0.7  # `everything`: box IoU above which the lesser mask goes, as in SAM's own generator

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Proposed:
    """The proposals of each level that was asked for, by area, largest first."""

    levels: dict[api.Level, tuple[api.Proposal, ...]]
    options: api.ProposalOptions  # as resolved
    timings_ms: dict[str, float]
    warnings: tuple[str, ...]


def propose(
    segmenter: Segmenter,
    recommended_iou: float,
    image: NDArray[np.uint8],
    request: api.ProposalsRequest,
    abandoned: Callable[[], bool],
) -> Proposed:
    """Proposals for `image`, [H, W, 3] uint8 RGB. No proposals are an answer too.

    recommended_iou: the threshold on the predicted IoU where the request sets none. Raises Abandoned soon after
    `abandoned` says that nobody waits any more.
    """
    height, width = image.shape[:2]
    options = _resolved(request.options, recommended_iou, width * height)
    timings_ms: dict[str, float] = {}
    with _timed(timings_ms, "encode"):
        encoded = segmenter.encode(image)
    run = _Run(segmenter, encoded, options, abandoned, timings_ms)
    points = grid(options.points_per_side, width, height)
    found: dict[api.Level, list[api.Proposal]] = {}
    if options.strategy == "everything":
        everything = run.everything(points)
        found = dict.fromkeys(request.levels, everything)
    else:
        first = run.decode("grid", points, multimask=False)
        for level in dict.fromkeys(request.levels):
            found[level] = run.parts(first) if level == "part" else run.objects(first)
    levels = {level: tuple(run.best(level, proposals)) for level, proposals in found.items()}
    return Proposed(levels, options, timings_ms, tuple(run.warnings))


def _resolved(options: api.ProposalOptions, recommended_iou: float, pixels: int) -> api.ProposalOptions:
    return options.model_copy(
        update={
            "iou_threshold": recommended_iou if options.iou_threshold is None else options.iou_threshold,
            "min_area": round(MIN_AREA_SHARE * pixels) if options.min_area is None else options.min_area,
        }
    )


@dataclass
class _Run:
    """One image at work."""

    segmenter: Segmenter
    encoded: Encoded
    options: api.ProposalOptions
    abandoned: Callable[[], bool]
    timings_ms: dict[str, float]
    warnings: list[str] = field(default_factory=list)

    def parts(self, first: list[api.Proposal]) -> list[api.Proposal]:
        """Part level: of two masks that overlap the one with the lower predicted IoU goes."""
        fitting = self._fitting(first)
        kept = suppress(*_columns(fitting), self.options.overlap_threshold)
        return [fitting[i] for i in kept]

    def objects(self, first: list[api.Proposal]) -> list[api.Proposal]:
        """Object level: each first mask's centroid (Eq. 2) prompts for whole objects; Eq. 3 drops what they contain."""
        centroids = [centroid(proposal.mask.decode()) for proposal in first]
        points = np.array(list(dict.fromkeys(centroids))).reshape(-1, 2)
        whole = self._fitting(self.decode("centroids", points, multimask=True, largest=True))
        masks, _ = _columns(whole)
        kept = uncontained(masks, self.options.containment_threshold, self.options.rounds)
        return [whole[i] for i in kept]

    def everything(self, points: Points) -> list[api.Proposal]:
        """The ablation: all three masks of each grid point, and box suppression."""
        fitting = self._fitting(self.decode("grid", points, multimask=True))
        masks, scores = _columns(fitting)
        return [fitting[i] for i in suppress_boxes([mask.bbox for mask in masks], scores, BOX_OVERLAP)]

    def best(self, level: api.Level, proposals: list[api.Proposal]) -> list[api.Proposal]:
        """At most `max_masks`, those of the highest predicted IoU, by area, largest first."""
        limit = self.options.max_masks
        if len(proposals) > limit:
            self.warnings.append(
                f"{level}: {len(proposals)} masks were found and the {limit} of the highest predicted IoU kept; "
                "raise max_masks or iou_threshold"
            )
        chosen = sorted(proposals, key=lambda proposal: -proposal.predicted_iou)[:limit]
        return sorted(chosen, key=lambda proposal: -proposal.mask.area)

    def decode(self, name: str, points: Points, *, multimask: bool, largest: bool = False) -> list[api.Proposal]:
        """Prompt at `points`, drop what fails the IoU filter, is empty or was found twice; bring the rest to size.

        `largest` takes only the largest of a prompt's passing masks. What is decided here is decided at the decoder's
        resolution, so that a thousand masks need not be brought to the size of the image.
        """
        with _timed(self.timings_ms, name):
            threshold = self.options.iou_threshold or 0.0
            decoded = self.segmenter.decode(self.encoded, points, multimask, threshold, self.abandoned)
            low = [Mask.encode(mask) for mask in self.segmenter.low_resolution(self.encoded, decoded.logits)]
            chosen = [i for i, mask in enumerate(low) if mask.area > 0]
            if largest:
                chosen = _largest_of_each_prompt(chosen, low, decoded, threshold)
            scores = [float(decoded.predicted_iou[i]) for i in chosen]
            distinct = suppress([low[i] for i in chosen], scores, SAME)
        with _timed(self.timings_ms, "masks"):
            return self._at_full_size(points, decoded, [chosen[i] for i in distinct])

    def _at_full_size(self, points: Points, decoded: Decoded, indices: list[int]) -> list[api.Proposal]:
        proposals = []
        for i in indices:
            if self.abandoned():
                raise Abandoned
            mask = Mask.encode(self.segmenter.full_size(self.encoded, decoded.logits[i]))
            if mask.area:
                x, y = points[decoded.prompt[i]]
                score = float(decoded.predicted_iou[i])
                proposals.append(api.Proposal(mask=mask, predicted_iou=score, point=(float(x), float(y))))
        return proposals

    def _fitting(self, proposals: list[api.Proposal]) -> list[api.Proposal]:
        masks, _ = _columns(proposals)
        kept = of_fitting_area(masks, self.options.max_area_percent, self.options.min_area or 0)
        return [proposals[i] for i in kept]


def _largest_of_each_prompt(chosen: list[int], masks: list[Mask], decoded: Decoded, threshold: float) -> list[int]:
    by_prompt: dict[int, list[int]] = {}
    for i in chosen:
        by_prompt.setdefault(int(decoded.prompt[i]), []).append(i)
    largest = []
    for group in by_prompt.values():
        scores = [float(decoded.predicted_iou[i]) for i in group]
        if (best := largest_passing([masks[i].area for i in group], scores, threshold)) is not None:
            largest.append(group[best])
    return largest


def _columns(proposals: list[api.Proposal]) -> tuple[list[Mask], list[float]]:
    return [proposal.mask for proposal in proposals], [proposal.predicted_iou for proposal in proposals]


@contextmanager
def _timed(timings_ms: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings_ms[name] = round(timings_ms.get(name, 0.0) + (time.perf_counter() - started) * 1000, 1)
