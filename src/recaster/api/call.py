"""One authenticated request on its way through a handler: who asks, the unit of work, and how the answer is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from recaster.api.metrics import Metrics
from recaster.api.streams import StreamSlots
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.engine import EngineClient
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.service.auditing import service as auditing
from recaster.service.idempotency.service import (
    InFlight,
    RequestIdentity,
    StoredAnswer,
    fingerprint,
    parse_key,
    run_once,
)
from recaster.service.keys.service import Principal
from recaster.service.keys.usage import KeyUsage
from recaster.service.recommendations.vectors import SentenceModel, TextVectors
from recaster.service.sources.finding import SourceFinder


@dataclass(frozen=True, slots=True)
class Services:
    """What the process opened once and every request shares."""

    settings: Settings
    database: Database
    storage: ObjectStore
    engine: EngineClient
    pepper: bytes
    sealer: Sealer
    usage: KeyUsage
    finder: SourceFinder
    metrics: Metrics
    vectors: TextVectors = field(default_factory=SentenceModel)
    in_flight: InFlight = field(default_factory=InFlight)
    streams: StreamSlots = field(default_factory=StreamSlots)


class Declared(Protocol):
    """What a request needs to know of its route's declaration (`recaster.api.routing.Operation`)."""

    @property
    def path(self) -> str:
        """Path with its parameters in braces."""

    @property
    def status(self) -> int:
        """Status of success."""

    @property
    def audit(self) -> str | None:
        """Action for the audit log."""

    @property
    def etag(self) -> bool:
        """Whether the answer carries an entity tag."""

    @property
    def shows_secret(self) -> bool:
        """Whether the answer must not be kept in the clear."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler's answer with another status or more headers than its route declares."""

    view: BaseModel | Callable[[], BaseModel] | None
    """The body, or how to make it: with an `etag` it is only made for a client that does not have it already."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    """Strong entity tag of a route declared with `etag`; without it the answer's digest is used."""
    target: str | None = None
    """What the audit log names as the object, where it is neither the answer's `id` nor the last id of the path."""
    audit_details: Mapping[str, Any] = field(default_factory=dict)
    """What the audit log keeps beside; never a secret."""


class Call:
    """The request as a handler sees it."""

    def __init__(
        self, request: Request, services: Services, principal: Principal, *, declared: Declared, request_id: str
    ) -> None:
        self.request = request
        self.services = services
        self.principal = principal
        self.request_id = request_id
        self._declared = declared
        self._route = declared.path
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

    @property
    def finder(self) -> SourceFinder:
        """Where ids are looked up that the library does not hold."""
        return self.services.finder

    def idempotent(self, body: Any, work: Callable[[OrganizationSession], BaseModel | Answer | None]) -> Response:
        """Do `work` in the one write transaction, or return the kept answer of the same request.

        `body` is what identifies the request beside its path: JSON of the validated body, or of an upload's digest and
        fields.
        """
        method = self.request.method
        # Only these are idempotent by key; a DELETE is by nature.
        key = parse_key(self.request.headers.get("idempotency-key")) if method in {"POST", "PATCH"} else None
        if key is None:
            stored = self._write(body, work, None)
        else:
            route = f"{method} {self._route}"
            digest = fingerprint(method, self._route, self.request.path_params, body)
            identity = RequestIdentity(self.principal.api_key_id, route, key, digest)
            with self.services.in_flight.alone(identity, self.settings.idempotency_wait_seconds):
                stored = self._write(body, work, identity)
        headers = dict(stored.headers)
        if stored.replayed:
            headers["Idempotent-Replayed"] = "true"
        if self._declared.shows_secret:
            headers["Cache-Control"] = "no-store"
        return _response(stored.status, stored.body, headers)

    def _write(
        self,
        body: Any,
        work: Callable[[OrganizationSession], BaseModel | Answer | None],
        identity: RequestIdentity | None,
    ) -> StoredAnswer:
        with self.database.write(self.principal.organization_id) as session:
            self._session = session

            def answer() -> StoredAnswer:
                result = work(session)
                stored = self._stored(result)
                if self._declared.audit is not None and stored.status == self._declared.status:
                    self._audit(session, self._declared.audit, result, body)
                return stored

            if identity is None:
                return answer()
            return run_once(
                session,
                identity,
                answer,
                wait_seconds=self.settings.idempotency_wait_seconds,
                sealer=self.services.sealer if self._declared.shows_secret else None,
            )

    def _audit(self, session: OrganizationSession, action: str, result: BaseModel | Answer | None, body: Any) -> None:
        answer = result if isinstance(result, Answer) else Answer(result)
        # A new object's id is in the answer; an action on one has it in the path.
        candidates = [answer.target, getattr(answer.view, "id", None), getattr(answer.view, "asset_id", None)]
        target = next((one for one in candidates if one), None) or [*self.request.path_params.values()][-1]
        details = dict(answer.audit_details)
        if self.request.method == "PATCH" and not details:
            # Which fields, not what they say: a log is read by more people than a grant or a brand's facts are.
            details = {"fields": sorted(name for part in body for name in part)}
        auditing.record(
            session,
            self.principal.organization_id,
            actor=self.principal.api_key_id,
            action=action,
            target=str(target)[:200],
            request_id=self.request_id,
            details=details,
        )

    def read(self, work: Callable[[OrganizationSession], BaseModel | Answer | Response | None]) -> Response:
        """Do `work` on a consistent snapshot and write its answer, or 304."""
        with self.database.read(self.principal.organization_id) as session:
            self._session = session
            result = work(session)
            if isinstance(result, Response):
                return result
            etag = result.etag if isinstance(result, Answer) else None
            if etag is not None and matches(self.request.headers.get("if-none-match"), etag):
                return Response(status_code=304, headers=_caching(etag))
            stored = self._stored(result)
        if etag is None and self._declared.etag:
            # The answer's own digest: it changes exactly when the answer does.
            etag = f'"{hashlib.sha256(stored.body).hexdigest()[:32]}"'
            if matches(self.request.headers.get("if-none-match"), etag):
                return Response(status_code=304, headers=_caching(etag))
        caching = _caching(etag) if etag is not None else {}
        return _response(stored.status, stored.body, {**stored.headers, **caching})

    def _stored(self, result: BaseModel | Answer | Response | None) -> StoredAnswer:
        if isinstance(result, Response):
            raise TypeError(f"{self._route} returned a raw response where its answer has to be kept.")
        answer = result if isinstance(result, Answer) else Answer(result)
        view = answer.view if answer.view is None or isinstance(answer.view, BaseModel) else answer.view()
        body = view.model_dump_json(by_alias=True).encode() if view is not None else b""
        return StoredAnswer(answer.status or self._declared.status, body, dict(answer.headers))


def matches(if_none_match: str | None, etag: str) -> bool:
    """Tell whether an `If-None-Match` header names this entity (weak comparison, RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or etag in candidates


def _caching(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Authorization"}


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(
        body or None, status_code=status, headers=dict(headers), media_type="application/json" if body else None
    )
