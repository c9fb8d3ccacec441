from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.engine import EngineClient
from recaster.infra.settings import Settings
from recaster.service.content.model import Container
from recaster.service.credits import service as credits_service
from recaster.service.credits.model import Reservation
from recaster.service.idempotency.model import IdempotencyKey
from recaster.service.jobs.model import Job
from recaster.service.projects import service as projects

pytestmark = pytest.mark.contract

Headers = dict[str, str]


def count(database: Database) -> tuple[int, int, int, int]:
    """Jobs, containers, reservations, idempotency keys."""
    with database.system_read() as session:
        jobs, containers, reservations, keys = (
            session.scalar(sa.select(sa.func.count()).select_from(model))
            for model in (Job, Container, Reservation, IdempotencyKey)
        )
    return jobs, containers, reservations, keys


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_an_accepted_remix(
    client: TestClient, auth: Headers, ready: Any, settings: Settings, database: Database
) -> None:
    response = client.post(ready.path, json=ready.body, headers=auth)
    assert response.status_code == 202, response.text
    body = response.json()
    assert set(body) == {"jobId", "kind", "status", "containerIds", "locationUrl"}
    assert re.fullmatch(r"job_[0-9A-HJKMNP-TV-Z]{26}", body["jobId"])
    assert (body["kind"], body["status"]) == ("content_generate", "running")
    assert len(body["containerIds"]) == 1
    assert response.headers["location"] == body["locationUrl"] == f"/v1/jobs/{body['jobId']}"
    assert response.headers["retry-after"] == "2"
    assert response.headers["x-ratelimit-endpoint-class"] == "long-running"
    assert "idempotent-replayed" not in response.headers

    job = client.get(body["locationUrl"], headers=auth).json()
    assert job == {
        "jobId": body["jobId"], "kind": "content_generate", "status": "running", "stage": "queued", "progress": 0.0,
        "projectId": ready.project_id, "containerIds": body["containerIds"], "startedAt": "2026-11-24T12:00:00.000Z",
        "finishedAt": None, "result": None, "error": None,
    }  # fmt: skip
    wallet = client.get("/v1/credits", headers=auth).json()
    assert (wallet["balance"], wallet["available"], wallet["reservedCredits"]) == (1000, 880, 120)
    engine = EngineClient(settings)
    assert engine.status(body["jobId"]) == "ENQUEUED"
    engine.close()


def test_the_bare_project_uuid_is_accepted(client: TestClient, auth: Headers, ready: Any) -> None:
    path = ready.path.replace("prj_", "")
    assert client.post(path, json=ready.body, headers=auth).status_code == 202


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"hook": "x"}, "hook"),
        ({"variantCount": 2}, "variantCount"),
        ({"tiktokVideoId": 7301234567890123456}, "tiktokVideoId"),
        ({"tiktokVideoId": None}, "tiktokVideoId"),
        ({"influencerId": ["x"]}, "influencerId"),
    ],
)
def test_a_wrong_body_names_the_field(
    client: TestClient, auth: Headers, ready: Any, database: Database, change: dict[str, Any], path: str
) -> None:
    response = client.post(ready.path, json={**ready.body, **change}, headers=auth)
    assert code_of(response) == (422, "VALIDATION")
    issues = response.json()["error"]["details"]["issues"]
    assert [issue["path"] for issue in issues] == [path]
    assert all(issue["message"] for issue in issues)
    assert count(database) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"{", "application/json", (422, "VALIDATION")),
        (b"", "application/json", (422, "VALIDATION")),
        (b"[]", "application/json", (422, "VALIDATION")),
        (b"\xff", "application/json", (422, "VALIDATION")),
        (b"{}", "text/plain", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (b" " * 1_048_577, "application/json", (413, "PAYLOAD_TOO_LARGE")),
    ],
)
def test_a_body_that_cannot_be_read(
    client: TestClient, auth: Headers, ready: Any, content: bytes, kind: str, expected: tuple[int, str]
) -> None:
    response = client.post(ready.path, content=content, headers={**auth, "Content-Type": kind})
    assert code_of(response) == expected


def test_a_body_without_length_is_limited_while_it_is_read(client: TestClient, auth: Headers, ready: Any) -> None:
    def endless() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    response = client.post(ready.path, content=endless(), headers={**auth, "Content-Type": "application/json"})
    assert code_of(response) == (413, "PAYLOAD_TOO_LARGE")


