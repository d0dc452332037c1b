"""The launcher starts what the Procfile names, says in one line what is wrong, and leaves no process behind.

Each test launches a tree of its own, with the launcher's code and a Procfile of small web servers.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtwinseger.doctor import LAUNCHER_LOG, examine
from embedded.ports import free_ports, variable
from embedded.stack import MODELS, ROOT

SERVE = f"exec {sys.executable} -m http.server --bind 127.0.0.1 --directory ready"
NAMES = ("engine", "perception", "semantics", "reasoner", "gateway")


class Tree:
    """A directory that the launcher takes for the repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ports = free_ports()
        self.commands = {name: f"{SERVE} ${variable(name)}" for name in NAMES}
        shutil.copytree(ROOT / "embedded", root / "embedded", ignore=shutil.ignore_patterns("__pycache__"))
        for route in ("health", "readyz"):  # what the launcher asks for, as files
            (root / "ready").mkdir(exist_ok=True)
            (root / "ready" / route).touch()
        for model in MODELS:
            (root / model).mkdir(parents=True)
            (root / model / "model.safetensors").touch()

    def launch(self, *options: str) -> "subprocess.Popen[str]":
        """Start `python -m embedded`."""
        (self.root / "Procfile").write_text("".join(f"{name}: {line}\n" for name, line in self.commands.items()))
        return subprocess.Popen(
            [sys.executable, "-m", "embedded", *options],
            cwd=self.root,
            env=os.environ | {variable(name): str(port) for name, port in self.ports.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self) -> list[int]:
        """The processes that run in the tree."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and process.joinpath("cwd").readlink() == self.root:
                    found.append(int(process.name))
            except OSError:  # gone, or none of ours
                continue
        return found


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path)
    yield tree
    for process in tree.processes():
        os.kill(process, signal.SIGKILL)


def _eventually(holds: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends_at, what
        time.sleep(0.02)


def _finished(launcher: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = launcher.communicate(timeout=30)
    return launcher.returncode, output


def test_a_port_that_is_taken_is_named_with_the_process_that_needs_it(tree: Tree) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tree.ports["semantics"] = taken.getsockname()[1]
        code, output = _finished(tree.launch())
    assert code == 1
    assert f"port {tree.ports['semantics']} is taken, and semantics needs it" in output
    assert "SEMANTICS_PORT" in output
    assert len(output.splitlines()) == 1
    assert tree.processes() == []


def test_a_missing_model_is_named_before_anything_starts(tree: Tree) -> None:
    (tree.root / "models/dtwin-mini-vlm/model.safetensors").unlink()
    code, output = _finished(tree.launch())
    assert code == 1
    assert "models/dtwin-mini-vlm holds no weights" in output
    assert len(output.splitlines()) == 1
    assert [file.name for file in (tree.root / ".run").iterdir()] == ["launcher.log"]


def test_a_port_that_is_no_number_is_refused(tree: Tree) -> None:
    tree.ports["gateway"] = "http"  # type: ignore[assignment]
    assert _finished(tree.launch()) == (1, "error GATEWAY_PORT must be a port number, not 'http'\n")


def test_a_service_that_dies_while_starting_shows_the_end_of_its_log(tree: Tree) -> None:
    tree.commands["reasoner"] = "echo first; echo the prompts are gone >&2; exit 3"
    code, output = _finished(tree.launch())
    assert code == 1
    assert "reasoner ended (exit code 3)" in output
    assert "  first\n  the prompts are gone\n" in output
    assert tree.processes() == []


def test_what_a_service_cannot_start_with_is_one_line_which_the_doctor_tells(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "perception cannot start: there is no checkpoint at models/sam.pth; mount the weights there"
    tree.commands["perception"] = f"echo loading; echo '{line}' >&2; exit 1"
    assert _finished(tree.launch()) == (1, f"error {line}\n")
    monkeypatch.chdir(tree.root)
    findings = examine(f"http://127.0.0.1:{tree.ports['gateway']}", {})
    assert [finding.words.partition(": ")[2] for finding in findings if finding.name == "make run"] == [line]


def test_a_service_that_dies_while_serving_ends_the_rest(tree: Tree) -> None:
    launcher = tree.launch()
    _eventually(lambda: len(tree.processes()) == 1 + len(NAMES), "every process runs")
    # `exec`: each process is the server itself. The last to start in the tree is the gateway.
    os.kill(max(tree.processes()), signal.SIGKILL)
    code, output = _finished(launcher)
    assert code == 1
    assert "gateway ended (signal SIGKILL)" in output
    assert tree.processes() == []


def test_a_gateway_that_cannot_answer_fails_the_question(tree: Tree) -> None:
    (tree.root / ".run").mkdir()
    (tree.root / LAUNCHER_LOG).write_text("why the run before this one ended")
    code, output = _finished(tree.launch("--once"))
    assert code == 1
    assert not (tree.root / LAUNCHER_LOG).exists()
    assert "error upstream_invalid: HTTP 501" in output
    assert tree.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_everything(tree: Tree, number: signal.Signals) -> None:
    tree.commands["perception"] = f"sleep 1000 & {tree.commands['perception']}"  # a child of a service goes too
    launcher = tree.launch()
    _eventually(lambda: len(tree.processes()) == 2 + len(NAMES), "every process runs")
    launcher.send_signal(number)
    code, _ = _finished(launcher)
    assert code == 128 + number
    _eventually(lambda: tree.processes() == [], "every process is gone")


def test_a_signal_is_heeded_while_the_question_is_asked(tree: Tree) -> None:
    tree.commands["gateway"] = f"exec {sys.executable} -c '{_SLOW}' ${variable('gateway')}"
    launcher = tree.launch()
    _eventually((tree.root / "asked").exists, "the question is asked")
    launcher.terminate()
    assert _finished(launcher)[0] == 128 + signal.SIGTERM
    assert tree.processes() == []


def test_a_gateway_that_dies_while_it_is_asked_is_named(tree: Tree) -> None:
    tree.commands["gateway"] = f"exec {sys.executable} -c '{_SLOW}' ${variable('gateway')}"
    launcher = tree.launch()
    _eventually((tree.root / "asked").exists, "the question is asked")
    os.kill(max(tree.processes()), signal.SIGKILL)
    code, output = _finished(launcher)
    assert code == 1
    assert "gateway ended (signal SIGKILL)" in output


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_launcher_that_is_killed_takes_the_services_with_it(tree: Tree) -> None:
    launcher = tree.launch()
    _eventually(lambda: len(tree.processes()) == 1 + len(NAMES), "every process runs")
    launcher.kill()
    launcher.communicate()
    _eventually(lambda: tree.processes() == [], "the services are gone")


def test_a_process_that_ignores_the_request_to_stop_is_killed(tree: Tree) -> None:
    tree.commands["engine"] = f"{sys.executable} -c '{_STUBBORN}' ${variable('engine')}"
    launcher = tree.launch()
    _eventually(lambda: (tree.root / "stubborn").exists(), "the stubborn process runs")
    launcher.terminate()
    assert _finished(launcher)[0] == 128 + signal.SIGTERM
    _eventually(lambda: tree.processes() == [], "the stubborn process is gone")


# Ends at no SIGTERM.
_STUBBORN = "; ".join(
    (
        "import pathlib, signal",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        'pathlib.Path("stubborn").touch()',
        "signal.pause()",
    )
)

# Is ready, and answers no POST.
_SLOW = "; ".join(
    (
        "import http.server, pathlib, signal, sys",
        "serve = http.server.SimpleHTTPRequestHandler",
        'serve.translate_path = lambda self, path: "ready" + path',
        'serve.do_POST = lambda self: (pathlib.Path("asked").touch(), __import__("time").sleep(100))',
        'http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), serve).serve_forever()',
    )
)
