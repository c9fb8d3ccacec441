"""`recaster keys`, `recaster projects` and `recaster credits`: what an operator does on the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, cast

import sqlalchemy as sa
import typer

from recaster.cli.console import AsJson, show_json, show_table
from recaster.errors import InvalidInput
from recaster.infra.database import Database, OrganizationSession, open_database
from recaster.infra.migrations import upgrade
from recaster.infra.settings import RateTier, Settings
from recaster.service.accounts import service as accounts
from recaster.service.accounts.model import Organization
from recaster.service.credits import service as credits
from recaster.service.keys import service as keys
from recaster.service.projects import service as projects
from recaster.service.projects.model import Project
from recaster.service.projects.schemas import ProjectCreate

keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
projects_app = typer.Typer(help="Projects.", no_args_is_help=True)
credits_app = typer.Typer(help="Credits of an organization.", no_args_is_help=True)

OrganizationName = Annotated[str, typer.Option("--organization", help="Name of the organization.")]


@contextmanager
def opened() -> Iterator[tuple[Settings, Database]]:
    """Open the database of the settings, brought up to date."""
    settings = Settings()
    database = open_database(settings)
    try:
        upgrade(database)
        yield settings, database
    finally:
        database.dispose()


def _organization(session: OrganizationSession, name: str) -> Organization:
    found = accounts.find_organization(session, name)
    if found is None:
        raise InvalidInput(
            f"There is no organization called '{name}'. `recaster keys mint --organization '{name}'` makes it.",
            field="organization",
            value=name,
        )
    return found


@keys_app.command("mint")
def mint_key(
    organization: OrganizationName,
    scopes: Annotated[str, typer.Option(help="Scopes, separated by commas; `*` is all data scopes.")] = "*",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    tier: Annotated[str, typer.Option(help="standard, pilot or partner.")] = "standard",
    as_json: AsJson = False,
) -> None:
    """Make an API key, and its organization if there is none of that name. The key is shown this once."""
    if tier not in ("standard", "pilot", "partner"):
        raise InvalidInput(f"There is no tier '{tier}'.", field="tier", value=tier, limit="standard, pilot, partner")
    wanted = tuple(scope.strip() for scope in scopes.split(",") if scope.strip())
    with opened() as (settings, database), database.system_write() as session:
        owner = accounts.find_organization(session, organization)
        if owner is None:
            owner = accounts.create_organization(session, organization, cast(RateTier, tier))
        minted = keys.mint(session, settings.pepper(), owner.id, name=name, scopes=wanted, tier=cast(RateTier, tier))
        shown = {"organizationId": owner.id, "apiKeyId": minted.id, "scopes": list(wanted), "apiKey": minted.token}
    if as_json:
        show_json(shown)
    else:
        typer.echo(shown["apiKey"])


@projects_app.command("create")
def create_project(organization: OrganizationName, name: str, as_json: AsJson = False) -> None:
    """Make a project."""
    with opened() as (_, database):
        with database.system_read() as session:
            owner = _organization(session, organization).id
        with database.write(owner) as session:
            project = projects.create(session, ProjectCreate(name=name))
            shown = {"id": project.id, "name": project.name}
    if as_json:
        show_json(shown)
    else:
        typer.echo(shown["id"])


@projects_app.command("list")
def list_projects(organization: OrganizationName, as_json: AsJson = False) -> None:
    """List the projects of an organization, newest first."""
    with opened() as (_, database):
        with database.system_read() as session:
            owner = _organization(session, organization).id
        with database.read(owner) as session:
            rows = [
                {"id": project.id, "name": project.name, "language": project.primary_language}
                for project in session.scalars(sa.select(Project).order_by(Project.created_at.desc()))
            ]
    if as_json:
        show_json(rows)
    else:
        show_table(("project", "name", "language"), [tuple(row.values()) for row in rows])


@credits_app.command("grant")
def grant_credits(
    organization: OrganizationName,
    amount: int,
    account: Annotated[str, typer.Option(help="prepaid or included.")] = "prepaid",
    note: Annotated[str | None, typer.Option(help="Why, for the ledger.")] = None,
) -> None:
    """Give credits to an organization."""
    if account not in ("prepaid", "included"):
        raise InvalidInput(
            f"There is no account '{account}'.", field="account", value=account, limit="prepaid, included"
        )
    with opened() as (_, database), database.system_write() as session:
        owner = _organization(session, organization)
        credits.grant(session, owner.id, amount, account=cast(Literal["prepaid", "included"], account), note=note)
    typer.echo(f"{amount} credits granted to {organization}")


@credits_app.command("show")
def show_credits(organization: OrganizationName, as_json: AsJson = False) -> None:
    """Show an organization's wallet."""
    with opened() as (settings, database):
        with database.system_read() as session:
            owner = _organization(session, organization).id
        with database.read(owner) as session:
            wallet = credits.overview(session, video_remix_price=settings.video_remix_credits)
            shown = wallet.model_dump(mode="json", by_alias=True)
    if as_json:
        show_json(shown)
    else:
        show_table(("what", "value"), list(shown.items()))
