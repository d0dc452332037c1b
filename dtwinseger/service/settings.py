"""Settings that every deployable has. Each service subclasses with its own prefix."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Read from the environment; a subclass sets `env_prefix` in its `model_config`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    max_running: Annotated[int, Field(ge=1)] = 8  # requests at work at once
    max_queued: Annotated[int, Field(ge=0)] = 32  # requests waiting; one more is answered 503
    timeout_s: Annotated[float, Field(gt=0)] = 120.0  # where the caller sets no shorter deadline
    drain_s: Annotated[float, Field(ge=0)] = 0.0  # from SIGTERM, when /readyz turns 503, until the port is closed
    log_level: str = "info"
