"""What a run is made of, by which a later call knows that it goes on with the same one, and the card that it leaves."""

import hashlib
import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, ValidationError

from dtwinseger.prompts import reasoning_digest
from dtwinseger.weights import weights_hash
from training.adapter import TOKENIZER
from training.sftdt.config import Config
from training.sftdt.data import Examples

FILE, CARD, CURVE = "run.json", "README.md", "loss.png"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")


class RunError(ValueError):
    """A run that cannot be started or gone on with, in words."""


class Record(BaseModel):
    """`run.json`: everything that a run's loss curve follows from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    base_weights: str | None
    begun: str | None = None  # hash of the adapter that it began with; None is fresh factors
    tokenizer: str  # SHA-256 over its files and template
    data: dict[str, str]  # name of each file -> SHA-256
    samples: int
    rejected: dict[str, int]  # reason -> samples
    prompts: str  # digest of the instruction
    devices: int
    config: Config
    versions: dict[str, str]

    @classmethod
    def of(
        cls, base: Path, data: list[Path], found: Examples, config: Config, devices: int, begun: str | None = None
    ) -> Self:
        """Of a run about to start."""
        digest = hashlib.sha256()
        for name in TOKENIZER:
            if (base / name).is_file():
                digest.update(name.encode() + b"\0" + (base / name).read_bytes())
        return cls(
            base=str(base),
            base_weights=weights_hash(base),
            begun=begun,
            tokenizer=digest.hexdigest(),
            data={file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in data},
            samples=len(found.kept),
            rejected=found.rejected,
            prompts=reasoning_digest(config.rendering),
            devices=devices,
            config=config,
            versions={name: version(name) for name in PACKAGES if find_spec(name)},
        )

    def require_same(self, run: Path) -> bool:
        """Whether `run` holds this run, begun; False where it holds none. Raises RunError for another one."""
        file = run / FILE
        if not file.is_file():
            return False
        try:
            before = type(self).model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise RunError(f"{file} is no record of a run: {error}") from error
        mine, theirs = self.model_dump(mode="json"), before.model_dump(mode="json")
        if self.base_weights:  # by which the base is known wherever it is
            theirs["base"] = mine["base"]
        if other := [name for name in mine if mine[name] != theirs[name]]:
            told = "; ".join(f"{name} was {_short(theirs[name])}, is {_short(mine[name])}" for name in other)
            raise RunError(f"{run} holds another run: {told}. Name a new folder, or call it as it was begun")
        return True

    def write(self, run: Path) -> None:
        """Into `run`."""
        (run / FILE).write_text(self.model_dump_json(indent=2) + "\n")

    def card(self, run: Path, history: list[dict[str, Any]], name: str) -> None:
        """Write the run card and its picture of the loss into `run`. name: that the adapter is served under."""
        curve = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
        draw(curve, run / CURVE)
        rejected = ", ".join(f"{count} since {reason}" for reason, count in self.rejected.items()) or "none"
        config = self.config
        each = config.batch * config.accumulation * self.devices
        seen = curve[-1][0] * each / self.samples
        ended = f"{seen:.2f} of " if config.minutes and seen < config.epochs else ""  # by the clock
        lines = [
            f"# {name}",
            "",
            f"A LoRA adapter of {self.base}, trained on Seg-DT with the token-weighted loss (SFTDT, Eq. 10).",
            "",
            f"- Base: {self.base}, weights {self.base_weights}; tokenizer {self.tokenizer[:12]}.",
            *([f"- Began with the adapter {self.begun}."] if self.begun else []),
            *(f"- Data: {file}, SHA-256 {digest}." for file, digest in self.data.items()),
            f"- Samples: {self.samples}; rejected: {rejected}.",
            f"- Updates: {curve[-1][0]} of {each} samples each ({config.batch} x {config.accumulation} accumulated x "
            f"{self.devices} devices), {ended}{config.epochs} epochs.",
            f"- Loss: {curve[0][1]:.4f} at the first update, {curve[-1][1]:.4f} at the last.",
            f"- Seed: {config.seed}, of the order of samples, dropout and the factors' first values.",
            f"- Versions: {', '.join(f'{name} {number}' for name, number in self.versions.items())}.",
            f"- Prompts: {self.prompts}; date in the chat template: {config.date}.",
            "",
            f"![loss by update]({CURVE})",
            "",
            "```json",
            json.dumps(config.model_dump(mode="json"), indent=2),
            "```",
            "",
        ]
        (run / CARD).write_text("\n".join(lines))


def draw(curve: list[tuple[int, float]], file: Path) -> None:
    """The loss by update as a PNG."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*curve, strict=True), marker="." if len(curve) < 50 else None)
    axes.set(xlabel="update", ylabel="Σ w·ce / Σ w, nats", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def _short(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 200 else f"{text[:200]}…"
