"""Settings of perception, from the environment: PERCEPTION_…"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from dtwinseger.service.settings import ServiceSettings

Architecture = Literal["vit_h", "vit_l", "vit_b"]


class PerceptionSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PERCEPTION_", frozen=True, extra="ignore")

    checkpoint: Path = Path("models/dtwin-mini-sam")  # a .pth or .safetensors file, or a folder with config.json
    architecture: Architecture | None = None  # of a segment-anything checkpoint; null is by config.json
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] | None = None  # null is cuda where there is one
    prompt_batch: Annotated[int, Field(ge=1)] = 32  # prompts decoded at once
    max_running: Annotated[int, Field(ge=1)] = 2  # one decodes its image while the other has the device
    max_queued: Annotated[int, Field(ge=0)] = 16
