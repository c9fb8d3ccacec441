"""The table of organizations."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base


class Organization(Base):
    """A customer: the owner of projects, keys and credits."""

    __tablename__ = "vr_organization"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    tier: Mapped[str] = mapped_column(sa.String(16))
    """Decides how many jobs may run at a time; each key has its own tier for its request rate."""
    suspended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
