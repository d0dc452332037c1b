"""What became of each question: the runs of `eval run` read again, and answers of one stage kept as they come."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import track

from benchmarks.scenes_quality.figures import Outcome
from benchmarks.scenes_quality.questions import Question
from dtwinseger.evaluation.metrics import Pixels, pixel_counts
from dtwinseger.evaluation.runs.record import RESULTS, Record, records
from dtwinseger.twin import Mask


class Kept(BaseModel):
    """A line of a file of answers. `indices` are null where the request failed."""

    model_config = ConfigDict(frozen=True)

    sample_id: str
    indices: tuple[int, ...] | None
    intersection: int  # pixels
    union: int

    def of(self, question: Question) -> Outcome:
        """As an outcome of the question."""
        return Outcome(question, self.intersection, self.union, self.indices is None, not self.indices)


def by_sample(folder: Path) -> dict[str, Record]:
    """The records of a finished run, by sample. Raises RunError for a line that is none."""
    return {record.sample_id: record for record in records(folder / RESULTS)}


def outcomes(questions: Sequence[Question], run: dict[str, Record]) -> list[Outcome]:
    """The outcome of each question in a run that asked it."""
    return [_outcome(question, run[question.sample_id]) for question in questions]


def _outcome(question: Question, record: Record) -> Outcome:
    empty = record.mask.area == 0
    return Outcome(question, record.intersection, record.union, record.problem is not None, empty)


def counted(question: Question, indices: Sequence[int] | None, masks: Sequence[Mask]) -> Kept:
    """An answer by indices, from 1, into `masks`; None is an answer that failed, and empty."""
    truth = question.truth
    answer: Pixels = np.zeros(truth.size, dtype=np.bool_)
    for index in indices or ():
        answer |= masks[index - 1].decode()
    intersection, union = pixel_counts(answer, truth.target, truth.ignore)
    told = None if indices is None else tuple(indices)
    return Kept(sample_id=question.sample_id, indices=told, intersection=intersection, union=union)


def kept(
    path: Path, questions: Sequence[Question], ask: Callable[[Question], Kept], together: int, console: Console
) -> list[Kept]:
    """The answer to each question, from the file or asked, `together` at a time, and added to the file as it comes."""
    done = _read(path)
    todo = [question for question in questions if question.sample_id not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, ThreadPoolExecutor(together) as pool:
        shown = track(pool.map(ask, todo), path.stem, total=len(todo), console=console, transient=True)
        for answer in shown:
            file.write(answer.model_dump_json() + "\n")
            file.flush()
            done[answer.sample_id] = answer
    return [done[question.sample_id] for question in questions]


def _read(path: Path) -> dict[str, Kept]:
    """The whole lines of the file; what a kill has torn is cut off."""
    found: dict[str, Kept] = {}
    whole = 0
    if not path.exists():
        return found
    with path.open("rb") as file:
        for line in file:
            try:
                answer = Kept.model_validate_json(line)
            except ValidationError:
                break
            if not line.endswith(b"\n"):
                break
            found[answer.sample_id] = answer
            whole += len(line)
    os.truncate(path, whole)
    return found
