"""Rules of the library: what may come in, what a TikTok id leads to, and on what basis a source may be remixed.

What the platform says about an id that the library does not hold is found out beforehand, outside of any transaction, by
`recaster.service.sources.finding`, and handed in as a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from recaster.errors import MediaInvalid
from recaster.infra.database import OrganizationSession
from recaster.infra.settings import Settings
from recaster.service.errors import Conflict, InvalidTiktokId, NotFound
from recaster.service.fetching.protocol import SourceMetadata
from recaster.service.media.inspection import MediaFacts, UploadedFile
from recaster.service.projects.model import Project
from recaster.service.sources.finding import Verdict
from recaster.service.sources.model import Source, SourceState
from recaster.service.sources.schemas import RightsBasis, SourceUpload, is_tiktok_video_id

SEEN_FOR: Final = timedelta(hours=24)
"""How long the platform's word that a video is there is believed; the job finds out anyway."""
OPERATOR: Final = "operator"
"""Who vouches for a right by the statement of the settings."""


class LookupNeeded(Exception):
    """Nobody knows this id yet: find out outside of the transaction, and come again with the verdict."""

    def __init__(self, tiktok_video_id: str) -> None:
        super().__init__(tiktok_video_id)
        self.tiktok_video_id = tiktok_video_id


def inspect_source(file: UploadedFile, examine: Callable[[UploadedFile], MediaFacts]) -> MediaFacts:
    """Say what an uploaded or fetched source is, or refuse it in the contract's words.

    Raises:
        InvalidTiktokId: the file is a picture (`not_a_video`), or longer than a source may be (`too_long`).
        UnsupportedMediaType, PayloadTooLarge, MediaInvalid: as `recaster.service.media.inspection.inspect` says.
    """
    try:
        facts = examine(file)
    except MediaInvalid as error:
        if error.details.get("field") == "duration":
            raise InvalidTiktokId(error.message, reason="too_long") from error
        raise
    if facts.kind != "video":
        raise InvalidTiktokId(
            "The file is a picture, not a video. A remix needs a video; picture posts cannot be remixed.",
            reason="not_a_video",
        )
    return facts


def add(
    session: OrganizationSession,
    project: Project,
    body: SourceUpload,
    file: UploadedFile,
    facts: MediaFacts,
    key: str,
    *,
    actor: str,
) -> Source:
    """Put an inspected video that lies in the object store under `key` into the project's library.

    A source that was only listed becomes ready, with the words of the upload.

    Args:
        actor: id of the API key that adds it; it vouches for the right where `rightsBy` names nobody else.

    Raises:
        Conflict: the library holds this TikTok id's file already (`SOURCE_EXISTS`); a file never changes under its id.
    """
    require_no_file(session, project, body.tiktok_video_id)
    source = _find(session, project.id, body.tiktok_video_id)
    if source is None:
        source = Source(id=session.new_id("src"), project_id=project.id, created_at=session.now)
    _take_over(session, source, body, actor)
    keep_file(source, file, facts, key)
    session.add(source)
    try:
        session.flush()
    except IntegrityError as error:
        raise _exists(body.tiktok_video_id) from error
    return source


def add_by_id(
    session: OrganizationSession,
    settings: Settings,
    project: Project,
    body: SourceUpload,
    metadata: SourceMetadata | None,
    *,
    actor: str,
) -> Source:
    """List a video whose file will be fetched when it is first remixed. The words of the request win over the platform's.

    Raises:
        Conflict: the library holds this TikTok id's file already (`SOURCE_EXISTS`).
    """
    require_no_file(session, project, body.tiktok_video_id)
    source = list_source(session, settings, project.id, metadata, body.tiktok_video_id)
    _take_over(session, source, body, actor)
    session.flush()
    return source


def require_no_file(session: OrganizationSession, project: Project, tiktok_video_id: str) -> None:
    """Refuse an id whose file the library holds already.

    Raises:
        Conflict: `SOURCE_EXISTS`.
    """
    source = _find(session, project.id, tiktok_video_id)
    if source is not None and source.state == SourceState.READY:
        raise _exists(tiktok_video_id)


def _take_over(session: OrganizationSession, source: Source, body: SourceUpload, actor: str) -> None:
    for name, value in body.model_dump().items():
        if value not in (None, []) or getattr(source, name, None) is None:
            setattr(source, name, value)
    source.rights_by = body.rights_by or actor
    source.rights_at = body.rights_at or session.now


def keep_file(
    source: Source, file: UploadedFile, facts: MediaFacts, key: str, *, fetched_with: str | None = None
) -> None:
    """Write down the file of a source, which makes it ready."""
    source.state = SourceState.READY.value
    source.refused_reason = None
    source.mime_type, source.size_bytes = facts.mime_type, file.size_bytes
    source.width, source.height, source.duration_ms = facts.width, facts.height, facts.duration_ms
    source.checksum_sha256, source.object_key, source.fetched_with = file.checksum_sha256, key, fetched_with


