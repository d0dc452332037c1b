"""How many prompts are decoded at once: what fits into memory, and a few sizes alone where each is compiled."""

import torch

_BYTES = 4  # of a number
_TABLES = 12  # [7 tokens x 8 heads, S] a prompt that are alive at once in the trunk, at most
_CPU_BYTES = 1 << 25  # glibc keeps freed blocks up to this size; larger ones are given back and faulted in again
_CPU_PROMPTS = 32  # more of a small model's leave the cache
_CUDA_SHARE = 0.5  # of the free memory
_CUDA_PROMPTS = 1024  # more at once is no faster
BUCKETS = (16, 64, 256, 1024)  # prompts; what a compiled decoder takes
SMALL = 2048  # positions: with fewer, an operation takes less time than threads take to meet


def fitting(device: torch.device, positions: int, *, upscaled: bool = False) -> int:
    """How many prompts fit at once into a CUDA device's free memory, or into what a CPU's allocator keeps.

    positions: S, of the decoder's image. upscaled: to masks, instead of through the trunk.
    """
    table = positions * 56 * _BYTES
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        fits = int(_CUDA_SHARE * free / (_TABLES * table * (3 if upscaled else 1)))
        return min(_CUDA_PROMPTS, max(1, fits))
    # The largest blocks: [2 * 56, S] weights a prompt, or [S, 4 * 4 * c'] upscaled pixels, twice.
    return min(_CPU_PROMPTS, max(1, _CPU_BYTES // (18 * table if upscaled else 2 * table)))


def bucket_within(most: int) -> int:
    """The largest bucket of at most `most` prompts; `most` where there is none."""
    return max((bucket for bucket in BUCKETS if bucket <= most), default=most)


def bucket_for(count: int, most: int) -> int:
    """The smallest bucket that holds `count` prompts, of those up to `most`, which is the largest."""
    return min((bucket for bucket in BUCKETS if count <= bucket < most), default=most)
