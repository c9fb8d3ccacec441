"""Rules of webhook endpoints: making, changing, rotating, testing, replaying. `delivery` does the sending."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from recaster.errors import InvalidInput
from recaster.infra.addresses import Network
from recaster.infra.clock import to_milliseconds
from recaster.infra.database import OrganizationSession
from recaster.infra.egress import EgressError, check_url
from recaster.infra.ids import parse_id
from recaster.infra.sealing import Sealer
from recaster.service.errors import Conflict, NotFound
from recaster.service.projects.service import require_project
from recaster.service.webhooks.model import DeliveryStatus, EndpointStatus, Event, WebhookDelivery, WebhookEndpoint
from recaster.service.webhooks.outbox import queue_delivery, write_event
from recaster.service.webhooks.schemas import EndpointCreate, EndpointPatch, PingData
from recaster.service.webhooks.signing import SECRET_BYTES, write_secret

MOST_ENDPOINTS: Final = 20
"""Endpoints of one organization."""
ROTATION_OVERLAP: Final = timedelta(hours=24)
"""How long a rotated secret goes on signing beside the new one."""


def create(
    session: OrganizationSession, sealer: Sealer, body: EndpointCreate, networks: Iterable[Network]
) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint and return it with its signing secret.

    `networks` are those that the operator opened for development.

    Raises:
        InvalidInput: nothing may be sent to this URL.
        NotFound: the project is unknown, archived, or of another organization.
        Conflict: there are too many endpoints (`TOO_MANY_ENDPOINTS`).
    """
    _require_url(body.url, networks)
    project_id = None if body.project_id is None else require_project(session, body.project_id).id
    held = session.scalar(sa.select(sa.func.count()).select_from(listing().subquery())) or 0
    if held >= MOST_ENDPOINTS:
        raise Conflict(
            f"The organization has {held} webhook endpoints, the most there can be. Delete one first.",
            subcode="TOO_MANY_ENDPOINTS",
            limit=MOST_ENDPOINTS,
        )
    identifier = session.new_id("whe")
    secret = write_secret(session.ids.token(SECRET_BYTES))
    endpoint = WebhookEndpoint(
        id=identifier, organization_id=session.organization_id, project_id=project_id, url=body.url,
        events=list(body.events), description=body.description, status=EndpointStatus.ACTIVE.value, failures=0,
        sealed_secret=sealer.seal(secret.encode(), context=secret_context(session.organization_id, identifier)),
        retired_secrets=[], created_at=session.now, updated_at=session.now, archived_at=None,
    )  # fmt: skip
    session.add(endpoint)
    session.flush()
    return endpoint, secret


def listing() -> sa.Select[WebhookEndpoint]:
    """All endpoints that are not deleted, in no order yet."""
    return sa.select(WebhookEndpoint).where(WebhookEndpoint.archived_at.is_(None))


def require_endpoint(session: OrganizationSession, endpoint_id: str) -> WebhookEndpoint:
    """Return an endpoint.

    Raises:
        NotFound: malformed, unknown, deleted, or of another organization.
    """
    canonical = parse_id("whe", endpoint_id)
    endpoint = session.scalar(listing().where(WebhookEndpoint.id == canonical)) if canonical else None
    if endpoint is None:
        raise NotFound("webhook endpoint", endpoint_id)
    return endpoint


def update(
    session: OrganizationSession, endpoint: WebhookEndpoint, body: EndpointPatch, networks: Iterable[Network]
) -> WebhookEndpoint:
    """Change what was sent. Becoming active forgets the failures and takes up what waits.

    Raises:
        InvalidInput: nothing may be sent to the new URL.
    """
    session.refresh(endpoint, with_for_update={"key_share": True})
    sent = body.model_fields_set
    if "url" in sent:
        _require_url(body.url, networks)
        endpoint.url = body.url
    if "events" in sent:
        endpoint.events = list(body.events)
    if "description" in sent:
        endpoint.description = body.description
    if "status" in sent:
        endpoint.status = body.status
        endpoint.failures = 0
    endpoint.updated_at = session.now
    session.flush()
    return endpoint


def delete(session: OrganizationSession, endpoint: WebhookEndpoint) -> None:
    """Take an endpoint away; what still waited for it has failed, and its secrets are gone."""
    endpoint.archived_at = session.now
    endpoint.sealed_secret = ""
    endpoint.retired_secrets = []
    session.execute(
        sa.update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.status == DeliveryStatus.PENDING)
        .values(status=DeliveryStatus.FAILED.value, next_attempt_at=None, claim=None, claimed_until=None)
    )
    session.flush()


