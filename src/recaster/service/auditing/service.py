"""Writing and checking the audit log.

Each entry holds the SHA-256 over the entry before it and its own content, so that a row that is changed, taken out or
put in between is found by `check`. Secrets never go into it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import sqlalchemy as sa

from recaster.infra.clock import iso
from recaster.infra.database import OrganizationSession
from recaster.service.accounts.model import Organization
from recaster.service.auditing.model import AuditEntry

OPERATOR: Final = "operator"
"""Actor of what is done on the command line."""

_START: Final = "0" * 64


def record(
    session: OrganizationSession,
    organization_id: str,
    *,
    actor: str,
    action: str,
    target: str,
    request_id: str | None = None,
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """Add an entry in the transaction of the action itself."""
    # The chain has one end: writers of one organization take turns. (On SQLite they do anyway.)
    session.execute(
        sa.select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
    )
    last = session.execute(
        sa.select(AuditEntry.position, AuditEntry.entry_hash)
        .where(AuditEntry.organization_id == organization_id)
        .order_by(AuditEntry.position.desc())
        .limit(1)
    ).first()
    entry = AuditEntry(
        id=session.new_id("aud"),
        organization_id=organization_id,
        position=last[0] + 1 if last else 1,
        actor=actor,
        action=action,
        target=target,
        request_id=request_id,
        details=details or {},
        created_at=session.now,
        previous_hash=last[1] if last else _START,
    )
    entry.entry_hash = _hash(entry)
    session.add(entry)
    session.flush()
    return entry


def listing(*, actor: str | None = None, action: str | None = None, target: str | None = None) -> sa.Select[AuditEntry]:
    """All entries, or those that match what is given, in no order yet."""
    statement = sa.select(AuditEntry)
    for column, wanted in ((AuditEntry.actor, actor), (AuditEntry.action, action), (AuditEntry.target, target)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    return statement


def check(session: OrganizationSession, organization_id: str) -> list[str]:
    """Follow the chain; return one sentence per break, none when all is well."""
    findings: list[str] = []
    previous, position = _START, 0
    rows = session.scalars(
        sa.select(AuditEntry).where(AuditEntry.organization_id == organization_id).order_by(AuditEntry.position)
    )
    for entry in rows:
        position += 1
        if entry.position != position:
            findings.append(f"{entry.id}: stands at {entry.position}, {position} was expected; entries are missing.")
            position = entry.position
        if entry.previous_hash != previous or entry.entry_hash != _hash(entry):
            findings.append(f"{entry.id}: was changed after it was written.")
        previous = entry.entry_hash
    return findings


def _hash(entry: AuditEntry) -> str:
    content = [
        entry.previous_hash, entry.id, entry.organization_id, entry.position, entry.actor, entry.action, entry.target,
        entry.request_id, entry.details, iso(entry.created_at),
    ]  # fmt: skip
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
