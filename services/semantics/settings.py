"""Settings of semantics, from the environment: SEMANTICS_…, and SEMANTICS_ENGINE_… for the VLM."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from dtwinseger.service.engine import EngineSettings
from dtwinseger.service.settings import ServiceSettings

BUNDLED = "models/dtwin-mini-vlm"
BUNDLED_SIDE = 96  # what the bundled model takes in, and learned from
LARGE_SIDE = 768


class SemanticsSettings(ServiceSettings):
    model_config = SettingsConfigDict(
        env_prefix="SEMANTICS_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        nested_model_default_partial_update=True,
        frozen=True,
        extra="ignore",
    )

    engine: EngineSettings = EngineSettings(model=BUNDLED)
    view_side: Annotated[int, Field(ge=32, le=4096)] | None = None  # pixels; null is what suits the model
    owlv2_model: str | None = None  # folder or hub name; null refuses source `owlv2`
    owlv2_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1  # of a score, above which a detection counts
    owlv2_iou: Annotated[float, Field(gt=0, le=1)] = 0.5  # of a mask's box and a detection's, from which they are one

    @property
    def side(self) -> int:
        """Longest side in pixels of the pictures that the VLM is shown."""
        return self.view_side or (BUNDLED_SIDE if self.engine.model.rstrip("/").endswith(BUNDLED) else LARGE_SIDE)
