"""`GET /v1/info`: what answers are made with; `GET /readyz`: whether there would be any."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dtwinseger.api.contract import Contract


class ServiceInfo(Contract):
    """`GET /v1/info` of every service: what cache keys and provenance need to know before a request."""

    service: str
    version: str
    models: dict[str, str]  # role -> name and version
    prompts: str = ""  # SHA-256 over the prompts that the service uses
    settings: dict[str, Any] = Field(default_factory=dict)  # what changes results, and nothing secret


class GatewayInfo(Contract):
    """`GET /v1/info` of the gateway: what answers are made with, so that a run of many requests can say it."""

    version: str
    services: tuple[ServiceInfo, ...]  # perception, semantics, reasoner


class Readiness(BaseModel):
    """`GET /readyz` of every service and of the gateway. Also another version's is read."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok", "unready"]
    needs: dict[str, str]  # what is needed -> "ok", "degraded: …" where requests are still answered, or what is wrong
