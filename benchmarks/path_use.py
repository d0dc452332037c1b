"""Does the model use its reasoning path? It is made to go on from its own path with one thing changed.

Of each valid answer of one query a scene, in the words that the model wrote, as far as it offers the change:

- nothing: the whole path as it was, the indices are next. The control.
- a kept object is dropped in the last step, or a dropped one kept; the indices are next. The path is followed where
  they are what the changed step keeps.
- the last of several steps is deleted; the indices are next. Followed: they are what the step before keeps. Only where
  that differs.
- a kept object that is in the answer is dropped in the first of several steps; the model writes the rest. Followed: the
  answer is the first one without it.
- the first of several steps is deleted: the path opens with the criterion of the second, the model writes the rest.
  There is no one answer that follows; a model that needs the step loses it, one that does not finds its answer again.

And one decision of the first step, up to its verdict: its reasoning as it was, left empty, or that of an object which
the step judged otherwise. Followed where the verdict is the one that belongs to the reasoning.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.asking import Answered
from benchmarks.prefixes import flipped, opened, through_decisions, through_path, through_reasoning
from benchmarks.shares import share
from dtwinseger.service.engine.completion import read
from dtwinseger.twin import Decision
from services.reasoner.answer import ReasonAnswer
from services.reasoner.calls import TOKENS, TOKENS_AN_OBJECT
from training.mini.llm_eval import Question
from training.mini.llm_writer import Prompt, Writer, Written

CONTROL = "nothing (control)"
DROPPED = "a kept object dropped in the last step"
KEPT = "a dropped object kept in the last step"
LAST = "the last of several steps deleted"
FIRST_DROPPED = "a kept object dropped in the first of several steps; it writes the rest"
FIRST = "the first of several steps deleted; it writes the rest"
CHANGES = (CONTROL, DROPPED, KEPT, LAST, FIRST_DROPPED, FIRST)
AS_IT_WAS, EMPTY, OTHERS = "nothing (control)", "left empty", "that of an object judged otherwise"
REASONINGS = (AS_IT_WAS, EMPTY, OTHERS)
VERDICT_TOKENS = 4

Indices = tuple[int, ...]
Forced = TypeVar("Forced", "Trial", "Judgment")


@dataclass(frozen=True)
class Trial:
    """A beginning that is forced. followed: the indices if the path is followed, None where that is not defined."""

    change: str
    question: Question
    forced: str
    before: Indices
    followed: Indices | None


@dataclass(frozen=True)
class Judgment:
    """A decision whose reasoning is forced. keep: the verdict that the model gave. followed: that of the reasoning."""

    change: str
    question: Question
    forced: str
    keep: bool
    followed: bool | None


def trials(answered: Answered, dice: random.Random) -> Iterator[Trial]:
    """The changes that a valid answer offers."""
    if answered.vote is None:
        return
    question, path, before = answered.question, answered.vote.answer.path, answered.vote.answer.indices
    names = {row.index: row.semantic for row in question.rows}

    def trial(change: str, forced: str, followed: Indices | None) -> Trial:
        return Trial(change, question, forced, before, followed)

    yield trial(CONTROL, through_path(path), before)
    *earlier, last = path
    if last.kept:
        index = dice.choice(last.kept)
        changed = (*earlier, flipped(last, index, None))
        yield trial(DROPPED, through_path(changed), _without(before, index))
    if dropped := [decision.index for decision in last.decisions if not decision.keep]:
        index = dice.choice(dropped)
        changed = (*earlier, flipped(last, index, names[index]))
        yield trial(KEPT, through_path(changed), tuple(sorted((*before, index))))
    if not earlier:
        return
    if tuple(earlier[-1].kept) != before:
        yield trial(LAST, through_path(earlier), tuple(earlier[-1].kept))
    if before and path[0].otherwise is None:
        index = dice.choice(before)
        yield trial(FIRST_DROPPED, through_decisions((flipped(path[0], index, None),)), _without(before, index))
    yield trial(FIRST, opened(path[1].criterion), None)


def judgments(answered: Answered, dice: random.Random) -> Iterator[Judgment]:
    """One decision of a valid answer's first step, with each reasoning that there is for it."""
    if answered.vote is None or not (decisions := answered.vote.answer.path[0].decisions):
        return
    path, chosen = answered.vote.answer.path, dice.choice(decisions)

    def judgment(change: str, reasoning: str, followed: bool | None) -> Judgment:
        forced = through_reasoning(path, 1, chosen.index, reasoning)
        return Judgment(change, answered.question, forced, chosen.keep, followed)

    yield judgment(AS_IT_WAS, chosen.reasoning, chosen.keep)
    yield judgment(EMPTY, "", None)
    if others := [decision.reasoning for decision in decisions if _otherwise(decision, chosen)]:
        yield judgment(OTHERS, dice.choice(others), not chosen.keep)


