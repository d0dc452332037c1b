"""The trainer: Hugging Face's, with the token-weighted loss, normalised over the whole update (Eq. 10)."""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import AutoConfig, AutoTokenizer, Trainer, TrainingArguments, set_seed

from dtwinseger.sftdt import TunedRecord
from training.adapter import WEIGHTS, Adapter
from training.sftdt.base import begin, load
from training.sftdt.clock import Clock
from training.sftdt.config import Config
from training.sftdt.data import Batches, Examples, Shuffled, collate, require_tokenizer
from training.sftdt.loss import score_tokens
from training.sftdt.record import CARD, CURVE, Record, RunError
from training.sftdt.tokens import read

ADAPTER, CHECKPOINTS = "adapter", "checkpoints"


class WeightedTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
    """Loss of an update: Σ w·ce / Σ w over all its micro-batches on all devices.

    config: of the run, for what TrainingArguments have no word for.
    """

    def __init__(self, model: Any, args: TrainingArguments, config: Config, **given: Any) -> None:
        super().__init__(model, args, **given)
        self._by_length = config.by_length
        self._clock = Clock(config.minutes, config.warmup) if config.minutes else None
        if self._clock:
            self.add_callback(self._clock)

    loss_is_scaled_for_ga = True  # by the sum of weights: not to be divided by the number of micro-batches too

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor:
        """Σ w over the micro-batches of an update, on all devices. A row's first token is predicted from nothing."""
        total = torch.stack([batch["weights"][:, 1:].sum(dtype=torch.float64) for batch in batch_samples]).sum()
        gathered: torch.Tensor = self.accelerator.gather(total.float().to(device))
        return gathered.sum()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """This micro-batch's share of the update's loss, times the devices, whose gradients are averaged."""
        loss: torch.Tensor = model(**inputs) / num_items_in_batch * self.accelerator.num_processes
        return loss

    def _get_train_sampler(self, train_dataset: Batches | None = None) -> Sampler[int]:
        kept = train_dataset if train_dataset is not None else self.train_dataset
        batches = self.args.train_batch_size * self.args.world_size
        lengths = np.array([len(kept[number].ids) for number in range(len(kept))]) if self._by_length else None
        return Shuffled(len(kept), batches, self.args.seed, batches * self.args.gradient_accumulation_steps, lengths)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """That of TrainingArguments, or the clock's."""
        if self._clock is None:
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, self._clock.factor)
        return self.lr_scheduler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As Trainer does. Raises RunError where the loss is no number."""
        if not math.isfinite(logs.get("loss", 0.0)):
            raise RunError(
                f"the loss is {logs['loss']} at update {self.state.global_step}: lower `rate`, or use float32"
            )
        super().log(logs, start_time)


def arguments(run: Path, config: Config) -> TrainingArguments:
    """The configuration in Trainer's words."""
    machine, bf16 = config.machine, config.dtype == "bfloat16"
    sharded: dict[str, Any] = {}
    if machine.shard:
        sharded = {
            "fsdp": True,
            "fsdp_config": {
                "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"],
                "activation_checkpointing": config.recompute,
                # One process reads the base and the others get their shards; accelerate cannot hand out NF4.
                "cpu_ram_efficient_loading": not config.nf4,
                "cpu_offload": machine.offload,
            },
        }
    return TrainingArguments(
        output_dir=str(run / CHECKPOINTS),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup,  # below 1 it is a share
        max_grad_norm=config.clip,
        weight_decay=0.0,
        seed=config.seed,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=config.recompute and not machine.shard,
        logging_steps=config.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # a loss that is no number stops the run
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=2,
        remove_unused_columns=False,  # `weights` is no argument that Trainer knows
        dataloader_pin_memory=torch.cuda.is_available(),
        dataloader_num_workers=2 if torch.cuda.is_available() else 0,
        ddp_find_unused_parameters=False,
        report_to="none",
        **sharded,
    )


def prepare(base: Path, data: list[Path], config: Config) -> Examples:
    """The samples of the files `data` as tokens of the base.

    Raises SegDTError (with line numbers), TokenizerError, or RunError where no sample is left.
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    require_tokenizer(tokenizer, AutoConfig.from_pretrained(base).vocab_size)
    found = read(data, base, tokenizer, config)
    if not found.kept:
        raise RunError(f"no sample is left to train on: {json.dumps(found.rejected)}")
    return found


def train(base: Path, data: list[Path], run: Path, config: Config, begun: Path | None = None) -> Path:
    """Train, or go on with, the run in the folder `run`; returns the folder of its adapter.

    begun: folder of an adapter of this base with which the run begins; None is fresh factors, which change nothing yet.
    Raises what `prepare` and `load` raise, AdapterError where `begun` is another base's or of another shape, and
    RunError where `run` holds another run or a finished one.
    """
    if (run / ADAPTER).exists():
        raise RunError(f"{run / ADAPTER} is there already: the run is done; name a new folder")
    if (processes := int(os.environ.get("WORLD_SIZE", "1"))) != (devices := config.machine.devices):
        raise RunError(f"`machine.devices` is {devices}, {processes} run: torchrun --nproc-per-node {devices} -m -- …")
    adapter = Adapter.load(begun) if begun else None
    if adapter:
        adapter.require_servable()
        adapter.require_base(base)
    found = prepare(base, data, config)
    args = arguments(run, config)
    if args.n_gpu > 1:
        raise RunError(f"{args.n_gpu} GPUs are visible to one process: show it one, or use all with torchrun")
    record = Record.of(base, data, found, config, args.world_size, adapter.hash if adapter else None)
    goes_on = record.require_same(run)
    set_seed(config.seed)
    model = load(base, config)
    if adapter:
        begin(model, config, adapter)
    score_tokens(model)
    trainer = WeightedTrainer(model, args, config, train_dataset=Batches(found.kept), data_collator=collate)
    if trainer.is_world_process_zero():
        run.mkdir(parents=True, exist_ok=True)
        record.write(run)
        print(f"{record.samples} samples, rejected: {json.dumps(record.rejected)}", flush=True)
    trainer.train(resume_from_checkpoint=last_checkpoint(run) if goes_on else None)
    trainer.save_model(str(run / CHECKPOINTS / ADAPTER))  # moved when it is whole: an interrupted run has no adapter
    if trainer.is_world_process_zero():
        finish(run, record, trainer.state.log_history)
    trainer.accelerator.wait_for_everyone()
    return run / ADAPTER


def last_checkpoint(run: Path) -> str | None:
    """The latest checkpoint that was written to its end, as `trainer_state.json` is; None where there is none."""
    whole = [file.parent for file in (run / CHECKPOINTS).glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]))) if whole else None


def finish(run: Path, record: Record, history: list[dict[str, Any]]) -> None:
    """Check the adapter, write the run card, and put both where they belong. Raises AdapterError.

    The factors, trained in float32, are stored in the precision of the base, in which they are served.
    """
    folder = run / CHECKPOINTS / ADAPTER
    precision = getattr(torch, record.config.dtype)
    factors = {name: factor.to(precision) for name, factor in load_file(folder / WEIGHTS).items()}
    save_file(factors, folder / WEIGHTS, {"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes files that only their owner reads
    (folder / "training_args.bin").unlink()  # a pickle
    TunedRecord(base=record.base, base_weights=record.base_weights).write(folder)
    adapter = Adapter.load(folder)
    adapter.require_servable()
    record.card(run, history, f"sftdt@{adapter.hash}")
    for name in (CARD, CURVE):
        shutil.copyfile(run / name, folder / name)
    folder.rename(run / ADAPTER)
