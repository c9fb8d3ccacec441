"""Signs of life of worker processes, for databases on which several may run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, Database, OrganizationSession


class WorkerLease(Base):
    """A worker process and when it last gave a sign of life."""

    __tablename__ = "vr_worker_lease"

    executor_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    beat_at: Mapped[datetime]


def renew_lease(database: Database, executor_id: str) -> None:
    """Write a sign of life, in the database's time."""
    with database.system_write() as session:
        lease = session.get(WorkerLease, executor_id, with_for_update=True)
        if lease is None:
            session.add(WorkerLease(executor_id=executor_id, beat_at=_database_now(session)))
        else:
            lease.beat_at = _database_now(session)


def end_lease(database: Database, executor_id: str) -> None:
    """Leave on purpose."""
    with database.system_write() as session:
        session.execute(sa.delete(WorkerLease).where(WorkerLease.executor_id == executor_id))


def take_expired_leases(database: Database, lease: timedelta) -> list[str]:
    """Remove the workers without a sign of life within `lease` and return their names; each goes to one caller."""
    with database.system_write() as session:
        limit = _database_now(session) - lease
        statement = sa.delete(WorkerLease).where(WorkerLease.beat_at < limit).returning(WorkerLease.executor_id)
        return list(session.scalars(statement))


def _database_now(session: OrganizationSession) -> datetime:
    if session.get_bind().dialect.name != "postgresql":
        return session.now
    return cast(datetime, session.scalar(sa.text("SELECT date_trunc('milliseconds', clock_timestamp())")))
