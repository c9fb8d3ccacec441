"""Table of sources."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class SourceState(StrEnum):
    """What the library has of a source."""

    LISTED = "listed"  # facts only; the file is fetched when it is first remixed
    READY = "ready"  # the file lies in the object store
    REFUSED = "refused"  # the platform does not give it away


class Source(OrganizationOwned, Base):
    """A video in a project's library under its TikTok id. All facts of the file are null until it is `ready`."""

    __tablename__ = "vr_source"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.UniqueConstraint("project_id", "tiktok_video_id"),
        sa.CheckConstraint(
            "rights_basis IN ('operator_statement', 'licence', 'creator_permission')", name="rights_basis"
        ),
        sa.CheckConstraint("state IN ('listed', 'ready', 'refused')", name="state_known"),
        sa.CheckConstraint("state <> 'ready' OR object_key IS NOT NULL", name="ready_has_file"),
        sa.CheckConstraint("(rights_basis IS NULL) = (rights_at IS NULL)", name="rights_complete"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    tiktok_video_id: Mapped[str]
    state: Mapped[str] = mapped_column(sa.String(8), default=SourceState.READY.value)
    mime_type: Mapped[str | None]
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    width: Mapped[int | None]
    """Pixels as shown."""
    height: Mapped[int | None]
    duration_ms: Mapped[int | None]
    """Of the file; before there is one, what the platform says."""
    checksum_sha256: Mapped[str | None]
    object_key: Mapped[str | None]
    fetched_with: Mapped[str | None]
    """What brought the file in, with its version; null for an upload."""
    seen_at: Mapped[datetime | None]
    """When the platform last said that the video is there."""
    refused_reason: Mapped[str | None]
    rights_basis: Mapped[str | None]
    """On what the source may be remixed; null while nobody has said."""
    rights_note: Mapped[str | None]
    rights_by: Mapped[str | None]
    """Who vouches for the right: a name that the client gave, else the id of the API key, or `operator`."""
    rights_at: Mapped[datetime | None]
    author: Mapped[str | None]
    """The creator's handle without @, kept as the source credit."""
    caption: Mapped[str | None]
    hashtags: Mapped[list[str]]
    views: Mapped[int | None] = mapped_column(sa.BigInteger)
    likes: Mapped[int | None] = mapped_column(sa.BigInteger)
    comments: Mapped[int | None] = mapped_column(sa.BigInteger)
    shares: Mapped[int | None] = mapped_column(sa.BigInteger)
    published_at: Mapped[datetime | None]
    thumbnail_url: Mapped[str | None]
    measured: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """What an analysis of the file measured (`recaster.service.recommendations.remixability.Measured`); null before."""
    created_at: Mapped[datetime]

    @property
    def url(self) -> str:
        """Where the video stands at its platform; the handle may be missing there."""
        return f"https://www.tiktok.com/@{self.author or ''}/video/{self.tiktok_video_id}"
