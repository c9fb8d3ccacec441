"""Table of social accounts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class SocialAccount(OrganizationOwned, Base):
    """An account on a platform that a project is connected to."""

    __tablename__ = "vr_social_account"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.Index(
            "uq_vr_social_account_live",
            "project_id",
            "platform",
            "handle_key",
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    platform: Mapped[str]
    handle: Mapped[str]
    """Without the leading @, as the client wrote it."""
    handle_key: Mapped[str]
    """The handle in one case, for comparing."""
    status: Mapped[str]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
