"""Begins a small reasoner with what one has learned that is no larger, though their vocabularies differ."""

import math
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from training.scenes.vocabulary import COLORS, KINDS

EMBEDDINGS = "model.embed_tokens.weight"
WRITING = ("o_proj.weight", "down_proj.weight")  # to the residual stream
FORMS = ("Ġ{}", "Ġ{}s", "Ġ({})", "{}")  # in which a word is a token; Ġ is a space
ENOUGH = 4  # known words of a sort, near whose mean a new one begins
SPREAD = 0.7  # of other new tokens, in standard deviations of the old ones


def begin(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Give `model` the layers of the one in `folder`, and its embeddings of the tokens that both have.

    What `model` has beyond the other's layers, width, heads and neurons keeps its random weights, but for what new
    heads and neurons write, which begins at 0: so it says nearly what the other one says. Further layers come before
    the other's: what they write to a token, all of those read. A new kind or color begins near the mean of those that
    are known. Raises ValueError where the other has heads of another size, or more of anything.
    """
    other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    known = AutoTokenizer.from_pretrained(folder).get_vocab()
    _require_no_larger(model, other, folder)
    below = model.config.num_hidden_layers - other.config.num_hidden_layers
    given = {_raised(name, below): value for name, value in other.state_dict().items()}
    own = model.state_dict()
    for name, new in own.items():
        if name.endswith(WRITING) and name not in given:
            new.zero_()
    given[EMBEDDINGS] = _embeddings(tokenizer.get_vocab(), known, given[EMBEDDINGS])
    scale = math.sqrt(other.config.hidden_size / model.config.hidden_size)  # RMSNorm's mean is over more, all but 0
    for name, old in given.items():
        if name == "lm_head.weight":
            continue
        new = own[name]
        if name.endswith(WRITING):
            new[:, old.shape[1] :] = 0
        new[tuple(slice(size) for size in old.shape)] = old * scale if old.ndim == 1 else old
    model.load_state_dict(own)
    model.tie_weights()


def _require_no_larger(model: LlamaForCausalLM, other: LlamaForCausalLM, folder: Path) -> None:
    new, old = model.config, other.config
    sizes = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    if new.head_dim != old.head_dim or any(getattr(new, name) < getattr(old, name) for name in sizes):
        shape = f"{new.num_hidden_layers} layers of {new.num_attention_heads} heads of {new.head_dim}"
        raise ValueError(f"{folder} has other heads or is larger than {shape}")


def _raised(name: str, by: int) -> str:
    """The name that a weight has with so many more layers below its own."""
    before, layers, rest = name.partition(".layers.")
    if not layers:
        return name
    number, _, rest = rest.partition(".")
    return f"{before}{layers}{int(number) + by}.{rest}"


def _embeddings(vocabulary: dict[str, int], known: dict[str, int], old: Tensor) -> Tensor:
    """[V, H] for `vocabulary`; known, old: another vocabulary and its embeddings."""
    new = old.mean(dim=0) + SPREAD * old.std(dim=0) * torch.randn(len(vocabulary), old.shape[1])
    for form in FORMS:
        for words in (KINDS, COLORS):
            tokens = [form.format(word) for word in words]
            alike = old[[known[token] for token in tokens if token in known]]
            if len(alike) >= ENOUGH:
                mean, spread = alike.mean(dim=0), alike.std(dim=0)
                for token in tokens:
                    if token in vocabulary:
                        new[vocabulary[token]] = mean + spread * torch.randn_like(mean)
    for token, index in vocabulary.items():
        if token in known:
            new[index] = old[known[token]]
    return new
