"""How often models name exactly the right objects, given the twins of held-out scenes: before and after SFTDT.

python -m training.mini.llm_eval --scenes 200 --model runs/llm/base --model models/dtwin-mini-llm
python -m training.mini.llm_eval --data perceived/segdt.jsonl     # Seg-DT, with true or perceived twins

Greedy generation, on a GPU where there is one. An answer is right where its set of indices is exactly the true one; it
is valid where it is a JSON answer whose path obeys `dtwinseger.twin.violations`. Intervals are Wilson's, of 95 %.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from dtwinseger.prompts import Message, reasoning
from dtwinseger.twin import Step, TwinRow, violations
from dtwinseger.twin.text import RENDERINGS
from training.mini.llm_writer import Prompt, Writer
from training.scenes import render_scene
from training.scenes.asked import asker_of, twin_of
from training.scenes.queries import Query
from training.scenes.render import TRAINING
from training.scenes.things import rows, take_apart
from training.scenes.twins import Level
from training.scenes.vocabulary import held_out
from training.segdt.reading import read

HELD_OUT = range(TRAINING)  # scene seeds that training never sees
IMAGE = (512, 512)  # height, width
MAX_NEW_TOKENS = 1400
LEVELS: tuple[Level, ...] = ("object", "part")
ROWS = (5, 10, 20)  # twins of fewer rows than these are told apart


class Written(BaseModel):
    """The answer as the model writes it."""

    path: tuple[Step, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """A query about a held-out scene and its true twin. scene: its seed.

    combination: whether all that answer have a color in which training saw their kind; "" where nothing answers.
    """

    scene: int
    query: Query
    rows: tuple[TwinRow, ...]
    combination: str = ""

    @property
    def messages(self) -> list[Message]:
        """As the model is asked it."""
        return reasoning(self.query.text, self.rows)

    @property
    def count(self) -> int:
        """Of the twin's rows."""
        return len(self.rows)

    def groups(self) -> dict[str, str]:
        """What its score is told under: by kind, by number of rows, by phrasing, by combination."""
        few = next((f"under {most}" for most in ROWS if self.count < most), f"{ROWS[-1]} or more")
        told = {"kind": self.query.kind, "rows": few, "phrasing": self.query.phrasing}
        return told | ({"combination": self.combination} if self.combination else {})


@dataclass(frozen=True)
class Score:
    """right: exactly the true set. valid: an answer that the reasoner would take."""

    right: bool
    valid: bool


def questions(scenes: int, first: int = 0) -> Iterator[Question]:
    """One query of each kind, in seen and in held-out phrasings, about the true twins of each of so many scenes."""
    if not (first in HELD_OUT and first + scenes - 1 in HELD_OUT):
        raise ValueError(f"held-out scenes have seeds below {HELD_OUT.stop}")
    for seed in range(first, first + scenes):
        scene = render_scene(seed, IMAGE[1], IMAGE[0])
        for level in LEVELS:
            twin = twin_of(scene, level)
            things = take_apart(twin.objects)
            table = rows(things, IMAGE)
            for unseen in (False, True):
                asker = asker_of(twin, f"llm {seed} {level}", held_out=unseen)
                for kind in asker.makers:
                    if query := asker.draw(kind):
                        targets = [things[index - 1] for index in query.indices]
                        new = [t for t in targets if t.color and t.kind and held_out(t.color, t.kind)]
                        combination = ("held_out" if new else "seen") if targets else ""
                        yield Question(seed, query, table, combination)


def of_file(file: Path) -> list[Question]:
    """The queries of a Seg-DT file; of its lines' numbers instead of scenes."""
    return [
        Question(line, Query(s.query, s.provenance.kind, s.granularity, s.indices, s.path, "seen"), s.dt0)
        for line, s in enumerate(read(file), start=1)
    ]


def answers(model_dir: Path, messages: Sequence[list[Message]]) -> list[str]:
    """What the model writes to each, greedily."""
    written = dict(Writer(model_dir).write([Prompt(asked, MAX_NEW_TOKENS) for asked in messages]))
    return [written[number].text for number in range(len(messages))]


def score(question: Question, text: str) -> Score:
    """Right and valid, or not. An answer that cannot be read is neither."""
    try:
        answer = Written.model_validate_json(text)
    except ValidationError:
        return Score(right=False, valid=False)
    faults = violations(answer.path, answer.indices, [row.index for row in question.rows])
    return Score(set(answer.indices) == set(question.query.indices), not faults)


def interval(right: int, count: int) -> tuple[float, float]:
    """Wilson's interval of 95 % of a share."""
    z, share = 1.96, right / count
    center = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, center - half), min(1.0, center + half)


def table(asked: Sequence[Question], scores: Sequence[Score]) -> str:
    """Exact-set accuracy with its interval, and validity, by everything that questions are told apart by."""
    cells: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for question, one in zip(asked, scores, strict=True):
        for by, value in (*question.groups().items(), ("all", "")):
            cells[by, value].append(one)
    lines = [f"{'':<24} {'queries':>7} {'exact set':>9} {'95 %':>13} {'valid':>6}"]
    order = ("kind", "rows", "phrasing", "combination", "all")
    for (by, value), group in sorted(cells.items(), key=lambda cell: order.index(cell[0][0])):
        right, valid = (sum(getattr(one, name) for one in group) for name in ("right", "valid"))
        low, high = interval(right, len(group))
        lines.append(
            f"{f'{by} {value}':<24} {len(group):>7} {right / len(group):>9.3f} {low:>6.3f}-{high:.3f} "
            f"{valid / len(group):>6.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, action="append", help="folder; several are asked the same")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--data", type=Path, help="Seg-DT file that is asked instead of scenes")
    parser.add_argument("--most", type=int, default=100_000, help="queries, of the file's first")
    parser.add_argument("--rendering", choices=RENDERINGS, default="json")
    parser.add_argument("--wrong", type=int, default=0, help="print so many wrong answers")
    options = parser.parse_args()
    asked = of_file(options.data)[: options.most] if options.data else list(questions(options.scenes, options.first))
    about = options.data or f"scenes {options.first} to {options.first + options.scenes - 1}, true twins"
    for model in options.model or [Path("models/dtwin-mini-llm")]:
        said = answers(model, [reasoning(one.query.text, one.rows, options.rendering) for one in asked])
        scores = [score(question, text) for question, text in zip(asked, said, strict=True)]
        print(f"{model}, {about} as {options.rendering}, greedy\n{table(asked, scores)}\n", flush=True)
        wrong = [(q, text) for q, text, s in zip(asked, said, scores, strict=True) if not s.right]
        for question, text in wrong[: options.wrong]:
            query = question.query
            print(f"\n{query.kind}: {query.text} {list(query.indices)}\n{question.messages[1]['content']}\n{text}")


if __name__ == "__main__":
    main()
