"""The same request twice is one effect and one answer (contract section 2).

Key, effects and answer are one transaction: nothing is stored when it rolls back, so an error or a crash leaves the key
free. A duplicate in flight waits for the first one's transaction and then finds its answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.service.errors import Conflict, IdempotencyConflict
from recaster.service.idempotency.model import IdempotencyKey

WINDOW: Final = timedelta(hours=24)
"""How long an answer is kept."""

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
) -> StoredAnswer:
    """Return the kept answer of this request, or do `work` and keep its answer if it succeeded; all in one transaction.

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
        return StoredAnswer(kept.status, kept.body, dict(kept.headers), replayed=True)
    answer = work()
    if 200 <= answer.status < 300:
        # The organization's expired keys go on this occasion, so that the table does not grow for ever.
        session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at <= session.now - WINDOW))
        session.add(
            IdempotencyKey(
                api_key_id=identity.api_key_id,
                route=identity.route,
                key=identity.key,
                fingerprint=identity.fingerprint,
                status=answer.status,
                headers=dict(answer.headers),
                body=answer.body,
                created_at=session.now,
            )
        )
        session.flush()
    return answer


def _wait_for_first(session: OrganizationSession, identity: RequestIdentity, wait_seconds: float) -> None:
    # On SQLite the transaction began with the one write lock, so it has already waited.
    if session.get_bind().dialect.name != "postgresql":
        return
    name = f"{identity.api_key_id}\n{identity.route}\n{identity.key}"
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    try:
        session.execute(sa.text(f"SET LOCAL lock_timeout = '{int(wait_seconds * 1000)}ms'"))
        session.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
        session.execute(sa.text("SET LOCAL lock_timeout = 0"))
    except OperationalError as error:
        raise Conflict(
            "The first request with this Idempotency-Key is still being answered. Ask again in a second.",
            subcode="IDEMPOTENCY_IN_PROGRESS",
            headers={"Retry-After": "1"},
        ) from error