def rotate_secret(session: OrganizationSession, sealer: Sealer, endpoint: WebhookEndpoint) -> str:
    """Give an endpoint a new secret and return it; the old one signs on beside it for `ROTATION_OVERLAP`."""
    session.refresh(endpoint, with_for_update={"key_share": True})
    now = to_milliseconds(session.now)
    still_valid = [entry for entry in endpoint.retired_secrets if entry["expiresAt"] > now]
    retired = {"sealed": endpoint.sealed_secret, "expiresAt": to_milliseconds(session.now + ROTATION_OVERLAP)}
    secret = write_secret(session.ids.token(SECRET_BYTES))
    context = secret_context(endpoint.organization_id, endpoint.id)
    endpoint.retired_secrets = [retired, *still_valid]
    endpoint.sealed_secret = sealer.seal(secret.encode(), context=context)
    endpoint.updated_at = session.now
    session.flush()
    return secret


def valid_secrets(endpoint: WebhookEndpoint, sealer: Sealer, now_milliseconds: int) -> list[str]:
    """Return the secrets that sign now, newest first."""
    context = secret_context(endpoint.organization_id, endpoint.id)
    sealed = [
        endpoint.sealed_secret,
        *(entry["sealed"] for entry in endpoint.retired_secrets if entry["expiresAt"] > now_milliseconds),
    ]
    return [sealer.open(text, context=context).decode() for text in sealed]


def secret_context(organization_id: str, endpoint_id: str) -> str:
    """Return the place to which an endpoint's sealed secrets are bound."""
    return f"{organization_id} vr_webhook_endpoint {endpoint_id}"


def reseal(session: OrganizationSession, sealer: Sealer) -> int:
    """Seal every endpoint secret anew with the first key of the ring; return how many changed. Needs a system session."""
    changed = 0
    for endpoint in session.scalars(listing()):
        context = secret_context(endpoint.organization_id, endpoint.id)

        def fresh(sealed: str, context: str = context) -> str:
            return sealer.seal(sealer.open(sealed, context=context), context=context)

        held = [endpoint.sealed_secret, *(entry["sealed"] for entry in endpoint.retired_secrets)]
        if all(sealer.is_current(text) for text in held):
            continue
        endpoint.sealed_secret = fresh(endpoint.sealed_secret)
        endpoint.retired_secrets = [{**entry, "sealed": fresh(entry["sealed"])} for entry in endpoint.retired_secrets]
        changed += 1
    session.flush()
    return changed


def send_test(session: OrganizationSession, endpoint: WebhookEndpoint) -> tuple[WebhookDelivery, Event]:
    """Queue a `test.ping` for this endpoint alone, whether it asked for such events or not.

    Raises:
        Conflict: the endpoint is paused (`ENDPOINT_PAUSED`).
    """
    _require_active(endpoint)
    data = PingData(endpoint_id=endpoint.id, message="If you can read this and the signature verifies, all is well.")
    event = write_event(session, endpoint.organization_id, "test.ping", data)
    return queue_delivery(session, endpoint, event), event


def deliveries_of(endpoint: WebhookEndpoint, status: DeliveryStatus | None = None) -> sa.Select[WebhookDelivery]:
    """All deliveries to an endpoint, in no order yet."""
    statement = sa.select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    return statement if status is None else statement.where(WebhookDelivery.status == status.value)


def events_of(session: OrganizationSession, deliveries: Iterable[WebhookDelivery]) -> dict[str, Event]:
    """Return event id → event of these deliveries."""
    wanted = {delivery.event_id for delivery in deliveries}
    return {event.id: event for event in session.scalars(sa.select(Event).where(Event.id.in_(wanted)))}


def replay(session: OrganizationSession, delivery_id: str) -> tuple[WebhookDelivery, Event]:
    """Queue the event of a delivery that has ended once more, for the same endpoint, under the same event id.

    Raises:
        NotFound: the delivery is unknown or of another organization, or its endpoint was deleted.
        Conflict: the delivery still waits (`DELIVERY_PENDING`), or its endpoint is paused (`ENDPOINT_PAUSED`).
    """
    canonical = parse_id("whd", delivery_id)
    delivery = session.get(WebhookDelivery, canonical) if canonical else None
    endpoint = session.get(WebhookEndpoint, delivery.endpoint_id) if delivery else None
    if delivery is None or endpoint is None or endpoint.archived_at is not None:
        raise NotFound("webhook delivery", delivery_id)
    if delivery.status == DeliveryStatus.PENDING:
        raise Conflict(
            "The delivery is still being tried. Replay it when it has been delivered or has failed.",
            subcode="DELIVERY_PENDING",
        )
    _require_active(endpoint)
    event = session.get_one(Event, delivery.event_id)
    return queue_delivery(session, endpoint, event, replay_of=delivery.id), event


def _require_active(endpoint: WebhookEndpoint) -> None:
    if endpoint.status != EndpointStatus.ACTIVE:
        raise Conflict(
            f"The endpoint is {endpoint.status}; nothing is sent to it. Set its status to active first.",
            subcode="ENDPOINT_PAUSED",
            status=endpoint.status,
        )


def _require_url(url: str, networks: Iterable[Network]) -> None:
    try:
        check_url(url, networks)
    except EgressError as error:
        raise InvalidInput(error.message, field="url", issues=[{"path": "url", "message": error.message}]) from error
