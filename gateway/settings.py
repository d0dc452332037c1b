"""Settings of the gateway, from the environment: GATEWAY_…"""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from dtwinseger.service.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="ignore")

    perception_url: str = "http://127.0.0.1:8081"
    semantics_url: str = "http://127.0.0.1:8082"
    reasoner_url: str = "http://127.0.0.1:8083"
    store_url: str = "sqlite:///data/twins.sqlite"  # or redis://host:6379/0
    ttl_s: Annotated[float, Field(gt=0)] = 7 * 86_400  # how long twins and stage results are kept
    api_keys: str = ""  # tenant:sha256, comma separated; with none here and no file, callers need no key
    api_keys_file: Path | None = None  # the same, one a line; read again when it changes
    rate_limit: str = ""  # POSTs that start work, of each tenant or, without keys, address: 60/minute; empty is none
    sync_wait_s: Annotated[float, Field(gt=0)] = 25.0  # a caller that prefers `wait=N` is answered 202 after it
    async_timeout_s: Annotated[float, Field(gt=0)] = 600.0  # for work that a stream waits for, or nobody
