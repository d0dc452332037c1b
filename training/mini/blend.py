"""Weights between a small VLM and one trained on from it: what that one forgot comes back, what it learned stays.

python -m training.mini.blend OLD NEW --share 0.4 --out models/dtwin-mini-vlm

The mean of both models' weights is better than either where the second began with the first (Wortsman et al., 2022,
"Robust fine-tuning of zero-shot models").
"""

from pathlib import Path
from typing import Annotated

import typer

from training.mini.vlm_model import load, save, translated


def blend(old: Path, new: Path, share: float, out: Path) -> None:
    """Write to `out` the weights at `share` of the way from `old` to `new`, in the vocabulary of `new`."""
    model, processor = load(new)
    weights = model.state_dict()
    before = translated(old, processor.tokenizer, weights)
    save(model, {name: before[name].lerp(weight, share) for name, weight in weights.items()}, processor, out)


def main(
    old: Annotated[Path, typer.Argument(help="Folder of the model that was begun with.")],
    new: Annotated[Path, typer.Argument(help="Folder of the one that it became.")],
    out: Annotated[Path, typer.Option(help="Where the model goes.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the way from the old one to the new one.")] = 0.5,
) -> None:
    """Write a model between two."""
    blend(old, new, share, out)


if __name__ == "__main__":
    typer.run(main)
