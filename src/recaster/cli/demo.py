"""`recaster demo`: one real remix from end to end, on material that it makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recaster.cli.console import progress_bars
from recaster.demo.run import run_demo


def demo(
    output: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo-output"),
) -> None:
    """Make a source clip, start the service, send one remix over HTTP and show the result."""
    with progress_bars() as bars:
        result = run_demo(output, lambda line: typer.echo(line, err=True), bars.stage("source clip"))
    for old, new in result.overlays:
        typer.echo(f"{old} → {new}")
    typer.echo(f"source:       {result.source}")
    typer.echo(f"before/after: {result.sheet}")
    typer.echo(f"remix:        {result.remix}")
