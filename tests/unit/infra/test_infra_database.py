from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from recaster.infra import migrations
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, OrganizationSession, TenancyError, create_engine, open_database
from recaster.infra.engine import migrate_engine
from recaster.infra.settings import Settings
from recaster.service.accounts.model import Organization
from recaster.service.accounts.service import create_organization
from recaster.service.jobs.model import Job
from recaster.service.tables import complete_metadata

pytestmark = pytest.mark.unit


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(Settings(home=tmp_path), clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    migrations.upgrade(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def two(database: Database) -> tuple[str, str]:
    with database.system_write() as session:
        first, second = (create_organization(session, name).id for name in ("a", "b"))
    return first, second


def job(session: OrganizationSession, **values: object) -> Job:
    start: dict[str, object] = {"id": session.new_id("job"), "kind": "k", "input": {}, "status": "running"}
    start |= {"stage": "queued", "stage_progress": 0, "progress": 0, "attempts": 0, "version": 1}
    return Job(**start | {"started_at": session.now, "updated_at": session.now} | values)


def test_sqlite_is_set_up_to_keep_what_was_promised(database: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with database.engine.connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}


def test_every_sqlite_tells_the_time_in_fractions_as_the_durable_engine_expects(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE clock (at BIGINT DEFAULT (unixepoch('subsec') * 1000), n INT)"
        )
        connection.exec_driver_sql("INSERT INTO clock (n) VALUES (1)")
        at = connection.exec_driver_sql("SELECT at FROM clock").scalar()
        seconds = connection.exec_driver_sql("SELECT strftime('%s', 'now')").scalar()
    assert abs(int(seconds) * 1000 - at) <= 2000


def test_rows_are_stamped_and_filtered(database: Database, two: tuple[str, str]) -> None:
    first, second = two
    with database.write(first) as session:
        row = job(session)
        session.add(row)
    assert row.organization_id == first
    for organization_id, expected in ((first, 1), (second, 0)):
        with database.read(organization_id) as session:
            assert len(session.scalars(sa.select(Job)).all()) == expected
            assert (session.get(Job, row.id) is not None) == bool(expected)
            assert session.scalar(sa.select(sa.func.count(Job.id))) == expected
            joined = sa.select(Organization.id).join(Job, Job.organization_id == Organization.id)
            assert len(session.scalars(joined).all()) == expected
            aliased = sa.orm.aliased(Job)
            assert len(session.scalars(sa.select(aliased)).all()) == expected
            inner = sa.select(Job.id).where(Job.status == "running")
            assert len(session.scalars(sa.select(Organization).where(inner.exists())).all()) == (2 if expected else 0)
    with database.write(second) as session:
        assert session.execute(sa.update(Job).values(kind="stolen")).rowcount == 0
        assert session.execute(sa.delete(Job)).rowcount == 0
    with database.system_read() as session:
        assert session.get_one(Job, row.id).kind == "k"


def test_foreign_and_ownerless_writes_are_mistakes(database: Database, two: tuple[str, str]) -> None:
    first, second = two
    with pytest.raises(TenancyError, match="in a session of"), database.write(first) as session:
        session.add(job(session, organization_id=second))
    with pytest.raises(TenancyError, match="without organization_id"), database.system_write() as session:
        session.add(job(session))
    with pytest.raises(TenancyError, match="no organization"), database.system_read() as session:
        _ = session.organization_id


@pytest.mark.parametrize(
    "statement",
    [sa.select(Job.__table__), sa.select(Job.__table__.c.id), sa.delete(Job.__table__), sa.insert(Job).values(id="x")],
    ids=["select", "column", "delete", "insert"],
)
def test_statements_past_the_filter_are_mistakes(
    database: Database, two: tuple[str, str], statement: sa.Executable
) -> None:
    with database.write(two[0]) as session, pytest.raises(TenancyError, match="past the organization filter"):
        session.execute(statement)


def test_an_exception_leaves_nothing(database: Database, two: tuple[str, str]) -> None:
    def break_off() -> None:
        with database.write(two[0]) as session:
            session.add(job(session))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with database.read(two[0]) as session:
        assert session.scalar(sa.select(sa.func.count(Job.id))) == 0


def test_what_was_read_in_a_write_stays_true(database: Database, two: tuple[str, str]) -> None:
    """Two databases on one file stand for two processes: without the lock at the start updates would be lost."""
    other = Database(create_engine(str(database.engine.url)), clock=database.clock)

    def add_one(which: Database) -> None:
        with which.write(two[0]) as session:
            row = session.scalars(sa.select(Job)).one()
            row.attempts = row.attempts + 1

    with database.write(two[0]) as session:
        session.add(job(session))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, [database, other] * 20))
    other.dispose()
    with database.read(two[0]) as session:
        assert session.scalars(sa.select(Job)).one().attempts == 40


