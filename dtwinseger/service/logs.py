"""Logs as JSON, one event a line on stderr, ours and those of the libraries, with the ids of the request."""

import logging
import sys

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from dtwinseger.service.telemetry import trace_id

_LIBRARIES = ("uvicorn", "uvicorn.access", "uvicorn.error")  # bring handlers of their own


def configure_logs(level: str) -> None:
    """Events from `level` on; those of the libraries from WARNING on, for theirs of INFO name every URL."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        _say_what_to_change,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: structlog.PrintLogger(sys.stderr),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler])
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.propagate = library.propagate or bool(library.handlers)  # with neither it is switched off
        library.handlers.clear()


def _say_what_to_change(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """uvicorn says that its port is taken, after which it ends."""
    if (told := str(event["event"])).endswith("address already in use"):
        event["event"] = f"{told}; end what listens there, or choose another port"
    return event


def _add_trace_id(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if (identity := trace_id()) is not None:
        event["trace_id"] = identity
    return event
