"""The loss is Σ w·ce / Σ w of an update, however it is cut; a run goes on where it stopped; its adapter serves."""

import json
import multiprocessing
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.run import get_args_parser
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerState, set_seed

import training.sftdt.__main__ as command
from dtwinseger.sftdt import TunedRecord
from dtwinseger.weights import weights_hash
from tests.training.sftdt.runs import as_rank, config, factors, llama, losses, sample, written
from training.adapter import Adapter, AdapterError
from training.merge import merge
from training.sftdt.base import load
from training.sftdt.clock import Clock
from training.sftdt.config import Config
from training.sftdt.data import Batches, Examples, collate, example
from training.sftdt.loss import score_tokens
from training.sftdt.record import Record, RunError
from training.sftdt.train import WeightedTrainer, arguments, prepare, train

SAMPLES = 11  # no multiple of 2 or 8: the last update of an epoch is a short one
EVEN = {"structure": 1, "criterion": 1, "reasoning": 1, "verdict": 1, "indices": 1}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors are too small for more: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "train.jsonl", SAMPLES)


@pytest.fixture(scope="module")
def whole(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, batch 1, accumulation 8."""
    run = tmp_path_factory.mktemp("run") / "whole"
    train(base, [data], run, config())
    return run


def require_same(run: Path, other: Path, tolerance: float = 1e-5) -> None:
    assert losses(run) == pytest.approx(losses(other), rel=tolerance)
    mine, theirs = factors(run), factors(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, theirs[name], atol=tolerance * 30, rtol=1e-2)


def test_the_loss_is_the_weighted_mean_over_supervised_tokens(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    batch = collate([example(sample(seed), tokenizer, config()) for seed in range(3)])
    model = load(base, config())
    with torch.no_grad():
        logits = model(batch["input_ids"]).logits[:, :-1]
        each = F.cross_entropy(logits.transpose(1, 2), batch["input_ids"][:, 1:], reduction="none")
        expected = (each * batch["weights"][:, 1:]).sum()
        score_tokens(model, chunk=7)  # many chunks, the last one short
        assert model(**batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_with_all_weights_one_it_is_the_stock_loss(base: Path, data: Path, tmp_path: Path) -> None:
    class Stock(Trainer):  # type: ignore[misc]
        _get_train_sampler = WeightedTrainer._get_train_sampler
        _by_length = False

    even = config(weights=EVEN)
    train(base, [data], tmp_path / "ours", even)
    found = prepare(base, [data], even)
    set_seed(even.seed)

    def plain(batch: Any) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in collate(batch).items() if name != "weights"}

    stock = Stock(load(base, even), arguments(tmp_path, even), train_dataset=Batches(found.kept), data_collator=plain)
    stock.train()
    assert [entry["loss"] for entry in stock.state.log_history if "loss" in entry] == pytest.approx(
        losses(tmp_path / "ours"), rel=1e-5
    )


def test_batch_8_is_batch_1_accumulated_8_times(base: Path, data: Path, whole: Path, tmp_path: Path) -> None:
    train(base, [data], tmp_path / "run", config(batch=8, accumulation=1))
    require_same(tmp_path / "run", whole)


def test_all_weights_doubled_change_nothing_and_one_alone_does(
    base: Path, data: Path, whole: Path, tmp_path: Path
) -> None:
    doubled = {"structure": 2, "criterion": 4, "reasoning": 4, "verdict": 4, "indices": 8}
    train(base, [data], tmp_path / "doubled", config(weights=doubled))
    require_same(tmp_path / "doubled", whole)
    train(base, [data], tmp_path / "other", config(weights={"indices": 8}))
    assert losses(tmp_path / "other") != pytest.approx(losses(whole), rel=1e-4)


@pytest.mark.parametrize(
    ("shard", "nf4"), [(False, False), (True, False), (True, True)], ids=["replicated", "sharded", "quantized"]
)
def test_two_ranks_are_one(shard: bool, nf4: bool, base: Path, data: Path, whole: Path, tmp_path: Path) -> None:
    if nf4:
        whole = tmp_path / "whole"
        train(base, [data], whole, config(nf4=True))
    file = tmp_path / "run.toml"
    file.write_text(
        'dtype = "float32"\nepochs = 2\nrate = 1e-2\nsave_every = 2\naccumulation = 4\n'
        f"recompute = {str(shard).lower()}\nnf4 = {str(nf4).lower()}\n"
        f"[machine]\ndevices = 2\nshard = {str(shard).lower()}\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--config", str(file), "--base", str(base), "--data", str(data), "--run", str(tmp_path / "run")]
    start = multiprocessing.get_context("forkserver")  # its server imports torch once for all ranks
    start.set_forkserver_preload(["tests.training.sftdt.runs"])
    ranks = [start.Process(target=as_rank, args=(rank, 2, port, words)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(120)
    assert [rank.exitcode for rank in ranks] == [0, 0]
    require_same(tmp_path / "run", whole)
    Adapter.load(tmp_path / "run/adapter").require_servable()


def test_an_interrupted_run_goes_on_to_the_same_curve(
    base: Path, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    log = WeightedTrainer.log

    def interrupted(trainer: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        log(trainer, logs, start_time)
        if trainer.state.global_step == 3:
            signal.raise_signal(signal.SIGTERM)

    words = [
        "command",
        "--base",
        str(base),
        "--data",
        str(data),
        "--run",
        str(run),
        "--config",
        str(tmp_path / "c.toml"),
    ]
    (tmp_path / "c.toml").write_text('dtype = "float32"\nepochs = 2\nrate = 1e-2\nsave_every = 2\n')
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(WeightedTrainer, "log", interrupted)
    with pytest.raises(SystemExit, match=r"interrupted; the same command goes on from .*checkpoint-2"):
        command.main()
    monkeypatch.setattr(WeightedTrainer, "log", log)
    (run / "checkpoints/checkpoint-3").mkdir()  # one that was not written to its end
    command.main()
    require_same(run, whole)
    with pytest.raises(SystemExit, match="the run is done; name a new folder"):
        command.main()


def test_another_run_in_the_same_folder_is_refused(base: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    Record.of(base, [data], Examples((), {}), config(seed=1), 1).write(tmp_path / "run")
    with pytest.raises(RunError, match=r"holds another run: samples was 0, is 11; config was .*Name a new folder"):
        train(base, [data], tmp_path / "run", config())


def test_the_adapter_is_the_bases_and_merges(base: Path, whole: Path, tmp_path: Path) -> None:
    adapter = Adapter.load(whole / "adapter")
    adapter.require_servable()
    adapter.require_base(base)
    assert adapter.record == TunedRecord(base=str(base), base_weights=weights_hash(base))
    merge(adapter, base, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    ids = torch.randint(0, 2683, (1, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = AutoModelForCausalLM.from_pretrained(base)(ids).logits
        assert (merged(ids).logits - before).abs().max() > 1e-3
    with pytest.raises(ValueError, match="was trained on"):
        adapter.require_base(llama(tmp_path / "other", seed=1))


def test_a_run_goes_on_with_an_adapter_of_its_base_and_shape_alone(
    base: Path, data: Path, whole: Path, tmp_path: Path
) -> None:
    adapter = whole / "adapter"
    train(base, [data], tmp_path / "run", config(epochs=1), adapter)
    assert losses(tmp_path / "run")[0] < losses(whole)[1]  # its first update is after those of the adapter
    assert f"Began with the adapter {Adapter.load(adapter).hash}." in (tmp_path / "run/README.md").read_text()
    with pytest.raises(AdapterError, match=r"has rank 16 and alpha 32, the configuration 8 and 32"):
        train(base, [data], tmp_path / "other", config(lora={"rank": 8}), adapter)
    with pytest.raises(AdapterError, match=r"has factors elsewhere than at q_proj of each layer"):
        train(base, [data], tmp_path / "other", config(lora={"targets": ["q_proj"]}), adapter)
    with pytest.raises(AdapterError, match="was trained on"):
        train(llama(tmp_path / "base", seed=1), [data], tmp_path / "other", config(), adapter)


def test_the_run_card_says_what_the_run_was(whole: Path, data: Path) -> None:
    card = (whole / "adapter/README.md").read_text()
    assert f"# sftdt@{Adapter.load(whole / 'adapter').hash}" in card
    assert "Updates: 4 of 8 samples each (1 x 8 accumulated x 1 devices), 2 epochs." in card
    assert "Samples: 11; rejected: none." in card
    record = json.loads((whole / "run.json").read_text())
    assert record["data"][data.name] in card
    assert (whole / "adapter/loss.png").read_bytes().startswith(b"\x89PNG")
    assert not list((whole / "adapter").glob("*.bin"))  # no pickles


def test_a_configuration_for_more_devices_says_how_to_start_them(base: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"`machine.devices` is 8, 1 run: torchrun --nproc-per-node 8"):
        train(base, [data], tmp_path / "run", config(machine={"devices": 8, "shard": True}))


def test_the_documented_command_for_several_devices_is_one_that_torchrun_takes() -> None:
    (command,) = re.findall(r"^torchrun (.+?[^\\])$", Path("docs/training.md").read_text(), re.MULTILINE | re.DOTALL)
    given = get_args_parser().parse_args(shlex.split(command.replace("\\\n", " ")))
    assert (given.training_script, given.nproc_per_node) == ("training.sftdt", "8")
    assert {"--config", "--base", "--data", "--run"} <= set(given.training_script_args)


def test_a_loss_that_is_no_number_stops_the_run(base: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the loss is nan at update"):
        train(base, [data], tmp_path / "run", config(rate=1e30, clip=1e30, warmup=0))


def test_running_out_of_memory_says_what_helps(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")

    monkeypatch.setattr(WeightedTrainer, "compute_loss", full)
    words = ["command", "--base", str(base), "--data", str(data), "--run", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(
        SystemExit, match=r"out of memory. What helps(.|\n)*nf4 = true(.|\n)*Tried to allocate 2.00 GiB"
    ):
        command.main()


def test_files_are_added_by_one_option_or_by_several(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "first.jsonl"
    words = ["--base", str(base), "--data", str(missing), "--data", str(data), "--run", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(SystemExit, match=r"error: .*first\.jsonl"):
        command.main()


def test_the_defaults_are_the_papers_schedule() -> None:
    defaults = Config()
    assert (defaults.epochs, defaults.schedule, defaults.accumulation) == (5, "cosine", 8)


def test_a_run_by_the_clock_ends_early_with_an_adapter(base: Path, data: Path, tmp_path: Path) -> None:
    adapter = train(base, [data], tmp_path / "run", config(epochs=1000, minutes=0.005, by_length=True))
    Adapter.load(adapter).require_servable()
    card = (adapter / "README.md").read_text()
    updates = re.search(r"Updates: (\d+) of", card)
    assert updates
    assert int(updates[1]) < 2000
    assert re.search(r" devices\), \d+\.\d\d of 1000 epochs\.", card)


def test_the_clocks_rate_follows_whichever_is_further() -> None:
    clock = Clock(minutes=100, warmup=0.1)
    clock.on_train_begin(None, TrainerState(max_steps=100), None)
    assert [clock.factor(update) for update in (0, 5, 10, 55, 100)] == pytest.approx(
        [0, 0.5 * 0.9938, 0.9755, 0.4218, 0], abs=1e-3
    )
