"""A step's gradients are those of its own inputs, whether it is launched or replayed."""

import pytest
import torch
from torch import nn

from training.mini.captured import stepping

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="needs a GPU: run it with `pytest -k cuda` on one"
        ),
    ),
]


@pytest.mark.parametrize("name", DEVICES)
def test_each_call_gives_the_result_and_the_gradients_of_its_inputs(name: str) -> None:
    device = torch.device(name)
    torch.manual_seed(0)
    model = nn.Linear(3, 2).to(device)

    def step(x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = model(x).square().sum()
        loss.backward()
        return loss.detach()

    take = stepping(model, step, device)
    for rows in (4, 5, 4, 5):
        x = torch.randn(rows, 3, device=device)
        loss = take(x).clone()
        found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        wanted = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
        torch.testing.assert_close(found, list(wanted))
        torch.testing.assert_close(loss, model(x).square().sum())
