"""Running figures of a run: as many numbers for a million samples as for one."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dtwinseger.evaluation.metrics import ious


class _Cost(Protocol):
    @property
    def cost_usd(self) -> float | None: ...


class _Why(Protocol):
    @property
    def code(self) -> str: ...


class Counted(Protocol):
    """What is counted of a result."""

    @property
    def problem(self) -> _Why | None: ...
    @property
    def intersection(self) -> int: ...
    @property
    def union(self) -> int: ...
    @property
    def usage(self) -> _Cost: ...


@dataclass
class Tally:
    """Sums over the results so far."""

    samples: int = 0
    iou: float = 0.0
    intersection: int = 0  # pixels
    union: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0  # results whose cost nobody knows
    failures: Counter[str] = field(default_factory=Counter)  # by problem code

    def add(self, result: Counted) -> None:
        """Count one result."""
        self.samples += 1
        self.iou += float(ious(np.array([result.intersection]), np.array([result.union]))[0])
        self.intersection += result.intersection
        self.union += result.union
        if result.problem is not None:
            self.failures[result.problem.code] += 1
        if result.usage.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += result.usage.cost_usd

    @property
    def giou(self) -> float:
        """The mean IoU so far; 0 before the first result."""
        return self.iou / max(1, self.samples)

    @property
    def ciou(self) -> float:
        """The summed intersections over the summed unions."""
        return self.intersection / max(1, self.union)

    @property
    def cost(self) -> str:
        """In words."""
        if self.samples and self.unpriced == self.samples:
            return "cost unknown"
        return f"{self.cost_usd:.4f} USD" + (f" + {self.unpriced} unpriced" if self.unpriced else "")

    @property
    def failed(self) -> str:
        """In words, with the codes."""
        if not self.failures:
            return "0 failed"
        codes = ", ".join(f"{code} {count}" for code, count in self.failures.most_common())
        return f"{self.failures.total()} failed ({codes})"
