"""Rules of the library: what may come in, and what a TikTok id leads to.

The library of a project is the only place where a source can come from so far: an id that is not in it is
`unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from recaster.errors import MediaInvalid
from recaster.infra.database import OrganizationSession
from recaster.service.errors import Conflict, InvalidTiktokId
from recaster.service.media.inspection import MediaFacts, UploadedFile
from recaster.service.projects.model import Project
from recaster.service.sources.model import Source
from recaster.service.sources.schemas import SourceUpload, is_tiktok_video_id


def inspect_source(file: UploadedFile, examine: Callable[[UploadedFile], MediaFacts]) -> MediaFacts:
    """Say what an uploaded source is, or refuse it in the contract's words.

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

    Args:
        actor: id of the API key that adds it; it vouches for the right where `rightsBy` names nobody else.

    Raises:
        Conflict: the library holds this TikTok id already (`SOURCE_EXISTS`); a source never changes under its id.
    """
    source = Source(
        id=session.new_id("src"),
        project_id=project.id,
        mime_type=facts.mime_type,
        size_bytes=file.size_bytes,
        width=facts.width,
        height=facts.height,
        duration_ms=facts.duration_ms,
        checksum_sha256=file.checksum_sha256,
        object_key=key,
        created_at=session.now,
        **{
            **body.model_dump(),
            "rights_by": body.rights_by or actor,
            "rights_at": body.rights_at or session.now,
        },
    )
    session.add(source)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"The library of this project holds the source {body.tiktok_video_id} already. A source never changes "
            "under its id; use it as it is.",
            subcode="SOURCE_EXISTS",
            tiktokVideoId=body.tiktok_video_id,
        ) from error
    return source


def listing(project_id: str) -> sa.Select[Source]:
    """All sources of a project, in no order yet."""
    return sa.select(Source).where(Source.project_id == project_id)


def lookup(session: OrganizationSession, project: Project, tiktok_video_id: str) -> Source:
    """Return the source that a TikTok id leads to in this project.

    Raises:
        InvalidTiktokId: not 17–20 digits (`malformed`), or not in the library (`unavailable`).
    """
    if not is_tiktok_video_id(tiktok_video_id):
        raise InvalidTiktokId("tiktokVideoId is no TikTok video id: it has 17–20 digits.", reason="malformed")
    source = session.scalar(listing(project.id).where(Source.tiktok_video_id == tiktok_video_id))
    if source is None:
        raise InvalidTiktokId(
            f"The video {tiktok_video_id} is not in the project's library, and this server fetches none by itself. "
            f"Upload it with POST /v1/projects/{project.id}/sources.",
            reason="unavailable",
        )
    return source


def open_source(session: OrganizationSession, source_id: str) -> str:
    """Return the object key of a source's file, for the worker.

    Raises:
        InvalidTiktokId: the source is gone (`unavailable`).
    """
    key = session.scalar(sa.select(Source.object_key).where(Source.id == source_id))
    if key is None:
        raise InvalidTiktokId("The source is no longer in the library.", reason="unavailable")
    return key
