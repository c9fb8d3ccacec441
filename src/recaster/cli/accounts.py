"""`recaster keys`, `projects`, `credits` and `organizations`: what an operator does on the database itself.

Each administrative action is written into the audit log with the actor `operator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, cast, get_args

import sqlalchemy as sa
import typer

from recaster.cli.console import AsJson, show_json, show_table
from recaster.errors import InvalidInput, RecasterError
from recaster.infra.database import Database, OrganizationSession, open_database
from recaster.infra.migrations import upgrade
from recaster.infra.settings import RateTier, Settings
from recaster.service.accounts import service as accounts
from recaster.service.accounts.model import Organization
from recaster.service.auditing import service as auditing
from recaster.service.credits import service as credits
from recaster.service.jobs.model import Job
from recaster.service.keys import service as keys
from recaster.service.keys.model import ApiKey
from recaster.service.keys.schemas import ApiKeyView
from recaster.service.projects import service as projects
from recaster.service.projects.model import Project
from recaster.service.projects.schemas import ProjectCreate

keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
projects_app = typer.Typer(help="Projects.", no_args_is_help=True)
credits_app = typer.Typer(help="Credits of an organization.", no_args_is_help=True)
organizations_app = typer.Typer(help="Organizations.", no_args_is_help=True)

OrganizationName = Annotated[str, typer.Option("--organization", help="Name of the organization.")]
ApiKeyId = Annotated[str, typer.Argument(help="Id of the key (`key_…`), as `recaster keys list` shows it.")]
Note = Annotated[str | None, typer.Option(help="Why, for the ledger.")]


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


def _one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidInput(f"There is no {field} '{value}'.", field=field, value=value, limit=", ".join(known))


def _log(session: OrganizationSession, organization_id: str, action: str, target: str, **details: object) -> None:
    auditing.record(
        session, organization_id, actor=auditing.OPERATOR, action=action, target=target, details=dict(details)
    )


@keys_app.command("mint")
def mint_key(
    organization: OrganizationName,
    scopes: Annotated[str, typer.Option(help="Scopes, separated by commas; `*` is all data scopes.")] = "*",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    tier: Annotated[str, typer.Option(help="standard, pilot or partner.")] = "standard",
    environment: Annotated[str, typer.Option(help="live, or test for a sandbox key.")] = "live",
    as_json: AsJson = False,
) -> None:
    """Make an API key, and its organization if there is none of that name. The key is shown this once."""
    _one_of("tier", tier, get_args(RateTier))
    _one_of("environment", environment, get_args(keys.Environment))
    wanted = tuple(scope.strip() for scope in scopes.split(",") if scope.strip())
    with opened() as (settings, database), database.system_write() as session:
        owner = accounts.find_organization(session, organization)
        if owner is None:
            owner = accounts.create_organization(session, organization, cast(RateTier, tier))
            _log(session, owner.id, "organization.created", owner.id)
        minted = keys.mint(
            session, settings.pepper(), owner.id, name=name, scopes=wanted, tier=cast(RateTier, tier),
            environment=cast(keys.Environment, environment),
        )  # fmt: skip
        _log(session, owner.id, "api_key.minted", minted.id)
        shown = {"organizationId": owner.id, "apiKeyId": minted.id, "scopes": list(wanted), "apiKey": minted.token}
    if as_json:
        show_json(shown)
    else:
        typer.echo(shown["apiKey"])


@keys_app.command("list")
def list_keys(organization: OrganizationName, as_json: AsJson = False) -> None:
    """List the keys of an organization that are not revoked, newest first."""
    with opened() as (_, database), database.system_read() as session:
        owner = _organization(session, organization)
        query = keys.listing("live").where(ApiKey.organization_id == owner.id).order_by(ApiKey.created_at.desc())
        rows = [ApiKeyView.of(key).model_dump(mode="json", by_alias=True) for key in session.scalars(query)]
    if as_json:
        show_json(rows)
    else:
        columns = ("id", "name", "keyPrefix", "status", "lastUsedAt")
        show_table(columns, [tuple(row[column] for column in columns) for row in rows])


@keys_app.command("rotate")
def rotate_key(api_key_id: ApiKeyId, as_json: AsJson = False) -> None:
    """Give a key a new secret, shown this once; the old one works for 24 more hours."""
    with opened() as (settings, database), database.system_write() as session:
        key = keys.require_key_of(session, api_key_id, "live")
        minted = keys.rotate(session, settings.pepper(), key)
        _log(session, key.organization_id, "api_key.rotated", key.id)
    if as_json:
        show_json({"apiKeyId": minted.id, "apiKey": minted.token})
    else:
        typer.echo(minted.token)


@keys_app.command("kill")
def kill_key(api_key_id: ApiKeyId) -> None:
    """Answer every request of a key with KILL_SWITCH until it is lifted."""
    _change_key(api_key_id, "api_key.killed", keys.suspend)
    typer.echo(f"{api_key_id} is killed")


@keys_app.command("lift")
def lift_key(api_key_id: ApiKeyId) -> None:
    """Serve a killed key again."""
    _change_key(api_key_id, "api_key.lifted", keys.lift_suspension)
    typer.echo(f"{api_key_id} is served again")


@keys_app.command("revoke")
def revoke_key(api_key_id: ApiKeyId) -> None:
    """End a key for good."""
    _change_key(api_key_id, "api_key.revoked", keys.revoke)
    typer.echo(f"{api_key_id} is revoked")


def _change_key(api_key_id: str, action: str, change: Callable[[OrganizationSession, str], None]) -> None:
    with opened() as (_, database), database.system_write() as session:
        key = keys.require_key_of(session, api_key_id, "live")
        change(session, key.id)
        _log(session, key.organization_id, action, key.id)


@organizations_app.command("suspend")
def suspend_organization(organization: OrganizationName) -> None:
    """Answer every request of an organization with KILL_SWITCH until it is lifted. Running jobs go on."""
    _change_organization(organization, "organization.suspended", accounts.suspend)
    typer.echo(f"{organization} is suspended")


@organizations_app.command("lift")
def lift_organization(organization: OrganizationName) -> None:
    """Serve a suspended organization again."""
    _change_organization(organization, "organization.lifted", accounts.lift_suspension)
    typer.echo(f"{organization} is served again")


def _change_organization(name: str, action: str, change: Callable[[OrganizationSession, str], None]) -> None:
    with opened() as (_, database), database.system_write() as session:
        owner = _organization(session, name)
        change(session, owner.id)
        _log(session, owner.id, action, owner.id)


@organizations_app.command("check-log")
def check_log(organization: OrganizationName) -> None:
    """Follow the chain of the audit log; exit code 1 if it was tampered with."""
    with opened() as (_, database), database.system_read() as session:
        findings = auditing.check(session, _organization(session, organization).id)
    _show_findings(findings, f"the audit log of {organization} is whole")


@projects_app.command("create")
def create_project(organization: OrganizationName, name: str, as_json: AsJson = False) -> None:
    """Make a project."""
    with opened() as (_, database):
        with database.system_read() as session:
            owner = _organization(session, organization).id
        with database.write(owner) as session:
            project = projects.create(session, ProjectCreate(name=name))
            _log(session, owner, "project.created", project.id)
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
    kind: Annotated[str, typer.Option(help="grant, purchase, or adjustment (which may be negative).")] = "grant",
    note: Note = None,
) -> None:
    """Give credits to an organization."""
    _one_of("account", account, ("prepaid", "included"))
    _one_of("kind", kind, ("grant", "purchase", "adjustment"))
    with opened() as (_, database), database.system_write() as session:
        owner = _organization(session, organization)
        credits.grant(
            session, owner.id, amount, account=cast(Literal["prepaid", "included"], account),
            kind=cast(Literal["grant", "purchase", "adjustment"], kind), note=note,
        )  # fmt: skip
        _log(session, owner.id, f"credits.{kind}", owner.id, amount=amount, account=account)
    typer.echo(f"{amount} credits granted to {organization}")


@credits_app.command("refund")
def refund_credits(
    job_id: Annotated[str, typer.Argument(help="The completed job whose credits come back.")],
    amount: Annotated[int | None, typer.Option(help="How many; default is all that it cost.")] = None,
    note: Note = None,
) -> None:
    """Give back what a completed job has cost, or a part of it."""
    with opened() as (_, database), database.system_write() as session:
        returned = credits.refund(session, job_id, amount, note=note)
        owner = session.get_one(Job, job_id).organization_id
        _log(session, owner, "credits.refund", job_id, amount=returned)
    typer.echo(f"{returned} credits of {job_id} refunded")


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


@credits_app.command("audit")
def audit_credits(
    organization: Annotated[str | None, typer.Option("--organization", help="One of them; default is all.")] = None,
) -> None:
    """Compare every wallet with the fold of its ledger; exit code 1 if something does not fit."""
    with opened() as (_, database), database.system_read() as session:
        owners = list(session.scalars(sa.select(Organization).order_by(Organization.created_at)))
        if organization is not None:
            owners = [_organization(session, organization)]
        findings = [f"{owner.name}: {finding}" for owner in owners for finding in credits.audit(session, owner.id)]
    _show_findings(findings, f"{len(owners)} ledgers balance")


def _show_findings(findings: list[str], all_well: str) -> None:
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(RecasterError.exit_code)
    typer.echo(all_well)
