"""The audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from recaster.api.call import Call
from recaster.api.paging import PageQuery, paginate
from recaster.api.routing import Routes
from recaster.service.auditing import service
from recaster.service.auditing.model import AuditEntry
from recaster.service.auditing.schemas import AuditEntryView
from recaster.service.schemas import Page

routes = Routes("audit log")

Filter = Annotated[str | None, Query(max_length=200)]


@routes.get("/v1/audit-log", scope="org:admin", answers=Page[AuditEntryView])
def list_audit_log(
    call: Call, page: PageQuery, actor: Filter = None, action: Filter = None, target: Filter = None
) -> Page[AuditEntryView]:
    """List who did what, newest first; `actor`, `action` and `target` keep what equals them."""
    query = service.listing(actor=actor, action=action, target=target)
    rows, cursor = paginate(call.session, query, AuditEntry, page)
    return Page[AuditEntryView](items=[AuditEntryView.of(row) for row in rows], next_cursor=cursor)
