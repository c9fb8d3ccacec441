from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from recaster.errors import InvalidInput
from recaster.infra import migrations
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, OrganizationSession, open_database
from recaster.infra.settings import Settings
from recaster.service.accounts.service import create_organization
from recaster.service.credits import service as credits
from recaster.service.credits.model import LedgerTransaction
from recaster.service.errors import BillingExhausted
from recaster.service.jobs.model import Job

pytestmark = pytest.mark.unit


def open_copy(template: Path) -> tuple[Database, Path]:
    home = Path(tempfile.mkdtemp())
    shutil.copyfile(template, home / "recaster.db")
    return open_database(Settings(home=home), clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC))), home


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template")
    database = open_database(Settings(home=home))
    migrations.upgrade(database)
    database.dispose()
    return home / "recaster.db"


def add_job(session: OrganizationSession) -> str:
    job = Job(
        id=session.new_id("job"),
        kind="k",
        input={},
        status="running",
        stage="queued",
        stage_progress=0,
        progress=0,
        attempts=0,
        version=1,
        started_at=session.now,
        updated_at=session.now,
    )
    session.add(job)
    session.flush()
    return job.id


class Ledger(RuleBasedStateMachine):
    """Any order of grants, holds, captures and releases, against a plain model of two pots and held parts."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.database, self.home = open_copy(self.template)
        with self.database.system_write() as session:
            self.organization = create_organization(session, "a").id
        self.free = {"included": 0, "prepaid": 0}
        self.held: dict[str, tuple[int, int]] = {}
        self.ended: dict[str, str] = {}
        self.used = 0

    def teardown(self) -> None:
        self.database.dispose()
        shutil.rmtree(self.home)

    @rule(pot=st.sampled_from(["included", "prepaid"]), amount=st.integers(-150, 300), adjust=st.booleans())
    def give(self, pot: str, amount: int, adjust: bool) -> None:
        allowed = (amount > 0 or (adjust and amount < 0)) and self.free[pot] + amount >= 0
        try:
            with self.database.system_write() as session:
                credits.grant(session, self.organization, amount, account=pot, kind="adjustment" if adjust else "grant")
        except InvalidInput:
            assert not allowed
        else:
            assert allowed
            self.free[pot] += amount

    @rule(price=st.integers(0, 200))
    def reserve(self, price: int) -> None:
        available = sum(self.free.values())
        try:
            with self.database.write(self.organization) as session:
                job_id = add_job(session)
                credits.reserve(session, job_id, price)
        except BillingExhausted:
            assert available < price
        else:
            included = min(price, self.free["included"])
            self.free["included"] -= included
            self.free["prepaid"] -= price - included
            self.held[job_id] = (included, price - included)

    @rule(data=st.data(), kind=st.sampled_from(["capture", "release"]))
    def resolve(self, data: st.DataObject, kind: str) -> None:
        if not self.held and not self.ended:
            return
        job_id = data.draw(st.sampled_from(sorted([*self.held, *self.ended])))
        act = credits.capture if kind == "capture" else credits.release
        with self.database.system_write() as session:
            if job_id in self.ended and self.ended[job_id] != kind:
                with pytest.raises(RuntimeError, match="already resolved"):
                    act(session, job_id)
                return
            act(session, job_id)
        if job_id in self.held:
            included, prepaid = self.held.pop(job_id)
            self.ended[job_id] = kind
            if kind == "capture":
                self.used += included + prepaid
            else:
                self.free["included"] += included
                self.free["prepaid"] += prepaid

    @invariant()
    def the_wallet_tells_the_truth(self) -> None:
        held_included = sum(part[0] for part in self.held.values())
        held_prepaid = sum(part[1] for part in self.held.values())
        with self.database.read(self.organization) as session:
            view = credits.overview(session, video_remix_price=120)
        assert view.available == sum(self.free.values())
        assert view.included_remaining == self.free["included"] + held_included
        assert view.prepaid_balance == self.free["prepaid"] + held_prepaid
        assert view.reserved_credits == held_included + held_prepaid
        assert view.balance == view.available + view.reserved_credits
        assert view.used_this_period == self.used
        with self.database.system_read() as session:
            assert credits.audit(session, self.organization) == []


def test_any_order_of_movements_keeps_the_ledger_true(template: Path) -> None:
    machine = type("LedgerOnFile", (Ledger,), {"template": template})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


def test_the_database_itself_refuses_to_overspend_and_to_resolve_twice(template: Path) -> None:
    database, home = open_copy(template)
    with database.system_write() as session:
        organization = create_organization(session, "a").id
        credits.grant(session, organization, 10)
    with pytest.raises(sa.exc.IntegrityError), database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vr_wallet SET prepaid = -1")
    with database.write(organization) as session:
        job_id = add_job(session)
        reservation = credits.reserve(session, job_id, 5)
        credits.capture(session, job_id)
    with pytest.raises(sa.exc.IntegrityError), database.write(organization) as session:
        session.add(
            LedgerTransaction(
                id=session.new_id("led"),
                kind="release",
                amount=5,
                job_id=job_id,
                resolves_id=reservation.id,
                note=None,
                created_at=session.now,
            )
        )
    database.dispose()
    shutil.rmtree(home)


def test_the_audit_finds_a_wallet_that_was_tampered_with(template: Path) -> None:
    database, home = open_copy(template)
    with database.system_write() as session:
        organization = create_organization(session, "a").id
        credits.grant(session, organization, 10)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vr_wallet SET prepaid = 11")
    with database.system_read() as session:
        assert credits.audit(session, organization) == ["prepaid: the wallet says 11, the entries 10."]
    database.dispose()
    shutil.rmtree(home)
