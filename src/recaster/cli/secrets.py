"""`recaster secrets`: the keys under which the database's secrets are encrypted."""

from __future__ import annotations

import typer

from recaster.cli.accounts import opened
from recaster.infra.sealing import Sealer
from recaster.service.fetching import secrets as fetching
from recaster.service.webhooks import service as webhooks

secrets_app = typer.Typer(help="Secrets at rest.", no_args_is_help=True)


@secrets_app.command("reseal")
def reseal() -> None:
    """Encrypt all stored secrets anew with the first key of RECASTER_SEALING_KEY; a day later the older keys can go."""
    with opened() as (settings, database), database.system_write() as session:
        sealer = Sealer(settings.sealing_keys())
        endpoints = webhooks.reseal(session, sealer)
        cookies = fetching.reseal_cookies(session, sealer)
    typer.echo(f"sealed anew: webhook secrets of {endpoints} endpoints, cookies of {int(cookies)} platforms")
