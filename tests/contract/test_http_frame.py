from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.service.accounts import service as accounts
from recaster.service.credits import service as credits_service
from recaster.service.keys import service as keys

pytestmark = pytest.mark.contract

Keys = Callable[..., dict[str, str]]


def assert_envelope(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"code", "message", "requestId", "details"}
    assert error["code"] == code
    assert isinstance(error["details"]["retryable"], bool)
    assert error["message"]
    assert error["requestId"] == response.headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", error["requestId"])
    return dict(error["details"])


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/jobs/", "/redoc"])
def test_unknown_routes_have_the_envelope(client: TestClient, path: str) -> None:
    assert_envelope(client.get(path), 404, "NOT_FOUND")


def test_a_wrong_method_names_the_right_ones(client: TestClient, auth: dict[str, str]) -> None:
    response = client.put("/v1/whoami", headers=auth)
    assert assert_envelope(response, 405, "METHOD_NOT_ALLOWED")["allowed"] == ["GET"]
    assert response.headers["allow"] == "GET"


BAD_AUTHORIZATION = {
    "missing": lambda token: None,
    "other scheme": lambda token: f"Basic {token}",
    "empty": lambda token: "Bearer ",
    "wrong secret": lambda token: f"Bearer {token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
    "wrong key id": lambda token: f"Bearer {token[:8]}{'A' * 16}{token[24:]}",
    "other environment": lambda token: f"Bearer {token.replace('lp_live', 'lp_test')}",
    "too long": lambda token: f"Bearer {token}x",
    "no letters at all": lambda token: "Bearer \xff",
}


