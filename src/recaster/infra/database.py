"""The database: one engine factory for SQLite and Postgres, and sessions that always know their organization.

Every unit of work is a `with` block that commits at its end or leaves nothing:

    with database.write(organization_id) as session:      # reads and writes, one transaction
        session.add(Project(id=session.new_id("prj"), name="Tea", created_at=session.now))
    with database.read(organization_id) as session:       # one consistent picture
        session.get(Project, project_id)                  # None when it belongs to somebody else

Rows of a class that inherits `OrganizationOwned` are filtered by the session's organization and stamped with it;
touching them without one raises `TenancyError`. `database.system_write()`/`system_read()` are the declared way around
that, for the worker, the command line and key look-up.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    Session,
    UOWTransaction,
    mapped_column,
    sessionmaker,
    with_loader_criteria,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.visitors import ExternallyTraversible

from recaster.infra.clock import Clock, SystemClock, from_milliseconds, to_milliseconds
from recaster.infra.group_commit import GroupCommit
from recaster.infra.ids import IdFactory
from recaster.infra.settings import Settings

TABLE_PREFIX = "vr_"
"""Every table of ours begins like this; the engine's tables lie beside them on SQLite."""

_BEGIN_OPTION = "recaster_begin"


class TenancyError(RuntimeError):
    """A programming mistake: rows of an organization were touched without one, or with a foreign one."""


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A UTC time, held as integer milliseconds since 1970 so that both databases compare and sort it alike."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Turn a time into milliseconds."""
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """Turn milliseconds into a time."""
        return None if value is None else from_milliseconds(value)


