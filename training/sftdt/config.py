"""A run's configuration: what is trained, how, and on what machine. Files in `configs/` hold those that we offer."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtwinseger.twin.text import Rendering
from training.adapter import VOCABULARY
from training.sftdt.spans import Weights

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # of a Llama's layer
Rank = Literal[8, 16, 32, 64, 128, 256]  # that vLLM's --max-lora-rank takes


class ConfigError(ValueError):
    """A configuration that cannot be used, in words."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lora(Part):
    """Only what vLLM serves can be said here: there is no DoRA, no bias, no `modules_to_save`, no new token."""

    rank: Rank = 16  # the paper gives none
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: tuple[str, ...] = LINEARS

    @model_validator(mode="after")
    def _no_vocabulary(self) -> Self:
        if not self.targets or (vocabulary := [name for name in self.targets if name in VOCABULARY]):
            raise ValueError(f"vLLM serves adapters of linear layers; targets are {list(self.targets or vocabulary)}")
        return self


class Shape(Part):
    """A Llama's shape, by the names of its config.json. Defaults are what Llama 3 has."""

    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    head_dim: int = 128
    tie_word_embeddings: bool = False


class Machine(Part):
    """What it runs on."""

    devices: Annotated[int, Field(ge=1)] = 1
    gb: float = 0  # memory of one, 10^9 bytes; 0 is unknown
    shard: bool = False  # FSDP: weights, gradients and optimiser are spread over the devices
    offload: bool = False  # FSDP: weights, gradients and optimiser wait in the host's memory


class Config(Part):
    """One run. Section 4 of the paper where it says, else ours, as marked."""

    epochs: Annotated[int, Field(ge=1)] = 5  # the paper's
    accumulation: Annotated[int, Field(ge=1)] = 8  # micro-batches an update on each device; the paper's
    schedule: Literal["cosine"] = "cosine"  # the paper's
    batch: Annotated[int, Field(ge=1)] = 1  # samples a micro-batch on each device
    rate: Annotated[float, Field(gt=0)] = 1e-4  # ours
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03  # share of the updates; ours
    clip: Annotated[float, Field(gt=0)] = 1.0  # norm of the gradient; ours
    seed: int = 0
    lora: Lora = Lora()
    weights: Weights = Weights()
    rendering: Rendering = "json"  # of the twin; what REASONER_RENDERING will be
    other_rendering: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of the samples that are rendered the other way
    by_length: bool = False  # an update's samples are of like length: less padding, where samples are many
    minutes: Annotated[float, Field(gt=0)] | None = None  # the run ends, its schedule with it, after so long
    date: str = "26 Jul 2024"  # that chat templates of Llama 3 write; what the engine is given too
    tokens: Annotated[int, Field(ge=16)] = 4096  # of a sample, prompt and answer; a longer one is rejected
    dtype: Literal["float32", "bfloat16"] = "bfloat16"  # of computing, and of weights that are not quantized
    nf4: bool = False  # linears of the base in 4 bits, double quantization
    recompute: bool = False  # activations of a layer are computed again in the backward pass
    log_every: Annotated[int, Field(ge=1)] = 1  # updates between entries of the curve
    save_every: Annotated[int, Field(ge=1)] = 20  # updates between checkpoints
    machine: Machine = Machine()
    shape: Shape | None = None  # of the base that the configuration is made for: --plan and --dry-run need no weights

    @classmethod
    def load(cls, file: Path | None) -> Self:
        """The configuration in a TOML file; None is the paper's schedule. Raises ConfigError."""
        try:
            return cls.model_validate(tomllib.loads(file.read_text("utf-8")) if file else {})
        except OSError as error:
            raise ConfigError(f"{file} cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} is no TOML: {error}") from error
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"{file} is no configuration of a run: {told}") from error