@pytest.mark.parametrize("case", BAD_AUTHORIZATION)
def test_a_bad_key_is_unauthenticated(client: TestClient, auth: dict[str, str], case: str) -> None:
    header = BAD_AUTHORIZATION[case](auth["Authorization"].removeprefix("Bearer "))
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    response = client.get("/v1/whoami", headers=headers)
    assert_envelope(response, 401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_revoked_key_answers_like_an_unknown_one(
    client: TestClient, auth: dict[str, str], database: Database
) -> None:
    key_id = client.get("/v1/whoami", headers=auth).json()["apiKeyId"]
    with database.system_write() as session:
        keys.revoke(session, key_id)
    assert_envelope(client.get("/v1/whoami", headers=auth), 401, "UNAUTHENTICATED")


def test_suspension_of_key_and_organization(
    client: TestClient, auth: dict[str, str], database: Database, organization_id: str
) -> None:
    key_id = client.get("/v1/whoami", headers=auth).json()["apiKeyId"]
    with database.system_write() as session:
        accounts.suspend(session, organization_id)
    assert assert_envelope(client.get("/v1/whoami", headers=auth), 503, "KILL_SWITCH")["scope"] == "organization"
    with database.system_write() as session:
        accounts.lift_suspension(session, organization_id)
        keys.suspend(session, key_id)
    assert assert_envelope(client.get("/v1/whoami", headers=auth), 503, "KILL_SWITCH")["scope"] == "api_key"
    with database.system_write() as session:
        keys.lift_suspension(session, key_id)
    assert client.get("/v1/whoami", headers=auth).status_code == 200


def test_every_route_refuses_a_key_without_its_scope(app: FastAPI, client: TestClient, make_key: Keys) -> None:
    scoped = [operation for operation in app.state.operations if operation.scope not in {"any", "open"}]
    assert len(scoped) >= 6
    others = {"webhooks:read": make_key("webhooks:read"), "jobs:read": make_key("jobs:read")}
    for operation in scoped:
        nothing = others["jobs:read" if operation.scope == "webhooks:read" else "webhooks:read"]
        path = re.sub(r"\{\w+\}", "x", operation.path)
        response = client.request(operation.method, path, headers=nothing)
        if operation.method == "HEAD":
            assert response.status_code == 403
        else:
            assert assert_envelope(response, 403, "FORBIDDEN_SCOPE")["requiredScope"] == operation.scope


def test_every_route_needs_a_key_unless_declared_open(app: FastAPI, client: TestClient) -> None:
    for operation in app.state.operations:
        response = client.request(operation.method, re.sub(r"\{\w+\}", "x", operation.path))
        assert response.status_code == (200 if operation.scope == "open" else 401), operation.path


def test_whoami(client: TestClient, make_key: Keys, organization_id: str) -> None:
    answer = client.get("/v1/whoami", headers=make_key("jobs:read", "content:read", tier="pilot")).json()
    key_id = answer.pop("apiKeyId")
    assert key_id.startswith("key_")
    assert answer == {
        "organizationId": organization_id, "organizationName": "Tea House", "scopes": ["content:read", "jobs:read"],
        "rateLimitTier": "pilot", "creditBalance": 1000,
    }  # fmt: skip


def test_rate_limit_headers_and_refusal(client: TestClient, make_key: Keys, clock: ManualClock) -> None:
    standard = make_key("*", tier="standard")
    for count in range(1, 121):
        response = client.get("/v1/whoami", headers=standard)
        assert response.status_code == 200
        assert response.headers["x-ratelimit-remaining"] == str(120 - count)
    assert response.headers["x-ratelimit-limit"] == "120"
    assert response.headers["x-ratelimit-endpoint-class"] == "read-light"
    assert int(response.headers["x-ratelimit-reset"]) == int(clock.now().timestamp()) + 60
    refused = client.get("/v1/whoami", headers=standard)
    assert assert_envelope(refused, 429, "RATE_LIMITED")["retryable"] is True
    assert refused.headers["retry-after"] == "60"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert client.get("/v1/whoami", headers=make_key("*", tier="standard")).status_code == 200
    clock.advance(timedelta(seconds=60))
    assert client.get("/v1/whoami", headers=standard).status_code == 200


def test_guessing_keys_is_slowed_down_without_hurting_valid_ones(client: TestClient, auth: dict[str, str]) -> None:
    answers = [client.get("/v1/whoami", headers={"Authorization": "Bearer x"}).status_code for _ in range(121)]
    assert answers == [401] * 120 + [429]
    assert client.get("/v1/whoami", headers=auth).status_code == 200


def test_problem_documents_carry_the_same_facts(client: TestClient) -> None:
    response = client.get("/v1/nothing", headers={"Accept": "application/problem+json"})
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (404, "NOT_FOUND")
    assert problem["requestId"] == response.headers["x-request-id"]
    assert problem["details"] == client.get("/v1/nothing").json()["error"]["details"]


def test_an_unforeseen_error_shows_nothing_of_itself(
    client: TestClient, auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ValueError("the secret cause")

    monkeypatch.setattr(credits_service, "overview", explode)
    response = client.get("/v1/credits", headers=auth)
    assert_envelope(response, 500, "INTERNAL")
    assert "secret cause" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=%21", "cursor=AAAA", "cursor=W10", "cursor=WzFlOTk5LCJhIl0"]
)
def test_bad_paging_is_refused(client: TestClient, auth: dict[str, str], query: str) -> None:
    details = assert_envelope(client.get(f"/v1/credits/events?{query}", headers=auth), 422, "VALIDATION")
    assert details["issues"][0]["path"] == query.partition("=")[0]


def test_paging_misses_and_repeats_nothing_under_inserts(
    client: TestClient, auth: dict[str, str], database: Database, organization_id: str, clock: ManualClock
) -> None:
    def add(amount: int) -> None:
        with database.system_write() as session:
            credits_service.grant(session, organization_id, amount)

    for amount in range(1, 8):
        add(amount)
        if amount % 2:
            clock.advance(timedelta(seconds=1))
    seen: list[int] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/credits/events?limit=3{cursor}", headers=auth).json()
        seen += [item["credits"] for item in page["items"]]
        add(99)
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == [7, 6, 5, 4, 3, 2, 1, 1000]


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "checks": {"database": "ok", "storage": "ok"}}


def test_openapi_lists_scope_and_error_codes_of_every_operation(app: FastAPI, client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    remix = document["paths"]["/v1/projects/{projectId}/content/video-remix"]["post"]
    answers = [
        document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        for answer in remix["responses"].values()
        if "$ref" in answer
    ]
    codes = {code for answer in answers for code in answer["content"]["application/json"]["examples"]}
    assert codes >= {
        "VALIDATION", "NOT_FOUND", "INFLUENCER_REQUIRED", "ACCOUNT_NOT_WIRED", "NO_CONTENT_LAYER_WIRED",
        "INFLUENCER_NOT_WIRED", "INVALID_TIKTOK_ID", "IDEMPOTENCY_CONFLICT", "BILLING_EXHAUSTED", "CONSENT_MISSING",
        "UNAUTHENTICATED", "FORBIDDEN_SCOPE", "KILL_SWITCH", "RATE_LIMITED", "CONFLICT", "INTERNAL",
    }  # fmt: skip
    assert remix["x-required-scope"] == "content:write"
    assert remix["x-rate-limit-class"] == "long-running"
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for operation in app.state.operations:
        if operation.method != "HEAD":
            described = document["paths"][operation.path][operation.method.lower()]
            assert described.get("summary")
            assert ("security" in described) == (operation.scope != "open")
