"""Settings of the reasoner, from the environment: REASONER_…, and REASONER_ENGINE_… for the LLM."""

from pydantic_settings import SettingsConfigDict

from dtwinseger.service.engine import EngineSettings
from dtwinseger.service.settings import ServiceSettings


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
