"""The worker process: takes jobs from the queue and does them, and tells of what happened by webhook.

What a job does is in `recaster.remix.workflow`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Protocol

import sqlalchemy as sa
import structlog

from recaster.infra.database import Database, open_database
from recaster.infra.egress import Egress
from recaster.infra.egress_proxy import EgressProxy
from recaster.infra.engine import ENDED, EngineClient, EngineWorker
from recaster.infra.logging import configure_logging
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import open_storage
from recaster.remix.persona_workflow import PersonaWorkflow
from recaster.remix.stage_runner import StageRunner, StagesInChildren, provider_profile
from recaster.remix.workflow import RemixWorkflow
from recaster.service.fetching.ytdlp import source_profiles
from recaster.service.jobs.service import fail, forgive_attempts, running_job_ids
from recaster.service.sources.opening import open_finder
from recaster.service.webhooks.delivery import DeliveryLoop, Dispatcher

GRACE_SECONDS = 5
"""How long a stopping worker waits for running jobs; what does not end is taken up by the next worker."""
SETTLE_SECONDS = 30.0
"""How often a worker looks for jobs that nobody works on any more."""

FORGET_SECONDS = 3600.0
"""How often the engine's records of jobs that ended long ago are removed."""
_LOG = structlog.get_logger(__name__)


class EngineStatus(Protocol):
    """What `settle_abandoned` needs of the engine."""

    def statuses(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return the engine's word for each job."""


def settle_abandoned(database: Database, engine: EngineStatus) -> list[str]:
    """Fail the running jobs whose workflow has ended without ending them, and return their ids.

    It takes a database that was away at the very moment of the end. A workflow ends its job before it ends itself, so a
    job that is only just finishing is never among them.
    """
    # The jobs first: a workflow that ends meanwhile has ended its job before, and `fail` leaves ended jobs alone.
    statuses = engine.statuses(running_job_ids(database))
    settled = sorted(job_id for job_id, status in statuses.items() if status in ENDED)
    for job_id in settled:
        fail(database, job_id, RuntimeError(f"The workflow ended as {statuses[job_id]} and left its job running."))
    return settled


def _settle_now_and_then(settings: Settings, database: Database, stop: threading.Event) -> None:
    client = EngineClient(settings)
    keep = timedelta(days=settings.event_retention_days)
    next_forgetting = 0.0
    try:
        while not stop.wait(SETTLE_SECONDS):
            try:
                settle_abandoned(database, client)
                if time.monotonic() >= next_forgetting:
                    client.forget(database.clock.now() - keep)
                    next_forgetting = time.monotonic() + FORGET_SECONDS
            except (sa.exc.SQLAlchemyError, TimeoutError) as error:
                _LOG.warning("abandoned jobs not looked for", error=str(error))
    finally:
        client.close()


def run_worker(settings: Settings, run_stage: StageRunner | None = None) -> None:
    """Work until the process is told to stop (SIGTERM or SIGINT). `run_stage` runs the stages; None: in children."""
    configure_logging(settings.log_level)
    database = open_database(settings)
    worker = EngineWorker(settings, database)
    heavy = threading.Semaphore(settings.render_slots)
    resources = ExitStack()
    proxy = resources.enter_context(
        EgressProxy([*source_profiles(settings), provider_profile(settings)], allowed=settings.open_networks())
    )
    finder = resources.enter_context(open_finder(settings, database, open_storage(settings), proxy=proxy))
    run_stage = run_stage or StagesInChildren(settings, proxy)
    remix = RemixWorkflow(settings, database, open_storage(settings), heavy, finder, run_stage)
    persona = PersonaWorkflow(settings, database, open_storage(settings), heavy, run_stage)
    worker.register("remix", lambda job_id: remix.run(job_id, worker))
    worker.register("influencer_create", lambda job_id: persona.run(job_id, worker))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    egress = Egress(settings.open_networks())
    webhooks = DeliveryLoop(
        Dispatcher(database, egress, Sealer(settings.sealing_keys())),
        keep=timedelta(days=settings.event_retention_days),
    )
    settling = threading.Thread(target=_settle_now_and_then, args=(settings, database, stop), daemon=True)
    worker.launch()
    webhooks.start()
    settling.start()
    try:
        stop.wait()
    finally:
        webhooks.stop()
        unfinished = worker.running()
        worker.shutdown(GRACE_SECONDS)
        forgive_attempts(database, unfinished)
        resources.close()
        database.dispose()
