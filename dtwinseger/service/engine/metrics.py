"""What is measured of each engine, for /metrics. The label `engine` is its role: vlm or llm."""

from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

from dtwinseger.api import EngineUsage

Role = Literal["vlm", "llm"]
# How an attempt ended. ok: an answer of use. retried: not well, and it was made again. refused: by the model, or the
# engine refused the key, the model's name or the request. invalid: an answer of no use. unavailable: a failing engine
# or none. cancelled: the caller left, or its deadline passed.
Outcome = Literal["ok", "retried", "refused", "invalid", "rate_limited", "unavailable", "cancelled"]

CALLS = Counter("engine_calls", "Calls to an engine by how they ended.", ["engine", "outcome"])
TOKENS = Counter("engine_tokens", "Tokens; the cached are some of the prompt's.", ["engine", "kind"])
IMAGES = Counter("engine_images", "Images sent in calls that were answered.", ["engine"])
COST = Counter("engine_cost_usd", "Cost by the prices in the settings.", ["engine"])
SECONDS = Histogram(
    "engine_seconds",
    "Time from sending a call to the whole of its answer, of those that succeeded.",
    ["engine"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120),
)
IN_FLIGHT = Gauge("engine_in_flight", "Calls that the engine is at work on.", ["engine"])
BREAKER_OPEN = Gauge("engine_breaker_open", "1 from several failures in a row until a call succeeds.", ["engine"])


def observe(role: Role, usage: EngineUsage) -> None:
    """Count what one call cost."""
    TOKENS.labels(role, "prompt").inc(usage.prompt_tokens)
    TOKENS.labels(role, "cached").inc(usage.cached_tokens)
    TOKENS.labels(role, "completion").inc(usage.completion_tokens)
    IMAGES.labels(role).inc(usage.images)
    COST.labels(role).inc(usage.cost_usd or 0.0)
