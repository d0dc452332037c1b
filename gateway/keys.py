"""Keys: what a stage's result depends on, and nothing else, so that equal inputs meet equal results."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel

from dtwinseger.api import Level, SemanticsOptions, ServiceInfo
from dtwinseger.twin import TwinRow

PUBLIC = "public"  # the tenant of everyone where the gateway asks for no keys
ID_CHARACTERS = 32  # hexadecimal: 128 bits


def stage_key(stage: str, *inputs: Any) -> str:
    """`stage:` and a hash of its inputs: strings, numbers, None, lists, dicts and models."""
    return f"{stage}:{_hash(inputs)}"


def proposals_key(image_sha256: str, level: Level, options: BaseModel, info: ServiceInfo) -> str:
    """Proposals depend on the image, their options and the checkpoint; not on the query."""
    return stage_key("proposals", image_sha256, level, options, info)


def granularity_key(image_sha256: str, query: str, info: ServiceInfo) -> str:
    """Granularity depends on image, query, prompt and VLM."""
    return stage_key("granularity", image_sha256, query, info)


def semantics_key(proposals: str, query: str | None, options: SemanticsOptions, info: ServiceInfo) -> str:
    """Semantics depend on the masks and, unless the scope is the image, on the query; not on what they may cost."""
    unlimited = options.model_copy(update={"max_calls": None, "max_cost_usd": None})
    return stage_key("semantics", proposals, query, unlimited, info)


def answer_key(query: str, rows: list[TwinRow], options: BaseModel, info: ServiceInfo) -> str:
    """The answer depends on the query and on the twin as the LLM reads it."""
    return stage_key("answer", query, rows, options, info)


def twin_id(tenant: str, image_sha256: str, query: str, options: BaseModel, infos: list[ServiceInfo]) -> str:
    """128 bits from everything that changes the result: a repeated request is the same resource.

    Of the tenant too: an id tells nothing of what another tenant asked.
    """
    return _hash([tenant, image_sha256, query, options, infos])


def of_tenant(tenant: str, key: str) -> str:
    """The key under which the store holds a tenant's value: `stage:tenant:…`. No tenant's name has a colon."""
    stage, _, rest = key.partition(":")
    return f"{stage}:{tenant}:{rest}"


def _hash(inputs: Any) -> str:
    text = json.dumps(inputs, default=_plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:ID_CHARACTERS]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be part of a key")
