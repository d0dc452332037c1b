"""Settings of the reasoner, from the environment: REASONER_…, and REASONER_ENGINE_… for the LLM."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from dtwinseger.service.engine import EngineSettings
from dtwinseger.service.settings import ServiceSettings
from dtwinseger.twin.text import Rendering


class ReasonerSettings(ServiceSettings):
    model_config = SettingsConfigDict(
        env_prefix="REASONER_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        nested_model_default_partial_update=True,
        frozen=True,
        extra="ignore",
    )

    engine: EngineSettings = EngineSettings(model="models/dtwin-mini-llm")
    logprobs: bool = False  # whether the engine gives log-probabilities, which measure an answer's confidence
    rendering: Rendering = "json"  # of the twin; rows takes fewer tokens
    twin_tokens: Annotated[int, Field(ge=1)] | None = None  # of a rendered twin, at most; None is no limit
    further_samples: Annotated[int, Field(ge=0, le=9)] = 5  # asked for where no vote is valid
    adapters: str | None = None  # a JSON object, name -> the engine's name for it; or the path of a file with one
    adapter: str | None = None  # the default one by its name; None is the first
    tuned: bool | None = None  # whether the engine's model is tuned on paths; None: as its folder's record says
