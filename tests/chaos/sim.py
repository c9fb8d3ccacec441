"""A world in one thread of time: the real services and workflow over a real database, with engine, clock and receiver simulated.

The engine keeps its queue and the results of steps in two tables of the same database, so that queueing is part of the
accepting transaction as it is with the real one. A worker is a thread that runs only when it is told to, from one pause to
the next; at a pause it can be killed, or forgotten while another worker takes its job and woken up much later.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fast_stages import run_stage
from sqlalchemy.orm import Session

from recaster.infra.database import Database, OrganizationSession
from recaster.infra.egress import EgressError, EgressResponse
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.remix.workflow import RemixWorkflow
from recaster.service.sources.finding import SourceFinder


class Crash(BaseException):
    """The worker is killed at this moment."""


class LostOwnership(BaseException):
    """Another worker has taken the job: the engine refuses the result of a step."""


class SimEngine:
    """The queue and the memory of steps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owners = 0
        with database.engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE sim_work (job_id TEXT PRIMARY KEY, waiting INTEGER, owner INTEGER, done INTEGER)"
            )
            connection.exec_driver_sql(
                "CREATE TABLE sim_step (job_id TEXT, name TEXT, result TEXT, PRIMARY KEY (job_id, name))"
            )

    def enqueue_in_transaction(
        self, session: Session, *, workflow: str, job_id: str, organization_id: str, priority: int = 10
    ) -> None:
        """Queue a job so that it waits exactly when the session's transaction commits."""
        session.execute(sa.text("INSERT INTO sim_work VALUES (:id, 1, 0, 0)"), {"id": job_id})

    def claim(self) -> tuple[str, int] | None:
        """Take the job that waits longest, under a new owner's number."""
        with self._database.system_write() as session:
            job_id = session.scalar(sa.text("SELECT job_id FROM sim_work WHERE waiting ORDER BY rowid LIMIT 1"))
            if job_id is None:
                return None
            self._owners += 1
            claimed = {"id": job_id, "owner": self._owners}
            session.execute(sa.text("UPDATE sim_work SET waiting = 0, owner = :owner WHERE job_id = :id"), claimed)
        return str(job_id), self._owners

    def requeue(self, job_id: str) -> None:
        """Give a job that was begun to whoever claims next."""
        with self._database.system_write() as session:
            session.execute(sa.text("UPDATE sim_work SET waiting = 1 WHERE job_id = :id AND NOT done"), {"id": job_id})

    def finish(self, job_id: str, owner: int) -> None:
        """Take note that the workflow has ended."""
        with self._database.system_write() as session:
            self._require_owner(session, job_id, owner)
            session.execute(sa.text("UPDATE sim_work SET done = 1, waiting = 0 WHERE job_id = :id"), {"id": job_id})

    def recall(self, session: OrganizationSession, job_id: str, name: str) -> list[Any]:
        """Return the kept result of a step in a list, an empty list if it has none."""
        kept = session.scalar(
            sa.text("SELECT result FROM sim_step WHERE job_id = :id AND name = :name"), {"id": job_id, "name": name}
        )
        return [] if kept is None else [json.loads(kept)]

    def keep(self, session: OrganizationSession, job_id: str, name: str, result: Any) -> None:
        """Keep the result of a step."""
        values = {"id": job_id, "name": name, "result": json.dumps(result)}
        session.execute(sa.text("INSERT INTO sim_step VALUES (:id, :name, :result)"), values)

    def _require_owner(self, session: OrganizationSession, job_id: str, owner: int) -> None:
        if session.scalar(sa.text("SELECT owner FROM sim_work WHERE job_id = :id"), {"id": job_id}) != owner:
            raise LostOwnership


class SimWorker:
    """One job in the hands of one worker. It stands still except inside `go_on`."""

    def __init__(self, engine: SimEngine, database: Database, storage: ObjectStore, home: Path) -> None:
        claimed = engine.claim()
        assert claimed is not None
        self.job_id, self._owner = claimed
        self.ended = False
        self.error: BaseException | None = None
        self._engine = engine
        self._database = database
        self._go = threading.Semaphore(0)
        self._still = threading.Semaphore(0)
        self._killed = False
        settings = Settings(home=home, database_url=str(database.engine.url))
        self.work = settings.folder("work")
        finder = SourceFinder(settings, database, local=lambda _: (), platform=None)
        self._workflow = RemixWorkflow(settings, database, storage, threading.Semaphore(1), finder, self._run_stage)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Run to the next pause, or to the end."""
        if self.ended:
            return
        self._go.release()
        self._still.acquire()
        if self.ended:
            self._thread.join()
            if self.error is not None:
                raise self.error

    def run_to_end(self) -> None:
        """Run until the workflow has ended."""
        while not self.ended:
            self.go_on()

    def kill(self) -> None:
        """Die at this pause, without any cleaning up."""
        self._killed = True
        self._workflow.clear = lambda job_id: None  # type: ignore[method-assign]
        self.go_on()
        assert self.ended

    # What a workflow asks of its engine.

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Do the step once, or recall its result."""
        with self._database.system_read() as session:
            kept = self._engine.recall(session, self.job_id, name)
        if kept:
            return kept[0]
        self._pause()
        result = function()
        self._pause()
        with self._database.system_write() as session:
            self._engine._require_owner(session, self.job_id, self._owner)
            self._engine.keep(session, self.job_id, name, result)
        self._pause()
        return json.loads(json.dumps(result))

    def transaction_step(self, name: str, function: Callable[[OrganizationSession], Any]) -> Any:
        """Do the step in one transaction with the note that it is done; like the real engine, whoever owns the job."""
        self._pause()
        with self._database.system_write() as session:
            kept = self._engine.recall(session, self.job_id, name)
            if kept:
                return kept[0]
            result = function(session)
            self._engine.keep(session, self.job_id, name, result)
        self._pause()
        return result

    def continue_later(self, workflow: str, job_id: str, **_: Any) -> None:
        """Put a job off; no source of these histories has to be waited for."""
        raise NotImplementedError(f"{workflow} {job_id}")

    def _live(self) -> None:
        self._go.acquire()
        try:
            if self._killed:
                raise Crash
            self._workflow.run(self.job_id, self)
            self._engine.finish(self.job_id, self._owner)
        except (Crash, LostOwnership):
            pass
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever let this worker go on
            self.error = error
        self.ended = True
        self._still.release()

    def _pause(self) -> None:
        self._still.release()
        self._go.acquire()
        if self._killed:
            raise Crash

    def _run_stage(self, stage: str, request: Any, *, progress: Any, is_cancelled: Any) -> dict[str, Any]:
        return run_stage(stage, request, progress=progress, is_cancelled=is_cancelled, pause=self._pause)


class SimReceiver:
    """A partner's server as `Egress` would reach it: it hears, refuses, or is away."""

    def __init__(self) -> None:
        self.mode = "up"
        self.heard: list[dict[str, Any]] = []

    def request(self, method: str, url: str, *, headers: Any, content: bytes, limits: Any) -> EgressResponse:
        """Take an event."""
        if self.mode == "away":
            raise EgressError("Nobody answers.", reason="connect")
        if self.mode == "up":
            self.heard.append(json.loads(content))
        return EgressResponse(200 if self.mode == "up" else 500, {}, b"", False, "203.0.113.1")
