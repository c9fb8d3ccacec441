"""Two API processes on one database, stood for by two apps: one budget, and one effect per idempotency key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recaster.api.app import create_app
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, open_database
from recaster.infra.settings import Settings
from recaster.service.remixes import service as remixes

pytestmark = pytest.mark.contract

Headers = dict[str, str]


def test_a_budget_is_shared(
    settings: Settings, database: Database, clock: ManualClock, make_key: Callable[..., Headers]
) -> None:
    shared = settings.model_copy(update={"rate_limit_store": "database"})
    standard = make_key("*", tier="standard")
    other = open_database(settings, clock=clock)
    with (
        TestClient(create_app(shared, database=database)) as one,
        TestClient(create_app(shared, database=other)) as two,
    ):
        answers = [client.get("/v1/whoami", headers=standard) for _ in range(61) for client in (one, two)]
    other.dispose()
    assert [answer.status_code for answer in answers] == [200] * 120 + [429] * 2
    remaining = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
    assert remaining == [*range(119, -1, -1), 0, 0]
    assert answers[0].headers["ratelimit-policy"] == '"read-light";q=120;w=60'
    assert answers[0].headers["ratelimit"] == '"read-light";r=119;t=60'


def test_a_duplicate_waits_for_the_first_or_says_so(
    settings: Settings, database: Database, auth: Headers, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = settings.model_copy(update={"idempotency_wait_seconds": 0.2})
    accept, begun, go_on = remixes.accept, threading.Event(), threading.Event()

    def slow(*arguments: Any, **more: Any) -> Any:
        begun.set()
        go_on.wait(20)
        return accept(*arguments, **more)

    monkeypatch.setattr("recaster.api.routes.remixes.accept", slow)
    headers = {**auth, "Idempotency-Key": "same"}
    answers: list[Any] = []
    with TestClient(create_app(impatient, database=database)) as client:
        first = threading.Thread(
            target=lambda: answers.append(client.post(ready.path, json=ready.body, headers=headers))
        )
        first.start()
        assert begun.wait(20)
        refused = client.post(ready.path, json=ready.body, headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (409, "1")
        assert refused.json()["error"]["details"]["subcode"] == "IDEMPOTENCY_IN_PROGRESS"
        go_on.set()
        first.join()
        replayed = client.post(ready.path, json=ready.body, headers=headers)
    assert answers[0].status_code == 202
    assert replayed.content == answers[0].content
    assert replayed.headers["idempotent-replayed"] == "true"
