"""A run that ends by the clock: its cosine follows the time that is over, where that is further than the updates."""

import math
import time
from typing import Any

from transformers import TrainerCallback


class Clock(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Ends a run after `minutes`, or with its last update. warmup: share of the run in which the rate rises."""

    def __init__(self, minutes: float, warmup: float) -> None:
        self._seconds, self._warmup = 60 * minutes, warmup
        self._updates = 1
        self._before = 0.0  # share of the run that was over when it was gone on with
        self._began = time.monotonic()

    @property
    def share(self) -> float:
        """Of the time, from 0 to 1."""
        return min(1.0, self._before + (time.monotonic() - self._began) / self._seconds)

    def factor(self, update: int) -> float:
        """Of the learning rate, before this update."""
        share = max(self.share, update / self._updates)
        return min(1.0, share / self._warmup if self._warmup else 1.0) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """From here on the time counts. A run that is gone on with has the share left that its updates leave."""
        self._updates, self._began = max(1, state.max_steps), time.monotonic()
        self._before = state.global_step / self._updates

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each update."""
        if self.share >= 1:
            control.should_training_stop = control.should_log = True
