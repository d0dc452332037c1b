"""The command line: `dtwinseger segment | ask | twin | doctor | key | eval`. An error is a line on stderr, exit code 1.

A gateway that asks for a key is sent the one in DTWINSEGER_API_KEY; there is no option, which other users would see.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dtwinseger import credentials
from dtwinseger.api import ExportFormat, SegmentResult
from dtwinseger.client import API_KEY_VARIABLE, DEFAULT_URL, Client
from dtwinseger.console import print_result, print_twin, watching
from dtwinseger.doctor import examine
from dtwinseger.evaluation.cli import app as evaluation
from dtwinseger.problems import Problem

app = typer.Typer(
    help="Reasoning segmentation: ask an image a question.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(evaluation, name="eval")

Url = Annotated[str, typer.Option(envvar="DTWINSEGER_URL", help="Where the gateway is.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Save the overlay here, as PNG.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the gateway answered, as JSON.")]


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, BMP or TIFF.")],
    query: Annotated[str, typer.Argument(help="What to look for; it may be implied.")],
    output: Output = None,
    as_json: AsJson = False,
    options: Annotated[str, typer.Option(help="The options of POST /segment, in JSON.")] = "{}",
    url: Url = DEFAULT_URL,
) -> None:
    """Segment what answers QUERY in IMAGE."""
    with _one_line_errors(), Client(url) as client:
        with watching() as watch:
            result = client.segment(image, query, _object(options), watch=watch)
        _tell(client, result, output, as_json)


@app.command()
def ask(
    twin_id: Annotated[str, typer.Argument(metavar="ID", help="As `segment` prints it.")],
    query: Annotated[str, typer.Argument(help="What else to look for in the same image.")],
    output: Output = None,
    as_json: AsJson = False,
    options: Annotated[str, typer.Option(help="`semantics`, `reasoning` and `mask_format`, in JSON.")] = "{}",
    url: Url = DEFAULT_URL,
) -> None:
    """Segment what answers QUERY in the image of a twin; what is known of the image is not computed again."""
    with _one_line_errors(), Client(url) as client:
        with watching() as watch:
            result = client.ask(twin_id, query, _object(options), watch=watch)
        _tell(client, result, output, as_json)


@app.command()
def twin(
    twin_id: Annotated[str, typer.Argument(metavar="ID", help="As `segment` prints it.")],
    kind: Annotated[ExportFormat | None, typer.Option("--format", help="Print it as a file of this format.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Show the digital twin behind an answer: every object that was seen, and how it was judged."""
    with _one_line_errors(), Client(url) as client:
        if kind is None:
            print_twin(Console(), client.twin(twin_id))
        else:
            typer.echo(client.export(twin_id, kind))


@app.command()
def doctor(url: Url = DEFAULT_URL) -> None:
    """Check the gateway, each service, engine, model and the store; exit code 1 if anything is wrong."""
    findings = examine(url, os.environ)
    table = Table("", "what", "state")
    for finding in findings:
        sign = "[green]✓[/]" if finding.ok else "[red]✗[/]"
        table.add_row(sign, escape(finding.name), escape(finding.words))
    Console().print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def key(
    tenant: Annotated[str, typer.Argument(help="Whose key: 1 to 64 of a-z, 0-9, - and _.")],
) -> None:
    """Make an API key for TENANT: the key, which is shown this once, and the entry for the gateway's settings."""
    made = credentials.new_key()
    try:
        known = credentials.credential(tenant, made)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="TENANT") from error
    typer.echo(f"{API_KEY_VARIABLE}={made}")
    typer.echo(f"GATEWAY_API_KEYS={known}")


def _tell(client: Client, result: SegmentResult, output: Path | None, as_json: bool) -> None:
    """Print the answer, and save its overlay where that is wanted."""
    if output is not None:
        output.write_bytes(client.overlay(result.twin_id))
    if as_json:
        typer.echo(result.model_dump_json())
        return
    console = Console()
    print_result(console, result)
    console.print(f"twin {result.twin_id}", highlight=False, soft_wrap=True)
    if output is not None:
        console.print(f"overlay {escape(str(output))}", highlight=False, soft_wrap=True)


def _object(options: str) -> dict[str, Any]:
    """The options as an object; what is in it the gateway judges."""
    try:
        value = json.loads(options)
    except json.JSONDecodeError as error:
        raise Problem("invalid_options", f"--options is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Problem("invalid_options", '--options must be an object, such as {"granularity": "part"}')
    return value


@contextmanager
def _one_line_errors() -> Iterator[None]:
    console = Console(stderr=True)
    try:
        yield
    except Problem as problem:
        console.print(f"[red]error[/] {problem.code}: {escape(problem.detail)}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from problem
    except OSError as error:
        console.print(f"[red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
