"""OWLv2 as the source of semantics, the paper's ablation: labels are detected, and masks take them by IoU.

The one module of this service that needs torch and transformers (extra `owlv2`); the app imports it where a model is
configured.
"""

import asyncio
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoConfig, Owlv2Config, Owlv2ForObjectDetection, Owlv2Processor
from transformers.utils.logging import disable_progress_bar

from dtwinseger import api, prompts
from dtwinseger.problems import Problem
from dtwinseger.prompts.views import Picture
from dtwinseger.service.deadline import remaining
from services.semantics.labels import assigned, candidates, query_labels

PHRASE = "a photo of a {}"  # labels were learned in phrases like this one
NOTHING = api.Semantics(semantic="an object", category="object")  # for a mask that no detection fits

_HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?")  # model, or owner/model


class Owlv2Error(Exception):
    """The model cannot be served; the message says why and what to set."""


@dataclass(frozen=True)
class Detections:
    """What was found in one image: boxes [D, 4] float32, (x1, y1, x2, y2) in its pixels and inside it; scores [D]
    float32, 0 to 1; labels [D], indices into those looked for.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.intp]


class Owlv2:
    """A detector with a thread of its own, on which images wait for each other. `identity` names its weights."""

    def __init__(self, model: Any, processor: Any, identity: str) -> None:
        self.model = model
        self.identity = identity
        self.prompts = prompts.digest(PHRASE)
        self._processor = processor
        # The processor pads a picture to a square of floats: gigabytes for a long and narrow one of 40 megapixels.
        self._max_side = 2 * processor.image_processor.size["height"]
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="owlv2")

    @classmethod
    def load(cls, name_or_path: str, device: str | None = None) -> Self:
        """Load a folder, or a model of the Hugging Face hub, offline its cache, in fp32 and evaluation mode.

        device: null is CUDA where there is one. Pickled weights are never read. Raises Owlv2Error.
        """
        if not Path(name_or_path).is_dir() and not _HUB_NAME.fullmatch(name_or_path):
            raise Owlv2Error(
                f"there is no folder {name_or_path}; set SEMANTICS_OWLV2_MODEL to one, or to a Hugging Face name"
            )
        disable_progress_bar()
        try:
            config = AutoConfig.from_pretrained(name_or_path)
            if not isinstance(config, Owlv2Config):
                raise Owlv2Error(f"{name_or_path} is a model of type {config.model_type}, not owlv2")
            model, report = Owlv2ForObjectDetection.from_pretrained(
                name_or_path, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
            processor = Owlv2Processor.from_pretrained(name_or_path)
        except Owlv2Error:
            raise
        except Exception as error:  # transformers, safetensors and the hub's client each raise their own
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise Owlv2Error(f"{name_or_path} cannot be loaded as OWLv2: {reason}") from error
        if missing := sorted(report["missing_keys"]):  # transformers leaves these random
            raise Owlv2Error(f"{name_or_path} lacks {len(missing)} tensors of OWLv2, for one {missing[0]}")
        model.requires_grad_(False)
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.eval().to(where), processor, _identity(name_or_path, config))

    def close(self) -> None:
        """Forget the images that wait; the one at work ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def describe(
        self, image: Picture, asked: api.SemanticsRequest, threshold: float, iou_threshold: float
    ) -> list[api.Semantics]:
        """What each mask of `asked` is, in their order; one that no detection fits is "an object".

        image: [H, W, 3] uint8, the size of the masks. threshold: of a detection's score, 0 to 1. iou_threshold: of its
        box with the mask's, above 0. Cancelled while it waits, it costs nothing. Raises Problem `invalid_options` where
        there is nothing to look for, and `deadline_exceeded`.
        """
        labels = candidates(asked.query, asked.options.vocabulary)
        if remaining() == 0:
            raise Problem("deadline_exceeded", "no time was left to detect anything")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._describe, image, asked, labels, threshold, iou_threshold)

    def detect(self, image: Picture, labels: tuple[str, ...], threshold: float) -> Detections:
        """Look for `labels`, at least one, in `image`, [H, W, 3] uint8; keep what scores above `threshold`. Blocks."""
        height, width = image.shape[:2]
        picture = Image.fromarray(image)
        picture.thumbnail((self._max_side, self._max_side))
        inputs = self._processor(
            text=[[PHRASE.format(label) for label in labels]],
            images=picture,
            return_tensors="pt",
            padding="max_length",
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
        )
        with torch.inference_mode():
            outputs = self.model(**inputs.to(self.model.device))
        (found,) = self._processor.post_process_grounded_object_detection(
            outputs, threshold=threshold, target_sizes=[(height, width)]
        )
        boxes = found["boxes"].float().cpu().numpy()
        return Detections(
            boxes=boxes.clip(0, np.array([width, height, width, height], dtype=np.float32)),
            scores=found["scores"].float().cpu().numpy(),
            labels=found["labels"].cpu().numpy(),
        )

    def _describe(
        self, image: Picture, asked: api.SemanticsRequest, labels: tuple[str, ...], threshold: float, iou: float
    ) -> list[api.Semantics]:
        if not asked.masks:
            return []
        found = self.detect(image, labels, threshold)
        masks = np.array([item.mask.bbox for item in asked.masks], dtype=np.float32)
        taken = assigned(found.boxes, found.scores, found.labels, masks, iou)
        of_query = set(query_labels(asked.query or ""))
        return [
            NOTHING if at < 0 else _semantics(labels[found.labels[at]], float(found.scores[at]), of_query)
            for at in taken
        ]


def _semantics(label: str, score: float, of_query: set[str]) -> api.Semantics:
    article = "an" if label[0].lower() in "aeiou" else "a"
    return api.Semantics(semantic=f"{article} {label}", category=label, relevance=score if label in of_query else 0.0)


def _identity(name_or_path: str, config: Any) -> str:
    """The name, with a hash of what was loaded from a folder, or the hub's commit."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        commit = getattr(config, "_commit_hash", None)
        return f"{name_or_path}@{commit[:12]}" if commit else name_or_path
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.txt")]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{name_or_path}@{digest.hexdigest()[:12]}"
