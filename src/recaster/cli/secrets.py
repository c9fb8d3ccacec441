"""`recaster secrets`: the keys under which the database's secrets are encrypted."""

from __future__ import annotations

import typer

from recaster.cli.accounts import opened
from recaster.infra.sealing import Sealer
from recaster.service.webhooks import service as webhooks

secrets_app = typer.Typer(help="Secrets at rest.", no_args_is_help=True)


@secrets_app.command("reseal")
def reseal() -> None:
    """Encrypt all webhook secrets anew with the first key of RECASTER_SEALING_KEY; afterwards the older keys can go."""
    with opened() as (settings, database), database.system_write() as session:
        changed = webhooks.reseal(session, Sealer(settings.sealing_keys()))
    typer.echo(f"{changed} endpoints sealed anew")
