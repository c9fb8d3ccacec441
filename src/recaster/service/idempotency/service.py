"""The same request twice is one effect and one answer (contract section 2).

Key, effects and answer are one transaction: nothing is stored when it rolls back, so an error or a crash leaves the key
free. A duplicate in flight waits for the first one's transaction and then finds its answer. An answer that shows a secret
is kept encrypted.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.infra.sealing import Sealer
from recaster.service.errors import Conflict, IdempotencyConflict
from recaster.service.idempotency.model import IdempotencyKey

WINDOW: Final = timedelta(hours=24)
"""How long an answer is kept."""

_PURGE_OF_256 = 8
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it went over the wire, without the headers that belong to each request anew."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """Which request this is: the scope and value of its key, and the fingerprint of what it asks for."""

    api_key_id: str
    route: str
    key: str
    fingerprint: str

    @property
    def scope(self) -> str:
        """Key, route and API key as one text."""
        return f"{self.api_key_id}\n{self.route}\n{self.key}"


class InFlight:
    """Lets one request per idempotency key work at a time in this process; the others wait outside the transaction."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def alone(self, identity: RequestIdentity, wait_seconds: float) -> Iterator[None]:
        """Hold the key while the block runs.

        Raises:
            Conflict: another request holds it for longer than `wait_seconds` (`IDEMPOTENCY_IN_PROGRESS`).
        """
        with self._mutex:
            lock, users = self._held.get(identity.scope, (threading.Lock(), 0))
            self._held[identity.scope] = (lock, users + 1)
        try:
            if not lock.acquire(timeout=wait_seconds):
                raise _in_progress()
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._mutex:
                users = self._held[identity.scope][1] - 1
                if users:
                    self._held[identity.scope] = (lock, users)
                else:
                    del self._held[identity.scope]


def parse_key(header: str | None) -> str | None:
    """Read the `Idempotency-Key` header, raw or in double quotes.

    Raises:
        InvalidInput: it is empty, longer than 255 characters, or not visible ASCII.
    """
    if header is None:
        return None
    value = header.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not _KEY.fullmatch(value):
        message = "Use 1 to 255 visible ASCII characters, for example a UUID."
        raise InvalidInput(
            f"The Idempotency-Key header cannot be used. {message}",
            issues=[{"path": "Idempotency-Key", "message": message}],
        )
    return value


def fingerprint(method: str, route: str, path_parameters: Mapping[str, str], body: Any) -> str:
    """Return the SHA-256 (hex) over method, route, path parameters and the validated body, independent of key order."""
    canonical = json.dumps(
        [method, route, dict(path_parameters), body], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_once(
    session: OrganizationSession,
    identity: RequestIdentity,
    work: Callable[[], StoredAnswer],
    *,
    wait_seconds: float = 5.0,
    sealer: Sealer | None = None,
) -> StoredAnswer:
    """Return the kept answer of this request, or do `work` and keep its answer if it succeeded; all in one transaction.

    With a `sealer` the body is kept encrypted.

    Raises:
        IdempotencyConflict: the key stands for another request.
        Conflict: the first request with this key did not end within `wait_seconds` (`IDEMPOTENCY_IN_PROGRESS`).
    """
    _wait_for_first(session, identity, wait_seconds)
    kept = session.get(IdempotencyKey, (identity.api_key_id, identity.route, identity.key))
    if kept is not None and session.now - kept.created_at < WINDOW:
        if kept.fingerprint != identity.fingerprint:
            raise IdempotencyConflict(
                "This Idempotency-Key was used before with another request. Use a new key for a new request.",
                reason="payload_mismatch",
            )
        body = kept.body
        if kept.sealed:
            if sealer is None:
                raise RuntimeError(
                    f"The kept answer of {identity.route} is sealed, and there is no key ring to open it."
                )
            body = sealer.open(body.decode(), context=f"idempotency {identity.scope}")
        return StoredAnswer(kept.status, body, dict(kept.headers), replayed=True)
    answer = work()
    if 200 <= answer.status < 300:
        # The organization's expired keys go now and then on this occasion, so that the table does not grow for ever.
        if kept is not None or session.ids.token(1)[0] < _PURGE_OF_256:
            session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at <= session.now - WINDOW))
        body = answer.body
        if sealer is not None:
            body = sealer.seal(body, context=f"idempotency {identity.scope}").encode()
        # A row of the same key that has expired was deleted just now; the new one is another row.
        session.add(
            IdempotencyKey(
                api_key_id=identity.api_key_id,
                route=identity.route,
                key=identity.key,
                fingerprint=identity.fingerprint,
                status=answer.status,
                headers=dict(answer.headers),
                body=body,
                sealed=sealer is not None,
                created_at=session.now,
            )
        )
        session.flush()
    return answer


def _wait_for_first(session: OrganizationSession, identity: RequestIdentity, wait_seconds: float) -> None:
    # On SQLite the transaction began with the one write lock, so it has already waited.
    if session.get_bind().dialect.name != "postgresql":
        return
    number = int.from_bytes(hashlib.sha256(identity.scope.encode()).digest()[:8], "big", signed=True)
    try:
        session.execute(sa.text(f"SET LOCAL lock_timeout = '{int(wait_seconds * 1000)}ms'"))
        session.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
        session.execute(sa.text("SET LOCAL lock_timeout = 0"))
    except OperationalError as error:
        raise _in_progress() from error


def _in_progress() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key is still being answered. Ask again in a second.",
        subcode="IDEMPOTENCY_IN_PROGRESS",
        headers={"Retry-After": "1"},
    )
