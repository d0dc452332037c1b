"""Which device perception works on."""

import torch

from dtwinseger.service.start import UnusableError


def chosen_device(asked: str | None) -> torch.device:
    """The device of PERCEPTION_DEVICE; None is CUDA where there is one, else the CPU.

    Raises UnusableError where it is a CUDA device that is not there.
    """
    if asked is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(asked)
    cards = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= cards:
        seen = f"sees {cards} CUDA devices" if cards else "sees no CUDA device"
        raise UnusableError(
            f"PERCEPTION_DEVICE is {asked}, and torch {seen} here; give the container or the pod a GPU and its driver, "
            "or set PERCEPTION_DEVICE=cpu"
        )
    return device
