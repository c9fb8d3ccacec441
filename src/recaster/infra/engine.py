"""The durable engine behind a port of a dozen functions: queue work in our transaction, run it, survive a kill.

Built on DBOS (MIT) over the same database as our tables. `EngineClient` stands in the API process and only writes;
`EngineWorker` runs the workflows. A workflow is a function `(job_id) -> None` whose side effects all happen in
`step`/`transaction_step`: after a crash it runs again and finds the results of finished steps.

On SQLite there is one worker process, guarded by a file lock; when it starts again it takes up what was running. On
Postgres several may run; each renews a lease, and `sweep_dead_workers` hands the work of a dead one to the living.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, SQLAlchemyDatasource
from sqlalchemy.orm import Session

from recaster.infra.database import Database, OrganizationSession, create_engine
from recaster.infra.lease import end_lease, renew_lease, take_expired_leases
from recaster.infra.settings import Settings

APPLICATION_VERSION: Final = "1"
"""Never changes: by default the engine hashes the code, and then an edit would strand every running job."""
QUEUE: Final = "jobs"
"""All jobs wait in one queue, partitioned by organization so that a full one starves nobody."""

ENDED: Final = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
"""What the engine calls a workflow that will not run again."""

_SCHEMA = "dbos"
_BATCH = 500
_LOG = structlog.get_logger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


class WorkerAlreadyRunning(RuntimeError):
    """Another worker process holds this SQLite database."""


def migrate_engine(settings: Settings) -> None:
    """Create or upgrade the engine's own tables. Safe to repeat and to run at the same time."""
    DBOS.migrate(settings.resolved_database_url(), schema=_SCHEMA)


