from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recaster.errors import Cancelled, NoFaceFound
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.storage import ObstoreObjectStore
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Stage
from recaster.service.remixes.completion import Completion, NewAsset, NewOverlay, complete

pytestmark = pytest.mark.contract

Headers = dict[str, str]


@pytest.fixture
def accepted(client: TestClient, auth: Headers, ready: Any) -> dict[str, Any]:
    return dict(client.post(ready.path, json=ready.body, headers=auth).json())


@pytest.fixture
def video(tmp_path: Path) -> bytes:
    return bytes(range(256)) * 10


@pytest.fixture
def finished(
    accepted: dict[str, Any], database: Database, storage: ObstoreObjectStore, video: bytes, clock: ManualClock
) -> dict[str, Any]:
    job_id = accepted["jobId"]
    stored = storage.put_bytes("out/video.mp4", video)
    picture = storage.put_bytes("out/thumbnail.jpg", b"jpeg")
    clock.advance(timedelta(seconds=30))
    jobs.begin_finalizing(database, job_id)
    completion = Completion(
        assets=[
            NewAsset("video", stored.key, "video/mp4", stored.size_bytes, stored.checksum_sha256, 720, 1280, 8000),
            NewAsset("thumbnail", picture.key, "image/jpeg", picture.size_bytes, picture.checksum_sha256, 360, 640),
        ],
        overlays=[NewOverlay(0, 1500, "old", "new", "hook", (10.0, 20.0, 300.0, 40.0))],
        disclosure_label="AI-generated",
        quality={"frames": 240},
    )
    with database.system_write() as session:
        complete(session, job_id, completion)
    return accepted


def credits(client: TestClient, auth: Headers) -> tuple[int, int, int, int]:
    wallet = client.get("/v1/credits", headers=auth).json()
    return wallet["balance"], wallet["available"], wallet["reservedCredits"], wallet["usedThisPeriod"]


