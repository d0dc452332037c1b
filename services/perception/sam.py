"""SAM at work: an image encoded once, point prompts decoded in batches, masks brought to the image's size."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor


class Abandoned(Exception):
    """Nobody waits for the result any more."""


@dataclass(frozen=True)
class Encoded:
    """An image as the decoder sees it."""

    embedding: Tensor  # [1, C, h, w]
    size: tuple[int, int]  # height, width of the image in pixels
    input_size: tuple[int, int]  # height, width of the image as resized for the encoder, before padding


@dataclass(frozen=True)
class Decoded:
    """Masks that passed the IoU filter, in the order of their prompts, then tokens."""

    logits: Tensor  # [M, 4h, 4w] at the decoder's resolution, padding included; above 0 is the mask
    predicted_iou: NDArray[np.float64]  # [M]
    prompt: NDArray[np.int64]  # [M] row of the point that made it


class Segmenter:
    """A SAM on its device. Not thread-safe: one thread at a time."""

    def __init__(self, sam: Sam, prompt_batch: int = 32) -> None:
        self._sam = sam
        self._batch = prompt_batch
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)

    @torch.inference_mode()
    def encode(self, image: NDArray[np.uint8]) -> Encoded:
        """Encode `image`, [H, W, 3] uint8 RGB."""
        resized = self._resize.apply_image(image)
        pixels = torch.as_tensor(resized, device=self._sam.device).permute(2, 0, 1).contiguous()[None]
        embedding = self._sam.image_encoder(self._sam.preprocess(pixels))
        height, width = image.shape[:2]
        return Encoded(embedding, (height, width), (resized.shape[0], resized.shape[1]))

    @torch.inference_mode()
    def decode(
        self,
        encoded: Encoded,
        points: NDArray[np.float64],
        multimask: bool,
        iou_threshold: float,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> Decoded:
        """Decode points [N, 2], x and y in pixels of the image, each alone; keep what passes `iou_threshold`.

        multimask: the three masks of an ambiguous prompt instead of the one.
        Raises Abandoned between two batches once `abandoned` says so.
        """
        coordinates = torch.as_tensor(
            self._resize.apply_coords(points, encoded.size), dtype=torch.float, device=self._sam.device
        )
        wanted = slice(1, None) if multimask else slice(0, 1)  # mask tokens, as MaskDecoder.forward picks them
        logits: list[Tensor] = []
        scores: list[Tensor] = []
        prompts: list[Tensor] = []
        for start in range(0, len(points), self._batch):
            if abandoned():
                raise Abandoned
            found, predicted, row = self._decode_batch(
                encoded, coordinates[start : start + self._batch], wanted, iou_threshold
            )
            logits.append(found)
            scores.append(predicted)
            prompts.append(row + start)
        if not logits:
            return Decoded(torch.empty(0, 0, 0), np.empty(0), np.empty(0, np.int64))
        return Decoded(torch.cat(logits), torch.cat(scores).double().cpu().numpy(), torch.cat(prompts).cpu().numpy())

    def _decode_batch(
        self, encoded: Encoded, points: Tensor, wanted: slice, iou_threshold: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(logits [M, 4h, 4w], predicted IoU [M], row in `points` [M]): MaskDecoder, but upscaling only what passes."""
        encoder, decoder = self._sam.prompt_encoder, self._sam.mask_decoder
        count = len(points)
        labels = torch.ones(count, 1, device=points.device)
        sparse, dense = encoder(points=(points[:, None], labels), boxes=None, masks=None)
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([output.expand(count, -1, -1), sparse], dim=1)  # [N, T, C]
        image = encoded.embedding + dense  # [N, C, h, w]
        place = encoder.get_dense_pe().expand(count, -1, -1, -1)
        tokens, image = decoder.transformer(image, place, tokens)  # image: [N, h * w, C]

        predicted = decoder.iou_prediction_head(tokens[:, 0])[:, wanted]  # [N, K]
        row, token = torch.nonzero(predicted >= iou_threshold, as_tuple=True)  # [M]
        rows, where = torch.unique(row, return_inverse=True)
        side = encoded.embedding.shape[1:]  # C, h, w
        upscaled = decoder.output_upscaling(image[rows].transpose(1, 2).reshape(len(rows), *side))  # [R, c, 4h, 4w]
        masks = tokens[rows, 1 : 1 + decoder.num_mask_tokens]
        mlps = decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlp(masks[:, i]) for i, mlp in enumerate(mlps)], dim=1)[:, wanted]  # [R, K, c]
        logits = (hyper @ upscaled.flatten(2)).view(*hyper.shape[:2], *upscaled.shape[-2:])
        return logits[where, token], predicted[row, token], row

    @torch.inference_mode()
    def full_size(self, encoded: Encoded, logits: Tensor) -> NDArray[np.bool_]:
        """One mask, logits [4h, 4w], at the image's size: [H, W] bool, by SAM's own two steps."""
        full = self._sam.postprocess_masks(logits[None, None], encoded.input_size, encoded.size)
        mask: NDArray[np.bool_] = (full[0, 0] > self._sam.mask_threshold).cpu().numpy()
        return mask

    def low_resolution(self, encoded: Encoded, logits: Tensor) -> NDArray[np.bool_]:
        """Masks [M, 4h, 4w] at the decoder's resolution, without the padding: [M, y, x] bool."""
        side = self._sam.image_encoder.img_size
        height, width = (-(-n * logits.shape[-1] // side) for n in encoded.input_size)
        mask: NDArray[np.bool_] = (logits[:, :height, :width] > self._sam.mask_threshold).cpu().numpy()
        return mask
