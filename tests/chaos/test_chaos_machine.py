"""Histories made up at random, in virtual time: after every step all that was promised holds.

A history that once failed is kept in `KEPT` and told again each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import invariants
import pytest
import sqlalchemy as sa
from house import FAILING, GOOD, furnish
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sim import SimEngine, SimReceiver, SimWorker

from recaster.infra import migrations
from recaster.infra.clock import ManualClock
from recaster.infra.database import open_database
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import open_storage
from recaster.service.credits.model import Wallet
from recaster.service.credits.service import grant
from recaster.service.errors import BillingExhausted, Conflict, IdempotencyConflict, RateLimited
from recaster.service.idempotency.service import RequestIdentity, StoredAnswer, fingerprint, run_once
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import STAGE_ORDER, Job, Stage
from recaster.service.keys.model import ApiKey
from recaster.service.remixes.schemas import AcceptedView, VideoRemixRequest
from recaster.service.remixes.service import accept
from recaster.service.webhooks import service as webhooks
from recaster.service.webhooks.delivery import LADDER, Dispatcher
from recaster.service.webhooks.model import Event, WebhookDelivery, WebhookEndpoint
from recaster.service.webhooks.schemas import EndpointCreate

pytestmark = pytest.mark.unit

EXAMPLES = int(os.environ.get("RECASTER_CHAOS_HISTORIES", "10"))
"""`bench/api/chaos.py` raises it."""
PRICE = 120
PAUSES = (1, 31, 61, 3600, 23 * 3600, 24 * 3600 + 1)
DEEDS = (
    *["submit"] * 4, *["duplicate"] * 2, "mutate", *["poll"] * 4, "cancel", *["start worker"] * 3, *["go on"] * 6,
    "crash", "take over", "resume stale", "top up", "time", "receiver", "webhooks",
)  # fmt: skip
"""What happens, as often as it stands here."""
NUMBER = st.integers(0, 1_000_000)
"""Chooses among what is there: the number modulo how many there are."""
_TEMPLATE: list[Path] = []


def template() -> Path:
    """A furnished home to copy: setting one up for every history would take most of the time."""
    if not _TEMPLATE:
        home = Path(tempfile.mkdtemp(prefix="recaster-sim-"))
        database = open_database(Settings(home=home))
        migrations.upgrade(database)
        database.dispose()
        _TEMPLATE.append(home)
    return _TEMPLATE[0]


class Partner(RuleBasedStateMachine):
    """Everybody at once: a partner, its receiver, the operator, the workers, and whoever pulls plugs."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="recaster-sim-"))
        self.home = self.folder / "home"
        shutil.copytree(template(), self.home)
        self.settings = Settings(home=self.home)
        self.clock = ManualClock(datetime(2026, 11, 24, 12, tzinfo=UTC))
        self.database = open_database(self.settings, clock=self.clock)
        sa.event.listen(self.database.engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous=OFF"))
        self.storage = open_storage(self.settings)
        self.engine = SimEngine(self.database)
        self.tenant = furnish(self.database, self.settings, 6 * PRICE)
        self.available = 6 * PRICE
        self.receiver = SimReceiver()
        sealer = Sealer(self.settings.sealing_keys())
        self.dispatcher = Dispatcher(self.database, self.receiver, sealer)  # type: ignore[arg-type]
        self.events = ["job.completed", "job.failed", "job.canceled", "content.generated"]
        hook = EndpointCreate.model_validate({"url": "https://example.com/hook", "events": self.events})
        with self.database.write(self.tenant.organization_id) as session:
            self.key_id = session.scalars(sa.select(ApiKey.id)).one()
            webhooks.create(session, sealer, hook, ())
        self.answers: dict[str, tuple[str, StoredAnswer, datetime]] = {}
        self.shown: dict[str, Any] = {}
        self.ends: dict[str, str] = {}
        self.workers: list[SimWorker] = []
        self.forgotten: list[SimWorker] = []
        self.homes = 0

    @rule(deed=st.sampled_from(DEEDS), number=NUMBER, size=st.integers(1, 12))
    def something_happens(self, deed: str, number: int, size: int) -> None:
        """Do one of the deeds below, if there is something to do it with."""
        worker, stale = bool(self.workers), bool(self.forgotten)
        known = bool(self.answers)
        possible: dict[str, tuple[bool, Callable[[], None]]] = {
            "submit": (True, lambda: self.submit(self.one_of((GOOD, GOOD, *FAILING), number))),
            "duplicate": (known, lambda: self.duplicate(number)),
            "mutate": (known, lambda: self.mutate_and_duplicate(number)),
            "poll": (known, lambda: self.poll(number)),
            "cancel": (known, lambda: self.cancel(number)),
            "start worker": (len(self.workers) < 3, self.start_worker),
            "go on": (worker, lambda: self.let_a_worker_go_on(number, size)),
            "crash": (worker, lambda: self.crash_a_worker(number)),
            "take over": (worker, lambda: self.take_a_job_from_a_slow_worker(number)),
            "resume stale": (stale, lambda: self.resume_a_stale_worker(number)),
            "top up": (True, lambda: self.top_up(1 + number % (3 * PRICE))),
            "time": (True, lambda: self.time_passes(self.one_of(PAUSES, number))),
            "receiver": (True, lambda: self.the_receiver_becomes(self.one_of(("up", "refusing", "away"), number))),
            "webhooks": (True, self.webhooks_are_sent),
        }
        there, act = possible[deed]
        if there:
            act()

    # ---- what the partner does

    def ask(self, key: str, tiktok_id: str) -> StoredAnswer:
        """Send the request for a remix past HTTP: key, work and answer in one transaction."""
        body = {"tiktokVideoId": tiktok_id, "influencerId": self.tenant.influencer_id}
        route = "POST /v1/projects/{projectId}/content/video-remix"
        digest = fingerprint("POST", route, {"projectId": self.tenant.project_id}, body)
        with self.database.write(self.tenant.organization_id) as session:

            def work() -> StoredAnswer:
                view: AcceptedView = accept(
                    session, self.engine, self.settings, project_id=self.tenant.project_id,
                    request=VideoRemixRequest.model_validate(body), api_key_id=self.key_id, tier="standard",
                )  # fmt: skip
                return StoredAnswer(202, view.model_dump_json(by_alias=True).encode())

            return run_once(session, RequestIdentity(self.key_id, route, key, digest), work)

    def accepted(self, key: str, tiktok_id: str) -> None:
        """Ask, and check that what comes is what the wallet and the cap allow."""
        running = len(invariants.unfinished(self.database))
        before = self.rows()
        try:
            answer = self.ask(key, tiktok_id)
        except BillingExhausted:
            assert self.available < PRICE
            assert self.rows() == before
        except RateLimited:
            assert running >= self.settings.limits("standard").running_jobs
            assert self.rows() == before
        else:
            assert not answer.replayed
            self.available -= PRICE
            self.answers[key] = (tiktok_id, answer, self.clock.now())

    def rows(self) -> tuple[int, ...]:
        """Count what a request could leave behind."""
        tables = ("vr_job", "vr_container", "vr_credit_reservation", "vr_ledger_entry", "sim_work", "vr_event")
        with self.database.engine.connect() as connection:
            return tuple(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() or 0 for name in tables)

    def submit(self, tiktok_id: str) -> None:
        self.accepted(f"key-{len(self.answers)}-{self.clock.monotonic()}", tiktok_id)

    def duplicate(self, number: int) -> None:
        key, (tiktok_id, answer, then) = self.one_of(list(self.answers.items()), number)
        if self.clock.now() - then >= timedelta(hours=24):
            self.accepted(key, tiktok_id)
            return
        before = self.rows()
        again = self.ask(key, tiktok_id)
        assert again.replayed
        assert (again.status, again.body) == (answer.status, answer.body)
        assert self.rows() == before

    def mutate_and_duplicate(self, number: int) -> None:
        key, (tiktok_id, _, then) = self.one_of(list(self.answers.items()), number)
        other = next(one for one in (GOOD, *FAILING) if one != tiktok_id)
        if self.clock.now() - then >= timedelta(hours=24):
            return
        before = self.rows()
        with pytest.raises(IdempotencyConflict):
            self.ask(key, other)
        assert self.rows() == before

    def poll(self, number: int) -> None:
        self.look(self.one_of(self.job_ids(), number))

    def cancel(self, number: int) -> None:
        job_id = self.one_of(self.job_ids(), number)
        before = self.job(job_id)
        try:
            with self.database.write(self.tenant.organization_id) as session:
                told = jobs.cancel(session, job_id)
        except Conflict:
            assert (before.status, before.stage) == ("running", Stage.FINALIZING)
            return
        assert told.accepted == (before.status == "running")
        assert told.reason == (None if told.accepted else f"ALREADY_{before.status.upper()}")

    # ---- what others do

    def start_worker(self) -> None:
        with self.database.engine.connect() as connection:
            waiting = connection.exec_driver_sql("SELECT count(*) FROM sim_work WHERE waiting").scalar()
        if waiting:
            self.homes += 1
            self.workers.append(
                SimWorker(self.engine, self.database, self.storage, self.folder / f"worker-{self.homes}")
            )

    def let_a_worker_go_on(self, number: int, steps: int) -> None:
        worker = self.one_of(self.workers, number)
        for _ in range(steps):
            worker.go_on()
            self.settle()
        if worker.ended:
            self.workers.remove(worker)

    def crash_a_worker(self, number: int) -> None:
        worker = self.one_of(self.workers, number)
        self.workers.remove(worker)
        worker.kill()
        self.engine.requeue(worker.job_id)

    def take_a_job_from_a_slow_worker(self, number: int) -> None:
        worker = self.one_of(self.workers, number)
        self.workers.remove(worker)
        self.forgotten.append(worker)
        self.engine.requeue(worker.job_id)

    def resume_a_stale_worker(self, number: int) -> None:
        worker = self.one_of(self.forgotten, number)
        self.forgotten.remove(worker)
        worker.run_to_end()

    def top_up(self, credits: int) -> None:
        with self.database.system_write() as session:
            grant(session, self.tenant.organization_id, credits)
        self.available += credits

    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def the_receiver_becomes(self, mode: str) -> None:
        self.receiver.mode = mode

    def webhooks_are_sent(self) -> None:
        self.dispatcher.deliver_due()

    # ---- what must hold

    @invariant()
    def all_promises_hold(self) -> None:
        self.settle()
        assert invariants.broken(self.database) == []
        with self.database.system_read() as session:
            wallet = session.get_one(Wallet, self.tenant.organization_id)
            assert wallet.included + wallet.prepaid == self.available

    def settle(self) -> None:
        """Take note of jobs that ended since the last look: what was held for them is spent, or free again."""
        with self.database.system_read() as session:
            ended = {row.id: row.status for row in session.scalars(sa.select(Job).where(Job.status != "running"))}
        for job_id, status in self.ends.items():
            assert ended[job_id] == status, f"J2 {job_id} was {status} and is {ended[job_id]}"
        self.available += PRICE * sum(
            status != "completed" for job_id, status in ended.items() if job_id not in self.ends
        )
        self.ends = ended

    def look(self, job_id: str) -> None:
        """Poll a job: its tag changes exactly with what is shown, and nothing shown goes back."""
        with self.database.read(self.tenant.organization_id) as session:
            row = jobs.require_job(session, job_id)
            tag, view = jobs.etag(session, job_id), jobs.view(session, row)
        if job_id in self.shown:
            earlier_tag, earlier = self.shown[job_id]
            assert (tag == earlier_tag) == (view == earlier), "J3 the tag and what it stands for changed apart"
            assert view.progress >= earlier.progress
            assert STAGE_ORDER.index(Stage(view.stage)) >= STAGE_ORDER.index(Stage(earlier.stage))
            assert earlier.status in {"running", view.status}
        self.shown[job_id] = (tag, view)

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            for worker in [*self.workers, *self.forgotten]:
                worker.kill()
            self.database.dispose()
            shutil.rmtree(self.folder)

    def come_to_rest(self) -> None:
        """Let everybody finish, and check what must be true then."""
        while self.forgotten:
            self.resume_a_stale_worker(0)
        for _ in range(1000):
            self.start_worker()
            if not self.workers:
                break
            self.let_a_worker_go_on(0, 12)
        assert invariants.unfinished(self.database) == []
        self.all_promises_hold()
        for job_id in self.job_ids():
            self.look(job_id)
            self.require_cause(self.job(job_id))
        work = tuple(path.name for folder in self.folder.glob("worker-*/work") for path in folder.iterdir())
        crashed = {name for name in work if self.job(name).status != "running"}
        assert invariants.orphans(self.database, self.storage, ()) == []
        assert crashed == set(work)
        self.tell_all()

    def require_cause(self, job: Job) -> None:
        """A job fails for what its source is, or because its workers died too often; else it was done or cancelled."""
        code = job.error["code"] if job.error else None
        if code == "INTERNAL":
            assert job.attempts > self.settings.max_job_attempts
        elif code is not None:
            assert (
                code
                == dict(zip(FAILING, ("NO_FACE_FOUND", "OUTPUT_REJECTED"), strict=True))[job.input["tiktokVideoId"]]
            )
        elif job.status == "completed":
            assert job.input["tiktokVideoId"] == GOOD

    def tell_all(self) -> None:
        """Let the receiver come back, pass all pauses of the ladder, and compare what it heard."""
        self.receiver.mode = "up"
        with self.database.system_write() as session:
            session.execute(sa.update(WebhookEndpoint).values(status="active"))
        for pause in (*LADDER, LADDER[-1]):
            self.clock.advance(pause + timedelta(seconds=61))
            self.dispatcher.deliver_due()
        assert invariants.untold(self.database) == []
        heard = {told["id"] for told in self.receiver.heard}
        with self.database.system_read() as session:
            events = {row.id: row for row in session.scalars(sa.select(Event))}
            for row in session.scalars(sa.select(WebhookDelivery)):
                assert (row.event_id in heard) == (row.status == "delivered"), "W2"
                assert row.status == "delivered" or len(row.attempts) == len(LADDER), "W2"
        for told in self.receiver.heard:
            event = events[told["id"]]
            assert (told["type"], told["sequence"]) == (event.type, event.sequence)
        assert len(heard) == len(self.receiver.heard), "a receiver that answers is told once"

    # ---- small things

    @staticmethod
    def one_of(things: Sequence[Any], number: int) -> Any:
        """Choose by number."""
        return things[number % len(things)]

    def job_ids(self) -> list[str]:
        """All jobs in the order in which they were accepted."""
        with self.database.system_read() as session:
            return list(session.scalars(sa.select(Job.id).order_by(Job.id)))

    def job(self, job_id: str) -> Job:
        """One job as it is now."""
        with self.database.system_read() as session:
            return session.get_one(Job, job_id)


def test_made_up_histories_keep_all_promises() -> None:
    run_state_machine_as_test(
        Partner,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize="RECASTER_CHAOS_HISTORIES" not in os.environ,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


KEPT: dict[str, Callable[[Partner], None]] = {}


def kept(history: Callable[[Partner], None]) -> Callable[[Partner], None]:
    """Keep a history."""
    KEPT[history.__name__] = history
    return history


@kept
def a_stale_worker_wakes_up_after_the_job_is_done(partner: Partner) -> None:
    partner.submit(GOOD)
    partner.start_worker()
    partner.let_a_worker_go_on(0, 12)
    partner.take_a_job_from_a_slow_worker(0)
    partner.start_worker()
    partner.workers[0].run_to_end()
    partner.workers.clear()
    partner.resume_a_stale_worker(0)


@kept
def a_cancel_comes_while_two_workers_have_the_job(partner: Partner) -> None:
    partner.submit(GOOD)
    partner.start_worker()
    partner.let_a_worker_go_on(0, 9)
    partner.take_a_job_from_a_slow_worker(0)
    partner.start_worker()
    partner.let_a_worker_go_on(0, 5)
    partner.cancel(0)
    partner.resume_a_stale_worker(0)


@kept
def a_worker_dies_at_every_pause_of_a_job(partner: Partner) -> None:
    for steps in range(1, 40, 4):
        partner.top_up(PRICE)
        partner.submit(GOOD)
        partner.start_worker()
        for _ in range(steps):
            partner.workers[0].go_on()
        if not partner.workers[0].ended:
            partner.crash_a_worker(0)
            partner.start_worker()
            partner.workers[0].run_to_end()
        partner.workers.clear()
        partner.all_promises_hold()


@pytest.mark.parametrize("history", KEPT)
def test_a_kept_history_keeps_all_promises(history: str) -> None:
    partner = Partner()
    try:
        KEPT[history](partner)
        partner.all_promises_hold()
    finally:
        partner.teardown()
