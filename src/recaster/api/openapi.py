"""The OpenAPI document: written from the same declarations that the frame enforces."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from recaster.api.errors import InternalError
from recaster.api.routing import ANY_KEY, OPEN, Operation
from recaster.errors import RecasterError

_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "requestId", "details"],
            "properties": {
                "code": {"type": "string", "description": "Stable; decide by it."},
                "message": {"type": "string", "description": "For people; may change."},
                "requestId": {"type": "string"},
                "details": {
                    "type": "object",
                    "required": ["retryable"],
                    "properties": {"retryable": {"type": "boolean"}},
                },
            },
        }
    },
}


def build_openapi(app: FastAPI, operations: list[Operation]) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1) for the app's declared operations."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Error"] = _ERROR_SCHEMA
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "lp_<live|test>_<16 characters>_<43 characters>"}
    }
    for operation in operations:
        described = document["paths"][operation.path].get(operation.method.lower())
        if described is not None:
            _complete(described, operation)
    return document


def _complete(described: dict[str, Any], operation: Operation) -> None:
    responses = described["responses"]
    responses.pop("422", None)
    if operation.media_type is not None:
        responses[str(operation.status)] = {
            "description": "The file.",
            "content": {operation.media_type: {"schema": {"type": "string", "contentMediaType": operation.media_type}}},
        }
        responses["206"] = {
            "description": "One range of the file.",
            "content": responses[str(operation.status)]["content"],
        }
        responses["304"] = {"description": "The client has it already."}
    by_status: dict[int, list[type[RecasterError]]] = {}
    errors_of_route: tuple[type[RecasterError], ...] = (*operation.all_errors(), InternalError)
    for error in errors_of_route:
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        responses[str(status)] = {
            "description": " · ".join(f"`{error.code}`: {_sentence(error)}" for error in errors),
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "examples": {error.code: {"value": _example(error)} for error in errors},
                },
                "application/problem+json": {"schema": {"type": "object"}},
            },
        }
    if operation.scope != OPEN:
        described["security"] = [{"apiKey": []}]
        described["x-required-scope"] = None if operation.scope == ANY_KEY else operation.scope
        described["x-rate-limit-class"] = operation.rate_class
    if operation.idempotent:
        described.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key and body within 24 h answers the first response again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 257},
            }
        )


def _sentence(error: type[RecasterError]) -> str:
    return (error.__doc__ or "").strip().splitlines()[0]


def _example(error: type[RecasterError]) -> dict[str, Any]:
    return {
        "error": {
            "code": error.code,
            "message": _sentence(error),
            "requestId": "req_01HZX3B8J6Q7R9T2V4W5Y6Z8A1",
            "details": {"retryable": error.retryable},
        }
    }
