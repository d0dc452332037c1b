"""A LoRA adapter merged into its base, for engines that take whole models only, such as `transformers serve`.

python -m training.merge runs/sftdt/adapter --base models/dtwin-mini-llm --out models/dtwin-mini-llm-sftdt

The adapter is checked first (`training.adapter`); then W + scale · B A is computed in float32 and saved in the base's
own precision (--dtype for another), with the base's tokenizer and a record by which the reasoner knows a tuned model.
Takes 4 bytes of memory a parameter: a model of 70 billion is served with its adapter by vLLM instead.
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from transformers import AutoModelForCausalLM, PreTrainedModel

from dtwinseger.sftdt import TunedRecord
from dtwinseger.weights import weights_hash
from training.adapter import TOKENIZER, Adapter, AdapterError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BESIDE = (*TOKENIZER, "generation_config.json")  # of the base, that a server reads too


def merge(adapter: Adapter, base: Path, out: Path, dtype: torch.dtype | None = None) -> None:
    """Write the merged model into the new folder `out`.

    dtype: of the weights; None is the base's. Raises AdapterError where the adapter cannot be served, is not the
    base's, or does not fit; nothing is then left in `out`.
    """
    adapter.require_servable()
    adapter.require_base(base)
    adapter.require_tokenizer(base)
    if out.exists():
        raise AdapterError(f"{out} is there already; name a new folder")
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    kept = dtype or model.dtype
    adapted = tuned(model, base, adapter)
    merged = adapted.merge_and_unload(safe_merge=True).to(kept)  # safe: an adapter with NaN is refused
    merged.config.dtype = kept
    merged.save_pretrained(out)
    for name in BESIDE:
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    name = f"{adapter.folder.resolve().name}@{adapter.hash}"
    TunedRecord(base=str(base), base_weights=weights_hash(base), adapter=name).write(out)


def tuned(model: PreTrainedModel, folder: Path, adapter: Adapter) -> PeftModel:
    """The model of `folder`, in float32, with the adapter on it. Raises AdapterError where the two do not fit."""
    try:
        found = PeftModel.from_pretrained(model.float(), adapter.folder)
    except (RuntimeError, ValueError, KeyError) as error:
        raise AdapterError(f"{adapter.folder} does not fit {folder}: {error}") from error
    # Without embeddings: no adapter here trains them, and "auto" looks for the base where the adapter's record has it.
    if other := adapter.tensors ^ set(get_peft_model_state_dict(found, save_embedding_layers=False)):
        lacking = ", ".join(sorted(other)[:3])
        raise AdapterError(f"{adapter.folder} does not fit {folder}: one of the two lacks {lacking}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path, help="folder of the PEFT adapter")
    parser.add_argument("--base", type=Path, required=True, help="folder of the model that it was trained on")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the merged model")
    parser.add_argument("--dtype", choices=PRECISIONS, help="of the merged weights; the base's unless given")
    options = parser.parse_args()
    try:
        merge(Adapter.load(options.adapter), options.base, options.out, PRECISIONS.get(options.dtype))
    except AdapterError as error:
        sys.exit(f"error: {error}")
    print(f"{options.out} holds {options.adapter} merged into {options.base}, weights {weights_hash(options.out)}")


if __name__ == "__main__":
    main()
