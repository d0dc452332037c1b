"""Perception where the device of its settings is not."""

from pathlib import Path

import pytest
import torch
from segment_anything import sam_model_registry

from dtwinseger.service.start import UnusableError
from services.perception.cards import chosen_device
from services.perception.checkpoint import CheckpointError, load_checkpoint


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    assert chosen_device(None).type == "cpu"
    with pytest.raises(UnusableError, match=r"PERCEPTION_DEVICE is cuda:1, and torch sees no CUDA device"):
        chosen_device("cuda:1")


def test_a_file_with_a_published_name_must_be_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = load_checkpoint(Path("models/dtwin-mini-sam"), None, torch.device("cpu")).sam
    monkeypatch.setitem(sam_model_registry, "vit_b", lambda: small)  # its own has 375 MB
    weights = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save(small.state_dict(), weights)
    with pytest.raises(CheckpointError, match=r"its SHA-256 is \w{64}, not \w{64}; .*`make weights MODEL=vit_b`"):
        load_checkpoint(weights, "vit_b", torch.device("cpu"))
