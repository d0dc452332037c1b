"""A training step's loss and gradients as a CUDA graph: the thousand kernels of a small network cost one launch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

WARM_UP = 2  # steps before a capture, in which libraries choose their kernels and take their memory

Step = Callable[..., Tensor]
Key = tuple[Any, ...]


def stepping(model: nn.Module, step: Step, device: torch.device) -> Step:
    """`step` with fresh gradients at each call; on a GPU by a graph for each shape, which is one launch.

    step: computes from tensors and numbers, and calls backward. No shape in it may depend on a tensor's values: that
    would wait for the device. Result and gradients are valid until the next call.
    """
    if device.type == "cuda":
        return _Captured(model, step)

    def plain(*inputs: Any) -> Tensor:
        model.zero_grad()
        return step(*inputs)

    return plain


@dataclass(frozen=True)
class _Graph:
    """One shape's. A replay takes `inputs`, and puts result and gradients where the capture has put them."""

    graph: Any
    inputs: list[Any]
    result: Tensor
    gradients: list[Tensor | None]


class _Captured:
    """Captures a step at the first call of each shape.

    Graphs share their memory: only one runs at a time, and what it gives is used before the next one.
    """

    def __init__(self, model: nn.Module, step: Step) -> None:
        self._parameters, self._step = list(model.parameters()), step
        self._graphs: dict[Key, _Graph] = {}
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._aside = torch.cuda.Stream()

    def __call__(self, *inputs: Any) -> Tensor:
        key = tuple(each.shape if isinstance(each, Tensor) else each for each in inputs)
        if key not in self._graphs:
            self._graphs[key] = self._capture(inputs)
        found = self._graphs[key]
        for own, given in zip(found.inputs, inputs, strict=True):
            if isinstance(own, Tensor):
                own.copy_(given)
        found.graph.replay()
        for parameter, gradient in zip(self._parameters, found.gradients, strict=True):
            parameter.grad = gradient
        return found.result

    def _capture(self, given: tuple[Any, ...]) -> _Graph:
        inputs = [each.clone() if isinstance(each, Tensor) else each for each in given]
        self._aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._aside):
            for _ in range(WARM_UP):
                self._forget()
                self._step(*inputs)
        torch.cuda.current_stream().wait_stream(self._aside)
        self._forget()
        graph = torch.cuda.CUDAGraph()
        # Other threads prepare batches meanwhile, which only a capture of this thread alone allows.
        with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
            result = self._step(*inputs)
        return _Graph(graph, inputs, result, [parameter.grad for parameter in self._parameters])

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
