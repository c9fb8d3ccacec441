"""Lists in pages: newest first, with an opaque cursor that neither misses nor repeats a row under inserts."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import sqlalchemy as sa
from fastapi import Depends, Query

from recaster.api.errors import invalid
from recaster.infra.clock import from_milliseconds, to_milliseconds
from recaster.infra.database import OrganizationSession

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted."""

    limit: int
    cursor: str | None


def _page_request(
    limit: Annotated[int, Query(ge=1, le=100, description="Rows of the page.")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`nextCursor` of the page before.")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


PageQuery = Annotated[PageRequest, Depends(_page_request)]
"""Annotate a handler's parameter with it to take `limit` and `cursor`."""


def paginate(
    session: OrganizationSession, query: sa.Select[T], model: type[T], page: PageRequest
) -> tuple[list[T], str | None]:
    """Return one page of `query` (rows of `model`, which has `created_at` and `id`) and the cursor of the next.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    created_at, identifier = _column(model, "created_at"), _column(model, "id")
    if page.cursor is not None:
        moment, last_id = _decode(page.cursor)
        query = query.where(sa.or_(created_at < moment, sa.and_(created_at == moment, identifier < last_id)))
    rows = list(session.scalars(query.order_by(created_at.desc(), identifier.desc()).limit(page.limit + 1)))
    if len(rows) <= page.limit:
        return rows, None
    last: Any = rows[page.limit - 1]
    return rows[: page.limit], _encode([to_milliseconds(last.created_at), last.id])


def _column(model: type[Any], name: str) -> Any:
    return getattr(model, name)


def _encode(value: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decode(cursor: str) -> tuple[Any, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        milliseconds, identifier = json.loads(raw)
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, int) or not isinstance(identifier, str):
            raise ValueError("not a cursor")
        return from_milliseconds(milliseconds), identifier
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise invalid(
            [{"path": "cursor", "message": "is not a cursor of this list; use nextCursor as it was given"}]
        ) from error
