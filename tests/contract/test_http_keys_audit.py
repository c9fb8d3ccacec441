"""API keys and the audit log over the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.settings import Settings
from recaster.service.auditing import service as auditing

pytestmark = pytest.mark.contract

Headers = dict[str, str]


@pytest.fixture
def admin(make_key: Callable[..., Headers]) -> Headers:
    return make_key("org:admin")


def bearer(secret: str) -> Headers:
    return {"Authorization": f"Bearer {secret}"}


def mint(client: TestClient, admin: Headers, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/api-keys", json={"name": "shop", "scopes": ["jobs:read"], **more}, headers=admin)
    assert response.status_code == 201, response.text
    return dict(response.json())


def test_a_minted_key_works_and_is_shown_once(client: TestClient, admin: Headers, settings: Settings) -> None:
    made = mint(client, admin)
    key, secret = made["apiKey"], made["secret"]
    assert secret.startswith(f"{key['keyPrefix']}_")
    assert (key["status"], key["environment"], key["scopes"], key["rateLimitTier"]) == (
        "active",
        "live",
        ["jobs:read"],
        "standard",
    )
    who = client.get("/v1/whoami", headers=bearer(secret)).json()
    assert (who["apiKeyId"], who["scopes"]) == (key["id"], ["jobs:read"])
    listed = client.get("/v1/api-keys", headers=admin)
    assert secret not in listed.text
    assert key["id"] in [item["id"] for item in listed.json()["items"]]


def test_minting_twice_with_one_idempotency_key_is_one_key(
    client: TestClient, admin: Headers, database: Database, settings: Settings
) -> None:
    headers = {**admin, "Idempotency-Key": "mint-1"}
    body = {"name": "shop", "scopes": ["jobs:read"]}
    first, again = (client.post("/v1/api-keys", json=body, headers=headers) for _ in range(2))
    assert first.content == again.content
    assert len(client.get("/v1/api-keys", headers=admin).json()["items"]) == 2
    if settings.is_sqlite:
        database.engine.dispose()
        stored = b"".join(file.read_bytes() for file in settings.home.glob("recaster.db*"))
        assert first.json()["secret"][25:].encode() not in stored


def test_rotation_overlaps_for_a_day(client: TestClient, admin: Headers, clock: ManualClock) -> None:
    made = mint(client, admin)
    path = f"/v1/api-keys/{made['apiKey']['id']}/rotate"
    second = client.post(path, headers=admin).json()
    assert second["apiKey"]["id"] == made["apiKey"]["id"]
    assert second["apiKey"]["previousExpiresAt"] == "2026-11-25T12:00:00.000Z"
    for secret in (made["secret"], second["secret"]):
        assert client.get("/v1/whoami", headers=bearer(secret)).json()["apiKeyId"] == made["apiKey"]["id"]
    third = client.post(path, headers=admin).json()
    answers = [client.get("/v1/whoami", headers=bearer(one["secret"])).status_code for one in (made, second, third)]
    assert answers == [401, 200, 200]
    clock.advance(timedelta(hours=24))
    answers = [client.get("/v1/whoami", headers=bearer(one["secret"])).status_code for one in (second, third)]
    assert answers == [401, 200]


def test_killed_and_revoked_keys(client: TestClient, admin: Headers) -> None:
    made = mint(client, admin)
    path = f"/v1/api-keys/{made['apiKey']['id']}"
    rotated = client.post(f"{path}/rotate", headers=admin).json()
    assert client.post(f"{path}/kill", headers=admin).json()["status"] == "killed"
    for secret in (made["secret"], rotated["secret"]):
        response = client.get("/v1/whoami", headers=bearer(secret))
        assert (response.status_code, response.json()["error"]["code"]) == (503, "KILL_SWITCH")
        assert response.json()["error"]["details"]["scope"] == "api_key"
        assert response.headers["x-ratelimit-endpoint-class"] == "read-light"
    assert client.delete(path, headers=admin).status_code == 204
    assert client.get("/v1/whoami", headers=bearer(rotated["secret"])).status_code == 401
    for response in (client.delete(path, headers=admin), client.post(f"{path}/rotate", headers=admin)):
        assert response.status_code == 404


def test_the_last_use_is_remembered(client: TestClient, admin: Headers, app: FastAPI, clock: ManualClock) -> None:
    made = mint(client, admin)
    clock.advance(timedelta(minutes=5))
    client.get("/v1/whoami", headers=bearer(made["secret"]))
    app.state.services.usage.flush()
    listed = {item["id"]: item for item in client.get("/v1/api-keys", headers=admin).json()["items"]}
    assert listed[made["apiKey"]["id"]]["lastUsedAt"] == "2026-11-24T12:05:00.000Z"


def test_a_sandbox_key_administers_sandbox_keys_only(client: TestClient, admin: Headers) -> None:
    live = mint(client, admin)
    sandbox = bearer(mint(client, admin, environment="test", scopes=["org:admin"])["secret"])
    assert sandbox["Authorization"].startswith("Bearer lp_test_")
    refused = client.post("/v1/api-keys", json={"name": "x", "scopes": []}, headers=sandbox)
    assert (refused.status_code, refused.json()["error"]["details"]["issues"][0]["path"]) == (422, "environment")
    made = mint(client, sandbox, environment="test")
    assert {item["environment"] for item in client.get("/v1/api-keys", headers=sandbox).json()["items"]} == {"test"}
    assert client.post(f"/v1/api-keys/{live['apiKey']['id']}/rotate", headers=sandbox).status_code == 404
    assert client.post(f"/v1/api-keys/{made['apiKey']['id']}/kill", headers=sandbox).status_code == 200


@pytest.mark.parametrize(
    "body",
    [{"name": "x"}, {"name": "", "scopes": []}, {"name": "x", "scopes": ["all"]}, {"name": "x", "scopes": ["*", "*"]},
     {"name": "x", "scopes": [], "tier": "partner"}, {"name": "x", "scopes": [], "environment": "prod"}],
)  # fmt: skip
def test_bad_bodies(client: TestClient, admin: Headers, body: dict[str, Any]) -> None:
    response = client.post("/v1/api-keys", json=body, headers=admin)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION")


def test_there_is_a_bound_on_keys(client: TestClient, admin: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaster.service.keys.service.MOST_KEYS", 3)
    made = [mint(client, admin) for _ in range(2)]
    refused = client.post("/v1/api-keys", json={"name": "x", "scopes": []}, headers=admin)
    assert (refused.status_code, refused.json()["error"]["details"]["subcode"]) == (409, "TOO_MANY_KEYS")
    client.delete(f"/v1/api-keys/{made[0]['apiKey']['id']}", headers=admin)
    mint(client, admin)


def test_every_write_but_the_remix_is_logged(app: FastAPI) -> None:
    unlogged = {
        operation.path
        for operation in app.state.operations
        if operation.method in {"POST", "PATCH", "DELETE"} and operation.audit is None
    }
    assert unlogged == {"/v1/projects/{projectId}/content/video-remix"}


def test_the_log_says_who_did_what_and_when(
    client: TestClient, admin: Headers, make_key: Callable[..., Headers], database: Database, organization_id: str
) -> None:
    writer = make_key("projects:write")
    actor = client.get("/v1/whoami", headers=writer).json()["apiKeyId"]
    created = client.post("/v1/projects", json={"name": "Tea House"}, headers=writer)
    project = created.json()["id"]
    changed = client.patch(f"/v1/projects/{project}", json={"tagline": "a secret plan"}, headers=writer)
    refused = client.patch(f"/v1/projects/{project}", json={"name": "x"}, headers=writer)
    assert refused.status_code == 422
    entries = client.get("/v1/audit-log", headers=admin).json()["items"]
    assert [(entry["action"], entry["target"], entry["actor"], entry["requestId"]) for entry in entries] == [
        ("project.updated", project, actor, changed.headers["x-request-id"]),
        ("project.created", project, actor, created.headers["x-request-id"]),
    ]
    assert entries[0]["details"] == {"fields": ["tagline"]}
    assert entries[0]["time"] == "2026-11-24T12:00:00.000Z"
    only = client.get("/v1/audit-log?action=project.created", headers=admin).json()["items"]
    assert only == entries[1:]
    with database.system_read() as session:
        assert auditing.check(session, organization_id) == []


def test_a_replayed_answer_is_logged_once(client: TestClient, admin: Headers, auth: Headers) -> None:
    headers = {**auth, "Idempotency-Key": "one"}
    for _ in range(2):
        assert client.post("/v1/projects", json={"name": "Tea House"}, headers=headers).status_code == 201
    assert len(client.get("/v1/audit-log", headers=admin).json()["items"]) == 1


def test_the_log_cannot_be_changed_unnoticed(
    client: TestClient, auth: Headers, database: Database, organization_id: str
) -> None:
    for name in ("Tea House", "Coffee House", "Bakery"):
        client.post("/v1/projects", json={"name": name}, headers=auth)
    for statement in ("UPDATE vr_audit_entry SET actor = 'x'", "DELETE FROM vr_audit_entry"):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), database.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    with database.engine.begin() as connection:
        for event in ("update", "delete"):
            on = "" if database.is_sqlite else " ON vr_audit_entry"
            connection.exec_driver_sql(f"DROP TRIGGER vr_audit_entry_no_{event}{on}")
        connection.exec_driver_sql("UPDATE vr_audit_entry SET target = 'other' WHERE position = 2")
    with database.system_read() as session:
        assert len(auditing.check(session, organization_id)) == 1
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM vr_audit_entry WHERE position = 2")
    with database.system_read() as session:
        findings = auditing.check(session, organization_id)
    assert any("missing" in finding for finding in findings)
