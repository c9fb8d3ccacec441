"""Every counter of request budgets keeps the same promises."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import fakeredis
import pytest
import sqlalchemy as sa

from recaster.infra.database import open_database
from recaster.infra.rates import DatabaseCounter, MemoryCounter, RateCounter, RedisCounter, open_counter
from recaster.infra.settings import Settings

pytestmark = pytest.mark.contract

POSTGRES = os.environ.get("RECASTER_TEST_DATABASE_URL", "")
Open = Callable[[], RateCounter]
"""Opens the counter as another API process would."""


def memory(home: Path) -> Open:
    counter = MemoryCounter()
    return lambda: counter


def database(home: Path) -> Open:
    settings = Settings(home=home, rate_limit_store="database")
    return lambda: open_counter(settings, open_database(settings))


def redis(home: Path) -> Open:
    server = fakeredis.FakeServer()
    return lambda: RedisCounter(fakeredis.FakeStrictRedis(server=server))


@pytest.fixture(params=[memory, database, redis], ids=["memory", "database", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    made: Open = request.param(tmp_path)
    return made


def test_a_budget_ends_and_begins_anew_with_the_window(opener: Open) -> None:
    counter = opener()
    assert [counter.hit("a", "read-light", 3, 60) for _ in range(5)] == [
        (True, 1),
        (True, 2),
        (True, 3),
        (False, 3),
        (False, 3),
    ]
    assert counter.look("a", "read-light", 60) >= 3
    assert counter.hit("a", "read-light", 3, 120) == (True, 1)
    assert counter.look("a", "read-light", 120) == 1


def test_clients_and_classes_have_their_own(opener: Open) -> None:
    counter = opener()
    assert counter.hit("a", "read-light", 1, 60) == (True, 1)
    assert counter.hit("b", "read-light", 1, 60) == (True, 1)
    assert counter.hit("a", "write-light", 1, 60) == (True, 1)
    assert counter.look("c", "read-light", 60) == 0
    assert counter.hit("c", "read-light", 0, 60)[0] is False


def test_two_processes_share_one_budget(opener: Open) -> None:
    counters = [opener(), opener()]
    allowed = []
    mutex = threading.Lock()

    def send(counter: RateCounter) -> None:
        for _ in range(40):
            answer = counter.hit("a", "read-light", 50, 60)
            with mutex:
                allowed.append(answer[0])

    threads = [threading.Thread(target=send, args=(counter,)) for counter in counters for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (160, 50)


def test_the_settings_choose(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert isinstance(open_counter(settings, open_database(settings)), MemoryCounter)
    shared = settings.model_copy(update={"rate_limit_store": "database"})
    counter = open_counter(shared, open_database(settings))
    assert isinstance(counter, DatabaseCounter)
    counter.hit("a", "read-light", 1, 60)
    assert (tmp_path / "recaster.db.rates").exists()


@pytest.mark.skipif(not POSTGRES, reason="needs a Postgres server")
def test_the_table_on_postgres(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=POSTGRES)
    opened = open_database(settings)
    counter = open_counter(settings, opened)
    with opened.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM vr_rate_window"))
    assert [counter.hit("a", "read-light", 2, 60) for _ in range(3)] == [(True, 1), (True, 2), (False, 2)]
