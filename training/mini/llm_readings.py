"""How often a base of dtwin-mini-llm reads out what a twin says of a row: what an adapter on it can build upon.

python -m training.mini.llm_readings runs/llm/base --scenes 20

Of the true twins of held-out scenes every row is read out, one thing at a time, greedily. Intervals are Wilson's, of
95 %, as if rows were independent.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dtwinseger.prompts import reasoning
from training.mini.llm_data import READ_OUT, read_out
from training.mini.llm_eval import HELD_OUT, IMAGE, interval
from training.mini.llm_writer import Prompt, Writer
from training.scenes import render_scene
from training.scenes.things import rows, take_apart
from training.scenes.twins import true_twin

TOKENS = 400  # of what is read out, at most


def said(text: str) -> Mapping[int, str]:
    """Index -> what is read out of that row; nothing where the text is no list of rows."""
    try:
        return {row["index"]: row["reasoning"] for row in json.loads(f"[{text}]")}
    except (ValueError, TypeError, KeyError):
        return {}


def score(model: Path, scenes: int, first: int) -> tuple[Counter[str], Counter[str]]:
    """Rows that were read right, and all rows, by what was read out. Raises ValueError for scenes of training."""
    if not (first in HELD_OUT and first + scenes - 1 in HELD_OUT):
        raise ValueError(f"held-out scenes have seeds below {HELD_OUT.stop}")
    asked: list[tuple[str, Prompt, Mapping[int, str]]] = []
    for seed in range(first, first + scenes):
        things = take_apart(true_twin(render_scene(seed, IMAGE[1], IMAGE[0])))
        for what in READ_OUT:
            query, answer = read_out(things, what, IMAGE)
            asked.append((what, Prompt(reasoning(query, rows(things, IMAGE)), TOKENS), said(answer)))
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for number, written in Writer(model).write([prompt for _, prompt, _ in asked]):
        what, _, truth = asked[number]
        found = said(written.text)
        total[what] += len(truth)
        right[what] += sum(found.get(index) == text for index, text in truth.items())
    return right, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the base")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    options = parser.parse_args()
    right, total = score(options.model, options.scenes, options.first)
    print(f"{options.model}, scenes {options.first} to {options.first + options.scenes - 1}: rows read right")
    for what, count in total.items():
        low, high = interval(right[what], count)
        print(f"{what:<10} {right[what] / count:.3f} {low:.3f}-{high:.3f} of {count}")


if __name__ == "__main__":
    main()
