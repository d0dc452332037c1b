"""SFTDT: fine-tune a base on Seg-DT, or say what that would take.

python -m training.sftdt --base models/dtwin-mini-llm --data train.jsonl --run runs/sftdt
torchrun --nproc-per-node 8 -m -- training.sftdt --config training/sftdt/configs/llama-70b-8x24gb.toml \\
    --base models/Llama-3.3-70B-Instruct --data train.jsonl --run runs/sftdt-70b
python -m training.sftdt --config training/sftdt/configs/llama-70b-8x24gb.toml --plan 4096     # memory by part
python -m training.sftdt --config training/sftdt/configs/llama-70b-8x24gb.toml --dry-run       # the model, unweighted

The same command goes on with a run that was interrupted. RUN/adapter is what python -m training.adapter and
python -m training.merge take.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

import torch

from training.adapter import Adapter, AdapterError
from training.segdt.reading import SegDTError
from training.sftdt.config import Config, ConfigError
from training.sftdt.data import TokenizerError
from training.sftdt.dry_run import dry_run
from training.sftdt.plan import table
from training.sftdt.record import RunError
from training.sftdt.train import last_checkpoint, train

MEMORY = """out of memory. What helps, the most first: a smaller `tokens` (longer samples are rejected and counted),
`batch = 1`, `recompute = true`, `nf4 = true`, `machine.shard = true` over more devices, a smaller `lora.rank`.
--plan TOKENS says what each part takes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="TOML file; without one it is the paper's schedule on one device")
    parser.add_argument("--base", type=Path, help="folder of the base model")
    parser.add_argument("--data", type=Path, nargs="+", action="extend", help="Seg-DT files")
    parser.add_argument("--run", type=Path, help="folder of the run: checkpoints, run card, adapter")
    parser.add_argument("--begin", type=Path, metavar="ADAPTER", help="an adapter of the base to train further")
    parser.add_argument("--plan", type=int, metavar="TOKENS", help="print memory by part for samples of so many tokens")
    parser.add_argument("--dry-run", action="store_true", help="build and check the model without its weights")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        config = Config.load(options.config)
        if options.plan or options.dry_run:
            if config.shape is None:
                raise ConfigError("--plan and --dry-run need a --config with a [shape]")
            print(table(config.shape, config, options.plan) if options.plan else dry_run(config))
            return
        if not (options.base and options.data and options.run):
            parser.error("--base, --data and --run are needed to train")
        adapter = train(options.base, options.data, options.run, config, options.begin)
    except (AdapterError, ConfigError, RunError, SegDTError, TokenizerError) as error:
        sys.exit(f"error: {error}")
    except torch.OutOfMemoryError as error:
        sys.exit(f"error: {MEMORY}\n({str(error).splitlines()[0]})")
    except KeyboardInterrupt:
        sys.exit(f"interrupted; the same command goes on from {last_checkpoint(options.run) or 'the beginning'}")
    print(f"{adapter}: sftdt@{Adapter.load(adapter).hash}")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
