"""A LoRA adapter on disk: what vLLM demands of it, the base that it belongs to, and the name that it is served under.

python -m training.adapter runs/sftdt/adapter     # checks it and prints a name for --lora-modules: sftdt@<hash>
"""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from dtwinseger.sftdt import TunedRecord
from dtwinseger.weights import HASH_CHARACTERS, weights_hash

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # for vLLM's --max-lora-rank
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
VOCABULARY = ("embed_tokens", "lm_head")  # modules of which an adapter may train none: no new tokens


class AdapterError(ValueError):
    """An adapter that cannot be used, in words."""


class LoraConfig(BaseModel):
    """What is read of PEFT's adapter_config.json."""

    model_config = ConfigDict(extra="ignore")

    peft_type: str
    base_model_name_or_path: str | None = None
    r: int = Field(ge=1)
    lora_alpha: float = 8  # PEFT's default
    rank_pattern: dict[str, int] | None = None
    target_modules: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    trainable_token_indices: Any = None
    use_dora: bool = False
    lora_bias: bool = False
    bias: str = "none"


@dataclass(frozen=True)
class Adapter:
    """A PEFT adapter in `folder`; `record` is what its trainer says of it, if it does."""

    folder: Path
    config: LoraConfig
    record: TunedRecord | None
    tensors: frozenset[str]  # their names

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The adapter in `folder`, its weights unread. Raises AdapterError."""
        try:
            config = LoraConfig.model_validate_json((folder / CONFIG).read_bytes())
            record = TunedRecord.of(folder)
        except OSError as error:
            raise AdapterError(f"{folder} is no PEFT adapter: {CONFIG} cannot be read ({error.strerror})") from error
        except ValidationError as error:
            raise AdapterError(f"{folder / CONFIG} is no LoRA configuration: {error}") from error
        except ValueError as error:
            raise AdapterError(str(error)) from error
        try:
            with safe_open(str(folder / WEIGHTS), "numpy") as file:
                tensors = frozenset(file.keys())
        except (OSError, SafetensorError) as error:
            raise AdapterError(f"{folder / WEIGHTS} cannot be read: {error}") from error
        return cls(folder, config, record, tensors)

    @property
    def hash(self) -> str:
        """Of weights and configuration: the same rank and weights with another alpha answer otherwise."""
        digest = hashlib.sha256()
        for name in (CONFIG, WEIGHTS):
            with (self.folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:HASH_CHARACTERS]

    def require_servable(self) -> None:
        """Raise AdapterError for what vLLM would not load; all that is wrong, in one."""
        config = self.config
        wrong = []
        if config.peft_type != "LORA":
            wrong.append(f"it is {config.peft_type}, not LORA")
        if config.r not in RANKS:
            wrong.append(f"its rank is {config.r}, not one of {', '.join(map(str, RANKS))}")
        if over := {name: r for name, r in (config.rank_pattern or {}).items() if r > config.r}:
            wrong.append(f"its rank_pattern goes over its rank {config.r}: {over}")
        if config.use_dora:
            wrong.append("it is a DoRA (use_dora)")
        if config.lora_bias or config.bias != "none":
            wrong.append("it trains biases (bias, lora_bias)")
        if config.modules_to_save:
            wrong.append(f"it saves whole modules (modules_to_save: {', '.join(config.modules_to_save)})")
        targets = [config.target_modules] if isinstance(config.target_modules, str) else config.target_modules or []
        if config.trainable_token_indices or any(name in target for target in targets for name in VOCABULARY):
            wrong.append("it trains the vocabulary (trainable_token_indices, embed_tokens, lm_head)")
        if other := sorted(name for name in self.tensors if ".lora_A." not in name and ".lora_B." not in name):
            wrong.append(f"{WEIGHTS} holds more than LoRA factors: {', '.join(other[:3])}")
        if wrong:
            raise AdapterError(f"{self.folder} cannot be served: {'; '.join(wrong)}")

    def require_base(self, base: Path) -> None:
        """Raise AdapterError unless the adapter was trained on the model in `base`.

        By the hash of its weights where the trainer recorded one, else by the last part of its name.
        """
        weights = weights_hash(base)
        if weights is None:
            raise AdapterError(f"{base} is no folder with safetensors weights")
        if self.record and self.record.base_weights:
            if self.record.base_weights != weights:
                raise AdapterError(
                    f"{self.folder} was trained on {self.record.base} with weights {self.record.base_weights}, "
                    f"those in {base} are {weights}"
                )
            return
        named = self.config.base_model_name_or_path or (self.record and self.record.base)
        if not named:
            raise AdapterError(f"{self.folder} does not say what it was trained on")
        if Path(named).name != base.resolve().name:
            raise AdapterError(f"{self.folder} was trained on {named}, not on {base}")

    def require_tokenizer(self, base: Path) -> None:
        """Raise AdapterError where a file of the tokenizer is beside the adapter and says other than the base's."""
        for name in TOKENIZER:
            own = self.folder / name
            if own.is_file() and _content(own) != _content(base / name):
                raise AdapterError(f"{own} differs from {base / name}: an adapter keeps the tokenizer of its base")


def _content(file: Path) -> Any:
    """What a file says: JSON as its value, other text as it is; None where there is no file."""
    if not file.is_file():
        return None
    return json.loads(file.read_bytes()) if file.suffix == ".json" else file.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path, help="folder with adapter_config.json and adapter_model.safetensors")
    parser.add_argument("--base", type=Path, help="folder of the base model: check that it is the adapter's")
    parser.add_argument("--name", default="sftdt", help="before the hash")
    options = parser.parse_args()
    try:
        adapter = Adapter.load(options.adapter)
        adapter.require_servable()
        if options.base:
            adapter.require_base(options.base)
            adapter.require_tokenizer(options.base)
    except AdapterError as error:
        sys.exit(f"error: {error}")
    print(f"{options.name}@{adapter.hash}")


if __name__ == "__main__":
    main()
