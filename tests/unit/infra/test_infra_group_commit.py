"""Threads that write at the same time share commits: all of each or nothing of it, and never another one's failure."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from recaster.infra.database import Database, create_engine
from recaster.infra.group_commit import CommitFailed

pytestmark = pytest.mark.unit


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(create_engine(f"sqlite:///{tmp_path / 'x.db'}"))
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE note (id INTEGER PRIMARY KEY)")
    yield opened
    opened.dispose()


def insert(database: Database, number: int) -> None:
    with database.system_write() as session:
        session.execute(sa.text("INSERT INTO note VALUES (:id)"), {"id": number})


def kept(database: Database) -> list[int]:
    with database.engine.connect() as connection:
        return sorted(row[0] for row in connection.exec_driver_sql("SELECT id FROM note"))


@pytest.fixture
def commits(database: Database) -> list[int]:
    seen: list[int] = []
    sa.event.listen(database.engine, "commit", lambda connection: seen.append(1))
    return seen


def together(database: Database, count: int, work: Callable[[int], None]) -> list[BaseException | None]:
    """Run `work(number)` in `count` threads that all queue behind one turn, and return what each raised."""
    begun = threading.Semaphore(0)

    def run(number: int) -> BaseException | None:
        begun.release()
        try:
            work(number)
        except (CommitFailed, ZeroDivisionError, sa.exc.SQLAlchemyError) as error:
            return error
        return None

    with ThreadPoolExecutor(count) as pool:
        # The holder of the first turn may share the commit of the others, and its failure.
        with contextlib.suppress(CommitFailed), database.system_write():
            answers = [pool.submit(run, number) for number in range(count)]
            for _ in range(count):
                begun.acquire()
        return [answer.result() for answer in answers]


def test_writers_that_queue_together_share_commits(database: Database, commits: list[int]) -> None:
    together(database, 30, lambda number: insert(database, number))
    assert kept(database) == list(range(30))
    assert len(commits) < 30


def test_a_failed_one_takes_nobody_along(database: Database) -> None:
    def work(number: int) -> None:
        with database.system_write() as session:
            session.execute(sa.text("INSERT INTO note VALUES (:id)"), {"id": number})
            if number % 3 == 0:
                raise ZeroDivisionError

    answers = together(database, 12, work)
    assert [isinstance(answer, ZeroDivisionError) for answer in answers] == [number % 3 == 0 for number in range(12)]
    assert kept(database) == [number for number in range(12) if number % 3]


def test_what_a_block_wrote_is_durable_when_it_has_ended(database: Database, tmp_path: Path) -> None:
    def work(number: int) -> None:
        insert(database, number)
        with sqlite3.connect(tmp_path / "x.db") as other:
            assert other.execute("SELECT count(*) FROM note WHERE id = ?", (number,)).fetchone() == (1,)

    assert together(database, 16, work) == [None] * 16


def test_a_commit_that_fails_fails_for_all_who_shared_it(database: Database) -> None:
    def refuse(connection: sa.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    sa.event.listen(database.engine, "commit", refuse)
    answers = together(database, 4, lambda number: insert(database, number))
    sa.event.remove(database.engine, "commit", refuse)
    assert all(isinstance(answer, CommitFailed) for answer in answers)
    assert kept(database) == []
    insert(database, 7)
    assert kept(database) == [7]


def test_a_transaction_that_sqlite_gave_up_is_not_taken_for_kept(database: Database) -> None:
    """A full disk makes SQLite roll the whole transaction back, others' work included."""

    def work(number: int) -> None:
        with database.system_write() as session:
            session.execute(sa.text("INSERT INTO note VALUES (:id)"), {"id": number})
            if number == 1:
                driver = session.connection().connection.dbapi_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.rollback()

    answers = together(database, 3, work)
    held = kept(database)
    for number, answer in enumerate(answers):
        assert (answer is None) == (number in held), f"{number} was told {answer!r}, and {held} are kept"
    assert answers[1] is not None
    insert(database, 9)


def test_two_processes_worth_of_writers_take_turns(database: Database, tmp_path: Path) -> None:
    other = Database(create_engine(f"sqlite:///{tmp_path / 'x.db'}"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: insert((database, other)[number % 2], number), range(80)))
    other.dispose()
    assert kept(database) == list(range(80))
