"""The OpenAPI document: written from the same declarations that the frame enforces."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from recaster.api.errors import InternalError
from recaster.api.routing import ANY_KEY, OPEN, Operation
from recaster.errors import RecasterError
from recaster.service.webhooks.schemas import EVENT_NAMES, ContentEventData, JobEventData, PingData, WebhookPayload

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


_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "The same facts by RFC 9457, for clients that ask for `application/problem+json`.",
    "required": ["type", "title", "status", "detail", "code", "requestId", "details"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "requestId": {"type": "string"},
        "details": _ERROR_SCHEMA["properties"]["error"]["properties"]["details"],
    },
}

_RATE_HEADERS = (
    "X-RateLimit-Endpoint-Class",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_HEADERS: dict[str, Any] = {
    "X-Request-Id": _header("Id of this request; it stands in the server's log."),
    "X-RateLimit-Endpoint-Class": _header("Which budget the request counts against."),
    "X-RateLimit-Limit": _header("Requests of this class in a minute.", "integer"),
    "X-RateLimit-Remaining": _header("What is left of them.", "integer"),
    "X-RateLimit-Reset": _header("Unix time at which the budget is full again.", "integer"),
    "Idempotent-Replayed": _header("`true` where this is the kept answer of an earlier request with the same key."),
}

_IDEMPOTENCY_KEY = r'^([!#-~][!-~]{0,254}|"[!#-~]{1,255}")$'
"""Visible ASCII, as it is or in double quotes."""

_MEANINGS = {
    200: "Done.",
    201: "Made.",
    202: "Accepted; the work goes on after this answer.",
    204: "Done; there is nothing to say.",
}

_EVENT_MEANINGS: dict[str, tuple[str, type[BaseModel]]] = {
    "job.completed": ("A job has ended well.", JobEventData),
    "job.failed": ("A job has ended without a result; `data.error` says why. It costs nothing.", JobEventData),
    "job.canceled": ("A job was cancelled. It costs nothing.", JobEventData),
    "content.generated": ("A container is filled.", ContentEventData),
    "content.approved": ("Content that waited for review was approved.", ContentEventData),
    "content.rejected": ("Content that waited for review was rejected.", ContentEventData),
    "test.ping": ("Sent by `POST /v1/webhook-endpoints/{endpointId}/test`.", PingData),
}

_SIGNATURE_HEADERS = {
    "webhook-id": "The event's id: the same on every try and on a replay.",
    "webhook-timestamp": "Unix time of this try.",
    "webhook-signature": "Standard Webhooks: `v1,<base64 HMAC-SHA-256 of id.timestamp.body>`, one per valid secret.",
    "X-Layers-Event-Id": "The event's id.",
    "X-Layers-Signature": "`t=<unix>,v1=<hex HMAC-SHA-256 of t.body>`, one `v1` per valid secret.",
}


_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
    "additionalProperties": {"type": "string"},
}


def _webhooks(schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for name in EVENT_NAMES:
        meaning, data = _EVENT_MEANINGS[name]
        for model in (WebhookPayload, data):
            written = model.model_json_schema(
                by_alias=True, mode="serialization", ref_template="#/components/schemas/{model}"
            )
            schemas.update(written.pop("$defs", {}))
            schemas[model.__name__] = written
        described[name] = {
            "post": {
                "operationId": f"on_{name.replace('.', '_')}",
                "tags": ["webhook events"],
                "summary": meaning,
                "description": f"{meaning} Sent to every active endpoint that asked for `{name}`; answer 2xx within 15 s.",
                "parameters": [
                    {
                        "name": header,
                        "in": "header",
                        "required": True,
                        "description": text,
                        "schema": {"type": "string"},
                    }
                    for header, text in _SIGNATURE_HEADERS.items()
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "allOf": [{"$ref": "#/components/schemas/WebhookPayload"}],
                                "properties": {
                                    "type": {"const": name},
                                    "data": {"$ref": f"#/components/schemas/{data.__name__}"},
                                },
                            }
                        }
                    },
                },
                "responses": {"2XX": {"description": "Heard. Everything else is tried again."}},
            }
        }
    return described


def written(document: dict[str, Any]) -> str:
    """Return the document as text, one way only, so that two versions can be compared line by line."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def build_openapi(app: FastAPI, operations: list[Operation]) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1) for the app's declared operations."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Error"] = _ERROR_SCHEMA
    schemas["Problem"] = _PROBLEM_SCHEMA
    components["headers"] = _HEADERS
    shared: dict[str, Any] = components.setdefault("responses", {})
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "lp_<live|test>_<16 characters>_<43 characters>"}
    }
    for operation in operations:
        described = document["paths"][operation.path].get(operation.method.lower())
        if described is not None:
            _complete(described, operation, shared)
    document["webhooks"] = _webhooks(schemas)
    return document