def test_unknown_ids_are_not_found(client: TestClient, auth: Headers, ready: Any, world: Any) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    cases = [
        (ready.path.replace(ready.project_id, f"prj_{unknown}"), ready.body),
        (ready.path.replace(ready.project_id, "../../x"), ready.body),
        (ready.path, {**ready.body, "influencerId": f"inf_{unknown}"}),
        (ready.path, {**ready.body, "influencerId": "rubbish"}),
        (ready.path, {**ready.body, "socialAccountId": f"sa_{unknown}"}),
    ]
    other_project = world.project("Other")
    cases.append((ready.path, {**ready.body, "influencerId": world.influencer(other_project)}))
    cases.append((ready.path, {**ready.body, "socialAccountId": world.account(other_project)}))
    for path, body in cases:
        assert code_of(client.post(path, json=body, headers=auth)) == (404, "NOT_FOUND"), (path, body)


def test_an_archived_project_is_not_found(
    client: TestClient, auth: Headers, ready: Any, database: Database, organization_id: str
) -> None:
    with database.write(organization_id) as session:
        projects.archive(session, projects.require_project(session, ready.project_id))
    assert code_of(client.post(ready.path, json=ready.body, headers=auth)) == (404, "NOT_FOUND")


def test_another_organization_sees_nothing(
    client: TestClient,
    auth: Headers,
    ready: Any,
    make_organization: Callable[..., str],
    make_key: Callable[..., Headers],
) -> None:
    accepted = client.post(ready.path, json=ready.body, headers=auth).json()
    stranger = make_key("*", organization=make_organization("Coffee House"))
    for path in (
        accepted["locationUrl"],
        f"/v1/content/{accepted['containerIds'][0]}",
        f"/v1/content/{accepted['containerIds'][0]}/progress",
        f"/v1/content/{accepted['containerIds'][0]}/assets/ast_00000000-0000-4000-8000-000000000000",
    ):
        foreign = client.get(path, headers=stranger)
        assert code_of(foreign) == (404, "NOT_FOUND")
    assert code_of(client.post(ready.path, json=ready.body, headers=stranger)) == (404, "NOT_FOUND")
    assert code_of(client.post(f"{accepted['locationUrl']}/cancel", headers=stranger)) == (404, "NOT_FOUND")


def test_the_wiring_chain_answers_each_broken_link(client: TestClient, auth: Headers, ready: Any, world: Any) -> None:
    def post(**body: str) -> Any:
        body["tiktokVideoId"] = ready.body["tiktokVideoId"]
        return client.post(ready.path, json=body, headers=auth)

    assert code_of(post()) == (422, "INFLUENCER_REQUIRED")
    account = world.account(ready.project_id)
    assert code_of(post(socialAccountId=account)) == (422, "ACCOUNT_NOT_WIRED")
    unwired = world.account(ready.project_id)
    world.layer(ready.project_id, account=unwired)
    assert code_of(post(socialAccountId=unwired)) == (422, "NO_CONTENT_LAYER_WIRED")
    assert code_of(post(socialAccountId=unwired, influencerId=ready.influencer_id)) == (422, "NO_CONTENT_LAYER_WIRED")
    faceless = world.account(ready.project_id)
    world.layer(ready.project_id, account=faceless, content=world.layer(ready.project_id))
    assert code_of(post(socialAccountId=faceless)) == (422, "INFLUENCER_NOT_WIRED")
    named = post(socialAccountId=faceless, influencerId=ready.influencer_id)
    assert named.status_code == 202
    wired = world.account(ready.project_id)
    content = world.layer(ready.project_id, influencer=ready.influencer_id)
    world.layer(ready.project_id, account=wired, content=content)
    accepted = post(socialAccountId=wired)
    assert accepted.status_code == 202
    container = client.get(f"/v1/content/{accepted.json()['containerIds'][0]}", headers=auth).json()
    assert container["influencerId"] == ready.influencer_id
    assert container["socialAccountId"] == wired
    assert container["layerId"] is not None


