from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from recaster.errors import Cancelled, InvalidInput, RecasterError
from recaster.infra import migrations
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, open_database
from recaster.infra.settings import Settings
from recaster.service.accounts.service import create_organization
from recaster.service.errors import Conflict, InvalidTiktokId, NotFound, Unauthenticated
from recaster.service.idempotency.service import fingerprint
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import STAGE_ORDER, Job, Stage
from recaster.service.keys import service as keys

pytestmark = pytest.mark.unit


class RecordingQueue:
    """Remembers what was queued."""

    def __init__(self) -> None:
        self.queued: list[str] = []

    def enqueue_in_transaction(
        self, session: Session, *, workflow: str, job_id: str, organization_id: str, priority: int = 10
    ) -> None:
        self.queued.append(f"{workflow}:{job_id}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(Settings(home=tmp_path), clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    migrations.upgrade(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def organization_id(database: Database) -> str:
    with database.system_write() as session:
        return create_organization(session, "a").id


@pytest.fixture
def job_id(database: Database, organization_id: str) -> str:
    queue = RecordingQueue()
    with database.write(organization_id) as session:
        job = jobs.open_job(session, queue, kind="k", workflow="w", project_id=None, input={"a": 1})
    assert queue.queued == [f"w:{job.id}"]
    return job.id


def load(database: Database, job_id: str) -> Job:
    with database.system_read() as session:
        return session.get_one(Job, job_id)


@given(reports=st.lists(st.tuples(st.sampled_from(STAGE_ORDER), st.floats(-1, 2)), max_size=25))
def test_progress_and_stages_never_go_back(
    tmp_path_factory: pytest.TempPathFactory, reports: list[tuple[Stage, float]]
) -> None:
    job = Job(id="job", stage="queued", stage_progress=0.0, progress=0.0, version=1, status="running")

    class Quiet:
        now = datetime(2026, 1, 1, tzinfo=UTC)

        def execute(self, statement: object) -> None:
            """Containers do not matter here."""

    seen = [(0, 0.0, 1)]
    for stage, fraction in reports:
        jobs._move(Quiet(), job, stage, min(max(fraction, 0.0), 1.0))  # type: ignore[arg-type]
        state = (STAGE_ORDER.index(Stage(job.stage)), job.progress, job.version)
        assert 0 <= job.progress <= 1
        assert state[0] >= seen[-1][0]
        assert state[1] >= seen[-1][1]
        assert (state[2] > seen[-1][2]) or (state == seen[-1])
        seen.append(state)


def test_small_steps_are_not_written(database: Database, job_id: str) -> None:
    for frame in range(1000):
        jobs.report(database, job_id, Stage.GENERATING_VISUALS, frame / 1000)
    job = load(database, job_id)
    assert job.version <= 202
    assert job.progress == pytest.approx(0.4 + 0.5 * job.stage_progress)


def test_a_job_that_kills_its_worker_is_given_up(database: Database, job_id: str) -> None:
    for _ in range(3):
        jobs.begin_attempt(database, job_id, 3)
    with pytest.raises(RecasterError, match="begun 3 times"):
        jobs.begin_attempt(database, job_id, 3)
    job = load(database, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "INTERNAL"


def test_a_clean_stop_is_no_attempt(database: Database, job_id: str) -> None:
    for _ in range(10):
        jobs.begin_attempt(database, job_id, 3)
        jobs.forgive_attempts(database, [job_id])
    assert load(database, job_id).attempts == 0


def test_cancel_and_finalize_race_has_one_winner(database: Database, organization_id: str) -> None:
    def finalize(job_id: str) -> bool:
        try:
            jobs.begin_finalizing(database, job_id)
        except Cancelled:
            return False
        return True

    def cancel(job_id: str) -> bool:
        try:
            with database.write(organization_id) as session:
                return jobs.cancel(session, job_id).accepted
        except Conflict:
            return False

    with ThreadPoolExecutor(2) as pool:
        for _ in range(60):
            with database.write(organization_id) as session:
                job_id = jobs.open_job(session, RecordingQueue(), kind="k", workflow="w", project_id=None, input={}).id
            first, second = pool.submit(finalize, job_id), pool.submit(cancel, job_id)
            assert first.result() != second.result()


def test_the_end_is_never_left(database: Database, organization_id: str, job_id: str) -> None:
    jobs.complete_job(database, job_id)
    before = load(database, job_id)
    jobs.fail(database, job_id, ValueError("late"))
    jobs.complete_job(database, job_id)
    with database.write(organization_id) as session:
        assert jobs.cancel(session, job_id).reason == "ALREADY_COMPLETED"
    after = load(database, job_id)
    assert (after.status, after.version, after.error) == (before.status, before.version, None)


@pytest.mark.parametrize(
    "error",
    [
        NotFound("job", "x"),
        Unauthenticated("no"),
        Conflict("no", subcode="S", headers={"Retry-After": "1"}, jobId="j"),
        InvalidTiktokId("no", reason="private"),
    ],
)
def test_errors_travel_between_processes(error: RecasterError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.message, copy.details, copy.headers) == (error.message, error.details, error.headers)  # type: ignore[attr-defined]


def test_a_key_is_stored_as_a_hash_only(database: Database, organization_id: str, tmp_path: Path) -> None:
    with database.system_write() as session:
        minted = keys.mint(session, b"p" * 32, organization_id, name="n", scopes=["jobs:read"])
    secret = minted.token[25:]
    assert len(minted.token) == 68
    assert len(secret) == 43
    database.dispose()
    for file in tmp_path.glob("recaster.db*"):
        assert secret.encode() not in file.read_bytes()
    with database.system_read() as session:
        principal = keys.authenticate(session, b"p" * 32, f"Bearer {minted.token}")
        assert (principal.organization_id, principal.api_key_id) == (organization_id, minted.id)
        assert principal.holds("jobs:read")
        assert not principal.holds("jobs:cancel")
        with pytest.raises(Unauthenticated):
            keys.authenticate(session, b"q" * 32, f"Bearer {minted.token}")


def test_secrets_with_underscores_are_cut_by_position(database: Database, organization_id: str) -> None:
    database.ids._random_bytes = lambda n: b"\xff" * n if n == 32 else bytes(range(n))  # every sextet is `_`
    with database.system_write() as session:
        minted = keys.mint(session, b"p" * 32, organization_id, name="n", scopes=["*"])
        assert minted.token.count("_") > 40
        assert keys.authenticate(session, b"p" * 32, f"bearer {minted.token}").api_key_id == minted.id


def test_scopes(database: Database, organization_id: str) -> None:
    with database.system_write() as session:
        star = keys.mint(session, b"p" * 32, organization_id, name="n", scopes=["*"])
        nothing = keys.mint(session, b"p" * 32, organization_id, name="n", scopes=[])
        for scope in keys.SCOPES:
            assert keys.authenticate(session, b"p" * 32, f"Bearer {star.token}").holds(scope) == (scope != "org:admin")
            assert not keys.authenticate(session, b"p" * 32, f"Bearer {nothing.token}").holds(scope)
        with pytest.raises(InvalidInput, match="no scope nonsense"):
            keys.mint(session, b"p" * 32, organization_id, name="n", scopes=["nonsense"])
        with pytest.raises(NotFound):
            keys.mint(session, b"p" * 32, "org_x", name="n", scopes=["*"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=4), json_values, max_size=4),
    st.dictionaries(st.text(max_size=4), json_values, max_size=4),
)
def test_the_fingerprint_ignores_order_and_nothing_else(one: dict[str, object], other: dict[str, object]) -> None:
    base = fingerprint("POST", "/r", {"a": "1"}, one)
    assert fingerprint("POST", "/r", {"a": "1"}, dict(reversed(one.items()))) == base
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint("POST", "/r", {"a": "1"}, other) == base) == same
    assert fingerprint("PATCH", "/r", {"a": "1"}, one) != base
    assert fingerprint("POST", "/q", {"a": "1"}, one) != base
    assert fingerprint("POST", "/r", {"a": "2"}, one) != base
