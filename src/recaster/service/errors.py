"""What only the service can answer: the codes of the wire that are not failures of the work itself.

    RecasterError
    └── ApiError
        ├── Unauthenticated          401 UNAUTHENTICATED
        ├── ForbiddenScope           403 FORBIDDEN_SCOPE
        ├── KillSwitch               503 KILL_SWITCH
        ├── RateLimited              429 RATE_LIMITED
        ├── NotFound                 404 NOT_FOUND
        ├── MethodNotAllowed         405 METHOD_NOT_ALLOWED
        ├── PayloadTooLarge          413 PAYLOAD_TOO_LARGE
        ├── UnsupportedMediaType     415 UNSUPPORTED_MEDIA_TYPE
        ├── Conflict                 409 CONFLICT (with a subcode)
        ├── IdempotencyConflict      409 IDEMPOTENCY_CONFLICT
        ├── BillingExhausted         402 BILLING_EXHAUSTED
        ├── InfluencerRequired       422 INFLUENCER_REQUIRED
        ├── AccountNotWired          422 ACCOUNT_NOT_WIRED
        ├── NoContentLayerWired      422 NO_CONTENT_LAYER_WIRED
        ├── InfluencerNotWired       422 INFLUENCER_NOT_WIRED
        └── InvalidTiktokId          422 INVALID_TIKTOK_ID (with a reason)

A wrong value in a body is `recaster.errors.InvalidInput` (422 VALIDATION). `recaster.api` writes the envelope.
"""

from __future__ import annotations

from typing import Any, Literal

from recaster.errors import RecasterError


class ApiError(RecasterError):
    """An answer of the service that is not a result. `headers` go out with it."""

    def __init__(self, message: str, *, headers: dict[str, str] | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.headers: dict[str, str] = headers or {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as data: the constructors of the leaves build their own sentences."""
        return (_rebuild, (type(self), self.message, self.details, self.headers))


def _rebuild(kind: type[ApiError], message: str, details: dict[str, Any], headers: dict[str, str]) -> ApiError:
    error = kind.__new__(kind)
    ApiError.__init__(error, message, headers=headers, **details)
    return error


class Unauthenticated(ApiError):
    """The API key is missing, malformed, unknown or revoked."""

    code = "UNAUTHENTICATED"
    status = 401
    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class ForbiddenScope(ApiError):
    """The API key does not hold the scope of this route. `details.requiredScope` names it."""

    code = "FORBIDDEN_SCOPE"
    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This API key does not hold the scope {scope}. Ask your organization's admin for a key that does.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            requiredScope=scope,
        )


class KillSwitch(ApiError):
    """The API key or its organization is suspended. `details.scope` says which: `api_key` or `organization`."""

    code = "KILL_SWITCH"
    status = 503

    def __init__(self, scope: Literal["api_key", "organization"]) -> None:
        what = "This API key" if scope == "api_key" else "This organization"
        super().__init__(f"{what} is suspended; no request is served. The operator can lift it.", scope=scope)


class RateLimited(ApiError):
    """Too many requests in this minute, or too many jobs running. `Retry-After` says when to try again."""

    code = "RATE_LIMITED"
    status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: int, **details: Any) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)}, **details)


class NotFound(ApiError):
    """There is no such object in this organization. A foreign object answers exactly like an unknown one."""

    code = "NOT_FOUND"
    status = 404

    def __init__(self, what: str, identifier: str) -> None:
        super().__init__(
            f"There is no {what} {identifier!r} here. Check the id; archived objects answer the same way.",
            resource=what,
        )


class MethodNotAllowed(ApiError):
    """The path exists, but not with this method. The `Allow` header lists those that do."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class PayloadTooLarge(ApiError):
    """The request body is larger than this route accepts. `details.limitBytes` says how much it does."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413


class UnsupportedMediaType(ApiError):
    """The request body, or an uploaded file, is of a kind that this route does not accept."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class Conflict(ApiError):
    """The object is in a state in which this cannot be done. `details.subcode` says which."""

    code = "CONFLICT"
    status = 409

    def __init__(self, message: str, *, subcode: str, headers: dict[str, str] | None = None, **details: Any) -> None:
        super().__init__(message, headers=headers, subcode=subcode, **details)


class IdempotencyConflict(ApiError):
    """The Idempotency-Key was used before with another request."""

    code = "IDEMPOTENCY_CONFLICT"
    status = 409


class BillingExhausted(ApiError):
    """The wallet's available credits are below the price. `details` holds `required` and `available`."""

    code = "BILLING_EXHAUSTED"
    status = 402


class InfluencerRequired(ApiError):
    """Neither `socialAccountId` nor `influencerId` was given."""

    code = "INFLUENCER_REQUIRED"
    status = 422


class AccountNotWired(ApiError):
    """The social account has no distribution layer."""

    code = "ACCOUNT_NOT_WIRED"
    status = 422


class NoContentLayerWired(ApiError):
    """The account's distribution layer has no content layer."""

    code = "NO_CONTENT_LAYER_WIRED"
    status = 422


class InfluencerNotWired(ApiError):
    """The content layer names no usable influencer, and no `influencerId` was given."""

    code = "INFLUENCER_NOT_WIRED"
    status = 422


TiktokIdReason = Literal[
    "malformed", "private", "login_required", "unavailable", "unavailable_or_region_locked", "not_a_video", "too_long"
]
"""Why an id does not lead to a source video, in the contract's words."""


class InvalidTiktokId(ApiError):
    """The TikTok id does not resolve to a fetchable source video. `details.reason` says why."""

    code = "INVALID_TIKTOK_ID"
    status = 422

    def __init__(self, message: str, *, reason: TiktokIdReason, **details: Any) -> None:
        super().__init__(
            message, reason=reason, **{name: value for name, value in details.items() if value is not None}
        )
