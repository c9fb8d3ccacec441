"""What must be true of the database after every step of any history, and what more once nothing is under way."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from recaster.infra.database import Database, OrganizationSession
from recaster.infra.storage import ObjectStore
from recaster.service.accounts.model import Organization
from recaster.service.content.model import Asset, Container
from recaster.service.credits.model import LedgerTransaction, Reservation
from recaster.service.credits.service import audit
from recaster.service.jobs.model import Job
from recaster.service.webhooks.model import Event, WebhookDelivery, WebhookEndpoint

ENDINGS = {"completed": "capture", "failed": "release", "canceled": "release"}
"""How a job ended → what became of its reservation."""


def broken(database: Database) -> list[str]:
    """Return one sentence for every invariant that does not hold now."""
    with database.system_read() as session:
        found: list[str] = []
        for organization_id in session.scalars(sa.select(Organization.id)):
            found += [f"L1/L6 {finding}" for finding in audit(session, organization_id)]
        return [*found, *_jobs(session), *_money(session), *_events(session)]


def _jobs(session: OrganizationSession) -> list[str]:
    found: list[str] = []
    assets = Counter(session.scalars(sa.select(Asset.container_id)))
    containers = {row.job_id: row for row in session.scalars(sa.select(Container))}
    expected = {"completed": {"completed"}, "failed": {"failed"}, "canceled": {"canceled"}}
    for job in session.scalars(sa.select(Job).where(Job.kind == "content_generate")):
        container = containers.pop(job.id, None)
        if container is None:
            found.append(f"I1 {job.id} has no container.")
            continue
        if container.status not in expected.get(job.status, {"queued", "processing"}):
            found.append(f"J2 {job.id} is {job.status}, its container {container.status}.")
        if assets[container.id] != (2 if job.status == "completed" else 0):
            found.append(f"J5 {job.id} is {job.status} and has {assets[container.id]} assets.")
        if not 0 <= job.progress <= 1 or (job.progress == 1) != (job.status == "completed"):
            found.append(f"J3 {job.id} is {job.status} at {job.progress}.")
        if (job.error is not None) != (job.status == "failed"):
            found.append(f"J2 {job.id} is {job.status} with error {job.error}.")
    found += [f"I1 {container.id} has no job." for container in containers.values()]
    return found


def _money(session: OrganizationSession) -> list[str]:
    found: list[str] = []
    resolving = session.execute(sa.select(LedgerTransaction.resolves_id, LedgerTransaction.kind)).all()
    resolved = Counter(reservation_id for reservation_id, _ in resolving)
    kinds = dict(resolving)
    reservations = {row.job_id: row for row in session.scalars(sa.select(Reservation))}
    for job in session.scalars(sa.select(Job).where(Job.kind == "content_generate")):
        reservation = reservations.pop(job.id, None)
        if reservation is None:
            found.append(f"L7 {job.id} has no reservation.")
            continue
        times, kind = resolved[reservation.id], kinds.get(reservation.id)
        if times > 1:
            found.append(f"L3 the reservation of {job.id} was resolved {times} times.")
        if kind != ENDINGS.get(job.status):
            found.append(f"L5/L7 {job.id} is {job.status}, its reservation {kind or 'open'}.")
    found += [f"L7 a reservation hangs on {job_id}, which is no remix." for job_id in reservations]
    return found


def _events(session: OrganizationSession) -> list[str]:
    found: list[str] = []
    told: dict[str, list[Event]] = {}
    for event in session.scalars(sa.select(Event).where(Event.job_id.is_not(None)).order_by(Event.sequence)):
        told.setdefault(str(event.job_id), []).append(event)
    for job in session.scalars(sa.select(Job).where(Job.kind == "content_generate")):
        events = told.pop(job.id, [])
        ends = [event.type for event in events if event.type.startswith("job.")]
        if ends != ([] if job.status == "running" else [f"job.{job.status}"]):
            found.append(f"W1 {job.id} is {job.status} and was told of as {ends}.")
        generated = [event for event in events if event.type == "content.generated"]
        if len(generated) != (job.status == "completed"):
            found.append(f"W1 {job.id} is {job.status} and its content was told of {len(generated)} times.")
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            found.append(f"W4 the events of {job.id} are numbered {[event.sequence for event in events]}.")
    wanting = Counter(session.scalars(sa.select(WebhookDelivery.event_id).where(WebhookDelivery.replay_of.is_(None))))
    endpoints = session.scalars(sa.select(WebhookEndpoint).where(WebhookEndpoint.archived_at.is_(None))).all()
    for event in session.scalars(sa.select(Event)):
        asked = sum(
            event.type in endpoint.events
            and endpoint.organization_id == event.organization_id
            and endpoint.created_at <= event.created_at
            for endpoint in endpoints
        )
        if wanting[event.id] != asked:
            found.append(f"W1 {asked} endpoints want to hear of {event.id}, {wanting[event.id]} deliveries are queued.")
    return found


def untold(database: Database) -> list[str]:
    """Return the deliveries that wait for their first or next try."""
    with database.system_read() as session:
        return list(session.scalars(sa.select(WebhookDelivery.id).where(WebhookDelivery.status == "pending")))


def unfinished(database: Database) -> list[str]:
    """Return the jobs that are still running."""
    with database.system_read() as session:
        return list(session.scalars(sa.select(Job.id).where(Job.status == "running")))


def orphans(database: Database, storage: ObjectStore, work: tuple[str, ...]) -> list[str]:
    """Return what lies about at rest: scratch folders (`work`: their names), and objects that no job answers for."""
    with database.system_read() as session:
        status = dict(session.execute(sa.select(Job.id, Job.status)).all())
        owned = set(session.scalars(sa.select(Asset.object_key)))
    found = [f"J5 the scratch folder {name} was left behind." for name in work]
    kept = storage.keys("jobs")
    for key in kept:
        job_id = key.split("/")[1]
        plan = key.split("/")[2].startswith("plan-")
        if status.get(job_id) != "completed" or not (plan or key in owned):
            found.append(f"J5 the object {key} belongs to a job that is {status.get(job_id)}.")
    return [*found, *(f"J5 the object of an asset is gone: {key}" for key in sorted(owned - set(kept)))]
