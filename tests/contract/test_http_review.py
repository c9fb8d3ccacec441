"""Review of finished content, and the list of a project's content."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.service.jobs import service as jobs
from recaster.service.remixes.completion import Completion, complete
from recaster.service.webhooks.model import Event

pytestmark = pytest.mark.contract

Headers = dict[str, str]


@pytest.fixture
def finished(client: TestClient, auth: Headers, ready: Any, database: Database) -> Callable[[], dict[str, Any]]:
    """Make a finished container and return it."""

    def make() -> dict[str, Any]:
        accepted = client.post(ready.path, json=ready.body, headers=auth).json()
        with database.system_write() as session:
            complete(session, accepted["jobId"], Completion(assets=[], overlays=[], disclosure_label="AI-generated"))
        return dict(client.get(f"/v1/content/{accepted['containerIds'][0]}", headers=auth).json())

    return make


def set_policy(client: TestClient, auth: Headers, ready: Any, **body: Any) -> Any:
    return client.patch(f"/v1/projects/{ready.project_id}/content-review-policy", json=body, headers=auth)


def test_the_policy_is_shown_and_changed(client: TestClient, auth: Headers, ready: Any) -> None:
    path = f"/v1/projects/{ready.project_id}/content-review-policy"
    assert client.get(path, headers=auth).json() == {
        "projectId": ready.project_id, "policy": "auto_approve", "firstN": None,
        "updatedAt": "2026-11-24T12:00:00.000Z",
    }  # fmt: skip
    assert set_policy(client, auth, ready, policy="review_first_n", firstN=3).json()["firstN"] == 3
    assert set_policy(client, auth, ready, policy="review_all").json()["firstN"] is None
    for bad in ({"policy": "never"}, {"policy": "review_first_n"}, {"policy": "review_all", "firstN": 2}, {}):
        assert set_policy(client, auth, ready, **bad).status_code == 422


def test_each_policy_decides_what_waits(client: TestClient, auth: Headers, ready: Any, finished: Any) -> None:
    assert finished()["approvalStatus"] == "not_required"
    set_policy(client, auth, ready, policy="review_first_n", firstN=2)
    assert [finished()["approvalStatus"] for _ in range(3)] == ["pending", "pending", "not_required"]
    set_policy(client, auth, ready, policy="review_all")
    assert finished()["approvalStatus"] == "pending"


@pytest.mark.parametrize(("verb", "state"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_told_and_for_good(
    client: TestClient, auth: Headers, ready: Any, finished: Any, database: Database, verb: str, state: str
) -> None:
    set_policy(client, auth, ready, policy="review_all")
    container = finished()
    path = f"/v1/content/{container['id']}"
    body = {"reason": "wrong colour"} if verb == "reject" else None
    decided = client.post(f"{path}/{verb}", json=body, headers=auth)
    assert (decided.status_code, decided.json()) == (200, {**container, "approvalStatus": state})
    assert client.post(f"{path}/{verb}", headers=auth).status_code == 200
    other = "reject" if verb == "approve" else "approve"
    refused = client.post(f"{path}/{other}", headers=auth)
    assert (refused.status_code, refused.json()["error"]["details"]["subcode"]) == (409, f"ALREADY_{state.upper()}")
    with database.system_read() as session:
        events = session.scalars(sa.select(Event).order_by(Event.sequence)).all()
    assert [(event.sequence, event.type) for event in events] == [
        (1, "content.generated"),
        (2, "job.completed"),
        (3, f"content.{state}"),
    ]
    assert events[2].data["reason"] == ("wrong colour" if verb == "reject" else None)
    assert events[2].data["approvalStatus"] == state


def test_what_cannot_be_decided(client: TestClient, auth: Headers, ready: Any, finished: Any) -> None:
    free = finished()
    unfinished = client.post(ready.path, json=ready.body, headers=auth).json()["containerIds"][0]
    for container, subcode in ((free["id"], "REVIEW_NOT_REQUIRED"), (unfinished, "CONTENT_NOT_READY")):
        for verb in ("approve", "reject"):
            response = client.post(f"/v1/content/{container}/{verb}", headers=auth)
            assert (response.status_code, response.json()["error"]["details"]["subcode"]) == (409, subcode)
    assert client.post("/v1/content/cnt_x/approve", headers=auth).status_code == 404
    assert client.post(f"/v1/content/{free['id']}/reject", json={"why": "x"}, headers=auth).status_code == 422


def test_the_list_and_its_filters(
    client: TestClient, auth: Headers, ready: Any, finished: Any, world: Any, database: Database, clock: ManualClock
) -> None:
    done = finished()
    clock.advance(timedelta(hours=1))
    other = world.influencer(ready.project_id)
    body = {**ready.body, "influencerId": other}
    waiting = client.post(ready.path, json=body, headers=auth).json()
    failing = client.post(ready.path, json=body, headers=auth).json()
    jobs.fail(database, failing["jobId"], ValueError("x"))
    path = f"/v1/projects/{ready.project_id}/content"

    def listed(query: str = "") -> set[str]:
        response = client.get(f"{path}?{query}", headers=auth)
        assert response.status_code == 200, response.text
        return {item["id"] for item in response.json()["items"]}

    first, second, third = done["id"], waiting["containerIds"][0], failing["containerIds"][0]
    assert listed() == {first, second, third}
    assert client.get(path, headers=auth).json()["items"][-1] == done
    assert listed("status=completed") == {first}
    assert listed("status=failed") == {third}
    assert listed("approvalStatus=not_required&status=queued") == {second}
    assert listed(f"influencerId={other}") == {second, third}
    assert listed("sourceTiktokId=7301234567890123456") == {first, second, third}
    assert listed("socialAccountId=sa_x") == set()
    assert listed("createdFrom=2026-11-24T12:30:00Z") == {second, third}
    assert listed("createdTo=2026-11-24T12:30:00Z") == {first}
    for bad in ("status=done", "approvalStatus=maybe", "createdFrom=yesterday", "limit=0"):
        response = client.get(f"{path}?{bad}", headers=auth)
        assert response.status_code == 422
        assert response.json()["error"]["details"]["issues"][0]["path"] == bad.partition("=")[0]


def test_content_and_credits_carry_entity_tags(client: TestClient, auth: Headers, finished: Any) -> None:
    container = finished()
    for path in (f"/v1/content/{container['id']}", "/v1/credits"):
        first = client.get(path, headers=auth)
        same = client.get(path, headers={**auth, "If-None-Match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert client.get(path, headers={**auth, "If-None-Match": '"x"'}).json() == first.json()
