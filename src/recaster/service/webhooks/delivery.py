"""Sending what waits in the outbox, until it is heard or every try is used up.

`Dispatcher.claim` takes due deliveries for a while, `attempt` sends one and writes down what came of it: a result whose
claim was taken over meanwhile is dropped. One slow receiver delays no other: an endpoint has few tries at a time, an
organization not many, and endpoints that have just failed share a small lane of their own. Delivery is at least once; the
event id is what receivers recognise a repetition by.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog

from recaster.infra.clock import to_milliseconds
from recaster.infra.database import Database
from recaster.infra.egress import Egress, EgressError, EgressLimits
from recaster.infra.sealing import Sealer, SealingError
from recaster.service.webhooks.model import DeliveryStatus, EndpointStatus, Event, WebhookDelivery, WebhookEndpoint
from recaster.service.webhooks.schemas import payload
from recaster.service.webhooks.service import valid_secrets
from recaster.service.webhooks.signing import signature_headers

LADDER: Final = tuple(timedelta(seconds=seconds) for seconds in (0, 30, 60, 5 * 60, 15 * 60, 3600, 6 * 3600, 24 * 3600))
"""Pause before each try; after the last one the delivery has failed."""
MOST_FAILURES: Final = 20
"""Failed tries in a row after which an endpoint is paused."""
LIMITS: Final = EgressLimits(connect_seconds=5.0, total_seconds=15.0, response_bytes=16_384)

SENDERS: Final = 32
"""Tries at the same time in this process."""
FAILING_LANE: Final = 8
"""How many of them may go to endpoints whose last try failed."""
PER_ENDPOINT: Final = 4
PER_ORGANIZATION: Final = 12

_LEASE: Final = timedelta(seconds=60)
_KEPT_RESPONSE: Final = 1000
_POLL_SECONDS: Final = 0.5
_PURGE_SECONDS: Final = 3600.0
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process may try now."""

    delivery_id: str
    endpoint_id: str
    organization_id: str
    failing: bool
    claim: str


@dataclass(frozen=True, slots=True)
class _Parcel:
    url: str
    body: bytes
    headers: dict[str, str]


class Dispatcher:
    """Claims and sends. Safe to share between threads; several processes may run one each."""

    def __init__(self, database: Database, egress: Egress, sealer: Sealer) -> None:
        self._database = database
        self._egress = egress
        self._sealer = sealer

    def deliver_due(self) -> int:
        """Try everything that is due now, one after the other in the calling thread; return how many tries there were."""
        tried = 0
        while claimed := self.claim():
            for one in claimed:
                self.attempt(one)
            tried += len(claimed)
        return tried

    def claim(self, busy: Sequence[Claimed] = (), most: int = SENDERS) -> list[Claimed]:
        """Take up to `most` due deliveries within the bounds per endpoint, organization and lane; `busy` are in work."""
        now = self._database.clock.now()
        if not self._anything_due(now):
            return []
        endpoints = Counter(one.endpoint_id for one in busy)
        organizations = Counter(one.organization_id for one in busy)
        lane = sum(one.failing for one in busy)
        taken: list[Claimed] = []
        with self._database.system_write() as session:
            waiting = session.execute(
                sa.select(WebhookEndpoint.id, WebhookEndpoint.organization_id, WebhookEndpoint.failures)
                .join(WebhookDelivery, WebhookDelivery.endpoint_id == WebhookEndpoint.id)
                .where(*_due(now))
                .group_by(WebhookEndpoint.id, WebhookEndpoint.organization_id, WebhookEndpoint.failures)
                .order_by(sa.func.min(WebhookDelivery.next_attempt_at))
            ).all()
            for endpoint_id, organization_id, failures in waiting:
                room = min(
                    most - len(taken),
                    PER_ENDPOINT - endpoints[endpoint_id],
                    PER_ORGANIZATION - organizations[organization_id],
                )
                if failures:
                    room = min(room, FAILING_LANE - lane, 1 - endpoints[endpoint_id])
                if room <= 0:
                    continue
                rows = session.scalars(
                    sa.select(WebhookDelivery)
                    .join(WebhookEndpoint, WebhookDelivery.endpoint_id == WebhookEndpoint.id)
                    .where(*_due(now), WebhookDelivery.endpoint_id == endpoint_id)
                    .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.event_id)
                    .limit(room)
                    .with_for_update(skip_locked=True, of=WebhookDelivery)
                )
                for row in rows:
                    row.claim = str(uuid.uuid4())
                    row.claimed_until = now + _LEASE
                    taken.append(Claimed(row.id, endpoint_id, organization_id, failures > 0, row.claim))
                    organizations[organization_id] += 1
                    lane += failures > 0
        return taken

    def attempt(self, claimed: Claimed) -> bool:
        """Send one claimed delivery and write down the outcome; return whether it was heard."""
        parcel = self._pack(claimed)
        if parcel is None:
            return False
        started = time.monotonic()
        status_code: int | None = None
        error: str | None = None
        response: str | None = None
        if isinstance(parcel, str):
            error = parcel
        else:
            try:
                answer = self._egress.request(
                    "POST", parcel.url, headers=parcel.headers, content=parcel.body, limits=LIMITS
                )
            except EgressError as failure:
                error = failure.message
            else:
                status_code = answer.status
                response = answer.body[:_KEPT_RESPONSE].decode("utf-8", "replace")
        heard = status_code is not None and 200 <= status_code < 300
        outcome = {
            "statusCode": status_code,
            "error": error,
            "durationMs": round((time.monotonic() - started) * 1000),
            "response": response,
        }
        self._write_down(claimed, heard, outcome)
        return heard

    def purge(self, keep: timedelta) -> None:
        """Remove ended deliveries, and events without any, that are older than `keep`.

        What waits longer than that for a paused endpoint to be resumed has failed.
        """
        with self._database.system_write() as session:
            limit = session.now - keep
            old = WebhookDelivery.created_at < limit
            session.execute(
                sa.update(WebhookDelivery)
                .where(old, WebhookDelivery.status == DeliveryStatus.PENDING, WebhookDelivery.next_attempt_at < limit)
                .values(status=DeliveryStatus.FAILED.value, next_attempt_at=None, claim=None, claimed_until=None)
            )
            session.execute(sa.delete(WebhookDelivery).where(old, WebhookDelivery.status != DeliveryStatus.PENDING))
            told = sa.select(WebhookDelivery.id).where(WebhookDelivery.event_id == Event.id).exists()
            session.execute(sa.delete(Event).where(Event.created_at < limit, sa.not_(told)))

    def _anything_due(self, now: datetime) -> bool:
        with self._database.system_read() as session:
            found = sa.select(WebhookDelivery.id).join(WebhookEndpoint).where(*_due(now)).limit(1)
            return session.scalar(found) is not None

    def _pack(self, claimed: Claimed) -> _Parcel | str | None:
        """Return what to send, the reason why it cannot be sent, or None if the claim is not ours any more."""
        with self._database.system_read() as session:
            delivery = session.get(WebhookDelivery, claimed.delivery_id)
            if delivery is None or delivery.claim != claimed.claim:
                return None
            endpoint = session.get_one(WebhookEndpoint, delivery.endpoint_id)
            event = session.get_one(Event, delivery.event_id)
        told = payload(event, delivery.replay_of).model_dump(mode="json", by_alias=True, exclude_unset=True)
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        now = to_milliseconds(self._database.clock.now())
        try:
            secrets = valid_secrets(endpoint, self._sealer, now)
        except SealingError as error:
            _LOG.error("webhook secret does not open", endpoint_id=endpoint.id, error=str(error))
            return "The endpoint's secret cannot be read on this server. Rotate it."
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Recaster-Webhooks/1",
            **signature_headers(event.id, body, now // 1000, secrets),
        }
        return _Parcel(endpoint.url, body, headers)

    def _write_down(self, claimed: Claimed, heard: bool, outcome: dict[str, Any]) -> None:
        with self._database.system_write() as session:
            delivery = session.get(WebhookDelivery, claimed.delivery_id, with_for_update=True, populate_existing=True)
            if delivery is None or delivery.claim != claimed.claim:
                return
            # Not a full lock: whoever writes an event for this endpoint at the moment need not wait.
            endpoint = session.get_one(
                WebhookEndpoint, delivery.endpoint_id, with_for_update={"key_share": True}, populate_existing=True
            )
            delivery.attempts = [*delivery.attempts, {"at": to_milliseconds(session.now), **outcome}]
            delivery.claim = delivery.claimed_until = None
            if heard:
                delivery.status = DeliveryStatus.DELIVERED.value
                delivery.delivered_at = session.now
                delivery.next_attempt_at = None
                endpoint.failures = 0
                return
            tries = len(delivery.attempts)
            if tries >= len(LADDER):
                delivery.status = DeliveryStatus.FAILED.value
                delivery.next_attempt_at = None
            else:
                delivery.next_attempt_at = session.now + LADDER[tries]
            endpoint.failures += 1
            if endpoint.failures >= MOST_FAILURES and endpoint.status == EndpointStatus.ACTIVE:
                endpoint.status = EndpointStatus.AUTO_PAUSED.value
                endpoint.updated_at = session.now
                _LOG.warning("webhook endpoint paused", endpoint_id=endpoint.id, failures=endpoint.failures)


