"""SAM at work: images encoded once, and point prompts of several images decoded together in batches."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from dtwinseger.problems import Problem
from services.perception import metrics
from services.perception.batches import SMALL, bucket_for, bucket_within, fitting
from services.perception.decoder import Decoder, Shared, Span, Trunk
from services.perception.encoder import Encoder
from services.perception.frame import Frame

Timings = dict[str, float]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Encoded:
    """An image as the decoder sees it: one of those that were encoded together."""

    shared: Shared
    image: int  # which one
    frame: Frame


@dataclass(frozen=True)
class Prompts:
    """What to decode for an image."""

    encoded: Encoded
    points: Floats  # [P, 2] x, y in pixels of the image, each a prompt of its own
    multimask: bool  # the three masks of an ambiguous prompt instead of the one
    iou_threshold: float  # on the predicted IoU; at 0 everything passes
    abandoned: Callable[[], bool]


@dataclass(frozen=True)
class Decoded:
    """The masks of an image that passed the IoU filter, by prompt, then token."""

    logits: Tensor  # [M, 4h, 4w] at the decoder's resolution, padding included; above 0 is the mask
    predicted_iou: Floats  # [M]
    prompt: Ints  # [M] row of the point
    token: Ints  # [M] 0 for the single mask, 1 to 3 for an ambiguous prompt's

    def passing(self, iou_threshold: float) -> "Decoded":
        """What passes a stricter threshold."""
        chosen = self.predicted_iou >= iou_threshold if iou_threshold > 0 else np.ones(len(self.prompt), np.bool_)
        if chosen.all():
            return self
        logits = self.logits[torch.from_numpy(chosen).to(self.logits.device)]
        return Decoded(logits, self.predicted_iou[chosen], self.prompt[chosen], self.token[chosen])


class Segmenter:
    """A SAM on its device. Not thread-safe: one thread at a time."""

    def __init__(self, sam: Sam, encoder: Encoder, decoder: Decoder, prompt_batch: int | None = None) -> None:
        """prompt_batch: prompts decoded at once; None takes what fits the device."""
        self.device: torch.device = sam.device
        self._encoder, self._decoder = encoder, decoder
        self._side: int = sam.image_encoder.img_size
        height, width = sam.prompt_encoder.image_embedding_size
        self._positions: int = height * width
        self._low_side: int = 4 * height
        self._prompt_batch = prompt_batch

    @torch.inference_mode()
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Embeddings [I, C, h, w] of `images`, each [H, W, 3] uint8 RGB.

        One by one: an image fills the device, and a compiled encoder has one shape. Raises Problem `overloaded` where
        there is no memory for one.
        """
        try:
            return torch.cat([self._encoder(self._encoder.preprocess([image])) for image in images])
        except torch.OutOfMemoryError as error:
            raise out_of_memory() from error

    @torch.inference_mode()
    def share(self, embeddings: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Encoded]:
        """What prompts need of images with `embeddings` [I, C, h, w] and `sizes` (height, width) in pixels."""
        frames = [Frame(size, self._side, self._low_side) for size in sizes]
        if self._decoder.compiled:  # for tables of one image
            return [Encoded(self._decoder.share(one[None]), 0, f) for one, f in zip(embeddings, frames, strict=True)]
        shared = self._decoder.share(embeddings)
        return [Encoded(shared, i, frame) for i, frame in enumerate(frames)]

    @torch.inference_mode()
    def decode(self, asked: Sequence[Prompts], timings_ms: Timings) -> list[Decoded | None]:
        """Decode the prompts of images that share their tables; adds to `timings_ms` decode and upscale.

        None where the request was abandoned. Raises Problem `overloaded` where not even one prompt fits into memory.
        """
        found = [_Found(prompts, self._low_side, self.device) for prompts in asked]
        done = [0] * len(asked)  # prompts
        batch = self._batch()
        while spans := list(_next(asked, done, batch))[: 1 if self._decoder.compiled else None]:
            try:
                parts = self._decode_batch(asked, spans, batch, timings_ms)
            except torch.OutOfMemoryError:
                parts = None
            if parts is None:  # out of the handler, whose error holds on to the tensors of the batch
                self._make_room()
                if batch == 1:
                    raise out_of_memory()
                batch = self._batch(max(1, min(batch, sum(end - start for _, start, end in spans)) // 2))
                continue
            for (index, _, end), part in zip(spans, parts, strict=True):
                found[index].add(*part)
                done[index] = end
        return [None if prompts.abandoned() else masks.whole() for prompts, masks in zip(asked, found, strict=True)]

    @contextmanager
    def threads(self) -> Iterator[None]:
        """As many threads of torch's as pay in the block: one where the model is small and on the CPU.

        Each of its thousands of short operations would wait for the last thread, which on a busy machine may not run.
        """
        before = torch.get_num_threads()
        if self.device.type == "cpu" and self._positions < SMALL:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _decode_batch(
        self, asked: Sequence[Prompts], spans: Sequence[Span], batch: int, timings_ms: Timings
    ) -> list[tuple[Tensor, Floats, Ints, Ints]]:
        """The masks of each span that pass: logits, predicted IoU, prompt, token."""
        with timed(timings_ms, "decode", self.device):
            points, images, first = [], [], 0
            for index, start, end in spans:
                encoded = asked[index].encoded
                points.append(encoded.frame.to_input(asked[index].points[start:end]))
                images.append((encoded.image, first, first + end - start))
                first += end - start
            shared, joined = asked[spans[0][0]].encoded.shared, self._padded(np.concatenate(points), batch)
            of = [(0, 0, len(joined))] if self._decoder.compiled else images
            trunk = self._decoder.trunk(shared, self._to_device(joined), of)
            predicted = trunk.predicted_iou.cpu().numpy()  # the one wait: what passes decides what is upscaled
        parts = []
        with timed(timings_ms, "upscale", self.device):
            for (index, start, _), (image, first, last) in zip(spans, images, strict=True):
                prompts = asked[index]
                tokens = slice(1, None) if prompts.multimask else slice(0, 1)  # as MaskDecoder.forward takes them
                scores = predicted[first:last, tokens]
                row, token = np.nonzero(scores >= (prompts.iou_threshold or -np.inf))
                logits = self._upscale(shared, trunk, first + row, tokens.start + token, image)
                parts.append((logits, scores[row, token].astype(np.float64), start + row, tokens.start + token))
        return parts

    def _upscale(self, shared: Shared, trunk: Trunk, row: Ints, token: Ints, image: int) -> Tensor:
        """Logits [M, 4h, 4w] of mask `token` [M] of prompt `row` [M], ascending."""
        rows, where = np.unique(row, return_inverse=True)
        logits = trunk.tokens.new_empty(len(row), self._low_side, self._low_side)
        step = self._batch(upscaled=True)
        for start in range(0, len(rows), step):
            prompts = self._padded(rows[start : start + step], step)
            masks = self._decoder.upscale(shared, trunk, self._to_device(prompts), image)
            first, last = np.searchsorted(where, [start, start + step])
            logits[first:last] = masks[self._to_device(where[first:last] - start), self._to_device(token[first:last])]
        return logits

    def _batch(self, most: int | None = None, *, upscaled: bool = False) -> int:
        """How many prompts are decoded at once: what was set, `most`, or what fits; a bucket where it is compiled."""
        most = most or self._prompt_batch or fitting(self.device, self._positions, upscaled=upscaled)
        return bucket_within(most) if self._decoder.compiled else most

    def _padded(self, prompts: NDArray[Any], batch: int) -> NDArray[Any]:
        """`prompts` [P, ...]; where the decoder is compiled, the last one repeated to fill the next bucket."""
        if not self._decoder.compiled:
            return prompts
        more = bucket_for(len(prompts), batch) - len(prompts)
        return np.concatenate([prompts, prompts[-1:].repeat(more, axis=0)])

    def _to_device(self, numbers: NDArray[Any]) -> Tensor:
        """Without waiting for what the device has still to do."""
        return torch.from_numpy(numbers).to(self.device, non_blocking=True)

    def _make_room(self) -> None:
        metrics.OUT_OF_MEMORY.inc()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class _Found:
    """The masks of a pass, each batch written to where it stays: joining them in the end would need them twice.

    A CPU's memory is taken page by page, as it is written to; on CUDA what was reserved in vain is given back.
    """

    def __init__(self, prompts: Prompts, low_side: int, device: torch.device) -> None:
        most = len(prompts.points) * (3 if prompts.multimask else 1)
        self._logits = torch.empty(most, low_side, low_side, device=device)
        self._columns: list[tuple[NDArray[Any], ...]] = []
        self._count = 0

    def add(self, logits: Tensor, *columns: NDArray[Any]) -> None:
        """Logits [M, 4h, 4w]; predicted IoU, prompt and token [M]."""
        self._logits[self._count : self._count + len(logits)] = logits
        self._count += len(logits)
        self._columns.append(columns)

    def whole(self) -> Decoded:
        logits = self._logits[: self._count]
        if not self._columns:
            return Decoded(logits, np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        predicted, prompt, token = (np.concatenate(column) for column in zip(*self._columns, strict=True))
        return Decoded(logits.clone() if logits.is_cuda else logits, predicted, prompt, token)


def out_of_memory() -> Problem:
    """What is told where halving does not help."""
    return Problem("overloaded", "the device is out of memory; try again shortly", retry_after=5)


def _next(asked: Sequence[Prompts], done: Sequence[int], batch: int) -> Iterator[Span]:
    """The next `batch` prompts of those who still wait: which of `asked`, and the first and the end of its points."""
    room = batch
    for index, prompts in enumerate(asked):
        count = min(room, len(prompts.points) - done[index])
        if count > 0 and not prompts.abandoned():
            room -= count
            yield index, done[index], done[index] + count


@contextmanager
def timed(timings_ms: Timings, name: str, device: torch.device | None = None) -> Iterator[None]:
    """Add the block's milliseconds to `timings_ms[name]`, less those of blocks within it.

    What it has queued on a CUDA `device` is waited for.
    """
    started, counted = time.perf_counter(), sum(timings_ms.values())
    yield
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    within = sum(timings_ms.values()) - counted
    timings_ms[name] = timings_ms.get(name, 0.0) + (time.perf_counter() - started) * 1000 - within
