"""The worker process: takes jobs from the queue and does them. What a job does is in `recaster.remix.workflow`."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack

from recaster.infra.database import open_database
from recaster.infra.engine import EngineWorker
from recaster.infra.logging import configure_logging
from recaster.infra.settings import Settings
from recaster.infra.storage import open_storage
from recaster.remix.workflow import PersonaWorkflow, RemixWorkflow
from recaster.service.jobs.service import forgive_attempts
from recaster.service.sources.opening import open_finder

GRACE_SECONDS = 5
"""How long a stopping worker waits for running jobs; what does not end is taken up by the next worker."""


def run_worker(settings: Settings) -> None:
    """Work until the process is told to stop (SIGTERM or SIGINT)."""
    configure_logging(settings.log_level)
    database = open_database(settings)
    worker = EngineWorker(settings, database)
    heavy = threading.Semaphore(settings.render_slots)
    resources = ExitStack()
    finder = resources.enter_context(open_finder(settings, database, open_storage(settings)))
    remix = RemixWorkflow(settings, database, open_storage(settings), heavy, finder)
    persona = PersonaWorkflow(settings, database, open_storage(settings), heavy)
    worker.register("remix", lambda job_id: remix.run(job_id, worker))
    worker.register("influencer_create", lambda job_id: persona.run(job_id, worker))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.launch()
    try:
        stop.wait()
    finally:
        unfinished = worker.running()
        worker.shutdown(GRACE_SECONDS)
        forgive_attempts(database, unfinished)
        resources.close()
        database.dispose()
