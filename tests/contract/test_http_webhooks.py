"""Webhooks over the wire: what is told, how it is signed, how often it is tried, and that nobody holds up anybody."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from receivers import Receiver
from standardwebhooks.webhooks import Webhook
from worlds import POSTGRES, copy_postgres

from recaster.errors import NoFaceFound
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.egress import Egress
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job
from recaster.service.remixes.completion import Completion, complete
from recaster.service.webhooks import service as webhooks
from recaster.service.webhooks.delivery import LADDER, DeliveryLoop, Dispatcher
from recaster.service.webhooks.model import Event, WebhookDelivery, WebhookEndpoint

pytestmark = pytest.mark.contract

Headers = dict[str, str]
ALL = ["job.completed", "job.failed", "job.canceled", "content.generated", "content.approved", "content.rejected"]


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    opened = "127.0.0.0/8"
    if POSTGRES:
        return Settings(home=home, database_url=copy_postgres(), egress_allow=opened)
    shutil.copyfile(empty_database, home / "recaster.db")
    return Settings(home=home, egress_allow=opened)


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    opened: list[Receiver] = []

    def start(answer: Any = 200) -> Receiver:
        opened.append(Receiver(answer))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def dispatcher(settings: Settings, database: Database) -> Dispatcher:
    return Dispatcher(database, Egress(settings.open_networks()), Sealer(settings.sealing_keys()))


@pytest.fixture
def endpoint(client: TestClient, auth: Headers) -> Callable[..., dict[str, Any]]:
    def make(url: str, events: list[str] | None = None, **more: Any) -> dict[str, Any]:
        body = {"url": url, "events": events or ALL, **more}
        response = client.post("/v1/webhook-endpoints", json=body, headers=auth)
        assert response.status_code == 201, response.text
        return dict(response.json())

    return make


@pytest.fixture
def start_job(client: TestClient, auth: Headers, ready: Any) -> Callable[[], dict[str, Any]]:
    return lambda: dict(client.post(ready.path, json=ready.body, headers=auth).json())


def finish(database: Database, job_id: str) -> None:
    with database.system_write() as session:
        complete(session, job_id, Completion(assets=[], overlays=[], disclosure_label="AI-generated"))


def deliveries(client: TestClient, auth: Headers, made: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/v1/webhook-endpoints/{made['endpoint']['id']}/deliveries"
    return list(client.get(path, headers=auth).json()["items"])


def test_a_finished_job_is_told_in_order_and_signed_twice(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, start_job: Any, database: Database,
    dispatcher: Dispatcher, clock: ManualClock, ready: Any,
) -> None:  # fmt: skip
    hearing = receiver()
    made = endpoint(hearing.url)
    accepted = start_job()
    assert dispatcher.deliver_due() == 0
    finish(database, accepted["jobId"])
    assert dispatcher.deliver_due() == 2
    told = sorted(hearing.got, key=lambda got: got.event["sequence"])
    assert [(got.event["type"], got.event["sequence"]) for got in told] == [
        ("content.generated", 1),
        ("job.completed", 2),
    ]
    assert told[1].event == {
        "id": told[1].headers["webhook-id"],
        "type": "job.completed",
        "timestamp": "2026-11-24T12:00:00.000Z",
        "sequence": 2,
        "data": {
            "jobId": accepted["jobId"], "kind": "content_generate", "environment": "live", "status": "completed",
            "projectId": ready.project_id, "containerIds": accepted["containerIds"], "error": None,
            "finishedAt": "2026-11-24T12:00:00.000Z",
        },
    }  # fmt: skip
    for got in told:
        assert got.headers["x-layers-event-id"] == got.headers["webhook-id"]
        assert got.headers["content-type"] == "application/json"
        assert got.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
        assert got.partner_signed_by(made["signingSecret"])
        assert verifies(made["signingSecret"], got)
        assert not verifies("whsec_" + "A" * 43 + "=", got)
    first = deliveries(client, auth, made)[0]
    assert (first["status"], first["attempts"][0]["statusCode"], first["attempts"][0]["response"]) == (
        "delivered",
        200,
        "thanks",
    )


def verifies(secret: str, got: Any) -> bool:
    """Let the receivers' own library sign the same bytes; it would refuse the manual clock's time."""
    moment = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
    signed = Webhook(secret).sign(got.headers["webhook-id"], moment, got.body.decode())
    return signed in got.headers["webhook-signature"].split(" ")


def test_every_end_of_a_job_is_told_once_with_it(
    client: TestClient, auth: Headers, endpoint: Any, receiver: Any, start_job: Any, database: Database
) -> None:
    endpoint(receiver().url)
    done, failed, canceled, running = (start_job()["jobId"] for _ in range(4))
    finish(database, done)
    jobs.fail(database, failed, NoFaceFound("Nobody is on camera."))
    jobs.fail(database, failed, ValueError("again"))
    client.post(f"/v1/jobs/{canceled}/cancel", headers=auth)
    client.post(f"/v1/jobs/{canceled}/cancel", headers=auth)
    with database.system_read() as session:
        rows = session.execute(sa.select(Event.job_id, Event.type, Event.sequence).order_by(Event.id)).all()
        counters = dict(session.execute(sa.select(Job.id, Job.event_sequence)).all())
        waiting = session.scalar(sa.select(sa.func.count(WebhookDelivery.id)))
    assert sorted(rows) == sorted(
        [
            (done, "content.generated", 1),
            (done, "job.completed", 2),
            (failed, "job.failed", 1),
            (canceled, "job.canceled", 1),
        ]
    )
    assert counters == {done: 2, failed: 1, canceled: 1, running: 0}
    assert waiting == 4


def test_an_event_and_its_change_are_one_commit(start_job: Any, database: Database) -> None:
    job_id = start_job()["jobId"]

    def break_off() -> None:
        with database.system_write() as session:
            complete(session, job_id, Completion(assets=[], overlays=[], disclosure_label="x"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with database.system_read() as session:
        assert session.get_one(Job, job_id).status == "running"
        assert session.scalar(sa.select(sa.func.count(Event.id))) == 0


def test_an_endpoint_hears_what_it_asked_for(
    receiver: Any, endpoint: Any, start_job: Any, database: Database, dispatcher: Dispatcher, world: Any, ready: Any
) -> None:
    some, other, same = receiver(), receiver(), receiver()
    endpoint(some.url, ["job.completed"])
    endpoint(other.url, projectId=world.project("Other"))
    endpoint(same.url, projectId=ready.project_id)
    finish(database, start_job()["jobId"])
    dispatcher.deliver_due()
    assert [got.event["type"] for got in some.got] == ["job.completed"]
    assert other.got == []
    assert len(same.got) == 2


def test_the_ladder_to_its_end(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, start_job: Any, database: Database,
    dispatcher: Dispatcher, clock: ManualClock,
) -> None:  # fmt: skip
    deaf = receiver(500)
    made = endpoint(deaf.url, ["job.failed"])
    jobs.fail(database, start_job()["jobId"], NoFaceFound("Nobody is on camera."))
    start = clock.now()
    tries = []
    for pause in (0, 30, 60, 300, 900, 3600, 21600, 86400):
        clock.advance(timedelta(seconds=pause) - timedelta(milliseconds=1))
        if pause:
            assert dispatcher.deliver_due() == 0
        clock.advance(timedelta(milliseconds=1))
        assert dispatcher.deliver_due() == 1
        tries.append(round((clock.now() - start).total_seconds()))
    assert tries == [0, 30, 90, 390, 1290, 4890, 26490, 112890]
    assert len(LADDER) == 8
    clock.advance(timedelta(days=30))
    assert dispatcher.deliver_due() == 0
    (delivery,) = deliveries(client, auth, made)
    assert (delivery["status"], delivery["nextAttemptAt"], len(delivery["attempts"])) == ("failed", None, 8)
    assert len({got.headers["webhook-id"] for got in deaf.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in deaf.got}) == 8
    assert len({got.body for got in deaf.got}) == 1


def test_a_receiver_that_comes_back_is_told(
    receiver: Any, endpoint: Any, start_job: Any, database: Database, dispatcher: Dispatcher, clock: ManualClock
) -> None:
    flapping = receiver(503)
    endpoint(flapping.url, ["job.failed"])
    jobs.fail(database, start_job()["jobId"], NoFaceFound("Nobody is on camera."))
    dispatcher.deliver_due()
    flapping.answer = 204
    clock.advance(timedelta(seconds=30))
    dispatcher.deliver_due()
    clock.advance(timedelta(days=9))
    assert dispatcher.deliver_due() == 0
    assert len(flapping.got) == 2


def test_twenty_failures_in_a_row_pause_the_endpoint(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, start_job: Any, database: Database,
    dispatcher: Dispatcher, clock: ManualClock,
) -> None:  # fmt: skip
    deaf = receiver(500)
    made = endpoint(deaf.url, ["job.failed"])
    path = f"/v1/webhook-endpoints/{made['endpoint']['id']}"
    for _ in range(5):
        jobs.fail(database, start_job()["jobId"], NoFaceFound("Nobody is on camera."))
    for pause in (0, 30, 60, 300, 900):
        clock.advance(timedelta(seconds=pause))
        dispatcher.deliver_due()
    shown = client.get(path, headers=auth).json()
    assert (shown["status"], shown["failures"], len(deaf.got)) == ("auto_paused", 20, 20)
    jobs.fail(database, start_job()["jobId"], NoFaceFound("Nobody is on camera."))
    assert dispatcher.deliver_due() == 0
    assert client.post(f"{path}/test", headers=auth).json()["error"]["details"]["subcode"] == "ENDPOINT_PAUSED"
    deaf.answer = 200
    resumed = client.patch(path, json={"status": "active"}, headers=auth).json()
    assert (resumed["status"], resumed["failures"]) == ("active", 0)
    clock.advance(timedelta(hours=1))
    assert dispatcher.deliver_due() == 6


def test_a_success_between_starts_the_count_anew(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher, clock: ManualClock
) -> None:
    hearing = receiver(500)
    made = endpoint(hearing.url)
    path = f"/v1/webhook-endpoints/{made['endpoint']['id']}"
    client.post(f"{path}/test", headers=auth)
    dispatcher.deliver_due()
    assert client.get(path, headers=auth).json()["failures"] == 1
    hearing.answer = 200
    clock.advance(timedelta(seconds=30))
    dispatcher.deliver_due()
    assert client.get(path, headers=auth).json()["failures"] == 0


def test_a_test_ping_goes_to_its_endpoint_alone(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher
) -> None:
    asked, other = receiver(), receiver()
    made = endpoint(asked.url, ["job.failed"])
    endpoint(other.url, ["test.ping"])
    response = client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth)
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    dispatcher.deliver_due()
    assert [(got.event["type"], got.event["sequence"]) for got in asked.got] == [("test.ping", 0)]
    assert asked.got[0].event == response.json()["payload"]
    assert other.got == []


def test_a_replay_is_the_same_event_in_a_new_delivery(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher
) -> None:
    hearing = receiver()
    made = endpoint(hearing.url)
    first = client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth).json()
    path = f"/v1/webhook-deliveries/{first['id']}/replay"
    pending = client.post(path, headers=auth)
    assert pending.status_code == 409
    assert pending.json()["error"]["details"]["subcode"] == "DELIVERY_PENDING"
    dispatcher.deliver_due()
    again = client.post(path, headers=auth)
    assert again.status_code == 202
    assert again.json()["id"] != first["id"]
    assert (again.json()["eventId"], again.json()["replayOf"]) == (first["eventId"], first["id"])
    dispatcher.deliver_due()
    one, two = (got.event for got in hearing.got)
    assert "replayOf" not in one
    assert two == {**one, "replayOf": first["id"]}
    assert hearing.got[0].headers["webhook-id"] == hearing.got[1].headers["webhook-id"]
    assert client.post("/v1/webhook-deliveries/whd_x/replay", headers=auth).status_code == 404


def test_a_rotated_secret_signs_on_for_a_day(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher, clock: ManualClock
) -> None:
    hearing = receiver()
    made = endpoint(hearing.url)
    path = f"/v1/webhook-endpoints/{made['endpoint']['id']}"
    old = made["signingSecret"]
    new = client.post(f"{path}/rotate-secret", headers=auth).json()["signingSecret"]
    assert new != old
    for later, old_counts in (
        (timedelta(0), True),
        (timedelta(hours=23, minutes=59), True),
        (timedelta(hours=24), False),
    ):
        clock.advance(later if later < timedelta(hours=24) else timedelta(minutes=1))
        client.post(f"{path}/test", headers=auth)
        dispatcher.deliver_due()
        got = hearing.got[-1]
        assert got.partner_signed_by(new)
        assert verifies(new, got)
        assert got.partner_signed_by(old) == old_counts
        assert verifies(old, got) == old_counts


def test_redirects_and_private_addresses_are_failures(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, settings: Settings, database: Database
) -> None:
    canary = receiver()
    turning = receiver(lambda got: (307, {"Location": canary.url}, b""))
    for url in (turning.url, canary.url):
        made = endpoint(url)
        client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth)
    sealer = Sealer(settings.sealing_keys())
    Dispatcher(database, Egress(), sealer).deliver_due()
    assert (turning.got, canary.got) == ([], [])
    made = endpoint(turning.url)
    client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth)
    Dispatcher(database, Egress(settings.open_networks()), sealer).deliver_due()
    assert canary.got == []
    assert len(turning.got) == 1
    (delivery,) = deliveries(client, auth, made)
    assert (delivery["status"], delivery["attempts"][0]["statusCode"]) == ("pending", 307)


def test_little_of_an_answer_is_kept(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher
) -> None:
    made = endpoint(receiver(lambda got: (500, {}, b"x" * 500_000)).url)
    client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth)
    dispatcher.deliver_due()
    assert len(deliveries(client, auth, made)[0]["attempts"][0]["response"]) == 1000


def test_one_slow_receiver_delays_no_other(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher
) -> None:
    release = threading.Event()

    def hang(got: Any) -> tuple[int, dict[str, str], bytes]:
        release.wait(30)
        return 200, {}, b""

    slow, quick = receiver(hang), receiver()
    slow_endpoint, quick_endpoint = endpoint(slow.url), endpoint(quick.url)
    for _ in range(40):
        client.post(f"/v1/webhook-endpoints/{slow_endpoint['endpoint']['id']}/test", headers=auth)
    for _ in range(10):
        client.post(f"/v1/webhook-endpoints/{quick_endpoint['endpoint']['id']}/test", headers=auth)
    loop = DeliveryLoop(dispatcher, keep=timedelta(days=30))
    loop.start()
    try:
        waiting = threading.Event()
        for _ in range(200):
            if len(quick.got) == 10:
                break
            waiting.wait(0.05)
        # All of the quick one's are there while the slow one's first tries still hang.
        assert len(quick.got) == 10
        assert 0 < len(slow.got) <= 4
    finally:
        release.set()
        loop.stop()


def test_a_result_that_comes_too_late_is_not_written(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher, clock: ManualClock
) -> None:
    hearing = receiver()
    made = endpoint(hearing.url)
    client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth)
    (frozen,) = dispatcher.claim()
    assert dispatcher.claim() == []
    clock.advance(timedelta(seconds=61))
    (second,) = dispatcher.claim()
    hearing.answer = 500
    assert not dispatcher.attempt(frozen)
    hearing.answer = 200
    assert dispatcher.attempt(second)
    (delivery,) = deliveries(client, auth, made)
    assert (delivery["status"], len(delivery["attempts"])) == ("delivered", 1)


def test_secrets_are_shown_once_and_stand_nowhere(
    client: TestClient, auth: Headers, database: Database, settings: Settings, endpoint: Any
) -> None:
    body = {"url": "https://receiver.example/hook", "events": ["job.failed"]}
    headers = {**auth, "Idempotency-Key": "once"}
    first = client.post("/v1/webhook-endpoints", json=body, headers=headers)
    again = client.post("/v1/webhook-endpoints", json=body, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["cache-control"] == "no-store"
    made = first.json()
    rotated = client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/rotate-secret", headers=headers).json()
    secrets = [made["signingSecret"], rotated["signingSecret"]]
    for path in ("", f"/{made['endpoint']['id']}", f"/{made['endpoint']['id']}/deliveries"):
        text = client.get(f"/v1/webhook-endpoints{path}", headers=auth).text
        assert not any(secret in text for secret in secrets)
    if settings.is_sqlite:
        database.engine.dispose()
        stored = b"".join(file.read_bytes() for file in settings.home.glob("recaster.db*"))
        for secret in secrets:
            assert secret.encode() not in stored
            assert secret.removeprefix("whsec_")[:20].encode() not in stored
    with database.system_read() as session:
        row = session.get_one(WebhookEndpoint, made["endpoint"]["id"])
        assert webhooks.valid_secrets(row, Sealer(settings.sealing_keys()), 0)[0] == secrets[1]


def test_sealed_secrets_move_to_a_new_key(database: Database, endpoint: Any, settings: Settings) -> None:
    made = endpoint("https://receiver.example/hook")
    old = settings.sealing_keys()
    ring = Sealer([b"n" * 32, *old])
    with database.system_write() as session:
        assert webhooks.reseal(session, ring) == 1
        assert webhooks.reseal(session, ring) == 0
    with database.system_read() as session:
        row = session.get_one(WebhookEndpoint, made["endpoint"]["id"])
        assert webhooks.valid_secrets(row, Sealer([b"n" * 32]), 0) == [made["signingSecret"]]


BAD = {
    "http": {"url": "http://receiver.example/hook"},
    "private": {"url": "https://10.0.0.1/hook"},
    "password": {"url": "https://a:b@receiver.example/"},
    "unknown event": {"events": ["job.started"]},
    "no event": {"events": []},
    "twice": {"events": ["job.failed", "job.failed"]},
    "unknown field": {"secret": "mine"},
}


@pytest.mark.parametrize("case", BAD)
def test_bad_endpoints_are_refused(client: TestClient, auth: Headers, case: str) -> None:
    body = {"url": "https://receiver.example/hook", "events": ["job.failed"], **BAD[case]}
    response = client.post("/v1/webhook-endpoints", json=body, headers=auth)
    assert response.status_code == 422
    assert response.json()["error"]["details"]["issues"]


def test_changing_pausing_and_deleting(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher
) -> None:
    hearing = receiver()
    made = endpoint(hearing.url)
    path = f"/v1/webhook-endpoints/{made['endpoint']['id']}"
    assert client.get(path, headers=auth).json() == made["endpoint"]
    changed = client.patch(path, json={"description": "mine", "events": ["job.failed"]}, headers=auth).json()
    assert (changed["description"], changed["events"], changed["url"]) == ("mine", ["job.failed"], hearing.url)
    assert client.patch(path, json={"url": "http://receiver.example"}, headers=auth).status_code == 422
    waiting = client.post(f"{path}/test", headers=auth).json()
    client.patch(path, json={"status": "paused"}, headers=auth)
    assert dispatcher.deliver_due() == 0
    assert client.delete(path, headers=auth).status_code == 204
    for response in (
        client.get(path, headers=auth),
        client.delete(path, headers=auth),
        client.post(f"{path}/test", headers=auth),
        client.post(f"/v1/webhook-deliveries/{waiting['id']}/replay", headers=auth),
    ):
        assert response.status_code == 404
    assert dispatcher.deliver_due() == 0
    assert client.get("/v1/webhook-endpoints", headers=auth).json()["items"] == []


def test_there_is_a_bound_on_endpoints(client: TestClient, auth: Headers, endpoint: Any) -> None:
    for _ in range(20):
        endpoint("https://receiver.example/hook")
    body = {"url": "https://receiver.example/hook", "events": ["job.failed"]}
    response = client.post("/v1/webhook-endpoints", json=body, headers=auth)
    assert (response.status_code, response.json()["error"]["details"]["subcode"]) == (409, "TOO_MANY_ENDPOINTS")


def test_old_deliveries_and_events_go(
    client: TestClient, auth: Headers, receiver: Any, endpoint: Any, dispatcher: Dispatcher, clock: ManualClock,
    database: Database,
) -> None:  # fmt: skip
    made = endpoint(receiver().url)
    client.post(f"/v1/webhook-endpoints/{made['endpoint']['id']}/test", headers=auth)
    dispatcher.deliver_due()
    dispatcher.purge(timedelta(days=30))
    assert len(deliveries(client, auth, made)) == 1
    clock.advance(timedelta(days=31))
    dispatcher.purge(timedelta(days=30))
    assert deliveries(client, auth, made) == []
    with database.system_read() as session:
        assert session.scalar(sa.select(sa.func.count(Event.id))) == 0
