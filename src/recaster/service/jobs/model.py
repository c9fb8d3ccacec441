"""The table of jobs. It is the truth about a job; the durable engine only decides when its code runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class JobStatus(StrEnum):
    """How a job stands."""

    RUNNING = "running"  # accepted; waiting in the queue is a stage of it
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Stage(StrEnum):
    """What a running job is doing, in this order."""

    QUEUED = "queued"  # waits for a free worker
    WAITING_FOR_INFLUENCER = "waiting_for_influencer"  # its influencer is not ready yet
    FETCHING_SOURCE = "fetching_source"  # gets and probes the source video
    READING_OVERLAYS = "reading_overlays"  # reads the burned-in text, follows the face
    ADAPTING_COPY = "adapting_copy"  # writes the new texts
    GENERATING_VISUALS = "generating_visuals"  # erases, swaps, draws, encodes
    FINALIZING = "finalizing"  # inspects the output and publishes it; can no longer be cancelled


STAGE_SPANS: Final[dict[Stage, tuple[float, float]]] = {
    Stage.QUEUED: (0.0, 0.0),
    Stage.WAITING_FOR_INFLUENCER: (0.0, 0.0),
    Stage.FETCHING_SOURCE: (0.0, 0.05),
    Stage.READING_OVERLAYS: (0.05, 0.35),
    Stage.ADAPTING_COPY: (0.35, 0.4),
    Stage.GENERATING_VISUALS: (0.4, 0.9),
    Stage.FINALIZING: (0.9, 1.0),
}
"""Which part of a job's whole progress each stage is, from and to."""

STAGE_ORDER: Final = tuple(Stage)
"""The stages in their order; a job never goes back in it."""


class Job(OrganizationOwned, Base):
    """One piece of long work."""

    __tablename__ = "vr_job"
    __table_args__ = (
        # Keeps the row and its project in one organization.
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.CheckConstraint("status IN ('running', 'completed', 'failed', 'canceled')", name="status_known"),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name="progress_in_range"),
        sa.CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished_when_ended"),
        sa.Index("ix_vr_job_organization_status", "organization_id", "status"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(32))
    project_id: Mapped[str | None] = mapped_column(sa.String(64))
    api_key_id: Mapped[str | None] = mapped_column(sa.String(64))
    environment: Mapped[str] = mapped_column(sa.String(8), default="live")
    """`test` for a job that a sandbox key started: it touches no credits."""
    input: Mapped[dict[str, Any]]
    """What the work needs to know, fixed when the job was accepted."""
    status: Mapped[str] = mapped_column(sa.String(16))
    stage: Mapped[str] = mapped_column(sa.String(32))
    stage_progress: Mapped[float]
    progress: Mapped[float]
    attempts: Mapped[int]
    """How often a worker began it; a clean stop of the worker does not count."""
    version: Mapped[int]
    """Counts up with every change that can be seen from outside: the ETag."""
    event_sequence: Mapped[int] = mapped_column(default=0)
    """How many events were told of it."""
    error: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
