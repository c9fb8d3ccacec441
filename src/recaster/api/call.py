"""One authenticated request on its way through a handler: who asks, the unit of work, and how the answer is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from recaster.infra.database import Database, OrganizationSession
from recaster.infra.engine import EngineClient
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.service.idempotency.service import RequestIdentity, StoredAnswer, fingerprint, parse_key, run_once
from recaster.service.keys.service import Principal


@dataclass(frozen=True, slots=True)
class Services:
    """What the process opened once and every request shares."""

    settings: Settings
    database: Database
    storage: ObjectStore
    engine: EngineClient
    pepper: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler's answer with another status or more headers than its route declares."""

    view: BaseModel | Callable[[], BaseModel] | None
    """The body, or how to make it: with an `etag` it is only made for a client that does not have it already."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    """Strong entity tag; a GET whose `If-None-Match` names it is answered 304."""


class Call:
    """The request as a handler sees it."""

    def __init__(
        self, request: Request, services: Services, principal: Principal, *, route: str, status: int, request_id: str
    ) -> None:
        self.request = request
        self.services = services
        self.principal = principal
        self.request_id = request_id
        self._route = route
        self._status = status
        self._session: OrganizationSession | None = None

    @property
    def settings(self) -> Settings:
        """All settings."""
        return self.services.settings

    @property
    def database(self) -> Database:
        """The database, for handlers that open their own units of work."""
        return self.services.database

    @property
    def storage(self) -> ObjectStore:
        """Where objects are kept."""
        return self.services.storage

    @property
    def engine(self) -> EngineClient:
        """Where jobs are queued."""
        return self.services.engine

    @property
    def session(self) -> OrganizationSession:
        """The unit of work that the frame opened: a snapshot for GET, the one transaction for everything else.

        Raises:
            RuntimeError: the route was declared with `transaction=False`.
        """
        if self._session is None:
            raise RuntimeError(f"{self._route} opens its own units of work; use call.idempotent or call.database.")
        return self._session

    def idempotent(self, body: Any, work: Callable[[OrganizationSession], BaseModel | Answer | None]) -> Response:
        """Do `work` in the one write transaction, or return the kept answer of the same request.

        `body` is what identifies the request beside its path: JSON of the validated body, or of an upload's digest and
        fields.
        """
        key = parse_key(self.request.headers.get("idempotency-key"))
        method = self.request.method
        with self.database.write(self.principal.organization_id) as session:
            self._session = session

            def answer() -> StoredAnswer:
                return self._stored(work(session))

            if key is None:
                stored = answer()
            else:
                route = f"{method} {self._route}"
                digest = fingerprint(method, self._route, self.request.path_params, body)
                identity = RequestIdentity(self.principal.api_key_id, route, key, digest)
                stored = run_once(session, identity, answer, wait_seconds=self.settings.idempotency_wait_seconds)
        headers = dict(stored.headers)
        if stored.replayed:
            headers["Idempotent-Replayed"] = "true"
        return _response(stored.status, stored.body, headers)

    def read(self, work: Callable[[OrganizationSession], BaseModel | Answer | Response | None]) -> Response:
        """Do `work` on a consistent snapshot and write its answer, or 304."""
        with self.database.read(self.principal.organization_id) as session:
            self._session = session
            result = work(session)
            if isinstance(result, Response):
                return result
            etag = result.etag if isinstance(result, Answer) else None
            caching = {} if etag is None else {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Authorization"}
            if etag is not None and matches(self.request.headers.get("if-none-match"), etag):
                return Response(status_code=304, headers=caching)
            stored = self._stored(result)
        return _response(stored.status, stored.body, {**stored.headers, **caching})

    def _stored(self, result: BaseModel | Answer | Response | None) -> StoredAnswer:
        if isinstance(result, Response):
            raise TypeError(f"{self._route} returned a raw response where its answer has to be kept.")
        answer = result if isinstance(result, Answer) else Answer(result)
        view = answer.view if answer.view is None or isinstance(answer.view, BaseModel) else answer.view()
        body = view.model_dump_json(by_alias=True).encode() if view is not None else b""
        return StoredAnswer(answer.status or self._status, body, dict(answer.headers))


def matches(if_none_match: str | None, etag: str) -> bool:
    """Tell whether an `If-None-Match` header names this entity (weak comparison, RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or etag in candidates


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(
        body or None, status_code=status, headers=dict(headers), media_type="application/json" if body else None
    )
