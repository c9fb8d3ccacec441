"""Writing events: in the transaction of the change that they tell of, with one waiting delivery per endpoint that asked.

The job's row must be locked by the caller: it numbers the job's events.
"""

from __future__ import annotations

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.service.jobs.model import Job
from recaster.service.schemas import View
from recaster.service.webhooks.model import DeliveryStatus, Event, WebhookDelivery, WebhookEndpoint
from recaster.service.webhooks.schemas import EventName


def tell(
    session: OrganizationSession, organization_id: str, kind: EventName, data: View, *, job: Job, project_id: str | None
) -> Event:
    """Write an event of a job and queue it for every endpoint of the organization that wants to hear of it.

    A paused endpoint hears of it when it is active again.
    """
    job.event_sequence += 1
    event = write_event(session, organization_id, kind, data, job_id=job.id, sequence=job.event_sequence)
    endpoints = session.scalars(
        sa.select(WebhookEndpoint).where(
            WebhookEndpoint.organization_id == organization_id,
            WebhookEndpoint.archived_at.is_(None),
            sa.or_(WebhookEndpoint.project_id.is_(None), WebhookEndpoint.project_id == project_id),
        )
    )
    for endpoint in endpoints:
        if kind in endpoint.events:
            queue_delivery(session, endpoint, event)
    return event


def write_event(
    session: OrganizationSession,
    organization_id: str,
    kind: EventName,
    data: View,
    *,
    job_id: str | None = None,
    sequence: int = 0,
) -> Event:
    """Write an event that nobody hears of yet."""
    event = Event(
        id=session.new_id("evt"), organization_id=organization_id, type=kind, job_id=job_id, sequence=sequence,
        data=data.model_dump(mode="json", by_alias=True), created_at=session.now,
    )  # fmt: skip
    session.add(event)
    session.flush()
    return event


def queue_delivery(
    session: OrganizationSession, endpoint: WebhookEndpoint, event: Event, *, replay_of: str | None = None
) -> WebhookDelivery:
    """Let an event be told to an endpoint, at once."""
    delivery = WebhookDelivery(
        id=session.new_id("whd"), organization_id=endpoint.organization_id, endpoint_id=endpoint.id, event_id=event.id,
        replay_of=replay_of, status=DeliveryStatus.PENDING.value, attempts=[], next_attempt_at=session.now,
        claimed_until=None, claim=None, created_at=session.now, delivered_at=None,
    )  # fmt: skip
    session.add(delivery)
    session.flush()
    return delivery
