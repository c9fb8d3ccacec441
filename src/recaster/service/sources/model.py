"""Table of sources."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class Source(OrganizationOwned, Base):
    """A video in a project's library under its TikTok id."""

    __tablename__ = "vr_source"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.UniqueConstraint("project_id", "tiktok_video_id"),
        sa.CheckConstraint(
            "rights_basis IN ('operator_statement', 'licence', 'creator_permission')", name="rights_basis"
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    tiktok_video_id: Mapped[str]
    mime_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    width: Mapped[int]
    """Pixels as shown."""
    height: Mapped[int]
    duration_ms: Mapped[int]
    checksum_sha256: Mapped[str]
    object_key: Mapped[str]
    rights_basis: Mapped[str]
    rights_note: Mapped[str]
    rights_by: Mapped[str]
    """Who vouches for the right: a name that the client gave, else the id of the API key."""
    rights_at: Mapped[datetime]
    author: Mapped[str | None]
    """The creator's handle without @, kept as the source credit."""
    caption: Mapped[str | None]
    hashtags: Mapped[list[str]]
    views: Mapped[int | None] = mapped_column(sa.BigInteger)
    likes: Mapped[int | None] = mapped_column(sa.BigInteger)
    comments: Mapped[int | None] = mapped_column(sa.BigInteger)
    shares: Mapped[int | None] = mapped_column(sa.BigInteger)
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def url(self) -> str:
        """Where the video stands at its platform; the handle may be missing there."""
        return f"https://www.tiktok.com/@{self.author or ''}/video/{self.tiktok_video_id}"
