"""Minting and checking API keys.

A token is `lp_<live|test>_<16 characters key id>_<43 characters secret>`. The secret is base64url and may hold `_`, so
the parts are cut by position. A random 256-bit secret needs no slow hash; the pepper protects a stolen table.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, cast

import sqlalchemy as sa

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.infra.settings import RateTier
from recaster.service.accounts.model import Organization
from recaster.service.accounts.service import require_organization
from recaster.service.errors import KillSwitch, NotFound, Unauthenticated
from recaster.service.keys.model import ApiKey

SCOPES: Final = (
    "projects:read", "projects:write", "content:read", "content:write", "influencers:read", "influencers:write",
    "social:read", "social:write", "layers:read", "layers:write", "sources:write", "jobs:read", "jobs:cancel",
    "webhooks:read", "webhooks:write", "org:admin",
)  # fmt: skip
"""Every scope of the contract."""
ALL_DATA_SCOPES: Final = "*"
"""Grants all scopes but `org:admin`."""

TOKEN_PATTERN: Final = r"lp_(?:live|test)_[A-Za-z0-9]{16}_[A-Za-z0-9_-]{43}"
"""What a token looks like, for secret scanners."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz234567"
_TOKEN = re.compile(TOKEN_PATTERN, re.ASCII)
# Every request runs it: plain columns cost half of what mapped objects do.
_KEYS, _ORGANIZATIONS = ApiKey.__table__, Organization.__table__
_BY_KEY_ID = (
    sa.select(
        _KEYS,
        _ORGANIZATIONS.c.name.label("organization_name"),
        _ORGANIZATIONS.c.tier.label("organization_tier"),
        _ORGANIZATIONS.c.suspended_at.label("organization_suspended_at"),
    )
    .join(_ORGANIZATIONS, _ORGANIZATIONS.c.id == _KEYS.c.organization_id)
    .where(_KEYS.c.key_id == sa.bindparam("key_id"))
)
_UNKNOWN = (
    "The API key is missing, malformed, unknown or revoked. Send it as `Authorization: Bearer lp_live_…`; "
    "the operator mints one with `recaster keys mint`."
)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key. `token` is shown this once and nowhere stored."""

    id: str
    organization_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: what authentication found out."""

    organization_id: str
    organization_name: str
    organization_tier: RateTier
    api_key_id: str
    scopes: frozenset[str]
    tier: RateTier

    def holds(self, scope: str) -> bool:
        """Tell whether the key grants `scope`. Nothing is granted by default."""
        return scope in self.scopes or (ALL_DATA_SCOPES in self.scopes and scope != "org:admin")


def mint(
    session: OrganizationSession,
    pepper: bytes,
    organization_id: str,
    *,
    name: str,
    scopes: Collection[str],
    tier: RateTier = "standard",
    environment: str = "live",
) -> MintedKey:
    """Make an API key. Needs a system session.

    Raises:
        InvalidInput: a scope is unknown, or a `test` key was asked for, which this version does not serve.
        NotFound: there is no such organization.
    """
    if environment != "live":
        raise InvalidInput(
            f"Keys of the environment {environment!r} are not served by this version; mint a live key. "
            "Give the organization few credits if it shall only try things out.",
            field="environment", value=environment, limit="live",
        )  # fmt: skip
    unknown = sorted(set(scopes) - {*SCOPES, ALL_DATA_SCOPES})
    if unknown:
        raise InvalidInput(
            f"There is no scope {', '.join(unknown)}. Known are: {', '.join(SCOPES)} and * for all data scopes.",
            field="scopes", value=unknown, limit=list(SCOPES),
        )  # fmt: skip
    require_organization(session, organization_id)
    # 58 letters: the few values that do not divide evenly are thrown away, so that every letter is equally likely.
    letters = [_ALPHABET[byte % 58] for byte in session.ids.token(64) if byte < 232][:16]
    key_id = "".join(letters).ljust(16, "A")
    secret = base64.urlsafe_b64encode(session.ids.token(32)).rstrip(b"=").decode()
    token = f"lp_{environment}_{key_id}_{secret}"
    key = ApiKey(
        id=session.new_id("key"), organization_id=organization_id, key_id=key_id, secret_hash=_hash(pepper, token),
        environment=environment, name=name, scopes=sorted(set(scopes)), tier=tier, suspended_at=None, revoked_at=None,
        created_at=session.now,
    )  # fmt: skip
    session.add(key)
    session.flush()
    return MintedKey(key.id, organization_id, token)


def authenticate(session: OrganizationSession, pepper: bytes, authorization: str | None) -> Principal:
    """Tell who sends the `Authorization` header. Needs a system session.

    Raises:
        Unauthenticated: there is no such key. Missing, malformed, unknown and revoked answer alike.
        KillSwitch: the key or its organization is suspended.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not _TOKEN.fullmatch(token):
        raise Unauthenticated(_UNKNOWN)
    key = session.execute(_BY_KEY_ID, {"key_id": token[8:24]}).first()
    # An unknown key id costs the same comparison as a known one.
    expected = key.secret_hash if key else "0" * 64
    if not hmac.compare_digest(expected, _hash(pepper, token)) or key is None:
        raise Unauthenticated(_UNKNOWN)
    if key.revoked_at is not None:
        raise Unauthenticated(_UNKNOWN)
    if key.suspended_at is not None:
        raise KillSwitch("api_key")
    if key.organization_suspended_at is not None:
        raise KillSwitch("organization")
    return Principal(
        organization_id=key.organization_id,
        organization_name=key.organization_name,
        organization_tier=cast(RateTier, key.organization_tier),
        api_key_id=key.id,
        scopes=frozenset(key.scopes),
        tier=cast(RateTier, key.tier),
    )


def require_key(session: OrganizationSession, api_key_id: str) -> ApiKey:
    """Return a key by its `key_…` id.

    Raises:
        NotFound: there is none.
    """
    key = session.get(ApiKey, api_key_id)
    if key is None:
        raise NotFound("API key", api_key_id)
    return key


def revoke(session: OrganizationSession, api_key_id: str) -> None:
    """End a key for good. Doing it twice changes nothing."""
    key = require_key(session, api_key_id)
    key.revoked_at = key.revoked_at or session.now


def suspend(session: OrganizationSession, api_key_id: str) -> None:
    """Answer every request of the key with KILL_SWITCH until `lift_suspension`."""
    require_key(session, api_key_id).suspended_at = session.now


def lift_suspension(session: OrganizationSession, api_key_id: str) -> None:
    """Serve the key again."""
    require_key(session, api_key_id).suspended_at = None


def list_keys(session: OrganizationSession) -> list[ApiKey]:
    """Return the session's keys, newest first."""
    return list(session.scalars(sa.select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc())))


def _hash(pepper: bytes, token: str) -> str:
    return hmac.new(pepper, token.encode(), hashlib.sha256).hexdigest()
