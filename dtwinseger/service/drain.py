"""The orderly end of a service: on SIGTERM it says that it is not ready, and stops listening some seconds later.

A load balancer goes on sending requests until it has noticed; a service that closed its port at once would refuse them.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()


class Drain:
    """From SIGTERM on `begun` is true, and `seconds` later uvicorn is stopped: it lets what is in flight finish.

    A second SIGTERM stops it at once.
    """

    def __init__(self, seconds: float) -> None:
        self.begun = False
        self._seconds = seconds

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Listen for the signal in the body, which runs on the event loop; only a main thread hears signals."""
        if threading.current_thread() is threading.main_thread():
            # In place of uvicorn's handler, until the loop closes.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._begin)
        yield

    def _begin(self) -> None:
        if self.begun:
            _stop()
            return
        self.begun = True
        log.info("drain.begun", seconds=self._seconds)
        asyncio.get_running_loop().call_later(self._seconds, _stop)


def _stop() -> None:
    """Stop as Ctrl-C does: after a SIGTERM of its own uvicorn ends by that signal, and not with exit code 0."""
    signal.raise_signal(signal.SIGINT)