@pytest.mark.parametrize(("status", "expected"), [("pending", 202), ("training", 202), ("ready", 202), ("failed", 409)])
def test_influencer_status(
    client: TestClient, auth: Headers, ready: Any, world: Any, status: str, expected: int
) -> None:
    body = {**ready.body, "influencerId": world.influencer(ready.project_id, status=status)}
    response = client.post(ready.path, json=body, headers=auth)
    assert response.status_code == expected
    if expected == 409:
        assert response.json()["error"]["details"]["subcode"] == "INFLUENCER_FAILED"


def test_a_person_without_a_grant_is_refused(client: TestClient, auth: Headers, ready: Any, world: Any) -> None:
    body = {**ready.body, "influencerId": world.influencer(ready.project_id, origin="consented_person")}
    assert code_of(client.post(ready.path, json=body, headers=auth)) == (409, "CONSENT_MISSING")


@pytest.mark.parametrize(
    ("tiktok_id", "reason"),
    [("", "malformed"), ("abc", "malformed"), ("7" * 16, "malformed"), ("7" * 21, "malformed"), ("٧" * 19, "malformed"),
     ("7" * 19, "unavailable")],
)  # fmt: skip
def test_a_source_that_is_not_there(client: TestClient, auth: Headers, ready: Any, tiktok_id: str, reason: str) -> None:
    response = client.post(ready.path, json={**ready.body, "tiktokVideoId": tiktok_id}, headers=auth)
    assert code_of(response) == (422, "INVALID_TIKTOK_ID")
    assert response.json()["error"]["details"]["reason"] == reason


def test_too_few_credits(
    client: TestClient, ready: Any, auth: Headers, database: Database, organization_id: str
) -> None:
    with database.system_write() as session:
        credits_service.grant(session, organization_id, -(1000 - 239), kind="adjustment")
    assert client.post(ready.path, json=ready.body, headers=auth).status_code == 202
    response = client.post(ready.path, json=ready.body, headers=auth)
    assert code_of(response) == (402, "BILLING_EXHAUSTED")
    details = response.json()["error"]["details"]
    assert (details["required"], details["available"]) == (120, 119)
    assert count(database)[:3] == (1, 1, 1)


def test_the_organizations_running_jobs_are_capped(client: TestClient, auth: Headers, ready: Any) -> None:
    accepted = [client.post(ready.path, json=ready.body, headers=auth) for _ in range(5)]
    assert {response.status_code for response in accepted} == {202}
    refused = client.post(ready.path, json=ready.body, headers=auth)
    assert code_of(refused) == (429, "RATE_LIMITED")
    assert int(refused.headers["retry-after"]) > 0
    client.post(f"{accepted[0].json()['locationUrl']}/cancel", headers=auth)
    assert client.post(ready.path, json=ready.body, headers=auth).status_code == 202


def test_the_first_failure_answers(
    client: TestClient,
    ready: Any,
    make_key: Callable[..., Headers],
    auth: Headers,
    database: Database,
    organization_id: str,
) -> None:
    """Each step repairs the failure that answered; the next check must then speak."""
    wrong = "/v1/projects/nothing/content/video-remix"
    worst = {"tiktokVideoId": "x", "influencerId": "inf_x", "hook": "y"}
    with database.system_write() as session:
        credits_service.grant(session, organization_id, -1000, kind="adjustment")
    assert code_of(client.post(wrong, json=worst))[1] == "UNAUTHENTICATED"
    assert code_of(client.post(wrong, json=worst, headers=make_key("jobs:read")))[1] == "FORBIDDEN_SCOPE"
    assert code_of(client.post(wrong, json=worst, headers=auth))[1] == "VALIDATION"
    del worst["hook"]
    assert code_of(client.post(wrong, json=worst, headers=auth))[1] == "NOT_FOUND"
    worst["influencerId"] = ready.influencer_id
    assert code_of(client.post(ready.path, json=worst, headers=auth))[1] == "INVALID_TIKTOK_ID"
    assert code_of(client.post(ready.path, json=ready.body, headers=auth))[1] == "BILLING_EXHAUSTED"


