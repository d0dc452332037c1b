"""Where a model is served, and what it costs there."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from dtwinseger.weights import weights_hash

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # USD for a million tokens


class EngineSettings(BaseModel):
    """Where a model is served. `structured_output` asks for a JSON schema where the engine can be held to one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "http://127.0.0.1:8090/v1"
    model: str
    api_key: SecretStr = SecretStr("none")  # engines of one's own ask for none
    structured_output: bool = False
    max_in_flight: Annotated[int, Field(ge=1)] = 8
    timeout_s: Annotated[float, Field(gt=0)] = 120.0  # of one call, where the deadline leaves more
    price_input: Price | None = None  # unset: what a call costs is unknown
    price_cached: Price | None = None  # of input from the prefix cache; unset is the price of input
    price_output: Price | None = None

    @model_validator(mode="after")
    def _prices_are_whole(self) -> Self:
        if (self.price_input is None) != (self.price_output is None):
            raise ValueError("price_input and price_output go together")
        if self.price_cached is not None and self.price_input is None:
            raise ValueError("price_cached needs price_input")
        return self

    @cached_property
    def identity(self) -> str:
        """The model's name, with a hash of its weights where it is a folder here: other weights, other results."""
        weights = weights_hash(Path(self.model))
        return f"{self.model}@{weights}" if weights else self.model

    def cost_usd(self, prompt: int, cached: int, completion: int) -> float | None:
        """What a call costs, from its tokens (`cached` are some of the prompt's); None where no price is set."""
        if self.price_input is None or self.price_output is None:
            return None
        price_cached = self.price_input if self.price_cached is None else self.price_cached
        return ((prompt - cached) * self.price_input + cached * price_cached + completion * self.price_output) / 1e6
