"""Remembers when keys were last used, without a write per request: noted in memory, written now and then."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog

from recaster.infra.database import Database
from recaster.service.keys.model import ApiKey

_LOG = structlog.get_logger(__name__)
FLUSH_SECONDS: Final = 30.0
"""How often the noted times are written."""


class KeyUsage:
    """Collects last-used times; `start` writes them in the background, `flush` at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._seen: dict[str, datetime] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, api_key_id: str) -> None:
        """Take note that a key is used now."""
        with self._mutex:
            self._seen[api_key_id] = self._database.clock.now()

    def flush(self) -> None:
        """Write what was noted since the last time."""
        with self._mutex:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            with self._database.system_write() as session:
                for api_key_id, moment in seen.items():
                    session.execute(sa.update(ApiKey).where(ApiKey.id == api_key_id).values(last_used_at=moment))
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            # The database is away or busy: the next time writes them, unless the key was used again meanwhile.
            _LOG.warning("last use of keys not written", error=str(error))
            with self._mutex:
                self._seen = {**seen, **self._seen}

    def start(self) -> None:
        """Write every `FLUSH_SECONDS` until `stop`."""
        self._thread = threading.Thread(target=self._run, name="recaster-key-usage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.flush()

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            self.flush()
