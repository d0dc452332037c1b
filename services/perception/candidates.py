"""The masks of one pass over an image: small ones for decisions, and those at full size that are needed."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco

from dtwinseger import api
from dtwinseger.twin.mask import Mask
from services.perception import overlap, proposals
from services.perception.frame import Frame
from services.perception.measure import Measured, measure
from services.perception.rle import encode
from services.perception.sam import Decoded, Timings, timed

NEAR = 2.0  # a low-resolution area within this factor of a bound is measured at full size
MEASURED_TOGETHER = 64  # masks between two looks at whether somebody still waits


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class Candidates:
    """M masks and what made them. Indices are into `decoded`."""

    def __init__(
        self,
        decoded: Decoded,
        points: NDArray[np.float64],
        frame: Frame,
        abandoned: Callable[[], bool],
        timings_ms: Timings,
    ) -> None:
        """points: [P, 2] x, y in pixels of the image, the prompts that `decoded` refers to."""
        self.decoded, self.frame = decoded, frame
        self._points, self._abandoned, self._timings = points, abandoned, timings_ms
        self._full: dict[int, Mask] = {}

    @cached_property
    def low(self) -> torch.Tensor:
        """[M, y, x] bool, at the decoder's resolution without its padding."""
        return self.frame.low_masks(self.decoded.logits)

    @cached_property
    def low_areas(self) -> NDArray[np.int64]:
        """[M] pixels of `low`."""
        return overlap.areas(self.low)

    @property
    def scores(self) -> NDArray[np.float64]:
        """[M] predicted IoU."""
        return self.decoded.predicted_iou

    def distinct(self, chosen: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
        """Of `chosen` masks with an IoU over `threshold` only the one with the highest predicted IoU."""
        if threshold >= 1:
            return chosen
        kept = proposals.suppress(self._iou(chosen), self.scores[chosen], threshold)
        return chosen[sorted(kept)]

    def unsuppressed(self, chosen: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
        """Part level: of two of `chosen` with an IoU over `threshold` the one with the lower predicted IoU goes."""

        def settle(i: int, k: int) -> float:
            return self._share(int(chosen[i]), int(chosen[k]), of_both=True)

        return chosen[proposals.suppress(self._iou(chosen), self.scores[chosen], threshold, settle)]

    def uncontained(self, chosen: NDArray[np.int64], threshold: float, rounds: int | None) -> NDArray[np.int64]:
        """Group and object level, Eq. 3: from the largest down, what lies in a kept one over `threshold` goes."""

        def settle(i: int, k: int) -> float:
            return self._share(int(chosen[i]), int(chosen[k]), of_both=False)

        areas, shared = overlap.areas_and_intersections(self._low(chosen))
        return chosen[proposals.uncontained(overlap.containment(shared, areas), areas, threshold, rounds, settle)]

    def fitting(self, chosen: NDArray[np.int64], options: api.ProposalOptions) -> NDArray[np.int64]:
        """Of `chosen` what is neither background nor a speck, in pixels of the image."""
        most, least = options.max_area_percent or 100.0, options.min_area or 0
        pixels = self.frame.size[0] * self.frame.size[1]
        areas = self.low_areas[chosen] * (pixels / self.low[0].numel() if len(chosen) else 0.0)
        bounds = np.array([max(least, 1), most / 100 * pixels])[:, None]
        near = ((areas < bounds * NEAR) & (areas > bounds / NEAR)).any(0)
        areas[near] = self.measured(chosen[near], 0.0).areas
        return chosen[proposals.of_fitting_area(areas, pixels, most, least)]

    def measured(self, chosen: NDArray[np.int64], offset: float) -> Measured:
        """`chosen` counted at full size, `offset` logits around the threshold."""
        parts = []
        for start in range(0, max(1, len(chosen)), MEASURED_TOGETHER):
            self._require_someone()
            logits = self._logits(chosen[start : start + MEASURED_TOGETHER])
            parts.append(measure(self.frame, logits, offset))
        return Measured.joined(parts)

    def centroids(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Eq. 2: the middles of `chosen`, [N, 2] x, y in pixels of the image."""
        return self.frame.from_low(proposals.centroids(self._low(chosen)))

    def proposals(self, chosen: Sequence[int]) -> list[api.Proposal]:
        """`chosen` at full size, largest first; what vanishes there is left out."""
        self._bring_to_size(chosen)
        found = []
        for i in chosen:
            x, y = self._points[self.decoded.prompt[i]]
            if self._full[i].area:
                score = float(self.scores[i])
                found.append(api.Proposal(mask=self._full[i], predicted_iou=score, point=(float(x), float(y))))
        return sorted(found, key=lambda proposal: -proposal.mask.area)

    def _iou(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        areas, shared = overlap.areas_and_intersections(self._low(chosen))
        return overlap.iou(shared, areas)

    def _low(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        return self.low[torch.from_numpy(chosen).to(self.low.device)]

    def _share(self, i: int, k: int, *, of_both: bool) -> float:
        """IoU at full size, or the share of `i` that lies in `k`."""
        self._bring_to_size([i, k])
        # pycocotools divides by the first mask's area alone where the second is marked as a crowd.
        first, second = self._full[i].to_coco(), self._full[k].to_coco()
        return float(coco.iou([first], [second], [0 if of_both else 1])[0, 0])

    def _bring_to_size(self, wanted: Sequence[int]) -> None:
        missing = [i for i in wanted if i not in self._full]
        device = self.decoded.logits.device
        step = self.frame.together(device)
        for start in range(0, len(missing), step):
            self._require_someone()
            part = missing[start : start + step]
            with timed(self._timings, "full_size", device):
                masks = self.frame.full_size(self._logits(np.array(part)))
            with timed(self._timings, "rle", device):
                self._full.update(zip(part, encode(masks), strict=True))

    def _require_someone(self) -> None:
        if self._abandoned():
            raise Abandoned

    def _logits(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        return self.decoded.logits[torch.from_numpy(chosen).to(self.decoded.logits.device)]
