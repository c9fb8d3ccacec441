"""Tables of containers and their assets."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class ContainerStatus(StrEnum):
    """How a container stands."""

    QUEUED = "queued"  # its job has not begun
    PROCESSING = "processing"  # its job works on it
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Container(OrganizationOwned, Base):
    """The place that one remix fills."""

    __tablename__ = "vr_container"
    __table_args__ = (
        # Keeps the row and its project in one organization.
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.CheckConstraint(
            "status IN ('queued', 'processing', 'completed', 'failed', 'canceled')", name="status_known"
        ),
        sa.CheckConstraint(
            "approval_status IN ('not_required', 'pending', 'approved', 'rejected')", name="approval_status_known"
        ),
        sa.Index("ix_vr_container_project_created", "project_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_job.id"), index=True)
    status: Mapped[str] = mapped_column(sa.String(16))
    approval_status: Mapped[str] = mapped_column(sa.String(16))
    format: Mapped[str] = mapped_column(sa.String(32))
    influencer_id: Mapped[str] = mapped_column(sa.String(64))
    social_account_id: Mapped[str | None] = mapped_column(sa.String(64))
    layer_id: Mapped[str | None] = mapped_column(sa.String(64))
    source_id: Mapped[str] = mapped_column(sa.String(64))
    source_tiktok_id: Mapped[str] = mapped_column(sa.String(32))
    source_credit: Mapped[str | None] = mapped_column(sa.String(80))
    """The creator of the source, as whoever posts the remix should credit them: `@handle`."""
    caption: Mapped[str | None] = mapped_column(sa.Text())
    overlays: Mapped[list[Any]]
    disclosure: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    quality: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    last_error: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    reviewed_at: Mapped[datetime | None]
    review_reason: Mapped[str | None] = mapped_column(sa.String(500))
    """Why it was rejected, in the reviewer's words."""
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


class Asset(OrganizationOwned, Base):
    """A finished file of a container. Media type and digest stand here: not every object store keeps attributes."""

    __tablename__ = "vr_asset"
    __table_args__ = (sa.CheckConstraint("kind IN ('video', 'thumbnail')", name="kind_known"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    container_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_container.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    object_key: Mapped[str] = mapped_column(sa.String(512))
    mime_type: Mapped[str] = mapped_column(sa.String(64))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger())
    checksum_sha256: Mapped[str] = mapped_column(sa.String(64))
    duration_ms: Mapped[int | None]
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[datetime]
