"""The loss of SFTDT (Eq. 10): cross-entropy weighted by token, Σ w·ce / Σ w, with logits in chunks only."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

LOGITS = 2**26  # that are in memory at once: 0.27 GB in float32
IGNORED = -100  # label of a position that is not supervised


def chunk_of(vocabulary: int) -> int:
    """Positions whose logits are made at once: 523 for Llama 3's vocabulary."""
    return max(1, LOGITS // vocabulary)


def score_tokens(model: Any, chunk: int | None = None) -> None:
    """From now on `model(input_ids, labels, weights)` returns Σ w·ce and keeps no logits.

    model: a causal language model of transformers, before or after PEFT wraps it; changed in place. It is the forward
    itself that is replaced, so that wrappers that gather its weights (FSDP, DDP) see one ordinary call.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    chunk = chunk or chunk_of(inner.config.vocab_size)
    inner.forward = partial(weighted_nll, inner.get_decoder(), inner.get_output_embeddings(), chunk)


def weighted_nll(
    decoder: nn.Module,
    head: nn.Module,
    chunk: int,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    **_: Any,
) -> torch.Tensor:
    """Σ w·ce of the tokens of a batch, a scalar in float32. Logits are made of supervised positions, `chunk` at a time.

    input_ids [B, T] int64, padded at the right: no token sees what comes after it, so the padding needs no mask, and
    attention without one is faster. labels [B, T] int64: the token itself, or IGNORED. weights [B, T] float32:
    of predicting it, 0 where it is IGNORED. A row's first token is predicted from nothing and never counts.
    """
    hidden = decoder(input_ids=input_ids, use_cache=False).last_hidden_state[:, :-1]
    told = labels[:, 1:] != IGNORED
    states, targets, counts = hidden[told], labels[:, 1:][told], weights[:, 1:][told]  # [S, H], [S], [S]
    total: torch.Tensor = (hidden[:, :1] * 0).sum().float()  # a batch without a target still has a gradient: zero
    for part in zip(*(values.split(chunk) for values in (states, targets, counts)), strict=True):
        total = total + checkpoint(_chunk, head, *part, use_reentrant=False)
    return total


def _chunk(head: nn.Module, states: torch.Tensor, targets: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return (F.cross_entropy(head(states).float(), targets, reduction="none") * counts).sum()
