"""The mean of LoRA adapters: of runs of which each began with the one before, it can be better than the last.

python -m training.mean runs/first/adapter runs/second/adapter --out runs/mean

Factor by factor, as weights are averaged in Wortsman et al., 2022 ("Model soups"). A product of means is near the mean
of the products only where the factors are near each other: `training.sftdt --begin` starts a run with another's.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from training.adapter import CONFIG, WEIGHTS, Adapter, AdapterError

NAMED = "base_model_name_or_path"  # where the base was: its weights tell whether it is the same


def mean(adapters: Sequence[Adapter], out: Path) -> Adapter:
    """Write the mean of `adapters` into the new folder `out`, in their precision, with a card that names them.

    Raises AdapterError where there is one alone, or one cannot be served, does not say on which weights it was trained,
    or is another base's or of another configuration than the first.
    """
    if len(adapters) < 2:
        raise AdapterError("a mean is of two adapters or more")
    if out.exists():
        raise AdapterError(f"{out} is there already; name a new folder")
    first, *others = adapters
    record = first.record
    if record is None or record.base_weights is None:
        raise AdapterError(f"{first.folder} does not say on which weights it was trained")
    for one in adapters:
        one.require_servable()
    for other in others:
        if other.record is None or other.record.base_weights != record.base_weights:
            raise AdapterError(f"{other.folder} is not of the base of {first.folder}, weights {record.base_weights}")
        if _settings(other) != _settings(first) or other.tensors != first.tensors:
            raise AdapterError(f"{other.folder} is of another configuration than {first.folder}")
    factors = [load_file(one.folder / WEIGHTS) for one in adapters]
    means = {
        name: torch.stack([of[name].float() for of in factors]).mean(0).to(factor.dtype)
        for name, factor in factors[0].items()
    }
    out.mkdir(parents=True)
    shutil.copyfile(first.folder / CONFIG, out / CONFIG)
    save_file(means, out / WEIGHTS, {"format": "pt"})
    (out / WEIGHTS).chmod(0o644)  # safetensors makes files that only their owner reads
    record.write(out)
    found = Adapter.load(out)
    named = "".join(f"- sftdt@{one.hash}, {one.folder}\n" for one in adapters)
    (out / "README.md").write_text(
        f"# sftdt@{found.hash}\n\nThe mean, factor by factor, of adapters of {record.base}:\n\n{named}"
    )
    return found


def _settings(adapter: Adapter) -> dict[str, Any]:
    """PEFT's configuration, wherever the base was; targets in any order."""
    settings: dict[str, Any] = json.loads((adapter.folder / CONFIG).read_bytes())
    targets = settings.get("target_modules")
    return settings | {NAMED: None, "target_modules": sorted(targets) if isinstance(targets, list) else targets}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapters", type=Path, nargs="+", help="folders of PEFT adapters, of one base")
    parser.add_argument("--out", type=Path, required=True, help="new folder for their mean")
    options = parser.parse_args()
    try:
        found = mean([Adapter.load(folder) for folder in options.adapters], options.out)
    except AdapterError as error:
        sys.exit(f"error: {error}")
    print(f"{options.out}: sftdt@{found.hash}")


if __name__ == "__main__":
    main()
