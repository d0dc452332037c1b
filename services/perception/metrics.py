"""What perception measures of itself, for /metrics."""

import torch
from prometheus_client import Counter, Gauge, Histogram

QUEUE_DEPTH = Gauge("perception_queue_depth", "Images that wait for the device.")
BATCH_IMAGES = Histogram(
    "perception_batch_images", "Images that the device takes at once.", buckets=(1, 2, 3, 4, 6, 8, 12, 16)
)
STAGE_SECONDS = Histogram(
    "perception_stage_seconds",
    "Time of a stage that was computed, not answered by a cache.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
PROPOSALS = Histogram(
    "perception_proposals", "Proposals of an image.", ["level"], buckets=(0, 1, 2, 5, 10, 20, 50, 100, 200)
)
CACHE_READS = Counter("perception_cache_reads", "Reads of a cache.", ["cache", "result"])
OUT_OF_MEMORY = Counter("perception_out_of_memory_halvings", "Batches made smaller for want of device memory.")
_DEVICE_MEMORY = Gauge("perception_device_memory_bytes", "Memory of the CUDA device.", ["kind"])


def observe_device_memory(device: torch.device) -> None:
    """Set the memory that tensors have, that the allocator holds, and the most that tensors had; CUDA only."""
    if device.type == "cuda":
        _DEVICE_MEMORY.labels("allocated").set(torch.cuda.memory_allocated(device))
        _DEVICE_MEMORY.labels("reserved").set(torch.cuda.memory_reserved(device))
        _DEVICE_MEMORY.labels("peak").set(torch.cuda.max_memory_allocated(device))
