"""Tiny runs: a Llama of two layers with the bundled tokenizer, and Seg-DT made up."""

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from dtwinseger.twin import Decision, Step, TwinRow
from training.segdt.schema import SegDTImage, SegDTProvenance, SegDTSample
from training.sftdt.__main__ import main
from training.sftdt.config import Config

BUNDLED = Path("models/dtwin-mini-llm")


def llama(folder: Path, vocabulary: int | None = None, seed: int = 0) -> Path:
    """An untrained Llama with the bundled tokenizer, and as large a vocabulary unless told otherwise."""
    vocabulary = vocabulary or len(AutoTokenizer.from_pretrained(BUNDLED))
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(BUNDLED / name, folder / name)
    return folder


def sample(seed: int, objects: int = 4) -> SegDTSample:
    """A twin of so many objects, a query for the kind of one of them, and the path that finds all of that kind."""
    rng = random.Random(seed)
    kinds = [rng.choice(("mug", "tree", "car", "hat")) for _ in range(objects)]
    wanted = rng.choice(kinds)
    looks = [f"a {rng.choice(('red', 'blue'))} {kind}" for kind in kinds]
    indices = tuple(index for index, kind in enumerate(kinds, start=1) if kind == wanted)
    decisions = tuple(
        Decision(index=index, reasoning=look, keep=index in indices, semantic=look if index in indices else None)
        for index, look in enumerate(looks, start=1)
    )
    return SegDTSample(
        id=str(seed),
        granularity="object",
        image=SegDTImage(width=256, height=256, sha256="0" * 64, file=f"{seed}.png"),
        query=f"the {wanted}",
        dt0=tuple(
            TwinRow(
                index=index, semantic=look, bbox=(index, 2, 90, 80), area_percent=20.5 - index, spatial="at the left"
            )
            for index, look in enumerate(looks, start=1)
        ),
        path=(Step(step=1, criterion=f"is a {wanted}", decisions=decisions),),
        indices=indices,
        provenance=SegDTProvenance(annotator="world", split="train", generator="test"),
    )


def written(file: Path, count: int) -> Path:
    """A Seg-DT file of so many samples."""
    file.write_text("".join(sample(seed).line() + "\n" for seed in range(count)))
    return file


def config(**given: Any) -> Config:
    """In float32, a high rate and few epochs, so that every update is felt."""
    return Config.model_validate({"dtype": "float32", "epochs": 2, "rate": 1e-2, "save_every": 2} | given)


def losses(run: Path) -> list[float]:
    """The loss of each update of a finished run, from its last checkpoint."""
    states = (json.loads(file.read_text()) for file in (run / "checkpoints").glob("checkpoint-*/trainer_state.json"))
    last = max(states, key=lambda state: state["global_step"])
    return [entry["loss"] for entry in last["log_history"] if "loss" in entry]


def factors(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of a finished run's adapter."""
    return load_file(run / "adapter/adapter_model.safetensors")


def as_rank(rank: int, ranks: int, port: int, words: list[str]) -> None:
    """The command line as one of several processes, as torchrun starts them. Exits with its status."""
    sys.argv = ["training.sftdt", *words]
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    main()
