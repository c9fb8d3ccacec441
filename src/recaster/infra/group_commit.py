"""Turns at SQLite's one writer: threads of one process queue here, and those that queue together share one commit.

A commit waits for the disk, which takes as long as the work of several requests. So the connection and its transaction
are handed from thread to thread, each working inside a savepoint of its own, and the last of a batch commits for all.
Nobody goes on before that commit: what a block wrote is durable when the block has ended, and a block that failed has
left nothing. Whether the rows of one block are kept never depends on another block's success, only on the shared commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from recaster.infra.failpoints import Failpoint, reach

TURN_SECONDS: Final = 30.0
"""How long a thread waits for its turn."""
BATCH_SECONDS: Final = 0.025
"""After this time a batch is committed even though more threads wait, so that nobody waits long for the others."""
_BREATH_SECONDS: Final = 0.002


class CommitFailed(sa.exc.SQLAlchemyError):
    """The commit that several units of work shared did not succeed; none of them left anything."""


class _Batch:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.started = time.monotonic()
        self.done = threading.Event()
        self.error: BaseException | None = None


class GroupCommit:
    """Hands out turns on one write transaction at a time. `engine` must begin its transactions as IMMEDIATE."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._batch: _Batch | None = None

    @contextmanager
    def turn(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction; use a savepoint of your own in it. Returns once all is committed.

        Raises:
            TimeoutError: no turn came within `TURN_SECONDS`.
            CommitFailed: the commit did not succeed; nothing was kept.
        """
        self._take_turn()
        batch: _Batch | None = None
        try:
            batch = self._batch = self._batch or self._begin()
            try:
                yield batch.connection
                if not _in_transaction(batch.connection):
                    # Some faults (a full disk) make SQLite throw away the whole transaction, not just the savepoint.
                    raise CommitFailed("The database gave the transaction up; nothing of it was kept.")
            finally:
                self._settle(batch)
        finally:
            self._turn.release()
        while not batch.done.wait(BATCH_SECONDS):
            # Those that were waiting when this turn ended gave up: somebody else must commit.
            if self._turn.acquire(blocking=False):
                try:
                    if not batch.done.is_set():
                        self._commit(batch)
                finally:
                    self._turn.release()
        if batch.error is not None:
            raise CommitFailed("The database could not commit; nothing was kept.") from batch.error

    def _take_turn(self) -> None:
        with self._count:
            self._waiting += 1
        try:
            if not self._turn.acquire(timeout=TURN_SECONDS):
                raise TimeoutError(
                    f"No turn to write came within {TURN_SECONDS} s. A unit of work is open too long, or was opened "
                    "inside another."
                )
        finally:
            with self._count:
                self._waiting -= 1

    def _begin(self) -> _Batch:
        connection = self._engine.connect()
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return _Batch(connection)

    def _settle(self, batch: _Batch) -> None:
        """End a turn: commit unless another thread goes on with the batch."""
        late = time.monotonic() - batch.started >= BATCH_SECONDS
        if not _in_transaction(batch.connection) or late or not self._waiting:
            self._commit(batch)
            if late:
                # SQLite lets other processes poll for the lock: a moment of freedom gives them their turn.
                time.sleep(_BREATH_SECONDS)

    def _commit(self, batch: _Batch) -> None:
        self._batch = None
        try:
            if not _in_transaction(batch.connection):
                raise CommitFailed("The database gave the transaction up; nothing of it was kept.")
            reach(Failpoint.BEFORE_COMMIT)
            batch.connection.commit()
            reach(Failpoint.AFTER_COMMIT)
        except BaseException as error:  # noqa: BLE001 - it is raised again by every thread whose work was lost
            batch.error = error
            # Closing alone would hand the open transaction to the connection's next user.
            batch.connection.invalidate()
        finally:
            batch.connection.close()
            batch.done.set()


def _in_transaction(connection: sa.Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))
