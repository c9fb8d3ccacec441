"""Wire shape of the audit log."""

from __future__ import annotations

from typing import Any

from recaster.service.auditing.model import AuditEntry
from recaster.service.schemas import UtcTime, View


class AuditEntryView(View):
    """Who did what to which object, and in which request. `entryHash` covers the entry and the one before it."""

    id: str
    actor: str
    action: str
    target: str
    request_id: str | None
    details: dict[str, Any]
    time: UtcTime
    previous_hash: str
    entry_hash: str

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryView:
        """Show a row."""
        values = {name: getattr(entry, name) for name in cls.model_fields if name != "time"}
        return cls(**values, time=entry.created_at)
