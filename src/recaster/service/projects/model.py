"""Table of projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class Project(OrganizationOwned, Base):
    """A brand's space. Everything else of a tenant hangs on one; an archived project hides all that hangs on it."""

    __tablename__ = "vr_project"
    __table_args__ = (
        # Target of the composite foreign keys, which keep a row and its project in one organization.
        sa.UniqueConstraint("organization_id", "id"),
        sa.CheckConstraint(
            "review_policy IN ('auto_approve', 'review_first_n', 'review_all')", name="review_policy_known"
        ),
        sa.CheckConstraint("(review_policy = 'review_first_n') = (review_first_n IS NOT NULL)", name="review_first_n"),
        sa.Index("ix_vr_project_list", "organization_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    timezone: Mapped[str]
    primary_language: Mapped[str]
    app_name: Mapped[str | None]
    app_description: Mapped[str | None]
    tagline: Mapped[str | None]
    brand_voice: Mapped[str | None]
    audience: Mapped[str | None]
    keywords: Mapped[list[str]]
    banned_words: Mapped[list[str]]
    required_terms: Mapped[list[str]]
    approved_facts: Mapped[list[str]]
    message_bank: Mapped[dict[str, Any]]
    """Language tag → overlay role → texts."""
    review_policy: Mapped[str] = mapped_column(default="auto_approve")
    """Which finished content waits for approval: `auto_approve`, `review_first_n` or `review_all`."""
    review_first_n: Mapped[int | None]
    """The n of `review_first_n`."""
    custom: Mapped[dict[str, Any]]
    """The client's own `metadata`; we never read it."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
