"""Weights load exactly, or one clear error says what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from services.perception.checkpoint import CheckpointError, load_checkpoint
from tests.services.perception.small import BUNDLED, CONFIG, random_sam, save

CPU = torch.device("cpu")


def test_a_saved_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    sam = random_sam()
    loaded = load_checkpoint(save(tmp_path, sam), None, CPU)
    assert loaded.iou_threshold == CONFIG["iou_threshold"]
    assert all(torch.equal(value, sam.state_dict()[name]) for name, value in loaded.sam.state_dict().items())
    assert not loaded.sam.training


def test_a_file_and_its_folder_are_the_same_checkpoint(tmp_path: Path) -> None:
    folder = save(tmp_path, random_sam())
    file = folder / "model.safetensors"
    assert load_checkpoint(folder, None, CPU).name == load_checkpoint(file, None, CPU).name


def test_the_name_changes_with_the_content(tmp_path: Path) -> None:
    one = load_checkpoint(save(tmp_path / "one", random_sam(0)), None, CPU)
    other = load_checkpoint(save(tmp_path / "other", random_sam(1)), None, CPU)
    stricter = load_checkpoint(save(tmp_path / "c", random_sam(0), CONFIG | {"iou_threshold": 0.5}), None, CPU)
    assert one.name.startswith("random-sam-0-")
    assert len({one.name, other.name, stricter.name}) == 3


def test_the_bundled_weights_load_as_fp32() -> None:
    bundled = load_checkpoint(BUNDLED, None, CPU)
    assert bundled.name.startswith("dtwin-mini-sam-")
    assert all(p.dtype == torch.float32 for p in bundled.sam.parameters())
    assert sum(p.numel() for p in bundled.sam.parameters()) <= 8_000_000


def test_a_pth_file_with_a_config_loads(tmp_path: Path) -> None:
    sam = random_sam()
    save(tmp_path, sam)
    torch.save(sam.state_dict(), tmp_path / "sam.pth")
    assert load_checkpoint(tmp_path / "sam.pth", None, CPU).name.startswith("random-sam-0-")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere\.pth; .* set PERCEPTION_CHECKPOINT"):
        load_checkpoint(tmp_path / "nowhere.pth", "vit_b", CPU)


def test_a_file_without_config_or_architecture_asks_for_the_architecture(tmp_path: Path) -> None:
    torch.save(random_sam().state_dict(), tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match="set PERCEPTION_ARCHITECTURE"):
        load_checkpoint(tmp_path / "sam.pth", None, CPU)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, random_sam())
    with pytest.raises(CheckpointError, match=r"is no vit_b: .* missing, .* of another shape"):
        load_checkpoint(folder, "vit_b", CPU)


@pytest.mark.parametrize("name", ["sam.pth", "model.safetensors"])
def test_a_file_of_garbage_is_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path, random_sam())
    (tmp_path / name).write_bytes(b"<html>not found</html>" * 99)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / name, None, CPU)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path, random_sam()) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(file, None, CPU)


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("pwned"),))


def test_pickled_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, random_sam())
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Payload()}, tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "sam.pth", None, CPU)
    assert not Path("pwned").exists()


def test_a_training_checkpoint_is_no_mapping_of_tensors(tmp_path: Path) -> None:
    save(tmp_path, random_sam())
    torch.save({"model": random_sam().state_dict(), "step": 7}, tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match="no mapping of names to tensors"):
        load_checkpoint(tmp_path / "sam.pth", None, CPU)


def test_a_tensor_too_few_is_named(tmp_path: Path) -> None:
    save(tmp_path, random_sam())
    tensors = dict(random_sam().state_dict())
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"1 tensors are missing, .*mask_decoder\.iou_token\.weight"):
        load_checkpoint(tmp_path, None, CPU)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CONFIG | {"iou_threshold": 2}, "cannot be read: .*iou_threshold"),
        ({"name": "random-sam"}, "cannot be read: .*image_encoder"),
        (CONFIG | {"transformer": {"layers": 3}}, "describes no SAM: .*layers"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    save(tmp_path, random_sam(), config)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        load_checkpoint(tmp_path, None, CPU)