def test_the_entity_tag_changes_with_the_job_only(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    path = accepted["locationUrl"]
    first = client.get(path, headers=auth)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    assert first.headers["cache-control"] == "no-cache"
    for header in (etag, f'"x", {etag}', "*", f"W/{etag}"):
        unchanged = client.get(path, headers={**auth, "If-None-Match": header})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == etag
    jobs.report(database, accepted["jobId"], Stage.READING_OVERLAYS, 0.5)
    changed = client.get(path, headers={**auth, "If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["stage"] == "reading_overlays"
    assert changed.headers["etag"] != etag


def test_a_finished_job_and_its_container(
    client: TestClient, auth: Headers, finished: dict[str, Any], ready: Any
) -> None:
    job = client.get(finished["locationUrl"], headers=auth).json()
    assert (job["status"], job["progress"], job["finishedAt"]) == ("completed", 1.0, "2026-11-24T12:00:30.000Z")
    container_id = finished["containerIds"][0]
    container = client.get(f"/v1/content/{container_id}", headers=auth).json()
    assert job["result"] == {"containerId": container_id, "assets": container["assets"]}
    asset, thumbnail = container["assets"]
    assert (asset["kind"], asset["mimeType"], asset["sizeBytes"], asset["durationMs"]) == (
        "video",
        "video/mp4",
        2560,
        8000,
    )
    assert asset["thumbnailUrl"] == thumbnail["url"]
    assert container["preview"] == {
        "kind": "video", "primaryUrl": asset["url"], "videoUrl": asset["url"], "thumbnailUrl": thumbnail["url"],
        "durationMs": 8000, "aspectRatio": "9:16",
    }  # fmt: skip
    assert container["overlays"] == [
        {"startMs": 0, "endMs": 1500, "sourceText": "old", "adaptedText": "new", "role": "hook",
         "box": {"x": 10.0, "y": 20.0, "width": 300.0, "height": 40.0}}
    ]  # fmt: skip
    assert container["disclosure"] == {"aiGenerated": True, "label": "AI-generated", "c2pa": None}
    assert container["quality"] == {"frames": 240}
    for field, value in {
        "projectId": ready.project_id, "status": "completed", "format": "video-remix", "hook": None,
        "influencerId": ready.influencer_id, "socialAccountId": None, "layerId": None,
        "sourceTiktokId": ready.body["tiktokVideoId"], "caption": None, "approvalStatus": "not_required",
        "creativeType": "generated", "createdAt": "2026-11-24T12:00:00.000Z", "completedAt": "2026-11-24T12:00:30.000Z",
        "failedAt": None, "lastError": None,
    }.items():  # fmt: skip
        assert container[field] == value, field
    assert credits(client, auth) == (880, 880, 0, 120)
    events = client.get("/v1/credits/events", headers=auth).json()["items"]
    assert [(event["type"], event["credits"], event["jobId"]) for event in events] == [
        ("usage", -120, finished["jobId"]),
        ("grant", 1000, None),
    ]


def test_a_container_while_it_is_made(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database, clock: ManualClock
) -> None:
    path = f"/v1/content/{accepted['containerIds'][0]}"
    container = client.get(path, headers=auth).json()
    assert (container["status"], container["assets"], container["overlays"]) == ("queued", [], [])
    assert set(container["preview"].values()) == {None}
    clock.advance(timedelta(seconds=20))
    jobs.report(database, accepted["jobId"], "generating_visuals", 0.2)
    assert client.get(path, headers=auth).json()["status"] == "processing"
    assert client.get(f"{path}/progress", headers=auth).json() == {
        "containerId": accepted["containerIds"][0], "status": "processing", "stage": "generating_visuals",
        "stageProgress": 0.2, "etaSeconds": 20, "updatedAt": "2026-11-24T12:00:20.000Z",
    }  # fmt: skip


RANGES = {
    "bytes=0-9": (206, 0, 10),
    "bytes=10-": (206, 10, 2560),
    "bytes=-5": (206, 2555, 2560),
    "bytes=-9999": (206, 0, 2560),
    "bytes=2559-9999": (206, 2559, 2560),
    "bytes=0-0": (206, 0, 1),
    "bytes=9-3": (200, 0, 2560),
    "bytes=0-1,5-6": (200, 0, 2560),
    "items=0-1": (200, 0, 2560),
    "bytes=-": (200, 0, 2560),
}


@pytest.mark.parametrize("header", RANGES)
def test_ranges(client: TestClient, auth: Headers, finished: dict[str, Any], video: bytes, header: str) -> None:
    status, start, end = RANGES[header]
    url = client.get(finished["locationUrl"], headers=auth).json()["result"]["assets"][0]["url"]
    response = client.get(url, headers={**auth, "Range": header})
    assert response.status_code == status
    assert response.content == video[start:end]
    assert response.headers.get("content-range") == (f"bytes {start}-{end - 1}/2560" if status == 206 else None)


def test_download_headers_head_and_conditions(client: TestClient, auth: Headers, finished: dict[str, Any]) -> None:
    asset = client.get(finished["locationUrl"], headers=auth).json()["result"]["assets"][0]
    head = client.head(asset["url"], headers=auth)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "2560"
    assert head.headers["content-type"] == "video/mp4"
    assert head.headers["etag"] == f'"{asset["checksumSha256"]}"'
    assert head.headers["accept-ranges"] == "bytes"
    assert head.headers["x-content-type-options"] == "nosniff"
    assert head.headers["content-disposition"] == f'inline; filename="{asset["assetId"]}.mp4"'
    conditional = client.get(asset["url"], headers={**auth, "If-None-Match": head.headers["etag"]})
    assert (conditional.status_code, conditional.content) == (304, b"")
    stale = client.get(asset["url"], headers={**auth, "Range": "bytes=0-1", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, 2560)
    beyond = client.get(asset["url"], headers={**auth, "Range": "bytes=2560-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == "bytes */2560"
    assert beyond.json()["error"]["code"] == "RANGE_NOT_SATISFIABLE"
    assert client.get(asset["url"]).status_code == 401


def test_an_asset_is_found_in_its_own_container_only(
    client: TestClient, auth: Headers, finished: dict[str, Any], ready: Any
) -> None:
    asset = client.get(finished["locationUrl"], headers=auth).json()["result"]["assets"][0]
    other = client.post(ready.path, json=ready.body, headers=auth).json()["containerIds"][0]
    assert client.get(f"/v1/content/{other}/assets/{asset['assetId']}", headers=auth).status_code == 404


def test_cancelling_frees_the_credits_and_stops_the_worker(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    jobs.begin_attempt(database, accepted["jobId"], 3)
    jobs.report(database, accepted["jobId"], Stage.GENERATING_VISUALS, 0.3)
    response = client.post(f"{accepted['locationUrl']}/cancel", headers=auth)
    assert response.status_code == 202
    assert response.json() == {"jobId": accepted["jobId"], "accepted": True, "reason": None}
    assert credits(client, auth) == (1000, 1000, 0, 0)
    assert client.get(f"/v1/content/{accepted['containerIds'][0]}", headers=auth).json()["status"] == "canceled"
    assert jobs.is_cancelled(database, accepted["jobId"])
    for act in (
        lambda: jobs.report(database, accepted["jobId"], Stage.GENERATING_VISUALS, 0.4),
        lambda: jobs.begin_finalizing(database, accepted["jobId"]),
        lambda: jobs.begin_attempt(database, accepted["jobId"], 3),
    ):
        with pytest.raises(Cancelled):
            act()
    again = client.post(f"{accepted['locationUrl']}/cancel", headers=auth)
    assert (again.status_code, again.json()["reason"]) == (200, "ALREADY_CANCELED")


def test_cancelling_what_has_ended(
    client: TestClient, auth: Headers, finished: dict[str, Any], ready: Any, database: Database
) -> None:
    response = client.post(f"{finished['locationUrl']}/cancel", headers=auth)
    assert (response.status_code, response.json()["reason"]) == (200, "ALREADY_COMPLETED")
    failing = client.post(ready.path, json=ready.body, headers=auth).json()
    jobs.fail(database, failing["jobId"], NoFaceFound("Nobody is on camera."))
    response = client.post(f"{failing['locationUrl']}/cancel", headers=auth)
    assert (response.status_code, response.json()["reason"]) == (200, "ALREADY_FAILED")


def test_finalizing_cannot_be_cancelled(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    jobs.begin_finalizing(database, accepted["jobId"])
    response = client.post(f"{accepted['locationUrl']}/cancel", headers=auth)
    assert response.status_code == 409
    assert response.json()["error"]["details"]["subcode"] == "JOB_CANCEL_UNAVAILABLE"


def test_a_failed_job_costs_nothing_and_says_why(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    jobs.fail(database, accepted["jobId"], NoFaceFound("Nobody is on camera.", frames=240))
    jobs.fail(database, accepted["jobId"], ValueError("too late"))
    job = client.get(accepted["locationUrl"], headers=auth).json()
    expected = {
        "code": "NO_FACE_FOUND",
        "message": "Nobody is on camera.",
        "details": {"frames": 240, "retryable": False},
    }
    assert (job["status"], job["error"], job["result"]) == ("failed", expected, None)
    container = client.get(f"/v1/content/{accepted['containerIds'][0]}", headers=auth).json()
    assert (container["status"], container["lastError"]) == ("failed", expected)
    assert container["failedAt"] is not None
    assert credits(client, auth) == (1000, 1000, 0, 0)


def test_an_unforeseen_failure_shows_nothing_of_itself(
    client: TestClient, auth: Headers, accepted: dict[str, Any], database: Database
) -> None:
    jobs.fail(database, accepted["jobId"], ValueError("/home/secret/path"))
    response = client.get(accepted["locationUrl"], headers=auth)
    assert response.json()["error"]["code"] == "INTERNAL"
    assert "secret" not in response.text


def test_the_engine_knows_what_was_accepted(app: FastAPI, client: TestClient, accepted: dict[str, Any]) -> None:
    known = app.state.services.engine.statuses([accepted["jobId"], "job_01HZX3B8J6Q7R9T2V4W5Y6Z8A1"])
    assert known == {accepted["jobId"]: "ENQUEUED"}


def test_the_engine_forgets_what_ended_long_ago(
    app: FastAPI, client: TestClient, auth: Headers, accepted: dict[str, Any], ready: Any
) -> None:
    engine = app.state.services.engine
    waiting = client.post(ready.path, json=ready.body, headers=auth).json()["jobId"]
    engine.cancel(accepted["jobId"])
    now = datetime.now(UTC)  # the engine keeps the machine's time
    assert engine.forget(now - timedelta(days=1)) == 0
    assert engine.forget(now + timedelta(days=1)) == 1
    assert engine.statuses([accepted["jobId"], waiting]) == {waiting: "ENQUEUED"}


def test_unknown_jobs(client: TestClient, auth: Headers) -> None:
    for job_id in ("job_01HZX3B8J6Q7R9T2V4W5Y6Z8A1", "job_x", "x", "cnt_01HZX3B8J6Q7R9T2V4W5Y6Z8A1"):
        assert client.get(f"/v1/jobs/{job_id}", headers=auth).status_code == 404


def test_reading_needs_the_scope(
    client: TestClient, accepted: dict[str, Any], make_key: Callable[..., Headers]
) -> None:
    assert client.get(accepted["locationUrl"], headers=make_key("jobs:read")).status_code == 200
    assert client.get(accepted["locationUrl"], headers=make_key("content:read")).status_code == 403
