"""What do proposals cost? segment-anything's mask generator against ours, by stage, interleaved in one run.

`python -m benchmarks.perception --help`
"""

import ctypes
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from segment_anything import SamAutomaticMaskGenerator, automatic_mask_generator, sam_model_registry
from segment_anything.modeling import Sam

from benchmarks.bank import Bank, BankedDecoder
from benchmarks.target import machine
from dtwinseger import api
from services.perception.device import Taken
from services.perception.encoder import Encoder
from services.perception.frame import Frame
from services.perception.proposer import Job, Proposer
from services.perception.sam import Segmenter
from training.scenes import render_scene

SIZES = ((640, 480), (1024, 1024), (2048, 1365))  # width, height
SURVIVORS = (0.1, 0.3, 0.6)  # share of masks that pass the IoU filter
Case = tuple[tuple[int, int], float]  # a size and a share
SHORT: tuple[Case, ...] = (*((size, 0.3) for size in SIZES[:-1]), *((SIZES[-1], share) for share in SURVIVORS))
POINTS_PER_SIDE = 32
STAGES = ("encode", "decode", "upscale", "full_size", "filter", "rle")
LABELS = {
    "reference": "SamAutomaticMaskGenerator",
    "everything": "ours, everything",
    "hierarchical": "ours, hierarchical",
}


@dataclass
class Run:
    """One image through one contender."""

    stages_ms: dict[str, float]
    total_ms: float
    peak_mb: float  # above what there was before
    masks: list[dict[str, Any]] = field(repr=False)  # COCO RLE

    @property
    def after_encoder_ms(self) -> float:
        return self.total_ms - self.stages_ms["encode"]