def _otherwise(one: Decision, other: Decision) -> bool:
    return one.keep != other.keep and one.reasoning != other.reasoning


def _without(indices: Indices, index: int) -> Indices:
    return tuple(one for one in indices if one != index)


def tables(writer: Writer, answers: Sequence[Answered], console: Console, seed: int = 0) -> tuple[Table, Table]:
    """Both tables, of one answer a scene."""
    dice = random.Random(seed)  # noqa: S311 - a benchmark repeats
    tried = [trial for answered in answers for trial in trials(answered, dice)]
    judged = [judgment for answered in answers for judgment in judgments(answered, dice)]
    ended = [_indices(one.forced, said) for one, said in _written(writer, tried, console)]
    verdicts = [_keep(said) for _, said in _written(writer, judged, console, most=VERDICT_TOKENS)]
    return _changes(tried, ended), _reasonings(judged, verdicts)


def _written(
    writer: Writer, forced: Sequence[Forced], console: Console, most: int | None = None
) -> list[tuple[Forced, Written]]:
    """Each beginning with what the model writes after it."""
    prompts = [
        Prompt(one.question.messages, most or TOKENS + TOKENS_AN_OBJECT * one.question.count, one.forced)
        for one in forced
    ]
    texts = track(writer.write(prompts), f"{len(prompts)} beginnings", len(prompts), console=console, transient=True)
    said = dict(texts)
    return [(one, said[number]) for number, one in enumerate(forced)]


def _indices(forced: str, said: Written) -> Indices | None:
    """The indices of the answer; None where it cannot be read. Its path may break the rules: it was forced."""
    answer, _ = read(forced + said.text, ReasonAnswer, None)
    return answer.indices if answer else None


def _keep(said: Written) -> bool | None:
    for text, keep in (('"keep":true', True), ('"keep":false', False)):
        if text in said.text:
            return keep
    return None


def _changes(tried: Sequence[Trial], ended: Sequence[Indices | None]) -> Table:
    table = Table("changed in its path", "n", "follows the path [95 %]", "its first answer [95 %]", box=box.MARKDOWN)
    table.add_column("exact set before")
    table.add_column("exact set after")
    for change in CHANGES:
        group = [(one, said) for one, said in zip(tried, ended, strict=True) if one.change == change]
        if not group:
            continue
        defined = [one.followed == said for one, said in group if one.followed is not None]
        truths = [set(one.question.query.indices) for one, _ in group]
        table.add_row(
            change,
            str(len(group)),
            share(defined) if defined else "not defined",
            share([one.before == said for one, said in group]),
            share([set(one.before) == truth for (one, _), truth in zip(group, truths, strict=True)]),
            share([said is not None and set(said) == truth for (_, said), truth in zip(group, truths, strict=True)]),
        )
    return table


def _reasonings(judged: Sequence[Judgment], verdicts: Sequence[bool | None]) -> Table:
    table = Table(
        "changed in one decision's reasoning", "n", "verdict of the reasoning [95 %]", "its first verdict [95 %]",
        box=box.MARKDOWN,
    )  # fmt: skip
    for change in REASONINGS:
        group = [(one, keep) for one, keep in zip(judged, verdicts, strict=True) if one.change == change]
        if not group:
            continue
        defined = [one.followed == keep for one, keep in group if one.followed is not None]
        same = share([one.keep == keep for one, keep in group])
        table.add_row(change, str(len(group)), share(defined) if defined else "not defined", same)
    return table
