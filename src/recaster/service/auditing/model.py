"""The table of the audit log. Rows are only ever added; each holds the hash of the one before it in its organization."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class AuditEntry(OrganizationOwned, Base):
    """One administrative action."""

    __tablename__ = "vr_audit_entry"
    __table_args__ = (
        # Numbers the chain of an organization; two writers cannot both continue it at the same place.
        sa.UniqueConstraint("organization_id", "position"),
        sa.Index("ix_vr_audit_entry_list", "organization_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    position: Mapped[int] = mapped_column(sa.BigInteger())
    actor: Mapped[str] = mapped_column(sa.String(64))
    """Id of the API key, or `operator` for the command line."""
    action: Mapped[str] = mapped_column(sa.String(64))
    target: Mapped[str] = mapped_column(sa.String(200))
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    details: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    entry_hash: Mapped[str] = mapped_column(sa.String(64))
