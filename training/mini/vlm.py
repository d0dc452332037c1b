"""Trains dtwin-mini-vlm from scratch on rendered scenes: `python -m training.mini.vlm --help`."""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from training.mini import vlm_answers as answers
from training.mini.course import Average, Clock, best_device, optimizers, prefetched, save, set_up, to
from training.mini.scene_store import Store, open_store
from training.mini.vlm_data import TOKENS_PER_PICTURE, Batch, Sequences, draw
from training.mini.vlm_model import begin, make_model, make_processor, words
from training.mini.vlm_model import save as export
from training.scenes.vocabulary import COLORS, KINDS, MATERIALS, PATTERNS, SIZES

SPOKEN_SCENES = 400  # whose queries are the vocabulary
ENOUGH = 64  # scenes of a second store with which it is drawn from
PARTS = sorted({part for kind in KINDS.values() for part in kind.parts})


@dataclass(frozen=True)
class Recipe:
    """Every number of the training."""

    minutes: float
    seed: int = 0
    batch: int = 48
    learning_rate: float = 1.5e-3
    warmup: float = 0.03  # share of the time
    weight_decay: float = 0.05
    average: float = 0.998  # of the weights, over steps; the average is what is exported
    hint_weight: float = 0.3
    spoken_scenes: int = SPOKEN_SCENES
    save_every_s: float = 60.0
    say_every_s: float = 10.0


class Hints(nn.Module):
    """Linear readings of the pooled pictures, for a faster start: what the crop shows, and how large it is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.crop = nn.ModuleDict(
            {
                "kind": nn.Linear(width, len(KINDS) + 1),  # the last one is the ground
                "color": nn.Linear(width, len(COLORS)),
                "part": nn.Linear(width, len(PARTS) + 1),  # the last one is none
                "pattern": nn.Linear(width, len(PATTERNS) + 1),
                "material": nn.Linear(width, len(MATERIALS) + 1),
            }
        )
        self.size = nn.Linear(width, len(SIZES))

    def forward(self, features: Tensor, wanted: dict[str, Tensor]) -> Tensor:
        """features: [N, 2, T, C]; wanted: of `readings`. Returns the sum of the mean cross-entropies."""
        pooled = features.float().mean(dim=2)  # [N, 2, C]
        losses = [
            F.cross_entropy(read(pooled[:, 1]), wanted[name], ignore_index=-1) for name, read in self.crop.items()
        ]
        return torch.stack([*losses, F.cross_entropy(self.size(pooled[:, 0]), wanted["size"], ignore_index=-1)]).sum()


def readings(records: np.ndarray) -> dict[str, Tensor]:
    """What `Hints` should read of each record, [N] int64 each; -1 where there is nothing to read."""
    ground = records["kind"] < 0
    kinds = list(KINDS.values())
    names = [len(PARTS) if r["part"] < 0 else PARTS.index(kinds[r["kind"]].parts[r["part"]]) for r in records]
    wanted = {
        "kind": np.where(ground, len(KINDS), records["kind"]),
        "color": np.where(ground, -1, records["color"]),
        "part": np.array(names),
        "pattern": np.where(ground, -1, np.where(records["pattern"] < 0, len(PATTERNS), records["pattern"])),
        "material": np.where(ground, -1, np.where(records["material"] < 0, len(MATERIALS), records["material"])),
        "size": np.where(ground, -1, records["size"]),
    }
    return {name: torch.from_numpy(values.astype(np.int64)) for name, values in wanted.items()}


def pixels(pictures: Tensor) -> Tensor:
    """What the processor makes of padded and scaled pictures: [P, 3, SIDE, SIDE] float32."""
    return (pictures.float() - 127.5) / 63.75


def loss_of(
    model: LlavaForConditionalGeneration, hints: Hints | None, batch: Batch, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of the answers' tokens, and that of the hints where there are hints and records."""
    ids, labels, pictures = (to(tensor, device) for tensor in (batch.ids, batch.labels, batch.pictures))
    with torch.autocast(device.type, torch.bfloat16):
        # Padding is at the right, where no token of an answer sees it, so causality is all the mask that is needed.
        out = model.model(input_ids=ids, pixel_values=pixels(pictures), use_cache=False)
        targets = labels[:, 1:]
        learned = targets != -100
        logits = model.lm_head(out.last_hidden_state[:, :-1][learned])
    if hints is None or not len(batch.records):
        return F.cross_entropy(logits.float(), targets[learned]), logits.new_zeros((), dtype=torch.float32)
    features = out.image_hidden_states[: 2 * TOKENS_PER_PICTURE * len(batch.records)]
    features = features.reshape(len(batch.records), 2, TOKENS_PER_PICTURE, -1)
    wanted = {name: to(values, device) for name, values in readings(batch.records).items()}
    return F.cross_entropy(logits.float(), targets[learned]), hints(features, wanted)


def vocabulary(store: Store, scenes: int, begun: Path | None = None) -> LlavaProcessor:
    """A processor that knows the words of the first `scenes` scenes, for which it waits, and of the VLM in `begun`."""
    store.wait_for_first(scenes)
    spoken = {text.decode() for text in store.queries[:scenes]["text"].ravel()}
    known = words(LlavaProcessor.from_pretrained(begun)) if begun else []
    return make_processor([*answers.texts(sorted(spoken)), *known], answers.FRAGMENTS)


