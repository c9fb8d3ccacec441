"""`recaster openapi`: writes the description of the API to a file, as it is committed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from recaster.api.app import create_app
from recaster.api.openapi import written
from recaster.infra.settings import Settings


def openapi(
    output: Annotated[Path | None, typer.Option(help="File to write; default is standard output.")] = None,
) -> None:
    """Write the OpenAPI document of this version (in the repository: `--output docs/openapi.json`)."""
    # It depends on nothing that a server keeps; an empty home keeps the operator's out of it.
    with tempfile.TemporaryDirectory() as home:
        text = written(create_app(Settings(home=Path(home))).openapi())
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
