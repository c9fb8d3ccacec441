"""Rules of jobs: opening, reporting, cancelling, failing. Each end is reached once and never left.

What a route calls takes a session of one organization. What the worker calls takes the database and opens its own short
transactions: `begin_attempt`, `report`, `is_cancelled`, `begin_finalizing`, `fail`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from recaster.errors import Cancelled, RecasterError
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.failpoints import Failpoint, reach
from recaster.infra.ids import parse_id
from recaster.service.content.model import Container, ContainerStatus
from recaster.service.content.service import assets_of, close_containers
from recaster.service.credits import service as credits
from recaster.service.errors import Conflict, NotFound
from recaster.service.jobs.model import STAGE_ORDER, STAGE_SPANS, Job, JobStatus, Stage
from recaster.service.jobs.schemas import CancelView, JobErrorView, JobResultView, JobView
from recaster.service.webhooks import outbox
from recaster.service.webhooks.schemas import EventName, JobEventData

FAILURE_CODES: Final = frozenset(
    {
        "SOURCE_UNAVAILABLE", "INVALID_TIKTOK_ID", "NO_FACE_FOUND", "INFLUENCER_UNUSABLE", "COPY_REJECTED",
        "MEDIA_INVALID", "FACE_UNSUITABLE", "OUTPUT_REJECTED", "CONSENT_MISSING", "INTERNAL",
    }
)  # fmt: skip
"""With which codes a job may fail, in the contract's words."""

_LOG = structlog.get_logger(__name__)
_LEAST_STEP = 0.005
_VERSION = sa.select(Job.version).where(Job.id == sa.bindparam("id"))
_END_EVENTS: Final[dict[JobStatus, EventName]] = {
    JobStatus.COMPLETED: "job.completed",
    JobStatus.FAILED: "job.failed",
    JobStatus.CANCELED: "job.canceled",
}


class JobQueue(Protocol):
    """Where opened jobs are queued; `recaster.infra.engine.EngineClient` is one."""

    def enqueue_in_transaction(
        self, session: Session, *, workflow: str, job_id: str, organization_id: str, priority: int = 10
    ) -> None:
        """Queue the workflow so that it exists exactly when the session's transaction commits."""


def open_job(
    session: OrganizationSession,
    queue: JobQueue,
    *,
    kind: str,
    workflow: str,
    project_id: str | None,
    input: Mapping[str, Any],
    api_key_id: str | None = None,
    environment: str = "live",
) -> Job:
    """Write a running job and queue its workflow, both in the session's transaction."""
    job = Job(
        id=session.new_id("job"), organization_id=session.organization_id, kind=kind, project_id=project_id,
        api_key_id=api_key_id, environment=environment, input=dict(input), status=JobStatus.RUNNING.value, stage=Stage.QUEUED.value,
        stage_progress=0.0, progress=0.0, attempts=0, version=1, event_sequence=0, error=None, started_at=session.now,
        updated_at=session.now, finished_at=None,
    )  # fmt: skip
    session.add(job)
    session.flush()
    reach(Failpoint.ACCEPT_JOB_WRITTEN)
    queue.enqueue_in_transaction(session, workflow=workflow, job_id=job.id, organization_id=session.organization_id)
    reach(Failpoint.ACCEPT_QUEUED)
    return job


def running_jobs(session: OrganizationSession) -> int:
    """Count the running jobs of the session's organization."""
    return session.scalar(sa.select(sa.func.count(Job.id)).where(Job.status == JobStatus.RUNNING)) or 0


def require_job(session: OrganizationSession, job_id: str, *, lock: bool = False) -> Job:
    """Return a job.

    Raises:
        NotFound: it is unknown, or of another organization.
    """
    canonical = parse_id("job", job_id)
    job = session.get(Job, canonical, with_for_update=lock or None, populate_existing=lock) if canonical else None
    if job is None:
        raise NotFound("job", job_id)
    return job


def view(session: OrganizationSession, job: Job) -> JobView:
    """Show a job."""
    containers = list(session.scalars(sa.select(Container).where(Container.job_id == job.id).order_by(Container.id)))
    result = None
    if job.status == JobStatus.COMPLETED:
        first = containers[0] if containers else None
        result = JobResultView(
            container_id=first.id if first else None, assets=assets_of(session, first) if first else []
        )
    return JobView(
        job_id=job.id,
        kind=job.kind,
        status=JobStatus(job.status).value,
        stage=job.stage,
        progress=round(job.progress, 4),
        project_id=job.project_id,
        container_ids=[container.id for container in containers],
        started_at=job.started_at,
        finished_at=job.finished_at,
        result=result,
        error=JobErrorView(**job.error) if job.error else None,
    )


