"""Rows that a remix needs, made past the API, and where the test databases come from."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recaster.infra.database import Database
from recaster.service.influencers.model import Influencer
from recaster.service.layers.model import Layer
from recaster.service.projects.model import Project
from recaster.service.social.model import SocialAccount
from recaster.service.sources.model import Source

TIKTOK_ID = "7301234567890123456"


POSTGRES = os.environ.get("RECASTER_TEST_DATABASE_URL", "")
"""Set it to the URL of an empty database whose user may create others, and the suite runs on Postgres."""


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


@dataclass(frozen=True)
class Ready:
    """A project in which a remix is accepted."""

    project_id: str
    influencer_id: str
    path: str
    body: dict[str, str]
