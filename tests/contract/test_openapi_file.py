"""The committed description of the API is the API's, and says everything that a client needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from recaster.api.openapi import written
from recaster.service.keys.service import SCOPES
from recaster.service.webhooks.schemas import EVENT_NAMES

pytestmark = pytest.mark.contract

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
REMAKE = "recaster openapi --output docs/openapi.json"


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def resolved(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    return document["components"]["responses"][name] if name else response


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(json.loads(COMMITTED.read_text(encoding="utf-8")))


def test_the_committed_file_is_this_api(app: FastAPI) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == written(app.openapi()), (
        f"The API differs from docs/openapi.json. If the change is meant, run `{REMAKE}` and say so in the commit."
    )


def test_every_operation_is_described_whole(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["operationId"], name
        assert operation["tags"], name
        opened = "security" not in operation
        if not opened:
            assert operation["x-required-scope"] in {*SCOPES, None}, name
            assert operation["x-rate-limit-class"] in {"read-light", "write-light", "long-running"}, name
            assert {"401", "429", "503"} <= set(operation["responses"]), name
        if operation.get("x-required-scope"):
            assert "403" in operation["responses"], name
        assert operation["x-idempotent"] == name.startswith(("POST ", "PATCH ")), name
        assert any(status.startswith("2") for status in operation["responses"]), name


def test_every_error_has_its_code_and_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, given in operation["responses"].items():
            response = resolved(document, given)
            assert response["description"], (name, status)
            assert "X-Request-Id" in response["headers"], (name, status)
            if int(status) < 400:
                continue
            content = response["content"]
            assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
            examples = content["application/json"]["examples"]
            assert examples, (name, status)
            for code, example in examples.items():
                value = example["value"]["error"]
                assert value["code"] == code
                assert isinstance(value["details"]["retryable"], bool)


def test_every_event_is_described(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == set(EVENT_NAMES)
    for name, item in document["webhooks"].items():
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema["properties"]["type"] == {"const": name}


def test_every_reference_and_link_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for piece in text.split('"$ref": "')[1:]:
        place: Any = document
        for step in piece.split('"')[0].removeprefix("#/").split("/"):
            place = place[step]
    known = {operation["operationId"]: operation for _, operation in operations(document)}
    assert len(known) == len(operations(document))
    for _, operation in operations(document):
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                parameters = {parameter["name"] for parameter in known[link["operationId"]]["parameters"]}
                assert set(link["parameters"]) <= parameters


def test_the_contract_is_served(document: dict[str, Any]) -> None:
    """Every method and path of the partner contract's tables."""
    expected = """
    POST /v1/projects/{projectId}/content/video-remix
    GET /v1/whoami
    GET /v1/credits
    GET /v1/credits/events
    POST /v1/projects
    GET /v1/projects
    GET /v1/projects/{projectId}
    PATCH /v1/projects/{projectId}
    DELETE /v1/projects/{projectId}
    POST /v1/projects/{projectId}/influencers
    GET /v1/projects/{projectId}/influencers
    GET /v1/influencers/{influencerId}
    PATCH /v1/influencers/{influencerId}
    DELETE /v1/influencers/{influencerId}
    POST /v1/influencers/{influencerId}/reference-images
    POST /v1/projects/{projectId}/media
    GET /v1/projects/{projectId}/social-accounts
    POST /v1/projects/{projectId}/social-accounts
    DELETE /v1/social-accounts/{socialAccountId}
    GET /v1/projects/{projectId}/layers
    POST /v1/projects/{projectId}/layers
    GET /v1/projects/{projectId}/layers/{layerId}
    PATCH /v1/projects/{projectId}/layers/{layerId}
    DELETE /v1/projects/{projectId}/layers/{layerId}
    GET /v1/projects/{projectId}/content/source-recommendations
    POST /v1/projects/{projectId}/sources
    GET /v1/projects/{projectId}/content
    GET /v1/content/{containerId}
    GET /v1/content/{containerId}/progress
    GET /v1/content/{containerId}/assets/{assetId}
    POST /v1/content/{containerId}/approve
    POST /v1/content/{containerId}/reject
    GET /v1/projects/{projectId}/content-review-policy
    PATCH /v1/projects/{projectId}/content-review-policy
    GET /v1/jobs/{jobId}
    GET /v1/jobs/{jobId}/events
    POST /v1/jobs/{jobId}/cancel
    POST /v1/webhook-endpoints
    GET /v1/webhook-endpoints
    GET /v1/webhook-endpoints/{endpointId}
    PATCH /v1/webhook-endpoints/{endpointId}
    DELETE /v1/webhook-endpoints/{endpointId}
    POST /v1/webhook-endpoints/{endpointId}/rotate-secret
    POST /v1/webhook-endpoints/{endpointId}/test
    GET /v1/webhook-endpoints/{endpointId}/deliveries
    POST /v1/webhook-deliveries/{deliveryId}/replay
    GET /v1/api-keys
    POST /v1/api-keys
    POST /v1/api-keys/{apiKeyId}/rotate
    POST /v1/api-keys/{apiKeyId}/kill
    DELETE /v1/api-keys/{apiKeyId}
    GET /v1/audit-log
    GET /healthz
    GET /readyz
    GET /metrics
    GET /openapi.json
    GET /docs
    """
    served = {name for name, _ in operations(document)}
    assert {line.strip() for line in expected.splitlines() if line.strip()} <= served
