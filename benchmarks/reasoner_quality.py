"""How well does the reasoner answer with the bundled model, does it use its path, and is its confidence what it says?

Held-out scenes and their true twins; a query of every kind about each. The model runs in this process, in batches, and
is asked as the service asks it; a sample is asked through the service and `transformers serve` too, and must end the
same. Where a table has one query a scene, the kinds take turns.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import torch
import transformers
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.asking import Answered, ask
from benchmarks.calibration import Claim, calibration_error, reliability
from benchmarks.path_use import tables as path_tables
from benchmarks.scripted import service
from benchmarks.shares import clustered_share
from benchmarks.target import machine
from dtwinseger import api
from services.reasoner.answer import Vote
from services.reasoner.reasoning import TEMPERATURE
from services.reasoner.votes import confidence, elected
from tests.doubles.transformers_engine import transformers_engine
from training.mini.llm_eval import Question, questions
from training.mini.llm_writer import Writer

MODEL = Path("models/dtwin-mini-llm")
FIRST = 1_000  # seed of the first scene: held out, and not looked at while the model was trained
VOTES = (3, 5)
SERVED = 2  # scenes whose queries are asked through the service too
LONGEST_S = 120.0  # of a request
KINDS = {"affordance": "implied (by use)", "description": "attributes", "color": "attribute: color"}
KINDS |= {"size": "attribute: size", "none": "none (nothing fits)", "unknown": "none (unknown words)"}

Ballot = Sequence[Answered]  # one query, once for each vote
Chosen = tuple[Question, tuple[int, ...], dict[int, float], float]  # indices, their confidences and that of the whole


def in_turn(asked: Sequence[Question]) -> list[Question]:
    """One query a scene, of another kind each time."""
    scenes: dict[int, list[Question]] = defaultdict(list)
    for question in asked:
        scenes[question.scene].append(question)
    return [held[number % len(held)] for number, held in enumerate(scenes.values())]


# --- accuracy ---


def accuracy(ways: dict[str, Sequence[Answered]]) -> Table:
    """By kind of query and by number of objects, for each way of asking."""
    table = Table("queries", box=box.MARKDOWN)
    for way in ways:
        for column in ("n", "exact set [95 %]", "valid at first", "valid"):
            table.add_column(f"{way}: {column}", no_wrap=True)
    everything = [one for answers in ways.values() for one in answers]
    kinds = dict.fromkeys(one.question.query.kind for one in everything)
    counts = sorted({one.question.count for one in everything})
    groups: list[tuple[str, Callable[[Answered], bool]]] = [("all", lambda one: True)]
    groups += [(KINDS.get(kind, kind), _asks(kind)) for kind in kinds]
    groups += [(f"{count} objects", _has(count)) for count in counts]
    for name, holds in groups:
        table.add_row(name, *(cell for answers in ways.values() for cell in _cells([a for a in answers if holds(a)])))
    return table


def _asks(kind: str) -> Callable[[Answered], bool]:
    return lambda one: one.question.query.kind == kind


def _has(count: int) -> Callable[[Answered], bool]:
    return lambda one: one.question.count == count


def _cells(group: Sequence[Answered]) -> tuple[str, ...]:
    if not group:
        return ("0", "none", "none", "none")
    exact = clustered_share([one.right for one in group], [one.question.scene for one in group])
    valid = sum(one.vote is not None for one in group) / len(group)
    return str(len(group)), exact, f"{sum(one.at_first for one in group) / len(group):.3f}", f"{valid:.3f}"


# --- the same through the service ---


def served(answers: Sequence[Answered], console: Console) -> str:
    """How many of these queries end the same through the service and `transformers serve`."""
    same = []
    with (
        tempfile.TemporaryDirectory() as folder,
        transformers_engine(Path(folder)) as engine_url,
        # As here: an answer that is sent back once, and no further samples.
        service("reasoner", engine_url, REASONER_ENGINE_MODEL=str(MODEL), REASONER_FURTHER_SAMPLES="0") as url,
        httpx2.Client(base_url=url, timeout=LONGEST_S) as http,
    ):
        for one in track(answers, "through the service", console=console, transient=True):
            body = api.ReasonRequest(query=one.question.query.text, objects=one.question.rows).model_dump(mode="json")
            response = http.post("/v1/reason", json=body)
            said: Any = None
            if response.is_success:
                answer = api.ReasonResponse.model_validate_json(response.content)
                said = (answer.path, answer.indices)
            same.append(said == (one.vote and (one.vote.answer.path, one.vote.answer.indices)))
    return f"{sum(same)} of {len(same)}"


# --- calibration ---


def surest(ballots: Sequence[Ballot], votes: int, logprobs: bool) -> list[Chosen]:
    """What the service would answer from the first `votes` of each ballot, and how sure of it."""
    chosen = []
    for ballot in ballots:
        valid = [one.vote for one in ballot[:votes] if one.vote]
        if not logprobs:
            valid = [Vote(vote.answer) for vote in valid]
        if not valid:
            continue
        indices = valid[elected([vote.answer.indices for vote in valid])].answer.indices
        each, whole = confidence(valid, indices)
        if whole is not None:
            chosen.append((ballot[0].question, indices, each, whole))
    return chosen


def claims(chosen: Sequence[Chosen]) -> dict[str, list[Claim]]:
    """That an object is one of the true ones, and that an answer is exactly the true set."""
    objects = [
        Claim(each[index], index in question.query.indices)
        for question, indices, each, _ in chosen
        for index in indices
    ]
    answers = [Claim(whole, set(indices) == set(question.query.indices)) for question, indices, _, whole in chosen]
    return {"object": objects, "answer": answers}


def calibration(ballots: Sequence[Ballot]) -> tuple[Table, Table]:
    """Errors, and the reliability table, of each source of confidence."""
    sources = {"log-probabilities, 1 vote": surest(ballots, 1, logprobs=True)}
    sources |= {f"{votes} votes": surest(ballots, votes, logprobs=False) for votes in VOTES}
    sources[f"log-probabilities, {VOTES[-1]} votes"] = surest(ballots, VOTES[-1], logprobs=True)
    errors = Table("confidence from", "of an", "n", "mean confidence", "right [95 %]", "ECE", box=box.MARKDOWN)
    bins = Table("confidence from", "of an", "bin", "n", "mean confidence", "right", box=box.MARKDOWN)
    for source, chosen in sources.items():
        for what, made in claims(chosen).items():
            mean = sum(claim.confidence for claim in made) / len(made)
            right = clustered_share([claim.right for claim in made], _scenes(chosen, what))
            errors.add_row(source, what, str(len(made)), f"{mean:.3f}", right, f"{calibration_error(made):.3f}")
            for one in reliability(made):
                edge = f"{one.low:.1f} to {one.high:.1f}"
                bins.add_row(source, what, edge, str(one.count), f"{one.confidence:.3f}", f"{one.right:.3f}")
    return errors, bins


def _scenes(chosen: Sequence[Chosen], what: str) -> list[int]:
    """The scene of each claim."""
    if what == "answer":
        return [question.scene for question, *_ in chosen]
    return [question.scene for question, indices, *_ in chosen for _ in indices]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reasoner_quality", description=__doc__)
    parser.add_argument("--twins", type=int, default=500, help="held-out scenes")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the model is too small to share
    console, progress = Console(width=260), Console(stderr=True)  # markdown tables must not wrap
    asked = list(questions(options.twins, FIRST))
    turn = {id(question) for question in in_turn(asked)}
    writer = Writer(MODEL)
    console.print(
        f"{MODEL}, {options.twins} scenes from seed {FIRST}, true twins, greedy, {machine()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}",
        highlight=False,
    )
    answers = ask(writer, asked, progress)
    console.print(accuracy({"json": answers}))
    one_each = [one for one in answers if id(one.question) in turn]
    console.print(*path_tables(writer, one_each, progress), sep="\n")
    again = [one.question for one in one_each]
    votes = [ask(writer, again, progress, temperature=TEMPERATURE, seed=vote) for vote in range(1, VOTES[-1])]
    console.print(*calibration(list(zip(one_each, *votes, strict=True))), sep="\n")
    told = [one for one in answers if one.question.scene < FIRST + SERVED]
    console.print(f"the same path and indices through the service: {served(told, progress)} queries", highlight=False)
    by_rows = ask(writer, again, progress, rendering="rows")
    console.print(accuracy({"json": one_each, "rows": by_rows}))


if __name__ == "__main__":
    main()
