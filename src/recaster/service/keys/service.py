"""Minting and checking API keys.

A token is `lp_<live|test>_<16 characters key id>_<43 characters secret>`. The secret is base64url and may hold `_`, so
the parts are cut by position. A random 256-bit secret needs no slow hash; the pepper protects a stolen table. After a
rotation the token before works on for a while; killing or revoking the key ends both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

import sqlalchemy as sa

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.infra.settings import RateTier
from recaster.service.accounts.model import Organization
from recaster.service.accounts.service import require_organization
from recaster.service.errors import Conflict, NotFound, Unauthenticated
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

ROTATION_OVERLAP: Final = timedelta(hours=24)
"""How long the old token works after a rotation."""

MOST_KEYS: Final = 100
"""Keys that an organization may mint for itself; the operator's command knows no limit."""

Environment = Literal["live", "test"]
"""`test` keys are the sandbox: the same routes on a built-in source, without credits."""

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
    .where(sa.or_(_KEYS.c.key_id == sa.bindparam("public"), _KEYS.c.previous_key_id == sa.bindparam("public")))
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
    environment: Environment
    suspended: Literal["api_key", "organization"] | None
    """What the kill switch was thrown for, if it was: then no request is served."""

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
    environment: Environment = "live",
) -> MintedKey:
    """Make an API key of the organization.

    Raises:
        InvalidInput: a scope is unknown.
        NotFound: there is no such organization.
    """
    unknown = sorted(set(scopes) - {*SCOPES, ALL_DATA_SCOPES})
    if unknown:
        raise InvalidInput(
            f"There is no scope {', '.join(unknown)}. Known are: {', '.join(SCOPES)} and * for all data scopes.",
            field="scopes", value=unknown, limit=list(SCOPES),
        )  # fmt: skip
    require_organization(session, organization_id)
    token = _new_token(session, environment)
    key = ApiKey(
        id=session.new_id("key"), organization_id=organization_id, key_id=_public_part(token),
        secret_hash=_hash(pepper, token), environment=environment, name=name, scopes=sorted(set(scopes)), tier=tier,
        previous_key_id=None, previous_secret_hash=None, previous_expires_at=None, last_used_at=None, suspended_at=None,
        revoked_at=None, created_at=session.now,
    )  # fmt: skip
    session.add(key)
    session.flush()
    return MintedKey(key.id, organization_id, token)


def require_room(session: OrganizationSession) -> None:
    """Return if the session's organization may have one more key: each key has a budget of requests of its own.

    Raises:
        Conflict: it has `MOST_KEYS` that are not revoked (`TOO_MANY_KEYS`).
    """
    held = session.scalar(sa.select(sa.func.count(ApiKey.id)).where(ApiKey.revoked_at.is_(None))) or 0
    if held >= MOST_KEYS:
        raise Conflict(
            f"The organization has {held} API keys, the most there can be. Delete one that is no longer used.",
            subcode="TOO_MANY_KEYS",
            limit=MOST_KEYS,
        )


def rotate(session: OrganizationSession, pepper: bytes, key: ApiKey) -> MintedKey:
    """Give a key a new token; the one before works on for `ROTATION_OVERLAP`, one before that ends now."""
    token = _new_token(session, cast(Environment, key.environment))
    key.previous_key_id = key.key_id
    key.previous_secret_hash = key.secret_hash
    key.previous_expires_at = session.now + ROTATION_OVERLAP
    key.key_id = _public_part(token)
    key.secret_hash = _hash(pepper, token)
    session.flush()
    return MintedKey(key.id, key.organization_id, token)


def authenticate(session: OrganizationSession, pepper: bytes, authorization: str | None) -> Principal:
    """Tell who sends the `Authorization` header. Needs a system session.

    A suspended key is still somebody's: `Principal.suspended` says so, and the caller refuses the request.

    Raises:
        Unauthenticated: there is no such key. Missing, malformed, unknown and revoked answer alike.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not _TOKEN.fullmatch(token):
        raise Unauthenticated(_UNKNOWN)
    public = _public_part(token)
    key = session.execute(_BY_KEY_ID, {"public": public}).first()
    # An unknown key id costs the same comparison as a known one.
    expected = _expected_hash(key, public, session) if key else "0" * 64
    if not hmac.compare_digest(expected, _hash(pepper, token)) or key is None:
        raise Unauthenticated(_UNKNOWN)
    if key.revoked_at is not None:
        raise Unauthenticated(_UNKNOWN)
    return Principal(
        organization_id=key.organization_id,
        organization_name=key.organization_name,
        organization_tier=cast(RateTier, key.organization_tier),
        api_key_id=key.id,
        scopes=frozenset(key.scopes),
        tier=cast(RateTier, key.tier),
        environment=cast(Environment, key.environment),
        suspended="api_key" if key.suspended_at else "organization" if key.organization_suspended_at else None,
    )


def require_key(session: OrganizationSession, api_key_id: str) -> ApiKey:
    """Return a key by its `key_…` id.

    Raises:
        NotFound: there is none.
    """
    canonical = parse_id("key", api_key_id)
    key = session.get(ApiKey, canonical) if canonical else None
    if key is None:
        raise NotFound("API key", api_key_id)
    return key


def require_key_of(session: OrganizationSession, api_key_id: str, asking: Environment) -> ApiKey:
    """Return a key that a key of the environment `asking` may administer: a sandbox key reaches sandbox keys only.

    Raises:
        NotFound: unknown, revoked, of another organization, or out of reach.
    """
    key = require_key(session, api_key_id)
    if key.revoked_at is not None or (asking == "test" and key.environment != "test"):
        raise NotFound("API key", api_key_id)
    return key


def listing(asking: Environment) -> sa.Select[ApiKey]:
    """All keys that are not revoked, as far as a key of the environment `asking` may see them, in no order yet."""
    statement = sa.select(ApiKey).where(ApiKey.revoked_at.is_(None))
    return statement if asking == "live" else statement.where(ApiKey.environment == "test")


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


def _new_token(session: OrganizationSession, environment: Environment) -> str:
    # 58 letters: the few values that do not divide evenly are thrown away, so that every letter is equally likely.
    letters = [_ALPHABET[byte % 58] for byte in session.ids.token(64) if byte < 232][:16]
    key_id = "".join(letters).ljust(16, "A")
    secret = base64.urlsafe_b64encode(session.ids.token(32)).rstrip(b"=").decode()
    return f"lp_{environment}_{key_id}_{secret}"


def _public_part(token: str) -> str:
    return token[8:24]


def _expected_hash(key: sa.Row[Any], public: str, session: OrganizationSession) -> str:
    if public == key.key_id:
        return str(key.secret_hash)
    expired = key.previous_expires_at is None or key.previous_expires_at <= session.now
    return "0" * 64 if expired else str(key.previous_secret_hash or "0" * 64)


def _hash(pepper: bytes, token: str) -> str:
    return hmac.new(pepper, token.encode(), hashlib.sha256).hexdigest()