class Contenders:
    """The same weights and the same bank of outputs behind each."""

    def __init__(self, sam: Sam, size: tuple[int, int], survivors: float) -> None:
        width, height = size
        scene = render_scene(0, width, height)
        side, low_side = sam.image_encoder.img_size, 4 * sam.prompt_encoder.image_embedding_size[0]
        frame = Frame((height, width), side, low_side)
        self._sam, self._image = sam, scene.image
        self._bank = Bank(scene, frame, POINTS_PER_SIDE, survivors, sam.device)
        encoder = Encoder(sam, torch.bfloat16 if sam.device.type == "cuda" else torch.float32)
        self._segmenter = Segmenter(sam, encoder, BankedDecoder(sam, self._bank))
        self._generator = SamAutomaticMaskGenerator(sam, points_per_side=POINTS_PER_SIDE, output_mode="coco_rle")

    def run(self, name: str) -> Run:
        return self._reference() if name == "reference" else self._ours(name)

    def _ours(self, strategy: str) -> Run:
        options = api.ProposalOptions.model_validate({"strategy": strategy, "max_masks": 200})
        job = Job(self._image, "", api.ProposalsRequest(levels=("object",), options=options))
        proposer = Proposer(self._segmenter, recommended_iou=0.88, embedding_bytes=0, decoded_bytes=0)
        with measured() as peak:
            started = time.perf_counter()
            (outcome,) = proposer([Taken(job, lambda: False)])
            total_ms = (time.perf_counter() - started) * 1000
        if isinstance(outcome, Exception):
            raise outcome
        stages = dict(outcome.timings_ms)
        stages["decode"] += stages.pop("share")
        return Run(stages, total_ms, peak(), [p.mask.to_coco() for p in outcome.levels["object"]])

    def _reference(self) -> Run:
        """With clocks around its parts: what is in none of them is its filter."""
        clock = Clock(self._sam.device)
        decoder, bank, prompts = self._sam.mask_decoder, self._bank, iter(range(0, POINTS_PER_SIDE**2, 64))
        predict, generator = decoder.predict_masks, automatic_mask_generator

        def banked(**inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
            predict(**inputs)
            start = next(prompts)
            rows = torch.arange(start, min(start + 64, POINTS_PER_SIDE**2), device=self._sam.device)
            return bank.logits(rows), bank.predicted_iou[rows]

        with (
            measured() as peak,
            patch.object(self._sam.image_encoder, "forward", clock.around("encode", self._sam.image_encoder.forward)),
            patch.object(decoder, "predict_masks", clock.around("decode", banked)),
            patch.object(
                decoder.output_upscaling, "forward", clock.around("upscale", decoder.output_upscaling.forward, "decode")
            ),
            patch.object(self._sam, "postprocess_masks", clock.around("full_size", self._sam.postprocess_masks)),
            patch.object(generator, "mask_to_rle_pytorch", clock.around("rle", generator.mask_to_rle_pytorch)),
            patch.object(generator, "coco_encode_rle", clock.around("rle", generator.coco_encode_rle)),
        ):
            started = time.perf_counter()
            found = self._generator.generate(self._image)
            total_ms = (time.perf_counter() - started) * 1000
        clock.ms["filter"] = total_ms - sum(clock.ms.values())
        return Run(clock.ms, total_ms, peak(), [mask["segmentation"] for mask in found])


class Clock:
    """Adds up the time that functions take, under names; what one takes within another is not counted there."""

    def __init__(self, device: torch.device) -> None:
        self.ms: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._device = device

    def around(self, name: str, function: Callable[..., Any], within: str | None = None) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = function(*args, **kwargs)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            took = (time.perf_counter() - started) * 1000
            self.ms[name] += took
            if within:
                self.ms[within] -= took
            return result

        return timed


@contextmanager
def measured() -> Iterator[Callable[[], float]]:
    """A function that tells, after the block, the most memory that was taken in it, in MB."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield lambda: (torch.cuda.max_memory_allocated() - before) / 1e6
        return
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    resident = _status_kb("VmRSS")
    yield lambda: (_status_kb("VmHWM") - resident) / 1e3


def _status_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def stages(sam: Sam, cases: Sequence[Case], repeats: int, console: Console) -> None:
    """Time by stage, memory and masks of each contender; the best of `repeats` interleaved runs."""
    table = Table("image", "pass", "contender", *(f"{stage} ms" for stage in STAGES), "total ms", box=box.MARKDOWN)
    for name in ("peak MB", "masks", "decoder", "after encoder", "memory"):
        table.add_column(name)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("runs", total=len(cases) * repeats * len(LABELS))
        for size, share in cases:
            contenders = Contenders(sam, size, share)
            runs: dict[str, list[Run]] = {name: [] for name in LABELS}
            for _ in range(repeats):
                for name in LABELS:
                    runs[name].append(contenders.run(name))
                    progress.advance(task)
            best = {name: min(taken, key=lambda run: run.total_ms) for name, taken in runs.items()}
            for name, run in best.items():
                table.add_row(*_row(name, run, best["reference"], size, share))
    console.print(table)
    console.print(
        "decoder (decode and upscale), after encoder: how many times faster than the reference; memory: share of its "
        "peak. Masks with = are the reference's, byte for byte.",
        highlight=False,
    )


def _row(name: str, run: Run, reference: Run, size: tuple[int, int], share: float) -> list[str]:
    def decoder(one: Run) -> float:
        return one.stages_ms["decode"] + one.stages_ms["upscale"]

    same = sorted(m["counts"] for m in _bytes(run.masks)) == sorted(m["counts"] for m in _bytes(reference.masks))
    return [
        f"{size[0]}x{size[1]}",
        f"{share:.0%}",
        LABELS[name],
        *(f"{run.stages_ms.get(stage, 0.0):,.0f}" for stage in STAGES),
        f"{run.total_ms:,.0f}",
        f"{run.peak_mb:,.0f}",
        f"{len(run.masks)}{' =' if same and name != 'reference' else ''}",
        f"{decoder(reference) / decoder(run):.1f}x",
        f"{reference.after_encoder_ms / run.after_encoder_ms:.1f}x",
        f"{run.peak_mb / reference.peak_mb:.0%}",
    ]


def _bytes(masks: Sequence[dict[str, Any]]) -> list[dict[str, bytes]]:
    """The counts of RLEs, which segment_anything gives as text."""
    return [{"counts": c if isinstance(c := mask["counts"], bytes) else c.encode()} for mask in masks]


def main(
    model: Annotated[str, typer.Option(help="vit_b, vit_l or vit_h, with random weights.")] = "vit_b",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda" if torch.cuda.is_available() else "cpu",
    repeats: Annotated[int, typer.Option(help="Runs of each; the best counts.")] = 1,
    size: Annotated[list[str] | None, typer.Option(help="WIDTHxHEIGHT, with all --survivors.")] = None,
    survivors: Annotated[list[float] | None, typer.Option(help="Share of masks that pass, with all --size.")] = None,
    full: Annotated[bool, typer.Option(help="All three sizes at all three shares: half an hour on 2 cores.")] = False,
) -> None:
    """Print what an image costs in each contender, by stage.

    Three sizes at 30 % of masks that pass, the largest at 10 and 60 too; other --size or --survivors with one another.
    """
    console = Console(width=200)
    torch.manual_seed(0)
    sam = sam_model_registry[model]().eval().requires_grad_(False).to(device)
    sizes = [(int(w), int(h)) for w, _, h in (one.partition("x") for one in size or [])] or SIZES
    pairs = [(one, share) for one in sizes for share in survivors or SURVIVORS]
    where = torch.cuda.get_device_name() if device == "cuda" else machine()
    console.print(
        f"{model}, {POINTS_PER_SIDE**2} prompts, {where}, torch {torch.__version__}, "
        f"segment_anything {version('segment_anything')}",
        highlight=False,
    )
    with torch.inference_mode():
        stages(sam, pairs if full or size or survivors else SHORT, repeats, console)


if __name__ == "__main__":
    typer.run(main)