def _complete(described: dict[str, Any], operation: Operation, shared: dict[str, Any]) -> None:
    responses = described["responses"]
    responses.pop("422", None)
    success = responses[str(operation.status)]
    _describe_success(responses, success, operation)
    for response in responses.values():
        response["headers"] = _headers(operation)
    responses |= _error_responses(operation, shared)
    if operation.form:
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    parameters = []
    if operation.etag or operation.ranges:
        parameters.append(_parameter("If-None-Match", "`ETag` of the answer that the client has.", {"type": "string"}))
    if operation.idempotent:
        success["headers"]["Idempotent-Replayed"] = {"$ref": "#/components/headers/Idempotent-Replayed"}
        meaning = "The same key and body within 24 h answers the first response again."
        parameters.append(_parameter("Idempotency-Key", meaning, {"type": "string", "pattern": _IDEMPOTENCY_KEY}))
    if parameters:
        described.setdefault("parameters", []).extend(parameters)
    described["x-idempotent"] = operation.idempotent
    if operation.scope != OPEN:
        described["security"] = [{"apiKey": []}]
        described["x-required-scope"] = None if operation.scope == ANY_KEY else operation.scope
        described["x-rate-limit-class"] = operation.rate_class


def _describe_success(responses: dict[str, Any], success: dict[str, Any], operation: Operation) -> None:
    success["description"] = _MEANINGS[operation.status]
    if operation.media_type is not None:
        success["content"] = {operation.media_type: {"schema": {"type": "string"}}}
    if operation.ranges:
        responses["206"] = {"description": "One range of the file.", "content": success["content"]}
    if operation.etag or operation.ranges:
        responses["304"] = {"description": "Unchanged: the client has it already."}
    for status, meaning in operation.also.items():
        responses[str(status)] = {"description": meaning}
        if status != 204 and "content" in success:
            responses[str(status)]["content"] = success["content"]
    if operation.links:
        success["links"] = {
            target: {
                "operationId": target,
                "parameters": {
                    name: place if place.startswith("$") else f"$response.body#{place}"
                    for name, place in parameters.items()
                },
            }
            for target, parameters in operation.links.items()
        }


def _error_responses(operation: Operation, shared: dict[str, Any]) -> dict[str, Any]:
    """Return status → reference; the responses themselves go into `shared`, for most routes have the same."""
    by_status: dict[int, list[type[RecasterError]]] = {}
    errors_of_route: tuple[type[RecasterError], ...] = (*operation.all_errors(), InternalError)
    for error in errors_of_route:
        by_status.setdefault(error.status, []).append(error)
    references = {}
    for status, errors in sorted(by_status.items()):
        name = "_".join([*(error.__name__ for error in errors), *(["open"] if operation.scope == OPEN else [])])
        shared[name] = {
            "description": " · ".join(f"`{error.code}`: {_sentence(error)}" for error in errors),
            "headers": _headers(operation),
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "examples": {error.code: {"value": _example(error)} for error in errors},
                },
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            },
        }
        references[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return references


def _headers(operation: Operation) -> dict[str, Any]:
    names = ("X-Request-Id",) if operation.scope == OPEN else ("X-Request-Id", *_RATE_HEADERS)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


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
