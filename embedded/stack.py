"""The Procfile's processes as one thing that starts, is waited for, and stops without leaving anything behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self, TypeVar

import httpx2
from honcho import environ

from embedded.ports import STANDARD, StackError, check_ports, variable

ROOT = Path(__file__).parents[1]
MODELS = ("models/dtwin-mini-sam", "models/dtwin-mini-vlm", "models/dtwin-mini-llm")
HEALTH = {"engine": "/health"}  # transformers' own; the services have /readyz
START_S = 180.0  # a cold disk and two busy cores
STOP_S = 8.0  # for a graceful end; then SIGKILL
POLL_S = 0.1
TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

Result = TypeVar("Result")
Report = Callable[[str, str], None]  # process, what it does


class InterruptedStackError(Exception):
    """A signal asked the stack to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stack:
    """A context manager: entering starts the processes and returns at once, leaving stops them.

    ports: process -> port. environment: settings that go before all others.
    """

    def __init__(
        self,
        ports: Mapping[str, int] = STANDARD,
        *,
        run_dir: Path = ROOT / ".run",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.ports = dict(ports)
        self.run_dir = run_dir
        self.url = f"http://127.0.0.1:{self.ports['gateway']}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._interrupted: int | None = None
        self._environment = _process_settings(self.ports, environment or {})

    def __enter__(self) -> Self:
        commands = environ.parse_procfile((ROOT / "Procfile").read_text()).processes
        check_models(MODELS)
        check_ports(self.ports)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        try:
            for name, command in commands.items():
                self._start(name, command)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """A signal handler: the next check raises InterruptedStackError.

        It raises nothing itself, for Python swallows what a handler raises inside a callback.
        """
        self._interrupted = number

    def log(self, name: str) -> Path:
        """Where the process's output goes."""
        return self.run_dir / f"{name}.log"

    def wait(self, report: Report, within: float = START_S) -> None:
        """Return when every process answers that it is ready; `report` hears of each change.

        Raises StackError where a process ends or the time is over.
        """
        waiting = dict.fromkeys(self.processes, "starting")
        ends_at = time.monotonic() + within
        with httpx2.Client(timeout=2.0) as http:
            while waiting:
                self.check()
                for name in list(waiting):
                    state = _state(http, f"http://127.0.0.1:{self.ports[name]}{HEALTH.get(name, '/readyz')}")
                    if state != waiting[name]:
                        report(name, state)
                    waiting[name] = state
                    if state == "ready":
                        del waiting[name]
                if waiting and time.monotonic() > ends_at:
                    raise StackError(self._too_late(waiting, within))
                time.sleep(POLL_S)

    def check(self) -> None:
        """Raise StackError where a process has ended, InterruptedStackError where a signal came."""
        if self._interrupted is not None:
            raise InterruptedStackError(self._interrupted)
        for name, process in self.processes.items():
            if (code := process.poll()) is not None:
                lines = self._last_lines(name)
                if lines and lines[-1].startswith(f"{name} cannot start: "):
                    raise StackError(lines[-1])
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                tail = "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"
                raise StackError(f"{name} ended ({how}). The end of {self.log(name)}:\n{tail}")

    def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, in a thread of its own so that a check can end the wait."""
        pool = futures.ThreadPoolExecutor(1)
        future = pool.submit(work)
        pool.shutdown(wait=False)
        while not futures.wait([future], timeout=POLL_S).done:
            self.check()
        return future.result()

    def settle(self, within: float = 1.0) -> None:
        """`check` for a while: a request may fail before the process that failed it has ended."""
        ends_at = time.monotonic() + within
        while time.monotonic() < ends_at:
            self.check()
            time.sleep(POLL_S)

    def watch(self) -> NoReturn:
        """Raise StackError once a process ends."""
        while True:
            self.check()
            time.sleep(5 * POLL_S)

    def stop(self) -> None:
        """End every process and its children: gracefully, then by force."""
        try:
            for process in self.processes.values():
                _signal(process, signal.SIGTERM)
            ends_at = time.monotonic() + STOP_S
            for process in self.processes.values():
                try:
                    process.wait(max(0.0, ends_at - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue
        finally:
            for process in self.processes.values():
                _signal(process, signal.SIGKILL)
                process.wait()

    def _last_lines(self, name: str) -> list[str]:
        return self.log(name).read_text(errors="replace").splitlines()[-TAIL_LINES:]

    def _start(self, name: str, command: str) -> None:
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - our own Procfile
                ["/bin/sh", "-c", command],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),
            )

    def _too_late(self, waiting: Mapping[str, str], within: float) -> str:
        states = "; ".join(f"{name}: {state}" for name, state in waiting.items())
        return f"not ready after {within:g} s ({states}). The logs are in {self.run_dir}"


def check_models(folders: tuple[str, ...]) -> None:
    """Raise StackError where a bundled model is not there."""
    for folder in folders:
        if not any((ROOT / folder).glob("*.safetensors")):
            raise StackError(
                f"{folder} holds no weights (*.safetensors); get the repository whole: they are part of it"
            )


def own_settings() -> dict[str, str]:
    """What the user set: in .env, or in the environment, which goes first."""
    dotenv = ROOT / ".env"
    return (environ.parse(dotenv.read_text()) if dotenv.exists() else {}) | dict(os.environ)


def _wiring(ports: Mapping[str, int]) -> dict[str, str]:
    """How the processes find each other."""
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    return {
        "GATEWAY_PERCEPTION_URL": url["perception"],
        "GATEWAY_SEMANTICS_URL": url["semantics"],
        "GATEWAY_REASONER_URL": url["reasoner"],
        "SEMANTICS_ENGINE_URL": f"{url['engine']}/v1",
        "REASONER_ENGINE_URL": f"{url['engine']}/v1",
    }


def _process_settings(ports: Mapping[str, int], given: Mapping[str, str]) -> dict[str, str]:
    """A process's environment: what the user set goes before the wiring, what the caller gave before both."""
    own = own_settings()
    listen = {variable(name): str(port) for name, port in ports.items()}
    path = f"{Path(sys.executable).parent}:{own.get('PATH', '')}"  # this environment's uvicorn and transformers
    return _wiring(ports) | own | listen | {"PATH": path, "PYTHONUNBUFFERED": "1"} | dict(given)


def _state(http: httpx2.Client, url: str) -> str:
    """ "ready", or what a process says it waits for."""
    try:
        response = http.get(url)
    except httpx2.HTTPError:
        return "starting"
    if response.is_success:
        return "ready"
    try:
        needs = response.json()["needs"]
    except (ValueError, KeyError, TypeError):
        return f"answers {response.status_code}"
    return "waits for " + ", ".join(need for need, state in needs.items() if state != "ok")


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the process's whole group; what has gone already needs none."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _die_with(launcher: int) -> None:
    """In the child: be killed when the launcher is, even where it gets no chance to say so. Linux only."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:  # it died before we asked
            os._exit(1)
