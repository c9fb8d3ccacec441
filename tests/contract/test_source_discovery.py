"""Live search over HTTP, and the discovery that fills a portfolio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from recaster.api.app import create_app
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.service.fetching.breaker import FAILED_IDS, record
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.protocol import FetchedSource, SourceMetadata
from recaster.service.projects.model import Project
from recaster.service.sources.discovery import discover
from recaster.service.sources.finding import SourceFinder
from recaster.service.sources.model import Source

pytestmark = pytest.mark.contract

Headers = dict[str, str]
STUDY = SourceMetadata(
    "7301234567890120001", author="maya.studies", caption="how to revise for exams", views=100, duration_ms=9000,
    published_at=datetime(2026, 11, 20, tzinfo=UTC), thumbnail_url="https://p16.tiktokcdn.com/a.jpg",
)  # fmt: skip
CAT = SourceMetadata("7301234567890120002", author="cats", caption="my cat opens doors", views=9_000_000)
PICTURES = SourceMetadata("7301234567890120003", kind="slideshow", caption="exam memes")
LONG = SourceMetadata("7301234567890120004", caption="exam lecture", duration_ms=900_000)


class Platform:
    name = "yt-dlp"

    def __init__(self) -> None:
        self.found: tuple[SourceMetadata, ...] | TryLater = (CAT, STUDY, PICTURES, LONG)
        self.searched: list[str] = []

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        raise AssertionError("not here")

    def fetch(self, tiktok_video_id: str, folder: Path, **_: Any) -> FetchedSource:
        raise AssertionError("not here")

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        self.searched.append(keyword)
        if isinstance(self.found, TryLater):
            raise self.found
        return self.found[:limit]

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        self.searched.append(f"@{handle}")
        if isinstance(self.found, TryLater):
            raise self.found
        return tuple(found for found in self.found if found.author == handle)[:limit]


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def finder(settings: Settings, database: Database, platform: Platform) -> SourceFinder:
    return SourceFinder(settings, database, local=lambda _: (), platform=platform)


@pytest.fixture
def client(settings: Settings, database: Database, storage: ObjectStore, finder: SourceFinder) -> Iterator[TestClient]:
    chosen = settings.model_copy(update={"source_fetcher": "yt-dlp"})
    with TestClient(create_app(chosen, database=database, storage=storage, finder=finder)) as opened:
        yield opened


@pytest.fixture
def project_id(world: Any, database: Database) -> str:
    project = world.project()
    with database.system_write() as session:
        row = session.get_one(Project, project)
        row.keywords = ["exams", "study"]
        row.app_description = "An app that helps students prepare for exams."
    return str(project)


def recommended(client: TestClient, auth: Headers, project_id: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/projects/{project_id}/content/source-recommendations", params=query, headers=auth)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_keyword_searches_live_and_ranks_for_the_project(
    client: TestClient, auth: Headers, project_id: str, platform: Platform
) -> None:
    body = recommended(client, auth, project_id, keyword="exams")
    assert (body["source"], body["nextCursor"]) == ("live", None)
    ids = [item["tiktokVideoId"] for item in body["items"]]
    assert PICTURES.tiktok_video_id not in ids, "picture posts cannot be remixed"
    assert ids.index(STUDY.tiktok_video_id) < ids.index(CAT.tiktok_video_id)
    best = next(item for item in body["items"] if item["tiktokVideoId"] == STUDY.tiktok_video_id)
    assert best["url"] == "https://www.tiktok.com/@maya.studies/video/7301234567890120001"
    assert best["thumbnailUrl"] == "https://p16.tiktokcdn.com/a.jpg"
    assert best["reasons"]
    assert len(recommended(client, auth, project_id, keyword="exams", limit=1)["items"]) == 1


def test_what_a_live_search_found_is_accepted_without_another_question(
    client: TestClient, auth: Headers, ready: Any, project_id: str
) -> None:
    recommended(client, auth, project_id, keyword="exams")
    body = {**ready.body, "tiktokVideoId": STUDY.tiktok_video_id}
    assert client.post(ready.path, json=body, headers=auth).status_code == 202


def test_where_the_platform_cannot_be_searched_the_library_is_and_the_answer_says_so(
    client: TestClient, auth: Headers, project_id: str, platform: Platform, world: Any, database: Database
) -> None:
    source = world.source(project_id)
    with database.system_write() as session:
        session.get_one(Source, source).caption = "exams are near"
    platform.found = TryLater("Blocked.", signal="blocked")
    body = recommended(client, auth, project_id, keyword="exams")
    assert (body["source"], len(body["items"])) == ("portfolio", 1)


def test_without_a_keyword_nobody_is_asked(
    client: TestClient, auth: Headers, project_id: str, platform: Platform
) -> None:
    assert recommended(client, auth, project_id)["source"] == "portfolio"
    assert recommended(client, auth, project_id, keyword="exams", kind="slideshow")["items"] == []
    assert platform.searched == []


def test_an_open_breaker_keeps_searches_away(
    client: TestClient, auth: Headers, project_id: str, platform: Platform, database: Database
) -> None:
    for number in range(FAILED_IDS):
        with database.system_write() as session:
            record(session, "yt-dlp", f"73012345678901230{number:02d}", TryLater("No.", signal="blocked"))
    assert recommended(client, auth, project_id, keyword="exams")["source"] == "portfolio"
    assert platform.searched == []


def sources(database: Database) -> dict[str, Source]:
    with database.system_read() as session:
        return {row.tiktok_video_id: row for row in session.scalars(sa.select(Source))}


def test_a_discovery_lists_what_can_be_remixed_and_refreshes_what_is_known(
    settings: Settings, database: Database, finder: SourceFinder, platform: Platform, world: Any, project_id: str,
    clock: ManualClock,
) -> None:  # fmt: skip
    where = {"organization_id": world.organization_id, "project_id": project_id}
    done = discover(settings, database, finder, **where)
    assert (done.new, done.refreshed, done.skipped, done.searches, done.failed) == (2, 0, 2, 2, ())
    assert platform.searched == ["exams", "study"]
    rows = sources(database)
    assert set(rows) == {STUDY.tiktok_video_id, CAT.tiktok_video_id}
    listed = rows[STUDY.tiktok_video_id]
    assert (listed.state, listed.author, listed.views, listed.rights_basis) == ("listed", "maya.studies", 100, None)
    # Now the creators of the portfolio are looked at as well, and counts go on.
    platform.searched.clear()
    platform.found = (replace(STUDY, views=500, caption=None),)
    done = discover(settings, database, finder, **where)
    assert (done.new, done.refreshed) == (0, 1)
    assert platform.searched == ["exams", "study", "@cats", "@maya.studies"]
    listed = sources(database)[STUDY.tiktok_video_id]
    assert (listed.views, listed.caption) == (500, "how to revise for exams")


def test_a_discovery_says_which_searches_failed_and_may_be_told_where_to_look(
    settings: Settings, database: Database, finder: SourceFinder, platform: Platform, world: Any, project_id: str
) -> None:
    where = {"organization_id": world.organization_id, "project_id": project_id}
    done = discover(settings, database, finder, creators=["maya.studies"], **where)
    assert (done.new, platform.searched) == (1, ["@maya.studies"])
    platform.found = TryLater("Busy.", signal="transient")
    done = discover(settings, database, finder, keywords=["tea"], **where)
    assert (done.new, done.failed) == (0, ("keyword 'tea': Busy.",))
