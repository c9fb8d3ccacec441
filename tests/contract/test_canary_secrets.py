"""Planted secrets show up nowhere: not in logs, errors, events, lists, metrics, the audit log or a dump of the database."""

from __future__ import annotations

import io
import logging
import shutil
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from fastapi.testclient import TestClient
from receivers import Receiver
from worlds import POSTGRES, copy_postgres

from recaster.infra.clock import ManualClock
from recaster.infra.database import Database
from recaster.infra.egress import Egress
from recaster.infra.logging import configure_logging
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.service.jobs import service as jobs
from recaster.service.webhooks.delivery import Dispatcher

pytestmark = pytest.mark.contract

PEPPER, SEALING, PROVIDER, PASSWORD = "canary-pepper", "canary-sealing", "canary-provider", "canary-password"


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    planted: dict[str, Any] = {
        "egress_allow": "127.0.0.0/8", "key_pepper": PEPPER, "sealing_key": SEALING, "copy_api_key": PROVIDER,
        "redis_url": f"redis://user:{PASSWORD}@127.0.0.1:1/0", "rate_limit_store": "memory",
    }  # fmt: skip
    if POSTGRES:
        return Settings(home=home, database_url=copy_postgres(), **planted)
    shutil.copyfile(empty_database, home / "recaster.db")
    return Settings(home=home, **planted)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that this process logs, down to the smallest."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers, root.level)
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("DEBUG")
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


def dump(database: Database) -> str:
    rows: list[str] = []
    with database.engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows += [repr(tuple(row)) for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"')]
    return "\n".join(rows)


def test_planted_secrets_stay_where_they_belong(
    log: io.StringIO, client: TestClient, auth: dict[str, str], make_key: Any, ready: Any, settings: Settings,
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    admin = make_key("org:admin")
    receiver = Receiver(500)
    shown: list[str] = []
    told_once: list[str] = []

    def ask(method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
        response = client.request(method, path, headers={**auth, **(headers or {})}, **more)
        shown.append(response.text + repr(response.headers))
        return response

    for idempotency in ({}, {"Idempotency-Key": "one"}):
        body = {"name": "k", "scopes": ["jobs:read"]}
        made = client.post("/v1/api-keys", json=body, headers={**admin, **idempotency}).json()
        rotated = client.post(f"/v1/api-keys/{made['apiKey']['id']}/rotate", headers={**admin, **idempotency}).json()
        told_once += [made["secret"], rotated["secret"]]
        hook = {"url": receiver.url, "events": ["job.failed", "job.canceled"]}
        endpoint = client.post("/v1/webhook-endpoints", json=hook, headers={**auth, **idempotency}).json()
        path = f"/v1/webhook-endpoints/{endpoint['endpoint']['id']}"
        again = client.post(f"{path}/rotate-secret", headers={**auth, **idempotency}).json()
        told_once += [endpoint["signingSecret"], again["signingSecret"]]
        ask("POST", f"{path}/test")
        ask("GET", f"{path}/deliveries")
    secrets = {headers["Authorization"].removeprefix("Bearer ") for headers in (auth, admin)} | set(told_once)

    # Errors of every kind, some with the secret in the wrong place.
    jobs.fail(database, ask("POST", ready.path, json=ready.body).json()["jobId"], ValueError(" ".join(secrets)))
    for token in sorted(secrets):
        client.get(f"/v1/jobs/{token}", headers=auth)
        client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}x"})
        client.get("/v1/whoami", headers={"Authorization": f"Basic {token}"})
    monkeypatch.setattr("recaster.service.credits.service.overview", lambda *_, **__: 1 / 0)
    assert ask("GET", "/v1/credits").status_code == 500
    dispatcher = Dispatcher(database, Egress(settings.open_networks()), Sealer(settings.sealing_keys()))
    for pause in (0, 30, 60):
        clock.advance(timedelta(seconds=pause))
        dispatcher.deliver_due()
    receiver.close()
    for path in ("/v1/webhook-endpoints", "/v1/whoami", "/metrics", "/openapi.json", "/docs", "/readyz"):
        ask("GET", path)
    for path in ("/v1/api-keys", "/v1/audit-log?limit=100"):
        ask("GET", path, headers=admin)
    shown.append(repr(settings.describe()) + repr(settings))

    secret_parts = {token[25:] if token.startswith("lp_") else token.removeprefix("whsec_") for token in secrets}
    planted = {PEPPER, SEALING, PROVIDER, PASSWORD} | secret_parts
    places = {
        "answers": "\n".join(shown),
        "log": log.getvalue(),
        "sent": "\n".join(repr(got.headers) + got.body.decode() for got in receiver.got),
        "dump": dump(database),
    }
    assert "request failed" in places["log"]
    assert "job.failed" in places["sent"]
    assert len(secret_parts) == 10
    found = {(place, secret[:8]) for place, text in places.items() for secret in planted if secret in text}
    assert found == set()
