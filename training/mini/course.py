"""A training that ends by the clock: what SAM and VLM share; the LLM has its optimizers from here."""

import ctypes
import math
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
AHEAD = 3  # batches that are made while the network computes


class Clock:
    """How far a training has come, from the start of the `with` block on; `spent` seconds are those of earlier runs.

    Within the block SIGTERM and SIGINT end the training after the step that runs, so that all is saved.
    """

    def __init__(self, minutes: float, spent: float) -> None:
        self.seconds = 60 * minutes
        self.interrupted = False
        self._before, self._started = spent, time.monotonic()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Clock":
        self._started = time.monotonic() - self._before
        self._handlers = {n: signal.signal(n, self._interrupt) for n in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def spent(self) -> float:
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds to go."""
        return max(0.0, self.seconds - self.spent)

    @property
    def progress(self) -> float:
        """0 to 1."""
        return min(1.0, self.spent / self.seconds)

    @property
    def over(self) -> bool:
        return self.interrupted or self.spent >= self.seconds

    def rate(self, warmup: float) -> float:
        """The learning rate's share: a linear warm-up over `warmup` of the time, then a cosine to 1 %."""
        if self.progress < warmup:
            return max(self.progress, 1e-4) / warmup
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (self.progress - warmup) / (1 - warmup)))

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True


def best_device() -> torch.device:
    """The GPU, or else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_up(device: torch.device, threads: int) -> None:
    """Say where it runs, and make the most of it."""
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        name = torch.cuda.get_device_name(device)
    else:
        _keep_freed_memory()
        name = f"CPU, threads: {threads}"
    print(f"training on {name}, torch {torch.__version__}", flush=True)


def optimizers(
    model: nn.Module, inside: Callable[[str], bool], learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """On a CPU Muon for the matrices whose name is `inside` a transformer, AdamW for everything else.

    On a GPU AdamW for all: a step there waits for launches, and Muon's small products are many.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and inside(name)]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    betas = (0.9, 0.98)
    if rest[0].is_cuda:
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
        return [torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=True)]
    return [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=learning_rate, betas=betas, weight_decay=0.0),
    ]


class Average:
    """A running average of a model's weights over steps: what is exported."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.decay = decay

    def follow(self, model: nn.Module, step: int) -> None:
        """Weigh in the weights after `step`; early ones count less."""
        pairs = [(self.weights[name], value) for name, value in model.state_dict().items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [mean for mean, _ in pairs], [value for _, value in pairs], 1 - min(self.decay, step / (step + 10))
        )


def prefetched(make: Callable[[int], T], first: int) -> Iterator[T]:
    """make(first), make(first + 1), ...; made by threads while the last ones are used."""
    with ThreadPoolExecutor(2) as threads:
        waiting: list[Future[T]] = [threads.submit(make, first + i) for i in range(AHEAD)]
        step = first + AHEAD
        try:
            while True:
                ready = waiting.pop(0)
                waiting.append(threads.submit(make, step))
                step += 1
                yield ready.result()
        finally:
            for future in waiting:
                future.cancel()


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` in memory that a GPU copies from without a wait; itself where the device is no GPU."""
    return tensor.pin_memory() if device.type == "cuda" else tensor


def to(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on the device, without a wait."""
    return pinned(tensor, device).to(device, non_blocking=True)


def save(state: dict[str, Any], checkpoint: Path) -> None:
    """Write the checkpoint; the one before stays where this is cut short."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, checkpoint.with_suffix(".new"))
    checkpoint.with_suffix(".new").replace(checkpoint)


def _keep_freed_memory() -> None:
    """Tell glibc not to hand memory back between steps: fetching it again cost half of the time."""
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    libc = ctypes.CDLL(None)
    for parameter, value in ((trim_threshold, 2**31 - 1), (top_pad, 2**28), (mmap_threshold, 2**31 - 1)):
        libc.mallopt(parameter, value)