class Base(DeclarativeBase):
    """Base of all tables. `dict`/`list` columns are JSON, `datetime` columns are `UtcTime`."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime(),
        dict[str, Any]: sa.JSON(),
        list[Any]: sa.JSON(),
        list[str]: sa.JSON(),
        list[dict[str, Any]]: sa.JSON(),
    }


class OrganizationOwned:
    """Mixin of every table whose rows belong to one organization. The session fills and filters `organization_id`."""

    organization_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_organization.id"), index=True)


class OrganizationSession(Session):
    """A unit of work of one organization at one moment. See the module's docstring."""

    def __init__(
        self, *args: Any, organization_id: str | None, system: bool, clock: Clock, ids: IdFactory, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._organization_id = organization_id
        self.system = system
        self.now = clock.now()
        """The moment of this unit of work: all its rows carry the same time."""
        self.ids = ids

    @property
    def organization_id(self) -> str:
        """The organization of this unit of work.

        Raises:
            TenancyError: this is a system session, which has none.
        """
        if self._organization_id is None:
            raise TenancyError("This unit of work has no organization; open it with database.write(organization_id).")
        return self._organization_id

    def append(self, model: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that this unit of work does not look at again; mapped objects would cost several times more.

        Raises:
            TenancyError: a row is of another organization than the session.
        """
        if not self.system and any(row["organization_id"] != self.organization_id for row in rows):
            raise TenancyError(
                f"{model.__name__} of another organization was written in a session of {self.organization_id}."
            )
        if rows:
            self.connection().execute(sa.insert(cast(sa.Table, model.__table__)), list(rows))

    def new_id(self, prefix: str) -> str:
        """Make an id such as `prj_…`; see `recaster.infra.ids`."""
        return self.ids.new(prefix)


@lru_cache(maxsize=1024)
def _only_rows_of(organization_id: str) -> ExecutableOption:
    # Kept, because making it takes as long as running a small statement.
    return with_loader_criteria(
        OrganizationOwned, lambda cls: cls.organization_id == organization_id, include_aliases=True
    )


@event.listens_for(OrganizationSession, "do_orm_execute")
def _filter_by_organization(state: ORMExecuteState) -> None:
    session = state.session
    assert isinstance(session, OrganizationSession)
    if session.system:
        return
    if state.is_orm_statement:
        organization_id = session._organization_id
        if organization_id is None:
            raise TenancyError(
                "A query ran in a session without organization; open it with database.write(organization_id)."
            )
        if not state.is_insert:
            state.statement = state.statement.options(_only_rows_of(organization_id))
            return
    for element in visitors.iterate(cast(ExternallyTraversible, state.statement)):
        if isinstance(element, sa.Table) and "organization_id" in element.columns:
            raise TenancyError(
                f"A statement reached {element.name} past the organization filter. Use the mapped class, or a system "
                "session."
            )


@event.listens_for(OrganizationSession, "before_flush")
def _stamp_organization(session: OrganizationSession, context: UOWTransaction, instances: Any) -> None:
    for row in [*session.new, *session.dirty, *session.deleted]:
        if not isinstance(row, OrganizationOwned):
            continue
        owner: str | None = row.organization_id
        if session.system:
            if owner is None:
                raise TenancyError(f"{type(row).__name__} was written in a system session without organization_id.")
            continue
        if owner is None:
            row.organization_id = session.organization_id
        if row.organization_id != session.organization_id:
            raise TenancyError(
                f"{type(row).__name__} of {row.organization_id} was written in a session of {session.organization_id}."
            )


class Database:
    """Opens units of work on one engine. `clock` and `ids` decide the time and the ids of all rows."""

    def __init__(self, engine: sa.Engine, *, clock: Clock | None = None, ids: IdFactory | None = None) -> None:
        self.engine = engine
        self.clock: Clock = clock or SystemClock()
        self.ids = ids or IdFactory(self.clock)
        self._writes = engine.execution_options(**{_BEGIN_OPTION: "IMMEDIATE"})
        # On Postgres one statement sees more than the one before, unless the transaction asks for a snapshot.
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reads = engine.execution_options(**{_BEGIN_OPTION: "DEFERRED"}, **snapshot)
        # SQLite has one writer at a time; threads of one process queue here instead of polling the file's lock.
        self._turns = GroupCommit(self._writes) if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self, organization_id: str) -> Iterator[OrganizationSession]:
        """Open a transaction of one organization; it commits at the end of the block, or rolls back on an exception.

        On SQLite it takes the write lock at once, so that what was read stays true until the commit.
        """
        with self._write(organization_id, system=False) as session:
            yield session

    @contextmanager
    def read(self, organization_id: str) -> Iterator[OrganizationSession]:
        """Open a consistent, read-only picture of one organization. Nothing is committed."""
        with self._session(self._reads, organization_id, system=False) as session:
            yield session

    @contextmanager
    def system_write(self) -> Iterator[OrganizationSession]:
        """Open a transaction over all organizations: for the worker, key look-up and the command line only."""
        with self._write(None, system=True) as session:
            yield session

    @contextmanager
    def system_read(self) -> Iterator[OrganizationSession]:
        """Open a read-only picture over all organizations: for the worker, key look-up and the command line only."""
        with self._session(self._reads, None, system=True) as session:
            yield session

    @contextmanager
    def system_glance(self) -> Iterator[OrganizationSession]:
        """Open a look at all organizations for one small statement, without the price of a transaction on SQLite."""
        with self._session(self.engine, None, system=True) as session:
            yield session

    @contextmanager
    def _write(self, organization_id: str | None, *, system: bool) -> Iterator[OrganizationSession]:
        with self._writer() as bind, self._session(bind, organization_id, system=system) as session, session.begin():
            session.connection()
            yield session

    def _writer(self) -> AbstractContextManager[sa.Engine | sa.Connection]:
        return nullcontext(self._writes) if self._turns is None else self._turns.turn()

    @property
    def write_engine(self) -> sa.Engine:
        """The engine whose transactions are writes from their first statement on."""
        return self._writes

    def system_sessionmaker(self) -> sessionmaker[OrganizationSession]:
        """Return a factory of system sessions, for the durable engine's transactional steps."""
        return sessionmaker(
            class_=OrganizationSession,
            expire_on_commit=False,
            organization_id=None,
            system=True,
            clock=self.clock,
            ids=self.ids,
        )

    def _session(
        self, bind: sa.Engine | sa.Connection, organization_id: str | None, *, system: bool
    ) -> OrganizationSession:
        return OrganizationSession(
            bind,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
            organization_id=organization_id,
            system=system,
            clock=self.clock,
            ids=self.ids,
        )

    def dispose(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


_FIRST_WITH_FRACTIONS = (3, 42, 0)
"""The SQLite release from which `unixepoch` gives fractions of a second."""


def create_engine(url: str, *, pool_size: int = 20) -> sa.Engine:
    """Make the engine for a URL.

    SQLite: WAL, synchronous=FULL (a 202 must survive a power cut), busy timeout 30 s, foreign keys on. Postgres:
    psycopg 3, READ COMMITTED, connections checked before use. Errors do not show the values of a statement: they end
    in logs.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = sa.create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=20,
            hide_parameters=True,
            connect_args={"timeout": 30, "isolation_level": "IMMEDIATE", "check_same_thread": False},
        )
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return sa.create_engine(parsed, pool_size=pool_size, max_overflow=20, hide_parameters=True, pool_pre_ping=True)


def open_database(settings: Settings, *, clock: Clock | None = None, ids: IdFactory | None = None) -> Database:
    """Open the database of the settings. It does not create tables; see `recaster.infra.migrations.upgrade`."""
    return Database(create_engine(settings.resolved_database_url()), clock=clock, ids=ids)


def _configure_sqlite(connection: sqlite3.Connection, record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    if sqlite3.sqlite_version_info < _FIRST_WITH_FRACTIONS:
        connection.create_function("unixepoch", 1, _unix_epoch)


def _unix_epoch(modifier: str) -> float | None:
    # The durable engine takes an interpreter from 3.12 on to come with an SQLite that knows the modifier `subsec`;
    # Debian 12 has 3.40, where it yields NULL and nothing could be queued.
    return round(time.time(), 3) if modifier == "subsec" else None


def _begin_sqlite(connection: sa.Connection) -> None:
    # The driver by itself begins only before the first write; then two sessions could both read before either locks.
    # Connections without the option belong to the engine, which brings its own locking.
    kind = connection.get_execution_options().get(_BEGIN_OPTION)
    if kind is not None:
        connection.exec_driver_sql(f"BEGIN {kind}")
