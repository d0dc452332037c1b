"""The only way a service reaches a model: one JSON answer of a known shape over OpenAI chat completions."""

from dtwinseger.service.engine.client import Engine
from dtwinseger.service.engine.settings import EngineSettings

__all__ = ["Engine", "EngineSettings"]
