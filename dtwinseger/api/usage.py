"""What requests cost."""

from dtwinseger.api.contract import Contract


class EngineUsage(Contract):
    """Calls to one engine, what it counted, and what that costs; null where a price or a count is unknown."""

    calls: int = 0
    images: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt's, those that the engine had in its prefix cache
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "EngineUsage") -> "EngineUsage":
        known = self.cost_usd is not None and other.cost_usd is not None
        return EngineUsage(
            calls=self.calls + other.calls,
            images=self.images + other.images,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        )


class Usage(Contract):
    """What a request cost. `cost_usd` is the sum, null where a price is not configured or a count is unknown."""

    vlm: EngineUsage = EngineUsage()
    llm: EngineUsage = EngineUsage()
    cost_usd: float | None = 0.0

    @classmethod
    def of(cls, vlm: EngineUsage, llm: EngineUsage) -> "Usage":
        """Of a request that asked both engines."""
        return cls(vlm=vlm, llm=llm, cost_usd=(vlm + llm).cost_usd)
