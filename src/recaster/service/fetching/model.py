"""Tables of what is known about the platform itself. They belong to no organization: they hold public facts, the state of
the circuit breaker, and secrets of the operator (sealed).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base


class SourceLookup(Base):
    """The last answer about a TikTok id."""

    __tablename__ = "vr_source_lookup"
    __table_args__ = (
        sa.CheckConstraint("outcome IN ('found', 'refused', 'later')", name="outcome_known"),
        sa.Index("ix_vr_source_lookup_checked_at", "checked_at"),
    )

    tiktok_video_id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    outcome: Mapped[str] = mapped_column(sa.String(8))
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    """The contract's reason where refused, the signal where later."""
    message: Mapped[str | None] = mapped_column(sa.Text())
    details: Mapped[dict[str, Any]]
    """Details of a refusal as they stand on the wire."""
    found: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """`SourceMetadata` as JSON."""
    fetcher: Mapped[str] = mapped_column(sa.String(60))
    checked_at: Mapped[datetime]


class SourceBreaker(Base):
    """The circuit breaker of one fetcher; a row exists while it is open."""

    __tablename__ = "vr_source_breaker"

    fetcher: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    opened_at: Mapped[datetime]
    next_probe_at: Mapped[datetime]
    """When one look-up is let through to see whether the platform answers again."""
    reason: Mapped[str] = mapped_column(sa.Text())


class SourceRetry(Base):
    """How often a job has tried to fetch its source, while it waits to try again."""

    __tablename__ = "vr_source_retry"

    job_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tries: Mapped[int]
    signal: Mapped[str] = mapped_column(sa.String(16))
    next_at: Mapped[datetime]


class OperatorSecret(Base):
    """A secret of the operator, sealed with the server's key."""

    __tablename__ = "vr_operator_secret"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    sealed: Mapped[str] = mapped_column(sa.Text())
    stored_at: Mapped[datetime]