def train(
    recipe: Recipe,
    scenes: Path,
    perceived: Path | None,
    work: Path,
    output: Path,
    device: torch.device,
    begun: Path | None = None,
) -> None:
    """Train for `recipe.minutes`, from the checkpoint in `work` where there is one; export to `output` as it goes.

    scenes, perceived: folders that `training.mini.render` fills, or has filled; of the second one, from when it holds
    ENOUGH scenes, half of the examples are. begun: folder of a VLM with whose weights a training begins; then there
    are no hints (`recipe.hint_weight` is not used), since their untrained readings would spoil the weights.
    """
    stores = [open_store(scenes)]
    processor = vocabulary(stores[0], recipe.spoken_scenes, begun)
    sequences = Sequences(processor)
    model = make_model(processor.tokenizer, recipe.seed)
    if begun:
        begin(model, processor.tokenizer, begun)
    model.train().to(device)
    # On a CPU the backward pass of the eager one takes half the time of the fused one.
    model.set_attn_implementation("sdpa" if device.type == "cuda" else "eager")
    hints = None if begun else Hints(model.config.text_config.hidden_size).to(device)
    modules = nn.ModuleDict({"model": model} if hints is None else {"model": model, "hints": hints})
    optimizing = optimizers(modules, inside, recipe.learning_rate, recipe.weight_decay)
    average = Average(model, recipe.average)
    checkpoint = work / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        modules.load_state_dict(state["modules"])
        for optimizer, saved_state in zip(optimizing, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved_state)
        average.weights, step, spent = state["average"], state["step"], state["spent"]
        print(f"going on after {step} steps in {spent:.0f} s", flush=True)
    with Clock(recipe.minutes, spent) as clock:

        def keep() -> None:
            state = {"modules": modules.state_dict(), "average": average.weights, "step": step, "spent": clock.spent}
            save(state | {"optimizers": [optimizer.state_dict() for optimizer in optimizing]}, checkpoint)
            export(model, average.weights, processor, output)

        joining = Lock()  # batches are drawn by several threads

        def drawn(number: int) -> Batch:
            with joining:
                if perceived is not None and len(stores) == 1 and (perceived / "contents.json").exists():
                    second = open_store(perceived)
                    if len(second.there()) >= ENOUGH:
                        stores.append(second)
            return draw(tuple(stores), sequences, recipe.batch, np.random.default_rng((recipe.seed, number)))

        saved, said, seen, steps = spent, spent, torch.zeros(2, device=device), 0
        for batch in prefetched(drawn, step):
            if clock.over:
                break
            for optimizer in optimizing:
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * clock.rate(recipe.warmup)
            loss, hint = loss_of(model, hints, batch, device)
            (loss + recipe.hint_weight * hint).backward()
            nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
            for optimizer in optimizing:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            step, steps = step + 1, steps + 1
            average.follow(model, step)
            seen += torch.stack([loss, hint]).detach()
            if clock.spent - said > recipe.say_every_s or clock.over:
                say(step, steps / (clock.spent - said), clock, stores, (seen / steps).tolist())
                said, steps = clock.spent, 0
                seen.zero_()
            if clock.spent - saved > recipe.save_every_s:
                saved = clock.spent
                keep()
        keep()
        print(f"{output} holds the weights after {step} steps in {clock.spent:.0f} s", flush=True)


def inside(name: str) -> bool:
    """Whether a matrix of that name is one inside of a transformer."""
    return "layers" in name


def say(step: int, rate: float, clock: Clock, stores: list[Store], means: list[float]) -> None:
    """One line: how far it is, and the means since the last one."""
    scenes = " + ".join(str(len(store.there())) for store in stores)
    print(
        f"{100 * clock.progress:.0f} % {clock.left:.0f} s to go, "
        f"step {step} ({rate:.1f} a second), {scenes} scenes, loss {means[0]:.4f} hints {means[1]:.3f}",
        flush=True,
    )


def main(
    minutes: Annotated[
        float | None, typer.Option(help="The learning rate falls to nearly 0 over them; else 8 on a GPU, 180 on a CPU.")
    ] = None,
    scenes: Annotated[Path, typer.Option(help="What `training.mini.render` fills.")] = Path("runs/scenes"),
    perceived: Annotated[
        Path | None,
        typer.Option(help="What `training.mini.render --sam` fills: half of the examples, once it is there."),
    ] = None,
    work: Annotated[Path, typer.Option(help="Where the checkpoint is, to resume from.")] = Path("runs/vlm"),
    output: Annotated[Path, typer.Option(help="Where the model goes.")] = Path("models/dtwin-mini-vlm"),
    batch: Annotated[int | None, typer.Option(help="Examples a step; else 512 on a GPU, 48 on a CPU.")] = None,
    learning_rate: float = Recipe.learning_rate,
    seed: int = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    begun: Annotated[Path | None, typer.Option("--begin", help="Folder of a VLM to begin with.")] = None,
) -> None:
    """Train dtwin-mini-vlm on rendered scenes; run again with the same --work to resume."""
    device = best_device()
    set_up(device, threads)
    on_gpu = device.type == "cuda"
    time = minutes or (8 if on_gpu else 180)
    size = batch or (512 if on_gpu else 48)
    train(Recipe(time, seed, size, learning_rate=learning_rate), scenes, perceived, work, output, device, begun)


if __name__ == "__main__":
    typer.run(main)
