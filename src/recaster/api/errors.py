"""Writing errors: the one envelope, or the same facts as a problem document (RFC 9457) where the client asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from recaster.errors import InvalidInput, RecasterError
from recaster.service.errors import ApiError

PROBLEM = "application/problem+json"
"""Media type of RFC 9457."""


class InternalError(ApiError):
    """Something unforeseen went wrong. The log holds the cause under the request id."""

    code = "INTERNAL"
    status = 500
    retryable = True

    def __init__(self) -> None:
        super().__init__("Something unforeseen went wrong. Try again; if it stays, tell the operator the request id.")


class NotReady(ApiError):
    """The server cannot work yet: `details.checks` says what is missing."""

    code = "INTERNAL"
    status = 503
    retryable = True


class RangeNotSatisfiable(ApiError):
    """The `Range` header asks for bytes beyond the end of the file."""

    code = "RANGE_NOT_SATISFIABLE"
    status = 416


def facts(error: RecasterError, request_id: str) -> dict[str, Any]:
    """Return what there is to say about an error: code, message, requestId, details (with `retryable`)."""
    return {
        "code": error.code,
        "message": error.message,
        "requestId": request_id,
        "details": {**error.details, "retryable": error.retryable},
    }


def render(error: RecasterError, *, request_id: str, accept: str) -> Response:
    """Write an error as a response in the form that the `Accept` header asks for."""
    content: dict[str, Any]
    if PROBLEM in accept:
        known = facts(error, request_id)
        content = {
            "type": f"urn:recaster:error:{error.code}",
            "title": error.code.replace("_", " ").capitalize(),
            "status": error.status,
            "detail": error.message,
            "code": known["code"],
            "requestId": known["requestId"],
            "details": known["details"],
        }
        media_type = PROBLEM
    else:
        content, media_type = {"error": facts(error, request_id)}, "application/json"
    body = json.dumps(content, ensure_ascii=False, default=str).encode()
    headers = dict(error.headers) if isinstance(error, ApiError) else {}
    return Response(body, status_code=error.status, headers=headers, media_type=media_type)


def from_validation(error: RequestValidationError) -> InvalidInput:
    """Turn the framework's findings into `VALIDATION` with one issue per finding."""
    issues = [{"path": _path(found["loc"]), "message": str(found["msg"])} for found in error.errors()]
    return invalid(issues)


def invalid(issues: Sequence[Mapping[str, str]]) -> InvalidInput:
    """Make a `VALIDATION` error out of issues (`path`, `message`)."""
    first = issues[0]
    more = f" and {len(issues) - 1} more" if len(issues) > 1 else ""
    where = f"{first['path']}: " if first["path"] else ""
    return InvalidInput(f"The request is not valid: {where}{first['message']}{more}.", issues=list(issues))


def _path(location: Sequence[Any]) -> str:
    parts = [str(part) for part in location]
    if parts and parts[0] == "body":
        # A place inside broken JSON is a byte offset, which is no path.
        return ".".join(part for part in parts[1:] if not (len(parts) == 2 and part.isdigit()))
    return ".".join(parts[1:])