class DeliveryLoop:
    """Runs a dispatcher in the background of a worker process."""

    def __init__(self, dispatcher: Dispatcher, *, keep: timedelta) -> None:
        self._dispatcher = dispatcher
        self._keep = keep
        self._mutex = threading.Lock()
        self._busy: dict[str, Claimed] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="recaster-webhook")
        self._thread = threading.Thread(target=self._run, name="recaster-webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more and let the tries in work end; each is bounded by its deadline."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        next_purge = 0.0
        while not self._stopping:
            try:
                claimed = self._claim()
                if time.monotonic() >= next_purge:
                    self._dispatcher.purge(self._keep)
                    next_purge = time.monotonic() + _PURGE_SECONDS
            except (sa.exc.SQLAlchemyError, TimeoutError) as error:
                # The database is away or busy for a moment; what was claimed falls back when its lease ends.
                _LOG.warning("webhooks not claimed", error=str(error))
                claimed = []
            for one in claimed:
                self._pool.submit(self._attempt, one)
            if not claimed:
                self._wake.wait(_POLL_SECONDS)
                self._wake.clear()

    def _claim(self) -> list[Claimed]:
        with self._mutex:
            busy = list(self._busy.values())
        claimed = self._dispatcher.claim(busy, SENDERS - len(busy)) if len(busy) < SENDERS else []
        with self._mutex:
            self._busy |= {one.delivery_id: one for one in claimed}
        return claimed

    def _attempt(self, one: Claimed) -> None:
        try:
            self._dispatcher.attempt(one)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            _LOG.warning(
                "webhook outcome not written; it will be tried again", delivery_id=one.delivery_id, error=str(error)
            )
        finally:
            with self._mutex:
                self._busy.pop(one.delivery_id, None)
            self._wake.set()


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        WebhookDelivery.status == DeliveryStatus.PENDING.value,
        WebhookDelivery.next_attempt_at <= now,
        sa.or_(WebhookDelivery.claimed_until.is_(None), WebhookDelivery.claimed_until <= now),
        WebhookEndpoint.status == EndpointStatus.ACTIVE.value,
        WebhookEndpoint.archived_at.is_(None),
    )