class EngineClient:
    """What a process may do that runs no work itself: queue, cancel, look."""

    def __init__(self, settings: Settings) -> None:
        self._engine = create_engine(settings.resolved_database_url(), pool_size=2)
        self._client = DBOSClient(system_database_engine=self._engine, dbos_system_schema=_SCHEMA, lazy=True)

    def enqueue_in_transaction(
        self, session: Session, *, workflow: str, job_id: str, organization_id: str, priority: int = 10
    ) -> None:
        """Queue the workflow so that it exists exactly when the session's transaction commits. Twice is once."""
        self._client.enqueue_in_transaction(
            session,
            {
                "workflow_name": workflow,
                "queue_name": QUEUE,
                "workflow_id": job_id,
                "queue_partition_key": organization_id,
                "priority": priority,
                "app_version": APPLICATION_VERSION,
            },
            job_id,
        )

    def enqueue_later(
        self, *, workflow: str, job_id: str, organization_id: str, number: int, delay_seconds: float
    ) -> None:
        """Queue the workflow once more, to begin after `delay_seconds`; the same `number` twice is once.

        It is a workflow of its own (`<job id>.<number>`): steps that the earlier one finished are not remembered.
        """
        self._client.enqueue(
            {
                "workflow_name": workflow,
                "queue_name": QUEUE,
                "workflow_id": f"{job_id}.{number}",
                "queue_partition_key": organization_id,
                "priority": 10,
                "app_version": APPLICATION_VERSION,
                "delay_seconds": delay_seconds,
            },
            job_id,
        )

    def cancel(self, job_id: str) -> None:
        """Tell the engine to start no further step of the job. Our job row decides; this only saves work."""
        self._client.cancel_workflow(job_id)

    def resume(self, job_ids: Sequence[str]) -> None:
        """Put jobs back into the queue; finished steps are not run again."""
        self._client.resume_workflows(list(job_ids), queue_name=QUEUE)

    def status(self, job_id: str) -> str | None:
        """Return the engine's word for the job (`ENQUEUED`, `PENDING`, `SUCCESS`, …), None if it does not know it."""
        return self.statuses([job_id]).get(job_id)

    def statuses(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return the engine's word for each of the jobs that it knows; of one that was put off, for its last workflow."""
        last: dict[str, tuple[int, str]] = {}
        for start in range(0, len(job_ids), _BATCH):
            part = self._client.list_workflows(
                workflow_id_prefix=list(job_ids[start : start + _BATCH]), load_input=False, load_output=False
            )
            for workflow in part:
                job_id, _, number = str(workflow.workflow_id).partition(".")
                last[job_id] = max(last.get(job_id, (-1, "")), (int(number or 0), str(workflow.status)))
        return {job_id: status for job_id, (_, status) in last.items()}

    def forget(self, before: datetime) -> int:
        """Remove the engine's records of workflows that ended before a moment; return how many there were."""
        removed = 0
        while ended := self._client.list_workflows(
            status=list(ENDED), completed_before=before.isoformat(), limit=_BATCH, load_input=False, load_output=False
        ):
            self._client.delete_workflows([workflow.workflow_id for workflow in ended])
            removed += len(ended)
        return removed

    def pending_of(self, executor_ids: Sequence[str]) -> list[str]:
        """Return the jobs that the named workers have begun and not ended."""
        found = self._client.list_workflows(status="PENDING", executor_id=list(executor_ids))
        return [workflow.workflow_id for workflow in found]

    def finished_steps(self, job_id: str) -> list[str]:
        """Return the names of the job's finished steps in their order."""
        return [str(step["function_name"]) for step in self._client.list_workflow_steps(job_id)]

    def close(self) -> None:
        """Close the connections."""
        self._client.destroy()
        self._engine.dispose()


class EngineWorker:
    """Runs workflows in this process. One per process: the library underneath is a process-wide singleton.

    worker = EngineWorker(settings, database)
    worker.register("remix", remix)
    worker.launch()
    …
    worker.shutdown()
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._workflows: dict[str, Callable[[str], None]] = {}
        self._running: set[str] = set()
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._beat: threading.Thread | None = None
        self._lock: int | None = None
        self._source: Any = None
        self._engine: sa.Engine | None = None
        self._client: EngineClient | None = None

    def register(self, name: str, function: Callable[[str], None]) -> None:
        """Name a workflow: a function of the job id. Register all of them before `launch`."""

        def workflow(job_id: str) -> None:
            with self._mutex:
                self._running.add(job_id)
            try:
                function(job_id)
            finally:
                with self._mutex:
                    self._running.discard(job_id)

        workflow.__name__ = workflow.__qualname__ = f"workflow_{name}"
        # Our own attempt counter decides when a job is given up; see service.jobs.begin_attempt.
        self._workflows[name] = DBOS.workflow(name=name, max_recovery_attempts=None)(workflow)

    def launch(self) -> None:
        """Start to take jobs, and take up again what this worker was running when it died.

        Raises:
            WorkerAlreadyRunning: on SQLite, another worker process is alive.
        """
        url = self._settings.resolved_database_url()
        if self._database.is_sqlite:
            self._lock = _take_lock(url)
        self._engine = create_engine(url)
        DBOS(
            config={
                "name": "recaster",
                "system_database_url": url,
                "system_database_engine": self._engine,
                "dbos_system_schema": _SCHEMA,
                "application_version": APPLICATION_VERSION,
                "executor_id": self._settings.executor_id,
                "enable_otlp": False,
                "log_level": "WARNING",
                "max_executor_threads": max(8, self._settings.worker_concurrency * 4),
            }
        )
        self._source = SQLAlchemyDatasource.create(
            url,
            engine=self._database.write_engine,
            schema=None if self._database.is_sqlite else _SCHEMA,
            sessionmaker=self._database.system_sessionmaker(),
        )
        self._client = EngineClient(self._settings)
        DBOS.listen_queues([QUEUE])
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=self._settings.worker_concurrency,
            partition_concurrency=max(1, self._settings.worker_concurrency),
            polling_interval_sec=self._settings.engine_poll_seconds,
            on_conflict="always_update",
        )
        if not self._database.is_sqlite:
            self._beat = threading.Thread(target=self._keep_lease, name="recaster-lease", daemon=True)
            self._beat.start()
        _LOG.info(
            "worker launched", executor_id=self._settings.executor_id, concurrency=self._settings.worker_concurrency
        )

    def step(
        self,
        name: str,
        function: Callable[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run `function` once in the life of the job and keep its small, picklable result; call it inside a workflow.

        It may run again after a crash in the middle, so it must find and reuse what it already made. Raised errors are
        kept as well and are raised again on replay.
        """
        return DBOS.run_step({"name": name}, function, *args, **kwargs)

    def retried_step(
        self,
        name: str,
        function: Callable[[], R],
        *,
        should_retry: Callable[[BaseException], bool],
        max_attempts: int = 4,
        interval_seconds: float = 1.0,
        backoff_rate: float = 2.0,
    ) -> R:
        """Run a step that is tried again with growing pauses while `should_retry` says so of its error."""
        options = {
            "name": name,
            "retries_allowed": True,
            "max_attempts": max_attempts,
            "interval_seconds": interval_seconds,
            "backoff_rate": backoff_rate,
            "should_retry": should_retry,
        }
        return DBOS.run_step(cast(Any, options), function)

    def transaction_step(self, name: str, function: Callable[[OrganizationSession], R]) -> R:
        """Run `function(session)` in one transaction with the record that it ran: exactly once, whatever crashes.

        The session is a system session (all organizations).
        """

        def body() -> R:
            return function(cast(OrganizationSession, self._source.sql_session()))

        return cast(R, self._source.run_tx_step({"name": name}, body))

    def continue_later(self, workflow: str, job_id: str, *, organization_id: str, number: int, seconds: float) -> None:
        """Begin a job's workflow once more after `seconds`; see `EngineClient.enqueue_later`."""
        assert self._client is not None, "launch the worker first"
        self._client.enqueue_later(
            workflow=workflow,
            job_id=job_id,
            organization_id=organization_id,
            number=number,
            delay_seconds=seconds,
        )

    def running(self) -> tuple[str, ...]:
        """Return the jobs that run in this process now."""
        with self._mutex:
            return tuple(sorted(self._running))

    def shutdown(self, wait_seconds: int = 0) -> None:
        """Take no more jobs, wait for the running ones, stop. What did not end is taken up at the next launch."""
        self._stopping.set()
        if self._beat is not None:
            self._beat.join(timeout=10)
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait_seconds)
        if not self._database.is_sqlite:
            end_lease(self._database, self._settings.executor_id)
        if self._client is not None:
            self._client.close()
        if self._engine is not None:
            self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _keep_lease(self) -> None:
        client = EngineClient(self._settings)
        lease = timedelta(seconds=self._settings.lease_seconds)
        try:
            while not self._stopping.is_set():
                try:
                    renew_lease(self._database, self._settings.executor_id)
                    sweep_dead_workers(self._database, client, lease)
                except sa.exc.SQLAlchemyError as error:
                    # The database is away for a moment; the next beat tries again, and others judge by the lease's age.
                    _LOG.warning("lease not renewed", error=str(error))
                self._stopping.wait(self._settings.lease_seconds / 5)
        finally:
            client.close()


def sweep_dead_workers(database: Database, client: EngineClient, lease: timedelta) -> list[str]:
    """Put the jobs of workers without a sign of life within `lease` back into the queue; return their ids.

    Of several sweepers one deletes the lease and does the work. A worker that was only slow is fenced off by the
    engine: its late results are refused.
    """
    dead = take_expired_leases(database, lease)
    if not dead:
        return []
    job_ids = client.pending_of(dead)
    if job_ids:
        client.resume(job_ids)
    _LOG.warning("took over from dead workers", workers=dead, jobs=job_ids)
    return job_ids


def _take_lock(url: str) -> int:
    database = sa.make_url(url).database
    path = Path(f"{database}.worker.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise WorkerAlreadyRunning(
            f"Another worker is running on {database}. SQLite carries exactly one worker process; stop the other one, "
            "raise RECASTER_WORKER_CONCURRENCY, or move to Postgres with RECASTER_DATABASE_URL."
        ) from error
    return descriptor
