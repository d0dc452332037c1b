"""Begins a small reasoner with what another one of its shape has learned, though their vocabularies differ."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from training.scenes.vocabulary import COLORS, KINDS

EMBEDDINGS = "model.embed_tokens.weight"
FORMS = ("Ġ{}", "Ġ{}s", "Ġ({})", "{}")  # in which a word is a token; Ġ is a space
ENOUGH = 4  # known words of a sort, near whose mean a new one begins
SPREAD = 0.7  # of other new tokens, in standard deviations of the old ones


def begin(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Give `model` the layers of the one in `folder`, and its embeddings of the tokens that both have.

    A new kind or color begins near the mean of those that are known. Raises ValueError where the shapes differ.
    """
    other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    known = AutoTokenizer.from_pretrained(folder).get_vocab()
    own = model.state_dict()
    layers = [name for name in own if name not in (EMBEDDINGS, "lm_head.weight")]
    if wrong := [name for name in layers if name not in other or other[name].shape != own[name].shape]:
        raise ValueError(f"{folder} is a model of another shape: {', '.join(wrong[:3])}")
    embeddings = _embeddings(tokenizer.get_vocab(), known, other[EMBEDDINGS])
    model.load_state_dict({name: other[name] for name in layers} | {EMBEDDINGS: embeddings}, strict=False)
    model.tie_weights()


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
