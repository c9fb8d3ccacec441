"""`recaster sources`: the library of a project from the command line, the operator's cookies, and discovery."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import ValidationError

from recaster.cli.accounts import opened
from recaster.cli.console import AsJson, show_json, show_table
from recaster.errors import InvalidInput, RecasterError
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore, open_storage
from recaster.service.accounts import service as accounts
from recaster.service.fetching import breaker
from recaster.service.fetching.secrets import forget_cookies, store_cookies
from recaster.service.media.decoding import FileExaminer
from recaster.service.media.inspection import UploadedFile
from recaster.service.media.service import store_upload
from recaster.service.projects.service import require_project
from recaster.service.recommendations import service as recommendations
from recaster.service.recommendations.vectors import SentenceModel
from recaster.service.sources import service
from recaster.service.sources.discovery import discover
from recaster.service.sources.model import Source
from recaster.service.sources.opening import open_finder
from recaster.service.sources.schemas import RightsBasis, SourceUpload, SourceView, is_tiktok_video_id

app = typer.Typer(help="Sources: the videos that a project may remix.", no_args_is_help=True)

OrganizationName = Annotated[str, typer.Option("--organization", help="Name of the organization.")]
ProjectId = Annotated[str, typer.Option("--project", help="Id of the project.")]
Note = Annotated[str, typer.Option(help="Why it may be remixed, in a sentence.")]
Basis = Annotated[str, typer.Option(help="operator_statement, licence or creator_permission.")]
By = Annotated[str, typer.Option(help="Who says so.")]


@contextmanager
def _project(organization: str, project_id: str) -> Iterator[tuple[Settings, Database, ObjectStore, str]]:
    """Open the database and check that the project is there; yields settings, database, object store, organization id."""
    with opened() as (settings, database):
        with database.system_read() as session:
            found = accounts.find_organization(session, organization)
        if found is None:
            raise InvalidInput(
                f"There is no organization called '{organization}'.", field="organization", value=organization
            )
        with database.read(found.id) as session:
            require_project(session, project_id)
        yield settings, database, open_storage(settings), found.id


def _validated(fields: dict[str, str]) -> SourceUpload:
    try:
        return SourceUpload.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "source"
        raise InvalidInput(f"{name}: {first['msg']}.", field=name, value=fields.get(name)) from error


def _basis(text: str) -> RightsBasis:
    for known in get_args(RightsBasis):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise InvalidInput(
        f"There is no basis '{text}'.", field="basis", value=text, limit=", ".join(get_args(RightsBasis))
    )


@app.command("add")
def add_source(
    organization: OrganizationName,
    project: ProjectId,
    tiktok_id: str,
    note: Note,
    file: Annotated[
        Path | None, typer.Option(help="The video; without it the id is looked up.", exists=True, dir_okay=False)
    ] = None,
    basis: Basis = "operator_statement",
    by: By = service.OPERATOR,
    author: Annotated[str | None, typer.Option(help="The creator's handle.")] = None,
    caption: Annotated[str | None, typer.Option(help="The video's caption.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a video to a project's library: from a file, or by its TikTok id alone."""
    if not is_tiktok_video_id(tiktok_id):
        raise InvalidInput(f"'{tiktok_id}' is no TikTok video id: 17-20 digits.", field="tiktok_id", value=tiktok_id)
    fields = {
        "tiktokVideoId": tiktok_id, "rightsNote": note, "rightsBasis": _basis(basis), "rightsBy": by, "author": author,
        "caption": caption,
    }  # fmt: skip
    body = _validated({name: value for name, value in fields.items() if value is not None})
    with _project(organization, project) as (settings, database, storage, owner):
        if file is None:
            with open_finder(settings, database, storage) as finder:
                metadata = finder.find(owner, tiktok_id).metadata
            with database.write(owner) as session:
                source = service.add_by_id(
                    session, settings, require_project(session, project), body, metadata, actor=by
                )
                shown = SourceView.of(source)
        else:
            upload = UploadedFile.of(file.absolute())
            facts = service.inspect_source(upload, FileExaminer(settings))
            key = store_upload(storage, owner, upload)
            with database.write(owner) as session:
                found = require_project(session, project)
                shown = SourceView.of(service.add(session, found, body, upload, facts, key, actor=by))
    if as_json:
        show_json(shown.model_dump(mode="json", by_alias=True))
    else:
        typer.echo(f"{shown.tiktok_video_id}: {shown.state}")


