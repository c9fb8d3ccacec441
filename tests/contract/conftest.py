"""An API without a worker: app, client, organization, keys, and factories for what a remix needs."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recaster.api.app import create_app
from recaster.infra import migrations
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, open_database
from recaster.infra.engine import migrate_engine
from recaster.infra.settings import Settings
from recaster.infra.storage import ObstoreObjectStore, open_storage
from recaster.service.accounts.service import create_organization
from recaster.service.credits.service import audit, grant
from recaster.service.influencers.model import Influencer
from recaster.service.keys.service import mint
from recaster.service.layers.model import Layer
from recaster.service.projects.model import Project
from recaster.service.social.model import SocialAccount
from recaster.service.sources.model import Source

TIKTOK_ID = "7301234567890123456"


POSTGRES = os.environ.get("RECASTER_TEST_DATABASE_URL", "")
"""Set it to the URL of an empty database whose user may create others, and the suite runs on Postgres."""


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


def copy_postgres() -> str:
    """Make a database from the migrated one and return its URL."""
    url = sa.make_url(POSTGRES)
    name = f"t_{uuid.uuid4().hex}"
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg", database="postgres"),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {url.database}")
    return url.set(database=name).render_as_string(hide_password=False)


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


@dataclass(frozen=True)
class World:
    """Rows that a remix needs, made past the API."""

    database: Database
    organization_id: str

    def project(self, name: str = "Tea") -> str:
        with self.database.write(self.organization_id) as session:
            row = Project(
                id=session.new_id("prj"),
                name=name,
                timezone="UTC",
                primary_language="en",
                app_name=None,
                app_description=None,
                tagline=None,
                brand_voice=None,
                audience=None,
                keywords=[],
                banned_words=[],
                required_terms=[],
                approved_facts=[],
                message_bank={},
                custom={},
                created_at=session.now,
                updated_at=session.now,
                archived_at=None,
            )
            session.add(row)
        return row.id

    def influencer(
        self, project_id: str, *, status: str = "ready", origin: str = "synthetic", consent: Any = None
    ) -> str:
        with self.database.write(self.organization_id) as session:
            row = Influencer(
                id=session.new_id("inf"),
                project_id=project_id,
                name="Ada",
                gender=None,
                age_range=None,
                brand_voice=None,
                language="en",
                status=status,
                origin=origin,
                consent=consent,
                reference_asset_ids=[],
                training_job_id=None,
                persona_key="persona" if status == "ready" else None,
                last_error=None,
                created_at=session.now,
                updated_at=session.now,
                archived_at=None,
            )
            session.add(row)
        return row.id

    def source(self, project_id: str, tiktok_id: str = TIKTOK_ID) -> str:
        with self.database.write(self.organization_id) as session:
            row = Source(
                id=session.new_id("src"),
                project_id=project_id,
                tiktok_video_id=tiktok_id,
                mime_type="video/mp4",
                size_bytes=1,
                width=720,
                height=1280,
                duration_ms=8000,
                checksum_sha256="0" * 64,
                object_key="sources/x.mp4",
                rights_basis="operator_statement",
                rights_note="test",
                rights_by="test",
                rights_at=session.now,
                author=None,
                caption=None,
                hashtags=[],
                views=None,
                likes=None,
                comments=None,
                shares=None,
                published_at=None,
                created_at=session.now,
            )
            session.add(row)
        return row.id

    def account(self, project_id: str) -> str:
        with self.database.write(self.organization_id) as session:
            identifier = session.new_id("sa")
            session.add(
                SocialAccount(
                    id=identifier,
                    project_id=project_id,
                    platform="tiktok",
                    handle=f"@{identifier}",
                    handle_key=identifier,
                    status="connected",
                    created_at=session.now,
                    archived_at=None,
                )
            )
        return identifier

    def layer(
        self, project_id: str, *, account: str | None = None, content: str | None = None, influencer: str | None = None
    ) -> str:
        with self.database.write(self.organization_id) as session:
            row = Layer(
                id=session.new_id("lay"),
                project_id=project_id,
                name=None,
                kind="social_distribution" if account else "social_content",
                social_account_id=account,
                content_layer_id=content,
                influencer_id=influencer,
                created_at=session.now,
                updated_at=session.now,
                archived_at=None,
            )
            session.add(row)
        return row.id


@pytest.fixture
def world(database: Database, organization_id: str) -> World:
    return World(database, organization_id)


@dataclass(frozen=True)
class Ready:
    """A project in which a remix is accepted."""

    project_id: str
    influencer_id: str
    path: str
    body: dict[str, str]


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
