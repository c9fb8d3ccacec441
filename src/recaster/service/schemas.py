"""What every wire shape has in common: camelCase, strict bodies, times as ISO 8601 UTC with milliseconds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from recaster.infra.clock import iso

UtcTime = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
"""A time that leaves as `2026-01-31T08:00:00.000Z`."""


class RequestBody(BaseModel):
    """A JSON body of a request: camelCase, and an unknown field is an error that names it."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_alias=True, validate_by_name=False, extra="forbid", strict=True
    )


class View(BaseModel):
    """A JSON body of an answer: camelCase outside, Python names inside; every field is always there."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, extra="forbid")


ItemT = TypeVar("ItemT")


class Page(View, Generic[ItemT]):
    """One page of a list, newest first. `nextCursor` is null on the last page."""

    items: list[ItemT]
    next_cursor: str | None = None
