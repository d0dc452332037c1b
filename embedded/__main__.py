"""`make run`: start the embedded stack, ask it the bundled question, show the answer, and keep serving."""

import argparse
import signal
import sys
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from dtwinseger.client import Client
from dtwinseger.console import print_result
from dtwinseger.doctor import LAUNCHER_LOG
from dtwinseger.problems import Problem
from embedded import example
from embedded.ports import StackError, ports_from
from embedded.stack import ROOT, InterruptedStackError, Stack, own_settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the answer; exit 0 only if it was right")
    once = parser.parse_args().once
    console = Console()
    serving = False
    log = ROOT / LAUNCHER_LOG
    log.unlink(missing_ok=True)
    try:
        stack = Stack(ports_from(own_settings()))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stack.interrupt)
        with stack:
            _wait(console, stack)
            right = _ask(console, stack)
            if once:
                return 0 if right else 1
            serving = True
            console.print(f"\nServing. The web page: [bold]{stack.url}/[/]   Ctrl-C stops.", highlight=False)
            stack.watch()
    except StackError as error:
        console.print(f"[red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        log.parent.mkdir(exist_ok=True)
        log.write_text(f"{datetime.now().astimezone().isoformat(timespec='seconds')}: {error}\n")
        return 1
    except InterruptedStackError as error:
        console.print("stopped", highlight=False)
        return 0 if serving and error.number == signal.SIGINT else 128 + error.number


def _wait(console: Console, stack: Stack) -> None:
    states: dict[str, str] = dict.fromkeys(stack.processes, "starting")

    def told() -> str:
        pending = [f"{name} ({state})" for name, state in states.items() if state != "ready"]
        return "waiting for " + ", ".join(pending)

    with console.status(told()) as status:

        def report(name: str, state: str) -> None:
            states[name] = state
            status.update(told())
            console.print(f"{name}: {escape(state)}", highlight=False)

        stack.wait(report)


def _ask(console: Console, stack: Stack) -> bool:
    """Ask the bundled question and show the answer; whether it was right. A failed request is not."""
    question = example.load()
    try:
        with Client(stack.url) as client, console.status(f"asking “{escape(question.query)}”"):
            result = stack.run(lambda: client.segment(example.IMAGE, question.query))
            overlay = stack.run(lambda: client.overlay(result.twin_id))
    except Problem as problem:
        stack.settle()
        console.print(f"[red]error[/] {problem.code}: {escape(problem.detail)}", highlight=False, soft_wrap=True)
        console.print(f"The logs are in {stack.run_dir}", highlight=False, soft_wrap=True)
        return False
    shown = stack.run_dir / "overlay.png"
    shown.write_bytes(overlay)
    verdict = example.judge(question, result)
    console.print()
    print_result(console, result)
    verdict_style = "green" if verdict.right else "red"
    console.print(f"[{verdict_style}]{'right' if verdict.right else 'wrong'}[/]: {verdict}", highlight=False)
    console.print(
        f"The image: {example.IMAGE.relative_to(ROOT)}   The overlay: {shown}", highlight=False, soft_wrap=True
    )
    return verdict.right


if __name__ == "__main__":
    sys.exit(main())
