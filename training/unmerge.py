"""The base of a merged model again, by its adapter: W - scale · B A, for comparing zero-shot with SFTDT.

python -m training.unmerge models/dtwin-mini-llm models/dtwin-mini-llm/adapter --out runs/dtwin-mini-llm-base

So one model and its small adapter are enough to have both. The base comes back up to the rounding of the merged weights
(bfloat16: a relative 0.4 %), which is that of any weights so stored.
"""

import argparse
import shutil
import sys
from pathlib import Path

from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM

from dtwinseger.weights import weights_hash
from training.adapter import Adapter, AdapterError
from training.merge import BESIDE, tuned


def unmerge(merged: Path, adapter: Adapter, out: Path) -> None:
    """Write the base of `merged` into the new folder `out`. Raises AdapterError where the adapter does not fit it."""
    if out.exists():
        raise AdapterError(f"{out} is there already; name a new folder")
    model = AutoModelForCausalLM.from_pretrained(merged, dtype="auto")
    kept = model.dtype
    adapted = tuned(model, merged, adapter)
    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            module.get_base_layer().weight.data -= module.get_delta_weight("default")
    base = adapted.unload().to(kept)
    base.config.dtype = kept
    base.save_pretrained(out)
    for name in BESIDE:
        if (merged / name).is_file():
            shutil.copyfile(merged / name, out / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("merged", type=Path, help="folder of the merged model")
    parser.add_argument("adapter", type=Path, help="folder of the adapter that was merged into it")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the base")
    options = parser.parse_args()
    try:
        unmerge(options.merged, Adapter.load(options.adapter), options.out)
    except AdapterError as error:
        sys.exit(f"error: {error}")
    print(f"{options.out} holds {options.merged} without {options.adapter}, weights {weights_hash(options.out)}")


if __name__ == "__main__":
    main()
