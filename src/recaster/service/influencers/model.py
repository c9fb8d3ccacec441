"""Table of influencers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class Influencer(OrganizationOwned, Base):
    """A face of a project. It is `ready` once its persona was prepared from reference pictures."""

    __tablename__ = "vr_influencer"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.CheckConstraint("status IN ('pending', 'training', 'ready', 'failed')", name="status"),
        sa.CheckConstraint("origin IN ('synthetic', 'consented_person')", name="origin"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    gender: Mapped[str | None]
    age_range: Mapped[str | None]
    brand_voice: Mapped[str | None]
    language: Mapped[str]
    status: Mapped[str]
    origin: Mapped[str]
    consent: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """The grant as it stands on the wire (`Consent`); null for a synthetic person."""
    reference_asset_ids: Mapped[list[str]]
    training_job_id: Mapped[str | None]
    """The `influencer_create` job that prepares the persona, or prepared it."""
    persona_key: Mapped[str | None]
    """Object key of the prepared persona; set while `ready`."""
    last_error: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """`{code, message, details}` of the failed preparation; set while `failed`."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
