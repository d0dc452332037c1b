"""The commands that check and count: `python -m training.segdt validate`, `stats`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.segdt import building, statistics
from training.segdt.reading import ERRORS_SHOWN, SegDTError, read
from training.segdt.validate import check

app = typer.Typer(help="Seg-DT: build it, check it, count it.", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(building.app, name="build")

Files = Annotated[list[Path], typer.Argument(help="Seg-DT files (JSONL).")]


@app.command()
def validate(
    files: Files,
    images: Annotated[Path | None, typer.Option(help="Folder of the images: checks that they are the ones.")] = None,
) -> None:
    """Check every line, and with --images every image. Exit 1 where something is wrong."""
    found = check(files, images, ERRORS_SHOWN)
    for error in found.shown:
        print(error)
    if found.errors > len(found.shown):
        print(f"… and {found.errors - len(found.shown):,} more")
    print(f"{found.samples:,} samples are valid, {found.errors:,} errors")
    raise typer.Exit(1 if found.errors else 0)


@app.command()
def stats(files: Files, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Count splits, granularities, kinds of query, objects, steps and tokens. Exit 1 where a file is not Seg-DT."""
    try:
        counted = statistics.statistics(sample for path in files for sample in read(path))
    except SegDTError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if as_json:
        print(counted.model_dump_json(indent=2))
    else:
        Console().print(statistics.as_table(counted))
