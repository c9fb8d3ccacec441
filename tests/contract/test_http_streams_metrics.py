"""Job events as a stream, metrics, the reference page and the sandbox."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recaster.api import streams
from recaster.errors import NoFaceFound
from recaster.infra.database import Database
from recaster.infra.storage import ObstoreObjectStore
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job, Stage
from recaster.service.keys.service import mint
from recaster.service.remixes.completion import Completion, complete
from recaster.service.sandbox import service as sandbox

pytestmark = pytest.mark.contract

Headers = dict[str, str]


def messages(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = re.findall(r"id: (\d+)\nevent: (\S+)\ndata: (.*)\n\n", text)
    return [(int(identifier), name, json.loads(data)) for identifier, name, data in found]


@pytest.fixture
def accepted(client: TestClient, auth: Headers, ready: Any) -> dict[str, Any]:
    return dict(client.post(ready.path, json=ready.body, headers=auth).json())


def test_an_ended_job_is_one_message_and_then_silence(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    jobs.fail(database, accepted["jobId"], NoFaceFound("Nobody is on camera."))
    path = f"/v1/jobs/{accepted['jobId']}/events"
    response = client.get(path, headers=auth)
    assert response.headers["content-type"].startswith("text/event-stream")
    ((version, name, job),) = messages(response.text)
    assert (name, job) == ("job.failed", client.get(accepted["locationUrl"], headers=auth).json())
    seen = client.get(path, headers={**auth, "Last-Event-ID": str(version)})
    assert (seen.status_code, seen.content) == (204, b"")
    for unknown in ("0", "x", "-1", "9" * 30):
        assert len(messages(client.get(path, headers={**auth, "Last-Event-ID": unknown}).text)) == 1


def test_a_running_job_is_followed_to_its_end(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.01)
    job_id = accepted["jobId"]
    stop = threading.Event()

    def work() -> None:
        for step in range(1, 6):
            jobs.report(database, job_id, Stage.GENERATING_VISUALS, step / 5)
            stop.wait(0.05)
        with database.system_write() as session:
            complete(session, job_id, Completion(assets=[], overlays=[], disclosure_label="x"))

    worker = threading.Thread(target=work)
    worker.start()
    text = client.get(f"/v1/jobs/{job_id}/events", headers=auth).text
    worker.join()
    told = messages(text)
    versions = [version for version, _, _ in told]
    assert versions == sorted(set(versions))
    assert [name for _, name, _ in told][-1] == "job.completed"
    assert {name for _, name, _ in told[:-1]} <= {"job.updated"}
    progress = [job["progress"] for _, _, job in told]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_streams_are_bounded_and_foreign_jobs_unknown(
    client: TestClient, app: FastAPI, auth: Headers, accepted: dict[str, Any], make_organization: Any, make_key: Any
) -> None:
    stranger = make_key("*", organization=make_organization("Other"))
    for job_id, headers in ((accepted["jobId"], stranger), ("job_x", auth)):
        assert client.get(f"/v1/jobs/{job_id}/events", headers=headers).status_code == 404
    key_id = client.get("/v1/whoami", headers=auth).json()["apiKeyId"]
    slots = app.state.services.streams
    for _ in range(streams.STREAMS_PER_KEY):
        slots.take(key_id)
    refused = client.get(f"/v1/jobs/{accepted['jobId']}/events", headers=auth)
    assert (refused.status_code, refused.json()["error"]["details"]["scope"]) == (429, "streams")
    slots.give_back(key_id)
    jobs.fail(app.state.services.database, accepted["jobId"], ValueError("x"))
    for _ in range(3):
        assert client.get(f"/v1/jobs/{accepted['jobId']}/events", headers=auth).status_code == 200


def test_metrics_count_what_happened(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    jobs.fail(database, accepted["jobId"], ValueError("x"))
    client.get(accepted["locationUrl"], headers=auth)
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
    assert lines['recaster_jobs_total{environment="live",kind="content_generate",status="failed"}'] == "1.0"
    assert lines['recaster_ledger_transactions_total{kind="release"}'] == "1.0"
    assert lines['recaster_events_total{type="job.failed"}'] == "1.0"
    assert lines['recaster_credits{account="prepaid"}'] == "1000.0"
    assert lines['recaster_http_requests_total{method="GET",route="/v1/jobs/{jobId}",status="200"}'] == "1.0"
    assert not re.search(r"org_|job_0|key_", response.text)


def test_the_reference_names_every_operation_and_runs_no_script(client: TestClient, app: FastAPI) -> None:
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "<script" not in response.text
    for operation in app.state.operations:
        assert f"<code>{operation.path}</code>" in response.text
    assert "content.approved" in response.text


@pytest.fixture
def sandbox_auth(database: Database, settings: Any, organization_id: str) -> Headers:
    with database.system_write() as session:
        minted = mint(session, settings.pepper(), organization_id, name="t", scopes=["*"], environment="test")
    return {"Authorization": f"Bearer {minted.token}"}


def test_the_sandbox_takes_any_id_and_no_credits(
    client: TestClient, auth: Headers, sandbox_auth: Headers, ready: Any, database: Database
) -> None:
    before = client.get("/v1/credits", headers=auth).json()
    body = {**ready.body, "tiktokVideoId": "7999999999999999999"}
    assert client.post(ready.path, json=body, headers=auth).json()["error"]["code"] == "INVALID_TIKTOK_ID"
    accepted = client.post(ready.path, json=body, headers=sandbox_auth)
    assert accepted.status_code == 202
    malformed = client.post(ready.path, json={**body, "tiktokVideoId": "12"}, headers=sandbox_auth).json()
    assert malformed["error"]["details"]["reason"] == "malformed"
    job_id = accepted.json()["jobId"]
    with database.system_read() as session:
        job = session.get_one(Job, job_id)
        assert (job.environment, job.input["sourceId"]) == ("test", sandbox.SOURCE_ID)
    assert client.get("/v1/credits", headers=auth).json() == before
    with database.system_write() as session:
        complete(session, job_id, Completion(assets=[], overlays=[], disclosure_label="x"))
    assert client.get("/v1/credits", headers=auth).json() == before
    second = client.post(ready.path, json=body, headers=sandbox_auth).json()["jobId"]
    client.post(f"/v1/jobs/{second}/cancel", headers=sandbox_auth)
    assert client.get("/v1/credits", headers=auth).json() == before


def test_the_sandbox_works_on_an_empty_wallet(
    client: TestClient, database: Database, settings: Any, make_organization: Callable[..., str], make_key: Any
) -> None:
    poor = make_organization("Poor", credits=0)
    with database.system_write() as session:
        minted = mint(session, settings.pepper(), poor, name="t", scopes=["*"], environment="test")
    headers = {"Authorization": f"Bearer {minted.token}"}
    project = client.post("/v1/projects", json={"name": "Tea House"}, headers=headers).json()["id"]
    influencer = client.post(
        f"/v1/projects/{project}/influencers", json={"name": "Ada", "origin": "synthetic"}, headers=headers
    ).json()["id"]
    body = {"tiktokVideoId": "7999999999999999999", "influencerId": influencer}
    path = f"/v1/projects/{project}/content/video-remix"
    assert client.post(path, json=body, headers=headers).status_code == 202
    assert client.post(path, json=body, headers=make_key("*", organization=poor)).status_code in {402, 422}


def test_live_and_test_idempotency_keys_never_meet(
    client: TestClient, auth: Headers, sandbox_auth: Headers, ready: Any
) -> None:
    answers = [
        client.post(ready.path, json=ready.body, headers={**headers, "Idempotency-Key": "same"})
        for headers in (auth, sandbox_auth)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["jobId"] != answers[1].json()["jobId"]


def test_the_built_in_source_is_stored_once(storage: ObstoreObjectStore) -> None:
    first, second = sandbox.keep_source(storage), sandbox.keep_source(storage)
    assert first == second
    assert storage.keys("sandbox") == (first["key"],)