def list_source(
    session: OrganizationSession, settings: Settings, project_id: str, metadata: SourceMetadata | None, video_id: str
) -> Source:
    """Return the project's source of this id, made as `listed` if there is none, with the platform's newest facts."""
    source = _find(session, project_id, video_id)
    if source is None:
        source = Source(
            id=session.new_id("src"), project_id=project_id, tiktok_video_id=video_id, state=SourceState.LISTED.value,
            hashtags=[], created_at=session.now,
        )  # fmt: skip
        if settings.source_rights_statement:
            state_rights(
                session, source, basis="operator_statement", note=settings.source_rights_statement, by=OPERATOR
            )
        session.add(source)
    elif source.state == SourceState.REFUSED:
        source.state, source.refused_reason = SourceState.LISTED.value, None
    if metadata is not None:
        refresh(source, metadata)
        source.seen_at = session.now
    session.flush()
    return source


def refresh(source: Source, metadata: SourceMetadata) -> None:
    """Take over what the platform says now; what it does not say stays as it was."""
    for name in ("author", "caption", "views", "likes", "comments", "shares", "published_at", "thumbnail_url"):
        value = getattr(metadata, name)
        if value is not None:
            setattr(source, name, value)
    if metadata.hashtags:
        source.hashtags = list(metadata.hashtags)
    if source.state != SourceState.READY and metadata.duration_ms is not None:
        source.duration_ms = metadata.duration_ms


def state_rights(session: OrganizationSession, source: Source, *, basis: RightsBasis, note: str, by: str) -> None:
    """Write down on what basis a source may be remixed, who says so, and that it was now."""
    source.rights_basis, source.rights_note, source.rights_by, source.rights_at = basis, note, by, session.now


def keep_measured(session: OrganizationSession, sha256: str, measured: dict[str, Any]) -> None:
    """Write down what an analysis measured, with every source whose file it was. Needs a system session."""
    for source in session.scalars(sa.select(Source).where(Source.checksum_sha256 == sha256)):
        source.measured = measured


def listing(project_id: str) -> sa.Select[Source]:
    """All sources of a project that can be remixed or fetched, in no order yet."""
    return sa.select(Source).where(Source.project_id == project_id, Source.state != SourceState.REFUSED.value)


def require_source(session: OrganizationSession, project_id: str, tiktok_video_id: str) -> Source:
    """Return a source of a project's library, whatever its state.

    Raises:
        NotFound: the library does not know this id.
    """
    source = _find(session, project_id, tiktok_video_id)
    if source is None:
        raise NotFound("source", tiktok_video_id)
    return source


def resolve(
    session: OrganizationSession,
    settings: Settings,
    project: Project,
    tiktok_video_id: str,
    verdict: Verdict | None = None,
) -> Source:
    """Return the source that a TikTok id leads to in this project.

    Args:
        verdict: what was found out about the id; None on the first try.

    Raises:
        InvalidTiktokId: not 17–20 digits (`malformed`), or not in the library and nothing else is searched
            (`unavailable`).
        LookupNeeded: the library does not know the id well enough, and there is no verdict.
        Conflict: nobody has said on what basis it may be remixed, and the settings ask for it.
    """
    if not is_tiktok_video_id(tiktok_video_id):
        raise InvalidTiktokId("tiktokVideoId is no TikTok video id: it has 17–20 digits.", reason="malformed")
    source = _find(session, project.id, tiktok_video_id)
    if source is None or not _is_known(session, source):
        if not searches_elsewhere(settings):
            raise InvalidTiktokId(
                f"The video {tiktok_video_id} is not in the project's library, and this server is set to fetch none by "
                f"itself. Upload it with POST /v1/projects/{project.id}/sources.",
                reason="unavailable",
            )
        if verdict is None:
            raise LookupNeeded(tiktok_video_id)
        source = list_source(session, settings, project.id, verdict.metadata, tiktok_video_id)
    require_rights(settings, source)
    return source


def searches_elsewhere(settings: Settings) -> bool:
    """Tell whether an id that the library does not hold is looked for anywhere."""
    return settings.source_fetcher != "library" or settings.source_folder is not None


def require_rights(settings: Settings, source: Source) -> None:
    """Refuse a source without a basis where the settings ask for one.

    Raises:
        Conflict: `SOURCE_RIGHTS_MISSING`.
    """
    if settings.require_source_rights and source.rights_basis is None:
        raise Conflict(
            f"Nobody has said on what basis the video {source.tiktok_video_id} may be remixed, and this server asks for "
            "it. State it with POST /v1/projects/{projectId}/sources or `recaster sources allow`.",
            subcode="SOURCE_RIGHTS_MISSING",
            tiktokVideoId=source.tiktok_video_id,
        )


def _is_known(session: OrganizationSession, source: Source) -> bool:
    if source.state == SourceState.READY:
        return True
    seen = source.seen_at
    return source.state == SourceState.LISTED and seen is not None and session.now - seen < SEEN_FOR


def _find(session: OrganizationSession, project_id: str, tiktok_video_id: str) -> Source | None:
    return session.scalar(
        sa.select(Source).where(Source.project_id == project_id, Source.tiktok_video_id == tiktok_video_id)
    )


def _exists(tiktok_video_id: str) -> Conflict:
    return Conflict(
        f"The library of this project holds the source {tiktok_video_id} already. A source never changes under its id; "
        "use it as it is.",
        subcode="SOURCE_EXISTS",
        tiktokVideoId=tiktok_video_id,
    )
