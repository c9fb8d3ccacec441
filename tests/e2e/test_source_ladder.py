"""A job whose source does not come at once: it gives its worker back, goes on after the pause, and ends once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from recaster.infra import migrations
from recaster.infra.database import open_database
from recaster.infra.engine import EngineClient, migrate_engine
from recaster.infra.settings import Settings
from recaster.remix.worker import settle_abandoned
from recaster.service.accounts.service import create_organization
from recaster.service.credits.service import audit, grant, lock_wallet, reserve
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job
from recaster.service.projects.schemas import ProjectCreate
from recaster.service.projects.service import create as create_project
from recaster.service.sources.service import list_source

pytestmark = pytest.mark.e2e

ID = "7301234567890123999"
WORKER = textwrap.dedent(
    """
    import sys, threading, time
    from pathlib import Path
    from recaster.infra.database import open_database
    from recaster.infra.engine import EngineWorker
    from recaster.infra.settings import Settings
    from recaster.infra.storage import open_storage
    from recaster.remix.workflow import RemixWorkflow
    from recaster.service.credits.service import capture
    from recaster.service.fetching.errors import TryLater
    from recaster.service.jobs import service as jobs
    from recaster.service.sources.finding import SourceFinder

    home, failures = Path(sys.argv[1]), int(sys.argv[2])
    settings = Settings(home=home, source_retry_seconds=(1, 1, 1))
    database = open_database(settings)

    def note(line):
        with (home / "log").open("a") as file:
            file.write(line + "\\n")

    class Platform:
        name = "yt-dlp"

        def fetch(self, video_id, folder, *, progress, is_cancelled):
            before = (home / "log").read_text().count("fetch") if (home / "log").exists() else 0
            note(f"fetch {worker.running()}")
            if before < failures:
                raise TryLater("Busy.", signal="transient")
            raise _Arrived()

    def publish(session, job_id):
        jobs.finish(session, jobs.locked_running(session, job_id))
        capture(session, job_id)

    class _Arrived(Exception):
        pass

    class Workflow(RemixWorkflow):
        # What comes after the source is not what this test is about.
        def _remix(self, job_id, steps):
            source = self._source(job_id, steps)
            steps.transaction_step("publish", lambda session: publish(session, job_id))

        def _fetch(self, job_id):
            try:
                return super()._fetch(job_id)
            except _Arrived:
                note("arrived")
                return {"key": "k", "sha256": "0"}

    finder = SourceFinder(settings, database, local=lambda _: (), platform=Platform())
    worker = EngineWorker(settings, database)
    workflow = Workflow(settings, database, open_storage(settings), threading.Semaphore(1), finder)
    worker.register("remix", lambda job_id: workflow.run(job_id, worker))
    worker.launch()
    sys.stdin.read()
    worker.shutdown()
    """
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=os.environ.get("RECASTER_TEST_DATABASE_URL", ""))


def run(settings: Settings, failures: int) -> tuple[str, str, int, list[str]]:
    """Run a job whose source fails `failures` times; return status, code, free credits and what the worker noted."""
    database = open_database(settings)
    migrations.upgrade(database)
    migrate_engine(settings)
    client = EngineClient(settings)
    with database.system_write() as session:
        organization = create_organization(session, "Tea").id
        grant(session, organization, 200)
    with database.write(organization) as session:
        project = create_project(session, ProjectCreate(name="Tea"))
        source = list_source(session, settings, project.id, None, ID)
        job = jobs.open_job(
            session, client, kind="content_generate", workflow="remix", project_id=project.id,
            input={"sourceId": source.id, "tiktokVideoId": ID},
        )  # fmt: skip
        reserve(session, job.id, 120)
    environment = {**os.environ, "RECASTER_DATABASE_URL": settings.database_url}
    command = [sys.executable, "-c", WORKER, str(settings.home), str(failures)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            with database.system_read() as session:
                row = session.get_one(Job, job.id)
            if row.status != "running":
                break
            assert time.monotonic() < deadline, worker.stderr and worker.poll()
            time.sleep(0.1)
    finally:
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(timeout=30)
    with database.write(organization) as session:
        wallet = lock_wallet(session, organization)
        free = wallet.included + wallet.prepaid
    with database.system_read() as session:
        assert audit(session, organization) == []
    client.close()
    database.dispose()
    code = row.error["code"] if row.error else ""
    return row.status, code, free, (settings.home / "log").read_text().splitlines()


def test_it_goes_on_after_two_tries_in_vain(settings: Settings) -> None:
    status, _, _, noted = run(settings, failures=2)
    assert status == "completed"
    assert [line.partition(" ")[0] for line in noted] == ["fetch", "fetch", "fetch", "arrived"]


def test_it_fails_when_the_ladder_ends_and_costs_nothing(settings: Settings) -> None:
    status, code, free, noted = run(settings, failures=99)
    assert (status, code, free) == ("failed", "SOURCE_UNAVAILABLE", 200)
    assert len(noted) == 4


def test_a_job_that_was_put_off_is_not_abandoned(settings: Settings) -> None:
    database = open_database(settings)
    migrations.upgrade(database)
    migrate_engine(settings)
    client = EngineClient(settings)
    with database.system_write() as session:
        organization = create_organization(session, "Tea").id
    with database.write(organization) as session:
        job = jobs.open_job(session, client, kind="content_generate", workflow="remix", project_id=None, input={})
    assert client.status(job.id) == "ENQUEUED"
    for _ in range(2):
        # Twice with one number is once.
        client.enqueue_later(workflow="remix", job_id=job.id, organization_id=organization, number=1, delay_seconds=900)
    client.cancel(job.id)
    assert client.status(job.id) == "DELAYED"
    assert settle_abandoned(database, client) == []
    client.close()
    database.dispose()
