"""Counting requests against budgets in windows of one minute, for one API process or for several.

Three counters behind one protocol: this process's memory, the database, Redis. On SQLite the database counter keeps a
file of its own beside the main one, without waiting for the disk: a count that a power cut loses costs nothing, and the
main file's one writer is left alone.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from recaster.errors import NotInstalled
from recaster.infra.database import Base, Database
from recaster.infra.settings import Settings

WINDOW_SECONDS: Final = 60
_PURGE_AT: Final = 10_000
_PURGE_EVERY: Final = 5_000


class RateWindow(Base):
    """How many requests a client has sent in its current window."""

    __tablename__ = "vr_rate_window"

    client: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    rate_class: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    started: Mapped[int] = mapped_column(sa.BigInteger())
    """Unix time at which the window began."""
    count: Mapped[int]


class RateCounter(Protocol):
    """Counts requests per client and class. All implementations pass `tests/contract/test_rate_counters.py`."""

    def hit(self, client: str, rate_class: str, limit: int, window: int) -> tuple[bool, int]:
        """Count one request of the window that began at `window`, if fewer than `limit` were counted.

        Returns whether it was counted, and the count.
        """

    def look(self, client: str, rate_class: str, window: int) -> int:
        """Return the count without adding to it."""


class MemoryCounter:
    """Counts in this process: right for the one API process of the embedded set-up."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}

    def hit(self, client: str, rate_class: str, limit: int, window: int) -> tuple[bool, int]:
        """Count one request."""
        with self._mutex:
            if len(self._counts) > _PURGE_AT:
                self._counts = {key: value for key, value in self._counts.items() if value[0] >= window}
            count = self._count(client, rate_class, window)
            allowed = count < limit
            if allowed:
                count += 1
                self._counts[(client, rate_class)] = (window, count)
            return allowed, count

    def look(self, client: str, rate_class: str, window: int) -> int:
        """Return the count."""
        with self._mutex:
            return self._count(client, rate_class, window)

    def _count(self, client: str, rate_class: str, window: int) -> int:
        started, count = self._counts.get((client, rate_class), (window, 0))
        return count if started == window else 0


class DatabaseCounter:
    """Counts in a table that all API processes share: one upsert a request."""

    def __init__(self, engine: sa.Engine) -> None:
        """`engine` has the table already, or is SQLite, where it is made."""
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._hits = 0
        if self._sqlite:
            cast(sa.Table, RateWindow.__table__).create(engine, checkfirst=True)

    def hit(self, client: str, rate_class: str, limit: int, window: int) -> tuple[bool, int]:
        """Count one request."""
        if limit < 1:
            return False, 0
        insert: Any = (sqlite if self._sqlite else postgresql).insert(RateWindow)
        same = RateWindow.started == window
        statement = insert.values(client=client, rate_class=rate_class, started=window, count=1)
        statement = statement.on_conflict_do_update(
            index_elements=[RateWindow.client, RateWindow.rate_class],
            set_={"started": window, "count": sa.case((same, RateWindow.count + 1), else_=1)},
            where=sa.or_(sa.not_(same), RateWindow.count < limit),
        ).returning(RateWindow.count)
        # Roughly counted: nothing depends on when exactly the rows of clients that are gone are removed.
        self._hits += 1
        with self._engine.begin() as connection:
            if not self._sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            count = connection.scalar(statement)
            if self._hits % _PURGE_EVERY == 0:
                connection.execute(sa.delete(RateWindow).where(RateWindow.started < window))
        return (False, limit) if count is None else (True, int(count))

    def look(self, client: str, rate_class: str, window: int) -> int:
        """Return the count."""
        statement = sa.select(RateWindow.count).where(
            RateWindow.client == client, RateWindow.rate_class == rate_class, RateWindow.started == window
        )
        with self._engine.connect() as connection:
            return connection.scalar(statement) or 0


class RedisCounter:
    """Counts in a Redis server: one increment a request, gone with its window."""

    def __init__(self, client: Any) -> None:
        """`client` is a `redis.Redis`."""
        self._client = client

    def hit(self, client: str, rate_class: str, limit: int, window: int) -> tuple[bool, int]:
        """Count one request."""
        key = self._key(client, rate_class, window)
        with self._client.pipeline(transaction=True) as pipeline:
            count = int(pipeline.incr(key).expire(key, 2 * WINDOW_SECONDS).execute()[0])
        return count <= limit, min(count, limit)

    def look(self, client: str, rate_class: str, window: int) -> int:
        """Return the count."""
        return int(self._client.get(self._key(client, rate_class, window)) or 0)

    def _key(self, client: str, rate_class: str, window: int) -> str:
        return f"recaster:rate:{client}:{rate_class}:{window}"


def open_counter(settings: Settings, database: Database) -> RateCounter:
    """Open the counter that the settings choose.

    Raises:
        NotInstalled: Redis is chosen and its client is not there.
    """
    store = settings.rate_limit_store
    if store == "auto":
        store = "redis" if settings.redis_url.get_secret_value() else "memory" if database.is_sqlite else "database"
    if store == "memory":
        return MemoryCounter()
    if store == "redis":
        try:
            from redis import Redis
        except ImportError as error:
            raise NotInstalled(
                "Request budgets shall be counted in Redis, but its client is missing: pip install 'recaster[redis]'."
            ) from error
        return RedisCounter(Redis.from_url(settings.redis_url.get_secret_value() or "redis://127.0.0.1:6379/0"))
    if database.is_sqlite:
        return DatabaseCounter(_counts_beside(str(database.engine.url.database)))
    return DatabaseCounter(database.engine)


def _counts_beside(path: str) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{path}.rates", connect_args={"timeout": 30, "check_same_thread": False})

    def configure(connection: Any, record: object) -> None:
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", configure)
    return engine