# -- idempotency ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["key-1", '"key-1"'])
def test_a_replay_equals_the_first_answer(
    client: TestClient, auth: Headers, ready: Any, database: Database, second: str
) -> None:
    first = client.post(ready.path, json=ready.body, headers={**auth, "Idempotency-Key": "key-1"})
    again = client.post(
        ready.path, json=dict(reversed(ready.body.items())), headers={**auth, "Idempotency-Key": second}
    )
    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    for header in ("location", "retry-after", "content-type"):
        assert again.headers[header] == first.headers[header]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert count(database) == (1, 1, 1, 1)


def test_another_body_conflicts_and_has_no_effect(
    client: TestClient, auth: Headers, ready: Any, world: Any, database: Database
) -> None:
    keyed = {**auth, "Idempotency-Key": "key-1"}
    assert client.post(ready.path, json=ready.body, headers=keyed).status_code == 202
    changed = {**ready.body, "influencerId": world.influencer(ready.project_id)}
    assert code_of(client.post(ready.path, json=changed, headers=keyed)) == (409, "IDEMPOTENCY_CONFLICT")
    assert count(database) == (1, 1, 1, 1)


def test_another_path_with_the_same_key_conflicts(client: TestClient, auth: Headers, ready: Any, world: Any) -> None:
    keyed = {**auth, "Idempotency-Key": "key-1"}
    assert client.post(ready.path, json=ready.body, headers=keyed).status_code == 202
    other = ready.path.replace(ready.project_id, world.project("Other"))
    assert code_of(client.post(other, json=ready.body, headers=keyed)) == (409, "IDEMPOTENCY_CONFLICT")


def test_keys_of_two_api_keys_and_two_routes_never_meet(
    client: TestClient, auth: Headers, ready: Any, make_key: Callable[..., Headers]
) -> None:
    first = client.post(ready.path, json=ready.body, headers={**auth, "Idempotency-Key": "k"}).json()
    second = client.post(ready.path, json=ready.body, headers={**make_key("*"), "Idempotency-Key": "k"}).json()
    assert first["jobId"] != second["jobId"]
    canceled = client.post(f"{first['locationUrl']}/cancel", headers={**auth, "Idempotency-Key": "k"})
    assert canceled.json() == {"jobId": first["jobId"], "accepted": True, "reason": None}


def test_an_error_leaves_the_key_free(client: TestClient, auth: Headers, ready: Any, database: Database) -> None:
    keyed = {**auth, "Idempotency-Key": "key-1"}
    assert client.post(ready.path, json={**ready.body, "tiktokVideoId": "7" * 19}, headers=keyed).status_code == 422
    assert count(database) == (0, 0, 0, 0)
    assert client.post(ready.path, json=ready.body, headers=keyed).status_code == 202


def test_the_window_ends_after_24_hours(client: TestClient, auth: Headers, ready: Any, clock: ManualClock) -> None:
    keyed = {**auth, "Idempotency-Key": "key-1"}
    first = client.post(ready.path, json=ready.body, headers=keyed).json()
    clock.advance(timedelta(hours=24, seconds=-1))
    assert client.post(ready.path, json=ready.body, headers=keyed).json() == first
    clock.advance(timedelta(seconds=1))
    fresh = client.post(ready.path, json=ready.body, headers=keyed)
    assert fresh.json()["jobId"] != first["jobId"]
    assert "idempotent-replayed" not in fresh.headers


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, "ключ".encode()])
def test_a_malformed_key_is_refused(client: TestClient, auth: Headers, ready: Any, key: str | bytes) -> None:
    response = client.post(ready.path, json=ready.body, headers={**auth, "Idempotency-Key": key})
    assert code_of(response) == (422, "VALIDATION")


def test_sixteen_at_once_make_one_job(client: TestClient, auth: Headers, ready: Any, database: Database) -> None:
    barrier = Barrier(16)
    keyed = {**auth, "Idempotency-Key": "key-1"}

    def send(_: int) -> Any:
        barrier.wait()
        return client.post(ready.path, json=ready.body, headers=keyed)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert count(database) == (1, 1, 1, 1)


def test_money_for_three_accepts_three_of_twelve(
    client: TestClient, ready: Any, auth: Headers, database: Database, organization_id: str
) -> None:
    with database.system_write() as session:
        credits_service.grant(session, organization_id, -(1000 - 400), kind="adjustment")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post(ready.path, json=ready.body, headers=auth), range(12)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [402] * 9
    assert count(database)[:3] == (3, 3, 3)
