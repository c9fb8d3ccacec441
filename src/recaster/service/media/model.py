"""Table of uploaded media."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class MediaAsset(OrganizationOwned, Base):
    """One uploaded file. It never changes."""

    __tablename__ = "vr_media_asset"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.CheckConstraint("kind IN ('image', 'video')", name="kind"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    mime_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    width: Mapped[int]
    """Pixels as shown."""
    height: Mapped[int]
    duration_ms: Mapped[int | None]
    """Null for a picture."""
    checksum_sha256: Mapped[str]
    object_key: Mapped[str]
    created_at: Mapped[datetime]
