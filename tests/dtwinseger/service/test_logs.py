"""A line of log is one line of JSON, whoever writes it and whatever is in it."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import structlog

from dtwinseger.service.logs import configure_logs

ROOT = Path(__file__).parents[3]
NASTY = ["two\nlines", "\r\nforged: entry", "nul\x00", "line\u2028separator", "\x1b[31mred", "half\ud800", '"}{"', "💥"]


@pytest.mark.parametrize("value", NASTY)
def test_an_event_stays_one_line(value: str) -> None:
    configure_logs("info")
    with redirect_stderr(io.StringIO()) as out:
        structlog.get_logger().info("event", value=value)
        try:
            raise ValueError(value)
        except ValueError as error:
            structlog.get_logger().error("failed", exc_info=error)
    event, failed = [json.loads(line) for line in out.getvalue().split("\n")[:-1]]
    assert event["value"] == value
    assert "ValueError" in failed["exception"]
    assert out.getvalue().isascii()


def test_a_line_of_a_library_is_like_ours_and_has_the_ids() -> None:
    code = """if True:
    import logging, structlog
    from dtwinseger.service.logs import configure_logs
    configure_logs("info")
    structlog.contextvars.bind_contextvars(request_id="mine")
    logging.getLogger("uvicorn.error").warning("two\\nlines")
    logging.getLogger("httpx2").info("GET https://host/?key=secret")
    try:
        raise RuntimeError("over\\ntwo")
    except RuntimeError:
        logging.getLogger("asyncio").exception("a task %s", "failed")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["logger"], line["request_id"]) for line in lines] == [("uvicorn.error", "mine"), ("asyncio", "mine")]
    assert lines[0]["event"] == "two\nlines"
    assert "RuntimeError: over" in lines[1]["exception"]


@pytest.mark.parametrize(("wanted", "lines"), [(True, 1), (False, 0)])
def test_an_access_log_that_is_switched_off_stays_off(wanted: bool, lines: int) -> None:
    code = f"""if True:
    import logging, uvicorn
    from dtwinseger.service.logs import configure_logs
    uvicorn.Config("app", access_log={wanted})
    configure_logs("info")
    assert logging.getLogger("uvicorn.access").hasHandlers() is {wanted}, "uvicorn asks this"
    logging.getLogger("uvicorn.access").info('%s - "%s"', "host", "GET /dt/id")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert len(done.stderr.splitlines()) == lines