def etag(session: OrganizationSession, job_id: str) -> str:
    """Return the strong entity tag of the job's view without loading the job: what most polls are answered with.

    Raises:
        NotFound: the job is unknown, or of another organization.
    """
    canonical = parse_id("job", job_id)
    version = session.scalar(_VERSION, {"id": canonical}) if canonical else None
    if canonical is None or version is None:
        raise NotFound("job", job_id)
    return f'"{canonical}.{version}"'


def cancel(session: OrganizationSession, job_id: str) -> CancelView:
    """Cancel a running job: its credits are free again, its containers canceled, its worker told to stop.

    The worker hears of it at its next report; a job that still waits ends when a worker picks it up.

    Raises:
        NotFound: there is no such job.
        Conflict: the job is finalizing (`JOB_CANCEL_UNAVAILABLE`).
    """
    job = require_job(session, job_id, lock=True)
    if job.status == JobStatus.COMPLETED:
        return CancelView(job_id=job.id, accepted=False, reason="ALREADY_COMPLETED")
    if job.status == JobStatus.FAILED:
        return CancelView(job_id=job.id, accepted=False, reason="ALREADY_FAILED")
    if job.status == JobStatus.CANCELED:
        return CancelView(job_id=job.id, accepted=False, reason="ALREADY_CANCELED")
    if job.stage == Stage.FINALIZING:
        raise Conflict(
            "The job is being finalized and will end in a moment; it can no longer be cancelled.",
            subcode="JOB_CANCEL_UNAVAILABLE",
        )
    credits.release(session, job.id)
    close_containers(session, job.id, ContainerStatus.CANCELED, None)
    _end(session, job, JobStatus.CANCELED)
    return CancelView(job_id=job.id, accepted=True)


def begin_attempt(database: Database, job_id: str, max_attempts: int) -> Job:
    """Take note that a worker begins (or begins again) the job. Call it first, outside the engine's steps.

    Raises:
        Cancelled: the job is not running any more: cancelled, or ended by somebody else.
        RecasterError: it was begun more than `max_attempts` times, which means that it brings its worker down; the job
            is failed as INTERNAL when this is raised.
    """
    with database.system_write() as session:
        job = _lock(session, job_id)
        _require_running(job)
        job.attempts += 1
        spent = job.attempts > max_attempts
    if spent:
        error = RecasterError(
            f"The job was begun {max_attempts} times and each time its worker died. It is given up and costs nothing. "
            "The operator's log shows the last worker's end; memory is the usual cause."
        )
        fail(database, job_id, error)
        raise error
    return job


def forgive_attempts(database: Database, job_ids: Collection[str]) -> None:
    """Uncount one attempt of each job: its worker is being stopped on purpose."""
    with database.system_write() as session:
        for job_id in job_ids:
            job = _lock(session, job_id)
            if job.status == JobStatus.RUNNING and job.attempts > 0:
                job.attempts -= 1


def report(database: Database, job_id: str, stage: Stage | str, stage_progress: float = 0.0) -> None:
    """Take note that the job is in `stage`, `stage_progress` (0-1) of it done. What would go back is ignored.

    Small changes are not written, so it may be called for every frame.

    Raises:
        Cancelled: the job is not running any more; stop, and keep nothing.
    """
    wanted = Stage(stage)
    if wanted is Stage.FINALIZING:
        begin_finalizing(database, job_id)
    fraction = min(max(stage_progress, 0.0), 1.0)
    with database.system_read() as session:
        job = _require(session, job_id)
        _require_running(job)
        if not _moves(job, wanted, fraction):
            return
    with database.system_write() as session:
        job = _lock(session, job_id)
        _require_running(job)
        _move(session, job, wanted, fraction)


def is_cancelled(database: Database, job_id: str) -> bool:
    """Tell whether the job was cancelled (or is otherwise no longer running)."""
    with database.system_read() as session:
        return _require(session, job_id).status != JobStatus.RUNNING


def begin_finalizing(database: Database, job_id: str) -> None:
    """Enter the last stage: from here on a cancel comes too late. Either this or a cancel wins, never both.

    Raises:
        Cancelled: the cancel was first.
    """
    with database.system_write() as session:
        job = _lock(session, job_id)
        _require_running(job)
        _move(session, job, Stage.FINALIZING, 0.0)


