"""Table of layers."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class Layer(OrganizationOwned, Base):
    """One link of the wiring chain.

    A `social_distribution` layer belongs to one social account and may be wired to a content layer; a `social_content`
    layer may name an influencer.
    """

    __tablename__ = "vr_layer"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.CheckConstraint(
            "(kind = 'social_distribution' AND social_account_id IS NOT NULL AND influencer_id IS NULL)"
            " OR (kind = 'social_content' AND social_account_id IS NULL AND content_layer_id IS NULL)",
            name="config",
        ),
        sa.Index(
            "uq_vr_layer_account",
            "social_account_id",
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL AND social_account_id IS NOT NULL"),
            postgresql_where=sa.text("archived_at IS NULL AND social_account_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    name: Mapped[str | None]
    social_account_id: Mapped[str | None] = mapped_column(sa.ForeignKey("vr_social_account.id"))
    content_layer_id: Mapped[str | None] = mapped_column(sa.ForeignKey("vr_layer.id"), index=True)
    influencer_id: Mapped[str | None] = mapped_column(sa.ForeignKey("vr_influencer.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
