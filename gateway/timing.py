"""The time of an answer by stage, as the header Server-Timing tells it; browsers show it beside the request."""

from collections.abc import Collection, Mapping

from gateway.build import STAGES


def server_timing(timings_ms: Mapping[str, float], cached: Collection[str]) -> str:
    """`perception;dur=812.3, semantics;dur=1.2;desc="cached", …, total;dur=2040.7`, dur in milliseconds.

    timings_ms: by stage, and `total`. cached: what the store answered, as an answer names it.
    """
    stored = {stage for stage, result in STAGES.items() if result in cached}
    return ", ".join(
        f"{stage};dur={ms:.10g}" + (';desc="cached"' if stage in stored else "") for stage, ms in timings_ms.items()
    )
