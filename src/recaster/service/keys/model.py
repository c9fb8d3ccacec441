"""The table of API keys. It holds keyed hashes only."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class ApiKey(OrganizationOwned, Base):
    """One API key of an organization."""

    __tablename__ = "vr_api_key"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.String(16), unique=True)
    """The public part of the token, by which it is found."""
    secret_hash: Mapped[str] = mapped_column(sa.String(64))
    """HMAC-SHA-256 of the whole token under the server's pepper, hex."""
    environment: Mapped[str] = mapped_column(sa.String(8))
    """`live`, or `test` for a sandbox key."""
    name: Mapped[str] = mapped_column(sa.String(200))
    scopes: Mapped[list[str]]
    tier: Mapped[str] = mapped_column(sa.String(16))
    previous_key_id: Mapped[str | None] = mapped_column(sa.String(16), unique=True)
    """Public part of the token that was rotated out and is still good for a while."""
    previous_secret_hash: Mapped[str | None] = mapped_column(sa.String(64))
    previous_expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """Exact to half a minute (`recaster.service.keys.usage`)."""
    suspended_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
