"""Tables of events, of those who want to hear of them, and of every telling.

An event and its deliveries are written in the transaction of the change that they tell of: an outbox.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class EndpointStatus(StrEnum):
    """Whether an endpoint is told of events."""

    ACTIVE = "active"
    PAUSED = "paused"  # by its owner
    AUTO_PAUSED = "auto_paused"  # after too many failures in a row


class DeliveryStatus(StrEnum):
    """How the telling of one event to one endpoint stands."""

    PENDING = "pending"  # waits for its first or next try
    DELIVERED = "delivered"  # answered 2xx
    FAILED = "failed"  # every try is used up, or the endpoint is gone


class Event(OrganizationOwned, Base):
    """Something that happened. It never changes."""

    __tablename__ = "vr_event"
    __table_args__ = (
        sa.UniqueConstraint("job_id", "sequence"),
        sa.CheckConstraint("(job_id IS NULL) = (sequence = 0)", name="sequence_of_job"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(32))
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("vr_job.id"))
    sequence: Mapped[int]
    """Counts up from 1 per job without gaps; 0 where there is no job."""
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class WebhookEndpoint(OrganizationOwned, Base):
    """Where an organization wants to be told of events."""

    __tablename__ = "vr_webhook_endpoint"
    __table_args__ = (
        sa.ForeignKeyConstraint(["organization_id", "project_id"], ["vr_project.organization_id", "vr_project.id"]),
        sa.CheckConstraint("status IN ('active', 'paused', 'auto_paused')", name="status_known"),
        sa.CheckConstraint("failures >= 0", name="failures_not_negative"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    project_id: Mapped[str | None] = mapped_column(sa.String(64))
    """Null: events of all projects."""
    url: Mapped[str] = mapped_column(sa.String(2000))
    events: Mapped[list[str]]
    description: Mapped[str | None] = mapped_column(sa.String(200))
    status: Mapped[str] = mapped_column(sa.String(16))
    failures: Mapped[int]
    """Failed tries in a row."""
    sealed_secret: Mapped[str] = mapped_column(sa.String(512))
    retired_secrets: Mapped[list[dict[str, Any]]]
    """`{sealed, expiresAt}` (milliseconds) of secrets that were rotated out and still sign for a while."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class WebhookDelivery(OrganizationOwned, Base):
    """The telling of one event to one endpoint, with every try."""

    __tablename__ = "vr_webhook_delivery"
    __table_args__ = (
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status_known"),
        sa.CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="due_while_pending"),
        sa.Index("ix_vr_webhook_delivery_due", "status", "next_attempt_at"),
        sa.Index("ix_vr_webhook_delivery_endpoint", "endpoint_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_webhook_endpoint.id"))
    event_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_event.id"), index=True)
    replay_of: Mapped[str | None] = mapped_column(sa.String(64))
    """The delivery that this one repeats."""
    status: Mapped[str] = mapped_column(sa.String(16))
    attempts: Mapped[list[dict[str, Any]]]
    """Each try: `at` (milliseconds), `statusCode`, `error`, `durationMs`, `response` (first bytes of the answer)."""
    next_attempt_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    claim: Mapped[str | None] = mapped_column(sa.String(64))
    """Who is trying now; a result with another claim is too late and is not written."""
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
