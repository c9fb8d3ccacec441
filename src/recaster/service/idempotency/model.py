"""The table of idempotency keys and the answers they stand for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class IdempotencyKey(OrganizationOwned, Base):
    """One successful answer, kept for the window. The scope of a key is the API key and the route."""

    __tablename__ = "vr_idempotency_key"

    api_key_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_api_key.id"), primary_key=True)
    route: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(sa.LargeBinary())
    sealed: Mapped[bool] = mapped_column(default=False)
    """Whether `body` is encrypted, because the answer shows a secret."""
    created_at: Mapped[datetime] = mapped_column(index=True)
