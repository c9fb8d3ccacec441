"""What the commands share in talking to a person: tables, progress bars, JSON, and how an error is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from recaster.errors import RecasterError
from recaster.media.progress import Progress as Report

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table for a person.")]


def show_json(value: Any) -> None:
    """Print a JSON document to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)


def fail(error: RecasterError) -> int:
    """Say what went wrong on the error stream and return the exit code."""
    typer.secho(f"{error.code}: {error.message}", err=True, fg=typer.colors.RED)
    for key, value in error.details.items():
        typer.echo(f"  {key}: {value}", err=True)
    return error.exit_code


class ProgressBars:
    """One bar per stage on the error stream; silent where that stream is not a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str) -> Report:
        """Start the bar of a stage and return the callback that moves it."""
        task = self._progress.add_task(name, total=None)

        def report(done: int, total: int, /) -> None:
            self._progress.update(task, completed=done, total=total)

        return report


@contextmanager
def progress_bars() -> Iterator[ProgressBars]:
    """Show progress bars while the block runs."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield ProgressBars(progress)
