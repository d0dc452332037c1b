"""What is measured of the twin store, for /metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import Histogram

_SECONDS = Histogram(
    "gateway_store_seconds",
    "Time of a call to the twin store by how it ended: ok, error, or cancelled with the request.",
    ["operation", "result"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1),
)
Operation = Literal["get", "put", "delete", "lock", "unlock", "include", "members"]


@contextmanager
def measured(operation: Operation) -> Iterator[None]:
    """Time the body, which is one call."""
    started = time.perf_counter()
    result = "cancelled"
    try:
        yield
        result = "ok"
    except Exception:
        result = "error"
        raise
    finally:
        _SECONDS.labels(operation, result).observe(time.perf_counter() - started)
