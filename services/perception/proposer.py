"""The network and its caches at the service of several images at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from dtwinseger import api
from services.perception import metrics
from services.perception.cache import ByteBudget
from services.perception.candidates import Abandoned
from services.perception.device import Taken
from services.perception.pipeline import Proposed, propose
from services.perception.sam import Decoded, Encoded, Prompts, Segmenter, Timings, out_of_memory, timed


@dataclass(frozen=True)
class Job:
    """An image and what is asked of it."""

    image: NDArray[np.uint8]  # [H, W, 3] RGB
    sha256: str  # of the bytes that it was decoded from
    request: api.ProposalsRequest


class Proposer:
    """Proposals for the images that are taken together. For the device's thread alone.

    Embeddings and decoded passes are kept by image: another level or threshold repeats only what it changes. A lower
    IoU threshold decodes again, for its masks were never upscaled.
    """

    def __init__(self, segmenter: Segmenter, recommended_iou: float, embedding_bytes: int, decoded_bytes: int) -> None:
        """recommended_iou: the threshold on the predicted IoU where a request sets none."""
        self._segmenter = segmenter
        self._recommended_iou = recommended_iou
        self._embeddings: ByteBudget[torch.Tensor] = ByteBudget("embedding", embedding_bytes)  # [C, h, w]
        self._passes: ByteBudget[tuple[float, Decoded]] = ByteBudget("decoded", decoded_bytes)

    def __call__(self, taken: Sequence[Taken[Job]]) -> list[Proposed | Exception]:
        """What each job comes to; Abandoned for one that nobody waits for any more.

        The timings of the network are those of all the images together.
        """
        with self._segmenter.threads():
            return self._together(taken)

    def _together(self, taken: Sequence[Taken[Job]]) -> list[Proposed | Exception]:
        network_ms: Timings = {}
        outcomes: list[Proposed | Exception] = [Abandoned()] * len(taken)
        live = [i for i, one in enumerate(taken) if not one.abandoned()]
        encoded = self._encode([taken[i].job for i in live], network_ms)
        runs = {
            i: propose(image, taken[i].job.request, self._recommended_iou, taken[i].abandoned)
            for i, image in zip(live, encoded, strict=True)
        }
        turns: dict[int, Callable[[], Prompts]] = {i: partial(next, run) for i, run in runs.items()}
        while turns:
            asked: dict[int, Prompts] = {}
            for i, turn in turns.items():
                try:
                    asked[i] = turn()
                except StopIteration as stop:
                    outcomes[i] = _told(stop.value, network_ms)
                except torch.OutOfMemoryError:
                    outcomes[i] = out_of_memory()
                except Exception as error:  # of this job alone: the others go on
                    outcomes[i] = error
            passes = [(taken[i].job.sha256, prompts) for i, prompts in asked.items()]
            found = zip(asked, self._decode(passes, network_ms), strict=True)
            turns = {i: partial(runs[i].send, decoded) for i, decoded in found if decoded is not None}
        for stage, ms in network_ms.items():
            metrics.STAGE_SECONDS.labels(stage).observe(ms / 1000)
        metrics.observe_device_memory(self._segmenter.device)
        return outcomes

    def _encode(self, jobs: Sequence[Job], timings_ms: Timings) -> list[Encoded]:
        """The images, ready for prompts; only those that are not cached are encoded, together."""
        if not jobs:
            return []
        embeddings = {job.sha256: self._embeddings.get(job.sha256) for job in jobs}
        missing = {job.sha256: job.image for job in jobs if embeddings[job.sha256] is None}
        if missing:
            with timed(timings_ms, "encode", self._segmenter.device):
                encoded = self._segmenter.embed(list(missing.values()))
            for sha256, one in zip(missing, encoded, strict=True):
                embeddings[sha256] = kept = one.clone()  # a view would hold on to its whole batch
                self._embeddings.put(sha256, kept, kept.nbytes)
        with timed(timings_ms, "share", self._segmenter.device):
            stacked = torch.stack([embedding for job in jobs if (embedding := embeddings[job.sha256]) is not None])
            return self._segmenter.share(stacked, [job.image.shape[:2] for job in jobs])

    def _decode(self, passes: Sequence[tuple[str, Prompts]], timings_ms: Timings) -> list[Decoded | None]:
        """The masks of each pass over the image of that hash; None where nobody waits for them any more."""
        keys = [(sha256, prompts.multimask, prompts.points.tobytes()) for sha256, prompts in passes]
        cached = [self._passes.get(key) for key in keys]
        found = [
            kept[1].passing(prompts.iou_threshold) if kept and kept[0] <= prompts.iou_threshold else None
            for kept, (_, prompts) in zip(cached, passes, strict=True)
        ]
        missing = [i for i, decoded in enumerate(found) if decoded is None]
        decoded_now = self._segmenter.decode([passes[i][1] for i in missing], timings_ms)
        for i, decoded in zip(missing, decoded_now, strict=True):
            found[i] = decoded
            if decoded is not None:
                self._passes.put(keys[i], (passes[i][1].iou_threshold, decoded), decoded.logits.nbytes)
        return found


def _told(proposed: Proposed, network_ms: Timings) -> Proposed:
    """`proposed` with the timings of the network, and into the metrics."""
    for stage, ms in proposed.timings_ms.items():
        metrics.STAGE_SECONDS.labels(stage).observe(ms / 1000)
    for level, proposals in proposed.levels.items():
        metrics.PROPOSALS.labels(level).observe(len(proposals))
    return replace(proposed, timings_ms=network_ms | proposed.timings_ms)
