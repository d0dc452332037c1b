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
    compile: bool = False  # compile encoder and decoder when the service starts; needs a C++ compiler on a CPU
    prompt_batch: Annotated[int, Field(ge=1)] | None = None  # prompts decoded at once; null is what fits the device
    images_together: Annotated[int, Field(ge=1)] | None = (
        None  # that the device takes at once; null is 4 on CUDA, else 1
    )
    embedding_cache_mb: Annotated[int, Field(ge=0)] = 256  # 4 MB an image for SAM's own checkpoints
    decoded_cache_mb: Annotated[int, Field(ge=0)] = 512  # 0.25 MB a mask
    stuck_after_s: Annotated[float, Field(gt=0)] = 300.0  # a batch that takes longer means a device that hangs
    max_running: Annotated[int, Field(ge=1)] = 8  # images decoded, at the device or waiting for it
    max_queued: Annotated[int, Field(ge=0)] = 16
