"""What an engine lists under /v1/models, and what that says of a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx2
from pydantic import BaseModel, ValidationError

MOST_BYTES = 1_000_000  # of a list
SHOWN = 5  # names in a message


class _Model(BaseModel):
    id: str
    owned_by: str | None = None


class _Models(BaseModel):
    data: tuple[_Model, ...]


@dataclass(frozen=True)
class Listing:
    """Names of models. `complete`: the engine serves no others, as vLLM says of what it owns.

    Others load what they do not list: `transformers serve` lists its cache and loads folders, a proxy has wildcards.
    """

    names: frozenset[str]
    complete: bool

    @classmethod
    def of(cls, body: bytes) -> Self:
        """What the body of the answer lists; nothing where it is no list."""
        try:
            listed = _Models.model_validate_json(body).data
        except ValidationError:
            listed = ()
        return cls(frozenset(model.id for model in listed), any(model.owned_by == "vllm" for model in listed))

    def state(self, model: str) -> str:
        """For readiness: "ok", or that `model` is not listed where it should be."""
        if model in self.names or not self.names:
            return "ok"
        if self.complete:
            return self.lacks(model)
        return "ok" if Path(model).is_dir() else f"degraded: {self.lacks(model)}; it may serve it all the same"

    def lacks(self, model: str) -> str:
        """That `model` is not listed, in words."""
        names = sorted(self.names)
        told = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        return f"the engine does not list {model}; it lists {told or 'nothing'}"


async def read_up_to(most: int, response: httpx2.Response) -> bytes:
    """The first `most` bytes of a body."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= most:
            break
    return body[:most]
