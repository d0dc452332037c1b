"""How well dtwin-mini-llm answers about held-out scenes, given their true twins.

python -m training.mini.llm_eval --scenes 200

Greedy generation. An answer is right where its set of indices is exactly the true one; it is valid where it is a JSON
answer whose path obeys `dtwinseger.twin.violations`.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from dtwinseger.prompts import Message, reasoning
from dtwinseger.twin import Step, TwinRow, violations
from training.mini.llm_writer import Prompt, Writer
from training.scenes import render_scene
from training.scenes.queries import Asker, Query
from training.scenes.things import rows, take_apart
from training.scenes.twins import true_twin

HELD_OUT = range(10_000)  # scene seeds that training never sees
IMAGE = (256, 256)  # height, width
MAX_NEW_TOKENS = 600


class Written(BaseModel):
    """The answer as the model writes it."""

    path: tuple[Step, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """A query about a held-out scene and its true twin. scene: its seed."""

    scene: int
    query: Query
    rows: tuple[TwinRow, ...]

    @property
    def messages(self) -> list[Message]:
        """As the model is asked it."""
        return reasoning(self.query.text, self.rows)

    @property
    def count(self) -> int:
        """Objects in the twin."""
        return len(self.rows)


@dataclass(frozen=True)
class Score:
    kind: str
    right: bool
    valid: bool


def questions(scenes: int, first: int = 0) -> Iterator[Question]:
    """A query of every kind about each held-out scene that offers one."""
    for seed in HELD_OUT[first : first + scenes]:
        things = take_apart(true_twin(render_scene(seed, IMAGE[1], IMAGE[0])))
        asker = Asker(things, IMAGE, random.Random(seed))  # noqa: S311
        for kind in asker.makers:
            if query := asker.draw(kind):
                yield Question(seed, query, rows(things, IMAGE))


def answers(model_dir: Path, messages: Sequence[list[Message]]) -> list[str]:
    """What the model writes to each, greedily."""
    written = dict(Writer(model_dir).write([Prompt(asked, MAX_NEW_TOKENS) for asked in messages]))
    return [written[number].text for number in range(len(messages))]


def score(question: Question, text: str) -> Score:
    """Right and valid, or not. An answer that cannot be read is neither."""
    try:
        answer = Written.model_validate_json(text)
    except ValidationError:
        return Score(question.query.kind, right=False, valid=False)
    faults = violations(answer.path, answer.indices, range(1, question.count + 1))
    return Score(question.query.kind, set(answer.indices) == set(question.query.indices), not faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/dtwin-mini-llm"))
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--wrong", type=int, default=0, help="print so many wrong answers")
    options = parser.parse_args()
    asked = list(questions(options.scenes, options.first))
    said = answers(options.model, [question.messages for question in asked])
    scores = [score(question, text) for question, text in zip(asked, said, strict=True)]
    table: dict[str, list[Score]] = defaultdict(list)
    for one in scores:
        table[one.kind].append(one)
    print(f"{options.model}, scenes {options.first} to {options.first + options.scenes - 1}, true twins, greedy")
    print(f"{'kind':<12} {'queries':>7} {'exact set':>9} {'valid':>6}")
    for kind, group in [*table.items(), ("all", scores)]:
        right, valid = (sum(getattr(s, name) for s in group) / len(group) for name in ("right", "valid"))
        print(f"{kind:<12} {len(group):>7} {right:>9.3f} {valid:>6.3f}")
    wrong = [(q, text) for q, text, s in zip(asked, said, scores, strict=True) if not s.right]
    for question, text in wrong[: options.wrong]:
        query = question.query
        print(f"\n{query.kind}: {query.text} {list(query.indices)}\n{question.messages[1]['content']}\n{text}")


if __name__ == "__main__":
    main()