def finish(session: OrganizationSession, job: Job) -> None:
    """Mark a running job completed; whoever calls it has written the results in the same transaction."""
    job.stage_progress = 1.0
    job.progress = 1.0
    _end(session, job, JobStatus.COMPLETED)


def complete_job(database: Database, job_id: str) -> None:
    """End a job without content (`influencer_create`) as completed. Ended jobs stay as they are."""
    with database.system_write() as session:
        job = _lock(session, job_id)
        if job.status == JobStatus.RUNNING:
            finish(session, job)


def fail(database: Database, job_id: str, error: BaseException) -> None:
    """End a running job as failed: credits are released, containers failed. Ended jobs stay as they are.

    An error that is not one of ours, or whose code is none of a job's, becomes INTERNAL without its inner words.
    """
    shown = shown_error(error)
    if shown["code"] == "INTERNAL":
        _LOG.error("job failed unexpectedly", job_id=job_id, details=getattr(error, "details", None), exc_info=error)
    with database.system_write() as session:
        job = _lock(session, job_id)
        if job.status != JobStatus.RUNNING:
            return
        job.error = shown
        credits.release(session, job.id)
        close_containers(session, job.id, ContainerStatus.FAILED, shown)
        _end(session, job, JobStatus.FAILED)


def shown_error(error: BaseException) -> dict[str, Any]:
    """Return what a failed job says of an error: `{code, message, details}`."""
    if isinstance(error, RecasterError) and error.code in FAILURE_CODES:
        # What an internal error found (the end of a process's log, say) is for the operator's eyes.
        details = {} if error.code == "INTERNAL" else error.details
        return {"code": error.code, "message": error.message, "details": {**details, "retryable": error.retryable}}
    return {
        "code": "INTERNAL",
        "message": "Something unforeseen went wrong; nothing was charged. Try again, and tell the operator the job id if it "
        "stays.",
        "details": {"retryable": True},
    }


def running_job_ids(database: Database) -> list[str]:
    """Return the running jobs of all organizations."""
    with database.system_read() as session:
        return list(session.scalars(sa.select(Job.id).where(Job.status == JobStatus.RUNNING.value)))


def locked_running(session: OrganizationSession, job_id: str) -> Job:
    """Return the job under a row lock, for the transaction that completes it.

    Raises:
        Cancelled: it is not running any more.
    """
    job = _lock(session, job_id)
    _require_running(job)
    return job


def _require(session: OrganizationSession, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound("job", job_id)
    return job


def _lock(session: OrganizationSession, job_id: str) -> Job:
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise NotFound("job", job_id)
    return job


def _require_running(job: Job) -> None:
    if job.status != JobStatus.RUNNING:
        raise Cancelled(f"The job {job.id} is {job.status}; its work stops here.", jobId=job.id, status=job.status)


def _moves(job: Job, stage: Stage, fraction: float) -> bool:
    now, wanted = STAGE_ORDER.index(Stage(job.stage)), STAGE_ORDER.index(stage)
    return wanted > now or (
        wanted == now and fraction >= min(job.stage_progress + _LEAST_STEP, 1.0) > job.stage_progress
    )


def _move(session: OrganizationSession, job: Job, stage: Stage, fraction: float) -> None:
    if not _moves(job, stage, fraction):
        return
    low, high = STAGE_SPANS[stage]
    job.stage = stage.value
    job.stage_progress = fraction
    job.progress = max(job.progress, low + (high - low) * fraction)
    _touch(session, job)
    if stage is not Stage.QUEUED:
        session.execute(
            sa.update(Container)
            .where(Container.job_id == job.id, Container.status == ContainerStatus.QUEUED)
            .values(status=ContainerStatus.PROCESSING.value)
        )


def _end(session: OrganizationSession, job: Job, status: JobStatus) -> None:
    """End the job and tell of it: one transaction, whoever asked."""
    job.status = status.value
    job.finished_at = session.now
    _touch(session, job)
    session.flush()
    reach(Failpoint.JOB_ENDED)
    containers = session.scalars(sa.select(Container.id).where(Container.job_id == job.id).order_by(Container.id))
    data = JobEventData(
        job_id=job.id, kind=job.kind, environment=cast(Any, job.environment), status=cast(Any, status.value), project_id=job.project_id,
        container_ids=list(containers), error=job.error, finished_at=session.now,
    )  # fmt: skip
    kind = _END_EVENTS[status]
    outbox.tell(session, job.organization_id, kind, data, job=job, project_id=job.project_id)


def _touch(session: OrganizationSession, job: Job) -> None:
    job.version += 1
    job.updated_at = session.now