@app.command("list")
def list_sources(
    organization: OrganizationName,
    project: ProjectId,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the best are shown.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List a project's sources, the best to remix first, each with the reasons."""
    with _project(organization, project) as (_, database, _, owner), database.read(owner) as session:
        best = recommendations.from_library(
            session, require_project(session, project), vectors=SentenceModel(), keyword=None, kind="video", limit=limit
        )
        states = {source.tiktok_video_id: source.state for source in _rows(session, project)}
    if as_json:
        show_json([item.model_dump(mode="json", by_alias=True) for item in best.items])
        return
    rows = [
        (item.tiktok_video_id, states[item.tiktok_video_id], f"{item.score:.3f}", item.author or "", item.reasons[0])
        for item in best.items
    ]
    show_table(("TikTok id", "state", "score", "creator", "why"), rows)


@app.command("allow")
def allow(
    organization: OrganizationName,
    project: ProjectId,
    tiktok_id: str,
    note: Note,
    basis: Basis = "operator_statement",
    by: By = service.OPERATOR,
) -> None:
    """Write down on what basis a source may be remixed, who says so, and that it was now."""
    with _project(organization, project) as (_, database, _, owner), database.write(owner) as session:
        source = service.require_source(session, require_project(session, project).id, tiktok_id)
        service.state_rights(session, source, basis=_basis(basis), note=note, by=by)
    typer.echo(f"{tiktok_id}: {basis}, said by {by}")


@app.command("discover")
def discover_sources(
    organization: OrganizationName,
    project: ProjectId,
    keyword: Annotated[
        list[str] | None, typer.Option(help="What to search for; default: the project's keywords. May be repeated.")
    ] = None,
    creator: Annotated[list[str] | None, typer.Option(help="Whose videos to look at. May be repeated.")] = None,
    every: Annotated[
        float | None, typer.Option(min=0.1, help="Go on for ever, with this many hours between two rounds.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fill a project's portfolio from the platform, once or on a schedule."""
    with (
        _project(organization, project) as (settings, database, storage, owner),
        open_finder(settings, database, storage) as finder,
    ):
        while True:
            done = discover(
                settings, database, finder, organization_id=owner, project_id=project,
                keywords=keyword or None, creators=[name.removeprefix("@") for name in creator] if creator else None,
            )  # fmt: skip
            if as_json:
                show_json(
                    {
                        "new": done.new, "refreshed": done.refreshed, "skipped": done.skipped,
                        "searches": done.searches, "failed": list(done.failed),
                    }
                )  # fmt: skip
            else:
                typer.echo(f"{done.new} new, {done.refreshed} refreshed, {done.skipped} skipped")
                for line in done.failed:
                    typer.echo(f"not searched: {line}", err=True)
            if every is None:
                break
            time.sleep(every * 3600)
    if done.searches == 0:
        raise InvalidInput(
            "There is nothing to search for: the project has no keywords and its library no creators. Give --keyword or "
            "--creator.",
            field="keyword",
        )
    if len(done.failed) == done.searches:
        raise _AllFailed("No search could be made; the reasons stand above.")


class _AllFailed(RecasterError):
    """A discovery in which nothing could be searched."""

    exit_code = 8


@app.command("cookies")
def cookies(
    file: Annotated[
        Path | None, typer.Argument(help="Netscape cookie file of tiktok.com; `-` reads standard input.")
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Remove the stored cookies.")] = False,
) -> None:
    """Store cookies of a TikTok account, encrypted. The platform may close an account whose cookies a server uses."""
    if forget == (file is not None):
        raise InvalidInput("Give a cookie file, or --forget.", field="file")
    with opened() as (settings, database), database.system_write() as session:
        if file is None:
            typer.echo("removed" if forget_cookies(session) else "there were none")
            return
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        count = store_cookies(session, Sealer(settings.sealing_keys()), text)
    typer.echo(f"{count} cookies stored, encrypted")


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show whether the platform is asked at present."""
    with opened() as (settings, database), database.system_read() as session:
        state = breaker.state_of(session, settings.source_fetcher)
        shown = {
            "fetcher": settings.source_fetcher,
            "asked": state is None,
            "since": state.opened_at if state else None,
            "nextProbe": state.next_probe_at if state else None,
            "reason": state.reason if state else None,
        }
    if as_json:
        show_json(shown)
    else:
        show_table(("what", "value"), list(shown.items()))


def _rows(session: OrganizationSession, project_id: str) -> list[Source]:
    return list(session.scalars(service.listing(require_project(session, project_id).id)))
