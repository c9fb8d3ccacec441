"""Wire shapes of API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recaster.infra.settings import RateTier
from recaster.service.fields import Line200
from recaster.service.keys.model import ApiKey
from recaster.service.schemas import RequestBody, UtcTime, View

Scope = Literal[
    "*", "projects:read", "projects:write", "content:read", "content:write", "influencers:read", "influencers:write",
    "social:read", "social:write", "layers:read", "layers:write", "sources:write", "jobs:read", "jobs:cancel",
    "webhooks:read", "webhooks:write", "org:admin",
]  # fmt: skip
"""What a key may be allowed. `*` is everything but `org:admin`."""


def _distinct(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names one scope twice")
    return value


class ApiKeyCreate(RequestBody):
    """A new API key. Without a scope it may do nothing but ask who it is. Its tier is the organization's."""

    name: Line200
    scopes: Annotated[list[Scope], Field(max_length=20), AfterValidator(_distinct)]
    environment: Literal["live", "test"] = "live"


class ApiKeyView(View):
    """An API key as its organization sees it; never the secret. `keyPrefix` is the beginning of the token."""

    id: str
    name: str
    environment: Literal["live", "test"]
    key_prefix: str
    scopes: list[str]
    rate_limit_tier: RateTier
    status: Literal["active", "killed"]
    previous_expires_at: UtcTime | None
    """Until when the token before the last rotation works."""
    last_used_at: UtcTime | None
    created_at: UtcTime

    @classmethod
    def of(cls, key: ApiKey) -> ApiKeyView:
        """Show a row."""
        taken = {"id", "name", "environment", "scopes", "previous_expires_at", "last_used_at", "created_at"}
        return cls(
            **{name: getattr(key, name) for name in taken},
            key_prefix=f"lp_{key.environment}_{key.key_id}",
            rate_limit_tier=key.tier,
            status="killed" if key.suspended_at else "active",
        )


class ApiKeySecretView(View):
    """A key with its token, which is shown this once."""

    api_key: ApiKeyView
    secret: str
