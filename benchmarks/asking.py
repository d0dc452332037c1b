"""The bundled model asked in this process as the reasoner asks it over HTTP: one re-ask, the same guards and limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from dtwinseger.prompts import reask, reasoning
from dtwinseger.service.engine.completion import Token, read
from dtwinseger.twin import violations
from dtwinseger.twin.text import Rendering
from services.reasoner.answer import ReasonAnswer, Vote
from services.reasoner.calls import TOKENS, TOKENS_AN_OBJECT
from services.reasoner.certainty import certainty
from training.mini.llm_eval import Question
from training.mini.llm_writer import Prompt, Writer, Written


@dataclass(frozen=True)
class Answered:
    """What became of a query. vote: the valid answer, None where there is none. at_first: it was not sent back."""

    question: Question
    vote: Vote | None
    at_first: bool

    @property
    def right(self) -> bool:
        """Whether its indices are exactly the true ones."""
        return self.vote is not None and set(self.vote.answer.indices) == set(self.question.query.indices)


def ask(
    writer: Writer,
    questions: Sequence[Question],
    console: Console,
    *,
    rendering: Rendering = "json",
    temperature: float = 0,
    seed: int = 0,
) -> list[Answered]:
    """An outcome for each question, in their order."""
    asked = [reasoning(question.query.text, question.rows, rendering) for question in questions]
    most = [TOKENS + TOKENS_AN_OBJECT * question.count for question in questions]

    def written(numbers: Sequence[int], what: str) -> list[tuple[int, Written]]:
        prompts = [Prompt(asked[number], most[number]) for number in numbers]
        texts = writer.write(prompts, temperature, seed)
        shown = track(texts, what, total=len(prompts), console=console, transient=True)
        return [(numbers[at], said) for at, said in shown]

    votes: dict[int, Vote] = {}
    again: list[int] = []
    for number, said in written(range(len(asked)), f"{len(asked)} queries"):
        vote, error = judged(said, questions[number])
        if vote:
            votes[number] = vote
        elif error:
            again.append(number)
            asked[number] = asked[number] + reask(said.text, error)
    at_first = set(votes)
    if again:
        for number, said in written(again, f"{len(again)} asked again"):
            vote, _ = judged(said, questions[number])
            if vote:
                votes[number] = vote
    return [Answered(one, votes.get(number), number in at_first) for number, one in enumerate(questions)]


def judged(said: Written, question: Question) -> tuple[Vote | None, str]:
    """The vote, or None and what is wrong with the answer; "" where it is not sent back: it was cut off, or empty."""
    if not said.ended or not said.text.strip():
        return None, ""
    present = [row.index for row in question.rows]
    answer, error = read(said.text, ReasonAnswer, lambda one: violations(one.path, one.indices, present))
    if answer is None:
        return None, error
    tokens = [Token(token=text, logprob=logprob) for text, logprob in said.tokens]
    return Vote(answer, certainty(tokens, answer.indices)), ""
