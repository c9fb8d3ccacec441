"""An API without a worker: app, client, organization, keys, and factories for what a remix needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from worlds import POSTGRES, TIKTOK_ID, Ready, World, copy_postgres

from recaster.api.app import create_app
from recaster.infra import migrations
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, open_database
from recaster.infra.engine import migrate_engine
from recaster.infra.settings import Settings
from recaster.infra.storage import ObstoreObjectStore, open_storage
from recaster.service.accounts.service import create_organization
from recaster.service.credits.service import audit, grant
from recaster.service.keys.service import mint


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating anew for every test would take most of the time."""
    home = tmp_path_factory.mktemp("template")
    settings = Settings(home=home, database_url=POSTGRES)
    database = open_database(settings)
    migrations.upgrade(database)
    migrate_engine(settings)
    database.dispose()
    return home / "recaster.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC))


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    if POSTGRES:
        return Settings(home=home, database_url=copy_postgres())
    shutil.copyfile(empty_database, home / "recaster.db")
    return Settings(home=home)


@pytest.fixture
def database(settings: Settings, clock: ManualClock) -> Iterator[Database]:
    opened = open_database(settings, clock=clock)
    yield opened
    opened.dispose()


@pytest.fixture
def storage(settings: Settings) -> ObstoreObjectStore:
    return open_storage(settings)


@pytest.fixture
def app(settings: Settings, database: Database, storage: ObstoreObjectStore) -> FastAPI:
    return create_app(settings, database=database, storage=storage)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def make_organization(database: Database) -> Iterator[Callable[..., str]]:
    """Make an organization with credits; at the end of the test its ledger must balance."""
    made: list[str] = []

    def make(name: str = "Tea House", *, credits: int = 1000, tier: Any = "standard") -> str:
        with database.system_write() as session:
            organization = create_organization(session, name, tier)
            if credits:
                grant(session, organization.id, credits)
        made.append(organization.id)
        return organization.id

    yield make
    with database.system_read() as session:
        assert [finding for organization_id in made for finding in audit(session, organization_id)] == []


@pytest.fixture
def organization_id(make_organization: Callable[..., str]) -> str:
    return make_organization()


@pytest.fixture
def make_key(database: Database, settings: Settings, organization_id: str) -> Callable[..., dict[str, str]]:
    """Mint a key and return the headers that carry it."""

    def make(*scopes: str, organization: str | None = None, tier: Any = "partner") -> dict[str, str]:
        with database.system_write() as session:
            minted = mint(
                session,
                settings.pepper(),
                organization or organization_id,
                name="test",
                scopes=scopes or ("*",),
                tier=tier,
            )
        return {"Authorization": f"Bearer {minted.token}"}

    return make


@pytest.fixture
def auth(make_key: Callable[..., dict[str, str]]) -> dict[str, str]:
    """Headers of a key with all data scopes."""
    return make_key("*")


@pytest.fixture
def world(database: Database, organization_id: str) -> World:
    return World(database, organization_id)


@pytest.fixture
def ready(world: World) -> Ready:
    project_id = world.project()
    influencer_id = world.influencer(project_id)
    world.source(project_id)
    return Ready(
        project_id,
        influencer_id,
        f"/v1/projects/{project_id}/content/video-remix",
        {"tiktokVideoId": TIKTOK_ID, "influencerId": influencer_id},
    )
