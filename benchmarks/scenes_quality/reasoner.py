"""The reasoner alone, given the true twin: the share answered exactly by the base (zero_shot) and after SFTDT."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.scenes_quality.figures import Exact, Reasoner, partitions, share, share_gain
from benchmarks.scenes_quality.oracles import true_twins
from benchmarks.scenes_quality.questions import Question
from benchmarks.scenes_quality.services import Mode, Services

MODES: tuple[Mode, ...] = ("zero_shot", "sftdt")
SIZES = ((1, 6), (7, 9), (10, 14), (15, 24), (25, 1_000))  # of the twin


def reasoner(
    questions: Sequence[Question], served: Mapping[Mode, Services | str], out: Path, together: int, console: Console
) -> Reasoner:
    """Ask every question in each mode. served: who answers in a mode, or why nobody does."""
    hits: dict[str, dict[str, bool]] = {}
    failed: dict[str, int] = {}
    for mode, services in served.items():
        if isinstance(services, str):
            continue
        answers = true_twins(questions, services, mode, out, together, console)
        pairs = list(zip(questions, answers, strict=True))
        hits[mode] = {question.sample_id: answer.indices == question.indices for question, answer in pairs}
        failed[mode] = sum(answer.indices is None for answer in answers)
    parts = [*partitions(questions), *_sizes(questions)] if hits else []
    return Reasoner(
        groups=tuple(_exact(name, [one for one in questions if holds(one)], hits) for name, holds in parts),
        failed=failed,
        not_run={mode: why for mode, why in served.items() if isinstance(why, str)},
    )


def served_modes(question: Question, services: Services, base: Services | None) -> dict[Mode, Services | str]:
    """Who answers in each mode, or why nobody does, tried out with a question. base: a reasoner with the base model."""
    found: dict[Mode, Services | str] = {}
    for mode in MODES:
        chosen = base if base and mode == "zero_shot" else services
        came_to, why = chosen.resolved(question.query, question.rows, mode)
        found[mode] = chosen if came_to == mode else why or f"the reasoner answered in mode {came_to}"
    return found


def _exact(name: str, members: Sequence[Question], hits: Mapping[str, Mapping[str, bool]]) -> Exact:
    by_mode = {mode: [right[one.sample_id] for one in members] for mode, right in hits.items()}
    both = len(by_mode) == len(MODES)
    return Exact(
        name=name,
        samples=len(members),
        modes={mode: share(right) for mode, right in by_mode.items()},
        gain=share_gain(by_mode["zero_shot"], by_mode["sftdt"]) if both else None,
    )


def _sizes(questions: Sequence[Question]) -> list[tuple[str, Callable[[Question], bool]]]:
    bins = [
        (f"{low} to {high} in the twin" if high < 1_000 else f"{low} or more in the twin", low, high)
        for low, high in SIZES
    ]
    tests = [(name, _between(low, high)) for name, low, high in bins]
    return [(name, holds) for name, holds in tests if any(holds(one) for one in questions)]


def _between(low: int, high: int) -> Callable[[Question], bool]:
    return lambda one: low <= len(one.objects) <= high
