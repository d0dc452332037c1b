"""Files of Seg-DT as tokens, by all processors: a hundred thousand samples take seconds."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from training.segdt.reading import LineError, SegDTError, parse, raw, repeated, shortened
from training.sftdt.config import Config
from training.sftdt.data import Example, Examples, SampleError, example

FEW = 2_000  # lines that are read before other processes have started
UNIT = 200  # lines that a process takes at once

Lines = list[tuple[Path, int, "bytes | LineError"]]


@dataclass(frozen=True)
class _Made:
    """Of a line: its sample's id, what is wrong with the line, and the sample as tokens or why it is not trained on."""

    file: Path
    line: int
    identity: str | None
    wrong: list[str]
    found: Example | str | None = None


def read(files: Sequence[Path], base: Path, tokenizer: PreTrainedTokenizerBase, config: Config) -> Examples:
    """The samples of the files as tokens, in their order.

    Raises SegDTError with everything that is wrong with the files, and TokenizerError.
    """
    kept: list[Example] = []
    rejected: Counter[str] = Counter()
    errors: list[LineError] = []
    seen: dict[str, str] = {}
    for made in _made(files, base, tokenizer, config):
        wrong = made.wrong
        if made.identity is not None:
            wrong = [*wrong, *repeated(made.identity, seen, f"{made.file}:{made.line}")]
        errors += [LineError(made.file, made.line, message) for message in shortened(wrong)]
        if isinstance(made.found, Example):
            kept.append(made.found)
        elif made.found is not None:
            rejected[made.found] += 1
    if errors:
        raise SegDTError(errors)
    return Examples(tuple(kept), dict(rejected))


def _made(files: Sequence[Path], base: Path, tokenizer: PreTrainedTokenizerBase, config: Config) -> Iterator[_Made]:
    lines = ((file, number, line) for file in files for number, line in raw(file))
    yield from _unit(list(islice(lines, FEW)), tokenizer, config)
    units = iter(lambda: list(islice(lines, UNIT)), [])
    if (first := next(units, None)) is None:
        return
    yield from _unit(first, tokenizer, config)
    with multiprocessing.Pool(len(os.sched_getaffinity(0)), _start, (base, config)) as pool:
        for some in pool.imap(_of_worker, units):
            yield from some


def _unit(lines: Lines, tokenizer: PreTrainedTokenizerBase, config: Config) -> list[_Made]:
    return [_line(*line, tokenizer, config) for line in lines]


def _line(
    file: Path, number: int, line: bytes | LineError, tokenizer: PreTrainedTokenizerBase, config: Config
) -> _Made:
    if isinstance(line, LineError):
        return _Made(file, number, None, [line.message])
    sample, wrong = parse(line)
    if sample is None or wrong:
        return _Made(file, number, sample.id if sample else None, wrong)
    try:
        return _Made(file, number, sample.id, [], example(sample, tokenizer, config).compact())
    except SampleError as error:
        return _Made(file, number, sample.id, [], str(error))


_worker: dict[str, Any] = {}  # of a process of the pool: what it reads with


def _start(base: Path, config: Config) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process for each processor already
    _worker.update(tokenizer=AutoTokenizer.from_pretrained(base), config=config)


def _of_worker(lines: Lines) -> list[_Made]:
    return _unit(lines, _worker["tokenizer"], _worker["config"])
