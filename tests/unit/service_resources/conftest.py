"""A small database in a temporary folder with two organizations, and the rows that the tests hang their cases on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, OrganizationSession, create_engine
from recaster.service.accounts.service import create_organization
from recaster.service.tables import complete_metadata

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    complete_metadata().create_all(engine)
    database = Database(engine, clock=clock)
    yield database
    database.dispose()


@pytest.fixture
def organizations(database: Database) -> tuple[str, str]:
    """Ids of two organizations that must never see each other."""
    with database.system_write() as session:
        return create_organization(session, "Ours").id, create_organization(session, "Theirs").id


@pytest.fixture
def session(database: Database, organizations: tuple[str, str]) -> Iterator[OrganizationSession]:
    """A unit of work of the first organization."""
    with database.write(organizations[0]) as session:
        yield session


@pytest.fixture
def foreign_session(database: Database, organizations: tuple[str, str]) -> Iterator[OrganizationSession]:
    """A unit of work of the second organization, on the same data; use it after the first was committed."""
    with database.read(organizations[1]) as session:
        yield session
