from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from recaster.cli import app
from recaster.errors import InvalidInput
from recaster.infra.database import open_database
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.service.auditing.model import AuditEntry
from recaster.service.credits import service as credits
from recaster.service.fetching import secrets as fetching
from recaster.service.jobs import service as jobs
from recaster.service.keys import service as keys
from recaster.service.webhooks import service as webhooks
from recaster.service.webhooks.model import WebhookEndpoint
from recaster.service.webhooks.schemas import EndpointCreate

pytestmark = pytest.mark.unit


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path))
    monkeypatch.delenv("RECASTER_DATABASE_URL", raising=False)

    def command(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output.strip()

    return command


def test_the_life_of_a_key(run: Any, tmp_path: Path) -> None:
    made = json.loads(run("keys", "mint", "--organization", "Tea", "--json"))
    rotated = json.loads(run("keys", "rotate", made["apiKeyId"], "--json"))
    assert rotated["apiKey"] != made["apiKey"]
    settings = Settings(home=tmp_path)
    database = open_database(settings)

    def suspended() -> Any:
        with database.system_read() as session:
            return keys.authenticate(session, settings.pepper(), f"Bearer {rotated['apiKey']}").suspended

    assert suspended() is None
    run("keys", "kill", made["apiKeyId"])
    assert suspended() == "api_key"
    run("keys", "lift", made["apiKeyId"])
    run("organizations", "suspend", "--organization", "Tea")
    assert suspended() == "organization"
    run("organizations", "lift", "--organization", "Tea")
    assert suspended() is None
    listed = json.loads(run("keys", "list", "--organization", "Tea", "--json"))
    assert [(key["id"], key["status"]) for key in listed] == [(made["apiKeyId"], "active")]
    run("keys", "revoke", made["apiKeyId"])
    assert json.loads(run("keys", "list", "--organization", "Tea", "--json")) == []
    with database.system_read() as session:
        actions = session.execute(sa.select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.position)).all()
    assert [action for action, _ in actions] == [
        "organization.created", "api_key.minted", "api_key.rotated", "api_key.killed", "api_key.lifted",
        "organization.suspended", "organization.lifted", "api_key.revoked",
    ]  # fmt: skip
    assert {actor for _, actor in actions} == {"operator"}
    assert "is whole" in run("organizations", "check-log", "--organization", "Tea")
    database.dispose()


def test_granting_refunding_and_auditing(run: Any, tmp_path: Path) -> None:
    organization = json.loads(run("keys", "mint", "--organization", "Tea", "--json"))["organizationId"]
    run("credits", "grant", "--organization", "Tea", "100", "--account", "included")
    run("credits", "grant", "--organization", "Tea", "200", "--kind", "purchase")
    run("credits", "grant", "--organization", "Tea", "--kind", "adjustment", "--", "-50")
    database = open_database(Settings(home=tmp_path))

    class Queue:
        def enqueue_in_transaction(self, session: Any, **_: Any) -> None:
            """Nobody takes it."""

    with database.write(organization) as session:
        job = jobs.open_job(session, Queue(), kind="content_generate", workflow="w", project_id=None, input={})
        credits.reserve(session, job.id, 120)
    with pytest.raises(InvalidInput, match="has cost 0 credits"):
        run("credits", "refund", job.id)
    with database.system_write() as session:
        credits.capture(session, job.id)
        jobs.finish(session, jobs.locked_running(session, job.id))
    assert run("credits", "refund", job.id, "--amount", "30") == f"30 credits of {job.id} refunded"
    assert run("credits", "refund", job.id) == f"90 credits of {job.id} refunded"
    with pytest.raises(InvalidInput, match="has cost 0 credits"):
        run("credits", "refund", job.id, "--amount", "1")
    wallet = json.loads(run("credits", "show", "--organization", "Tea", "--json"))
    assert (wallet["includedRemaining"], wallet["prepaidBalance"], wallet["usedThisPeriod"]) == (100, 150, 0)
    assert run("credits", "audit") == "1 ledgers balance"
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vr_wallet SET prepaid = prepaid + 1")
    assert "the wallet says 151, the entries 150" in run("credits", "audit", code=1)
    database.dispose()


def test_the_audit_finds_credits_that_are_held_too_long_or_not_at_all(run: Any, tmp_path: Path) -> None:
    organization = json.loads(run("keys", "mint", "--organization", "Tea", "--json"))["organizationId"]
    run("credits", "grant", "--organization", "Tea", "500")
    database = open_database(Settings(home=tmp_path))

    class Queue:
        def enqueue_in_transaction(self, session: Any, **_: Any) -> None:
            """Nobody takes it."""

    with database.write(organization) as session:
        holding, free = (
            jobs.open_job(session, Queue(), kind="content_generate", workflow="w", project_id=None, input={})
            for _ in range(2)
        )
        credits.reserve(session, holding.id, 120)
        jobs.finish(session, holding)
    findings = run("credits", "audit", code=1)
    assert f"{holding.id}: has ended and still holds credits" in findings
    assert f"{free.id}: was accepted without holding credits" in findings
    database.dispose()


def test_secrets_move_to_a_new_key(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECASTER_SEALING_KEY", "old")
    organization = json.loads(run("keys", "mint", "--organization", "Tea", "--json"))["organizationId"]
    database = open_database(Settings(home=tmp_path))
    old, cookie = Sealer(Settings(home=tmp_path).sealing_keys()), ".tiktok.com\tTRUE\t/\tTRUE\t0\tsid\tvalue"
    with database.write(organization) as session:
        body = EndpointCreate(url="https://receiver.example/hook", events=["job.failed"])
        endpoint, secret = webhooks.create(session, old, body, ())
    with database.system_write() as session:
        fetching.store_cookies(session, old, cookie)
    monkeypatch.setenv("RECASTER_SEALING_KEY", "new,old")
    expected = "sealed anew: webhook secrets of {} endpoints, cookies of {} platforms"
    assert run("secrets", "reseal") == expected.format(1, 1)
    assert run("secrets", "reseal") == expected.format(0, 0)
    monkeypatch.setenv("RECASTER_SEALING_KEY", "new")
    new = Sealer(Settings(home=tmp_path).sealing_keys())
    with database.system_read() as session:
        row = session.get_one(WebhookEndpoint, endpoint.id)
        assert webhooks.valid_secrets(row, new, 0) == [secret]
        assert "sid\tvalue" in fetching.read_cookies(session, new)
    database.dispose()
