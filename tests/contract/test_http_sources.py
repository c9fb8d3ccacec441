"""The remix request with ids that the library does not hold, and the library's own route."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
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
from recaster.service.content.model import Container
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.breaker import PROBE_EVERY, WINDOW, admit, record, state_of
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.protocol import FetchedSource, SourceMetadata
from recaster.service.jobs.model import Job
from recaster.service.sources.finding import REMEMBERED, SourceFinder
from recaster.service.sources.model import Source

pytestmark = pytest.mark.contract

Headers = dict[str, str]
UNKNOWN = "7301234567890123999"


class Platform:
    """A platform that answers as it is told, and counts the questions."""

    name = "yt-dlp"

    def __init__(self) -> None:
        self.answer: SourceMetadata | Exception | None = None
        self.asked: list[str] = []

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        self.asked.append(tiktok_video_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or SourceMetadata(tiktok_video_id, author="maya.studies", caption="tips", views=10)

    def fetch(self, tiktok_video_id: str, folder: Path, **_: Any) -> FetchedSource:
        raise AssertionError("the API fetches nothing")

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        raise AssertionError("not here")

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        raise AssertionError("not here")


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def client(
    settings: Settings, database: Database, storage: ObjectStore, platform: Platform, options: dict[str, Any]
) -> Iterator[TestClient]:
    chosen = settings.model_copy(update={"source_fetcher": "yt-dlp", **options})
    finder = SourceFinder(chosen, database, local=lambda _: (), platform=platform)
    with TestClient(
        create_app(chosen, database=database, storage=storage, finder=finder), raise_server_exceptions=False
    ) as opened:
        yield opened


def rows(database: Database, model: Any) -> list[Any]:
    with database.system_read() as session:
        return list(session.scalars(sa.select(model)))


def test_an_unknown_id_that_the_platform_knows_is_accepted_and_listed(
    client: TestClient, auth: Headers, ready: Any, database: Database, platform: Platform
) -> None:
    body = {**ready.body, "tiktokVideoId": UNKNOWN}
    response = client.post(ready.path, json=body, headers={**auth, "Idempotency-Key": "k"})
    assert response.status_code == 202, response.text
    source = next(row for row in rows(database, Source) if row.tiktok_video_id == UNKNOWN)
    assert (source.state, source.author, source.object_key, source.rights_basis) == (
        "listed",
        "maya.studies",
        None,
        None,
    )
    container = client.get(f"/v1/content/{response.json()['containerIds'][0]}", headers=auth).json()
    assert container["sourceCredit"] == "@maya.studies"
    # The same request again is the same job; the same id again is known for a day.
    again = client.post(ready.path, json=body, headers={**auth, "Idempotency-Key": "k"})
    assert (again.json(), again.headers["idempotent-replayed"]) == (response.json(), "true")
    assert client.post(ready.path, json=body, headers=auth).status_code == 202
    assert platform.asked == [UNKNOWN]


def test_an_id_that_is_not_fetchable_is_refused_and_remembered_for_a_while(
    client: TestClient, auth: Headers, ready: Any, database: Database, platform: Platform, clock: ManualClock
) -> None:
    platform.answer = InvalidTiktokId("Private.", reason="private", platformCode=10216)
    for _ in range(2):
        response = client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (422, "INVALID_TIKTOK_ID")
        assert (error["details"]["reason"], error["details"]["platformCode"]) == ("private", 10216)
    assert len(platform.asked) == 1
    assert rows(database, Job) == rows(database, Container) == []
    clock.advance(REMEMBERED)
    platform.answer = None
    assert client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth).status_code == 202


@pytest.mark.parametrize("signal", ["transient", "blocked", "broken", "login", "unsure", "refused"])
def test_a_platform_that_cannot_say_now_never_makes_an_id_invalid(
    client: TestClient, auth: Headers, ready: Any, database: Database, platform: Platform, signal: Any
) -> None:
    platform.answer = TryLater("Not now.", signal=signal)
    response = client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth)
    assert response.status_code == 202
    (source,) = [row for row in rows(database, Source) if row.tiktok_video_id == UNKNOWN]
    assert (source.state, source.seen_at) == ("listed", None)


def test_nothing_is_asked_before_every_earlier_check_has_passed(
    client: TestClient, auth: Headers, ready: Any, platform: Platform, make_key: Callable[..., Headers]
) -> None:
    unknown = {**ready.body, "tiktokVideoId": UNKNOWN}
    for path, body, headers, code in (
        (ready.path, {"tiktokVideoId": UNKNOWN}, auth, "INFLUENCER_REQUIRED"),
        (ready.path, {**unknown, "influencerId": "inf_nobody"}, auth, "NOT_FOUND"),
        (ready.path, {**unknown, "hook": "x"}, auth, "VALIDATION"),
        (ready.path, unknown, make_key("content:read"), "FORBIDDEN_SCOPE"),
        (ready.path.replace("prj_", "prj_0"), unknown, auth, "NOT_FOUND"),
        (ready.path, {**unknown, "tiktokVideoId": "12"}, auth, "INVALID_TIKTOK_ID"),
    ):
        response = client.post(path, json=body, headers=headers)
        assert response.json()["error"]["code"] == code
    assert platform.asked == []


def test_while_the_breaker_is_open_unknown_ids_are_accepted_unasked_and_known_ones_go_on(
    client: TestClient, auth: Headers, ready: Any, platform: Platform, database: Database, clock: ManualClock
) -> None:
    platform.answer = TryLater("The page was not understood.", signal="broken")
    for number in range(4):
        fail(database, number)
    body = {**ready.body, "tiktokVideoId": "7301234567890123004"}
    assert client.post(ready.path, json=body, headers=auth).status_code == 202
    assert client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth).status_code == 202
    assert UNKNOWN not in platform.asked
    assert client.post(ready.path, json=ready.body, headers=auth).status_code == 202
    # After five minutes one look is let through, and its answer closes the breaker.
    clock.advance(PROBE_EVERY)
    platform.answer = None
    assert client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth).status_code == 202
    assert platform.asked[-1] == UNKNOWN
    with database.system_read() as session:
        assert state_of(session, "yt-dlp") is None


def fail(database: Database, number: int, signal: Any = "blocked") -> None:
    with database.system_write() as session:
        record(session, "yt-dlp", f"73012345678901230{number:02d}", TryLater("No.", signal=signal))


def is_open(database: Database) -> bool:
    with database.system_read() as session:
        return state_of(session, "yt-dlp") is not None


def test_when_the_breaker_opens_and_when_not(database: Database, clock: ManualClock) -> None:
    for _ in range(9):
        fail(database, 1)
    for number in range(2, 5):
        fail(database, number)
    assert not is_open(database), "four ids are not five"
    for number in range(10, 20):
        fail(database, number, "transient")
    assert not is_open(database), "one id's trouble and busy servers are not counted"
    clock.advance(WINDOW)
    fail(database, 5)
    assert not is_open(database), "the four are too long ago"
    with database.system_write() as session:
        record(session, "yt-dlp", "7301234567890123777", InvalidTiktokId("Private.", reason="private"))
    for number in range(6, 12):
        fail(database, number)
    assert not is_open(database), "an answer within the window shows that it works"
    clock.advance(WINDOW)
    for number in range(5):
        fail(database, number)
    assert is_open(database)


def test_an_open_breaker_lets_one_look_through_every_five_minutes(database: Database, clock: ManualClock) -> None:
    for number in range(5):
        fail(database, number)

    def admitted() -> bool:
        try:
            with database.system_write() as session:
                admit(session, "yt-dlp")
        except TryLater as later:
            return later.signal != "paused"
        return True

    assert not admitted()
    clock.advance(PROBE_EVERY - timedelta(seconds=1))
    assert not admitted()
    clock.advance(timedelta(seconds=1))
    assert [admitted(), admitted()] == [True, False]
    fail(database, 1)
    assert is_open(database)
    clock.advance(PROBE_EVERY)
    assert admitted()
    with database.system_write() as session:
        record(session, "yt-dlp", UNKNOWN, SourceMetadata(UNKNOWN))
    assert not is_open(database)
    assert admitted()


class TestRights:
    @pytest.fixture
    def options(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return dict(request.param)

    @pytest.mark.parametrize("options", [{"require_source_rights": True}], indirect=True)
    def test_a_source_without_a_basis_is_refused_where_the_policy_asks_for_one(
        self, client: TestClient, auth: Headers, ready: Any, database: Database
    ) -> None:
        response = client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth)
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["details"]["subcode"]) == (
            409, "CONFLICT", "SOURCE_RIGHTS_MISSING",
        )  # fmt: skip
        assert rows(database, Job) == []
        # The uploaded one carries its basis.
        assert client.post(ready.path, json=ready.body, headers=auth).status_code == 202
        fields = {
            "tiktokVideoId": UNKNOWN, "rightsBasis": "creator_permission", "rightsNote": "Mail of 3 May.",
            "rightsBy": "Lena",
        }  # fmt: skip
        added = client.post(f"/v1/projects/{ready.project_id}/sources", files=form(fields), headers=auth)
        assert added.status_code == 201, added.text
        view = added.json()
        assert (view["state"], view["mimeType"], view["author"]) == ("listed", None, "maya.studies")
        assert view["rights"] == {
            "basis": "creator_permission", "note": "Mail of 3 May.", "by": "Lena", "at": "2026-11-24T12:00:00.000Z",
        }  # fmt: skip
        assert client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth).status_code == 202

    @pytest.mark.parametrize(
        "options",
        [{"require_source_rights": True, "source_rights_statement": "We license everything we fetch."}],
        indirect=True,
    )
    def test_the_operators_statement_is_written_down_with_each_source(
        self, client: TestClient, auth: Headers, ready: Any, database: Database
    ) -> None:
        response = client.post(ready.path, json={**ready.body, "tiktokVideoId": UNKNOWN}, headers=auth)
        assert response.status_code == 202, response.text
        source = next(row for row in rows(database, Source) if row.tiktok_video_id == UNKNOWN)
        assert (source.rights_basis, source.rights_by) == ("operator_statement", "operator")
        assert source.rights_note == "We license everything we fetch."
        assert source.rights_at is not None


def form(fields: dict[str, str]) -> dict[str, tuple[None, str]]:
    """A multipart form without a file."""
    return {name: (None, value) for name, value in fields.items()}


def test_an_id_can_be_added_without_a_file(client: TestClient, auth: Headers, ready: Any, platform: Platform) -> None:
    path = f"/v1/projects/{ready.project_id}/sources"
    platform.answer = InvalidTiktokId("Private.", reason="private")
    fields = {"tiktokVideoId": UNKNOWN, "rightsNote": "Ours."}
    assert client.post(path, files=form(fields), headers=auth).json()["error"]["code"] == "INVALID_TIKTOK_ID"
    malformed = client.post(path, files=form({**fields, "tiktokVideoId": "1"}), headers=auth)
    assert malformed.json()["error"]["details"]["issues"][0]["path"] == "tiktokVideoId"
    known = client.post(
        path, files=form({"tiktokVideoId": ready.body["tiktokVideoId"], "rightsNote": "x"}), headers=auth
    )
    assert known.json()["error"]["details"]["subcode"] == "SOURCE_EXISTS"


def test_a_repeated_addition_is_the_first_answer_whatever_the_platform_says_by_then(
    client: TestClient, auth: Headers, ready: Any, platform: Platform, clock: ManualClock
) -> None:
    path = f"/v1/projects/{ready.project_id}/sources"
    fields = form({"tiktokVideoId": UNKNOWN, "rightsNote": "Ours."})
    keyed = {**auth, "Idempotency-Key": "k"}
    first = client.post(path, files=fields, headers=keyed)
    clock.advance(REMEMBERED)
    platform.answer = InvalidTiktokId("Private.", reason="private")
    again = client.post(path, files=fields, headers=keyed)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