def test_a_snapshot_does_not_move(database: Database, two: tuple[str, str]) -> None:
    with database.read(two[0]) as session:
        before = session.scalar(sa.select(sa.func.count(Job.id)))
        with database.write(two[0]) as writer:
            writer.add(job(writer))
        assert session.scalar(sa.select(sa.func.count(Job.id))) == before


def test_migrations_lead_to_the_models(database: Database, tmp_path: Path) -> None:
    migrate_engine(Settings(home=tmp_path))
    metadata = complete_metadata()

    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or str(name).startswith("vr_")

    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "vr_migration", "include_name": ours, "compare_type": True}
        )
        differences = compare_metadata(context, metadata)
    assert [difference for difference in differences if "vr_migration" not in str(difference)] == []
    assert migrations.current_revision(database) == migrations.newest_revision()
    migrations.upgrade(database)


@pytest.mark.parametrize("module", ["credits.service", "keys.service", "errors", "sources.model"])
def test_any_part_of_the_service_knows_all_tables(module: str) -> None:
    program = (
        f"import recaster.service.{module}, recaster.infra.database as d; print(len(d.Base.metadata.sorted_tables))"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert int(found.stdout) == len(complete_metadata().tables)


def test_every_table_is_ours_by_name() -> None:
    assert [name for name in complete_metadata().tables if not name.startswith("vr_")] == []


def test_every_table_but_the_known_ones_belongs_to_an_organization() -> None:
    free = {name for name, table in complete_metadata().tables.items() if "organization_id" not in table.columns}
    platform = {"vr_source_lookup", "vr_source_breaker", "vr_source_retry", "vr_operator_secret"}
    assert free == {"vr_organization", "vr_worker_lease", "vr_rate_window"} | platform


def test_the_ledger_refuses_changes(database: Database, two: tuple[str, str]) -> None:
    from recaster.service.credits.service import grant

    with database.system_write() as session:
        grant(session, two[0], 10)
    for statement in (
        "UPDATE vr_ledger_entry SET amount = 1",
        "DELETE FROM vr_ledger_entry",
        "DELETE FROM vr_ledger_transaction",
    ):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), database.engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_the_ledger_refuses_what_does_not_balance_or_comes_late(database: Database, two: tuple[str, str]) -> None:
    from recaster.service.credits.service import grant

    with database.system_write() as session:
        grant(session, two[0], 10)
        transaction_id = session.scalar(sa.text("SELECT id FROM vr_ledger_transaction"))
    entry = (
        "INSERT INTO vr_ledger_entry (transaction_id, account, amount, organization_id) VALUES ('{}', '{}', {}, '{}')"
    )
    closing = (
        "INSERT INTO vr_ledger_transaction (id, kind, amount, created_at, organization_id) "
        f"VALUES ('led_x', 'grant', 5, 0, '{two[0]}')"
    )

    def book(*statements: str) -> None:
        with database.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    with pytest.raises(sa.exc.IntegrityError, match="is closed"):
        book(entry.format(transaction_id, "used", 5, two[0]))
    with pytest.raises(sa.exc.IntegrityError, match="do not sum to zero"):
        book(entry.format("led_x", "used", 5, two[0]), closing)
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
        book(entry.format("led_x", "used", 5, two[0]))
    balanced = (entry.format("led_x", "prepaid", 5, two[0]), entry.format("led_x", "issued", -5, two[0]))
    book(*balanced, closing)


def test_an_ended_job_stays_ended(database: Database, two: tuple[str, str]) -> None:
    with database.write(two[0]) as session:
        row = job(session, status="completed", finished_at=session.now)
        session.add(row)
    for statement in (
        "UPDATE vr_job SET status = 'failed'",
        "UPDATE vr_job SET status = 'running', finished_at = NULL",
    ):
        with pytest.raises(sa.exc.IntegrityError, match="stays as it ended"), database.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vr_job SET version = 2")
