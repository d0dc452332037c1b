"""The mean of adapters: its factors, its record, that it can be merged, and what is refused."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training.mean
from dtwinseger.sftdt import TunedRecord
from dtwinseger.weights import weights_hash
from tests.training.test_merge import adapter_on, change, llama
from training.adapter import Adapter, AdapterError
from training.mean import mean
from training.merge import merge


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama(tmp_path_factory.mktemp("models") / "tiny")


def trained(base: Path, folder: Path, scale: float) -> Adapter:
    """An adapter as the trainer leaves it: with a record of its base's weights."""
    adapter_on(base, folder, scale)
    TunedRecord(base=str(base), base_weights=weights_hash(base)).write(folder)
    return Adapter.load(folder)


@pytest.fixture
def two(base: Path, tmp_path: Path) -> list[Adapter]:
    return [trained(base, tmp_path / name, scale) for name, scale in (("first", 0.02), ("second", 0.06))]


def test_every_factor_is_the_mean_and_the_record_that_of_the_base(
    base: Path, two: list[Adapter], tmp_path: Path
) -> None:
    found = mean(two, tmp_path / "mean")
    factors = [load_file(one.folder / "adapter_model.safetensors") for one in (*two, found)]
    for name, factor in factors[2].items():
        torch.testing.assert_close(factor, (factors[0][name] + factors[1][name]) / 2)
    assert any(not torch.equal(factors[0][name], factors[1][name]) for name in factors[0])
    assert found.record == TunedRecord(base=str(base), base_weights=weights_hash(base))
    card = (found.folder / "README.md").read_text()
    assert all(f"sftdt@{one.hash}" in card for one in (*two, found))


def test_it_is_merged_as_any_adapter(base: Path, two: list[Adapter], tmp_path: Path) -> None:
    found = mean(two, tmp_path / "mean")
    merge(found, base, tmp_path / "merged")
    assert weights_hash(tmp_path / "merged") not in (None, weights_hash(base))


def test_the_mean_of_twice_the_same_is_the_same(two: list[Adapter], tmp_path: Path) -> None:
    assert mean([two[0], two[0]], tmp_path / "mean").hash == two[0].hash


def test_where_the_base_lay_and_the_order_of_targets_do_not_matter(two: list[Adapter], tmp_path: Path) -> None:
    targets = two[1].config.target_modules
    assert isinstance(targets, list)
    moved = change(two[1].folder, base_model_name_or_path="elsewhere", target_modules=targets[::-1])
    assert mean([two[0], moved], tmp_path / "mean").tensors == two[0].tensors


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lora_alpha": 32}, "second is of another configuration than .*first"),
        ({"use_dora": True}, "second cannot be served: it is a DoRA"),
    ],
)
def test_another_configuration_is_refused(
    two: list[Adapter], tmp_path: Path, wrong: dict[str, object], says: str
) -> None:
    with pytest.raises(AdapterError, match=says):
        mean([two[0], change(two[1].folder, **wrong)], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_another_base_is_refused(two: list[Adapter], tmp_path: Path) -> None:
    other = trained(llama(tmp_path / "other", seed=1), tmp_path / "third", 0.05)
    with pytest.raises(AdapterError, match=r"third is not of the base of .*first"):
        mean([two[0], other], tmp_path / "mean")


def test_an_adapter_that_does_not_say_what_it_was_trained_on_is_refused(two: list[Adapter], tmp_path: Path) -> None:
    (two[0].folder / "sftdt.json").unlink()
    with pytest.raises(AdapterError, match="first does not say on which weights"):
        mean([Adapter.load(two[0].folder), two[1]], tmp_path / "mean")


def test_the_command_says_what_it_wrote_and_what_is_wrong(
    two: list[Adapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(one.folder) for one in two]
    out = tmp_path / "mean"
    monkeypatch.setattr(sys, "argv", ["mean", *folders, "--out", str(out)])
    training.mean.main()
    assert f"{out}: sftdt@{Adapter.load(out).hash}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=f"error: {out} is there already"):
        training.mean.main()
    shutil.rmtree(out)
    monkeypatch.setattr(sys, "argv", ["mean", folders[0], "--out", str(out)])
    with pytest.raises(SystemExit, match="error: a mean is of two adapters or more"):
        training.mean.main()
