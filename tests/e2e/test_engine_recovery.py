"""A worker process is killed inside a step; the next one takes the job up at that step, and publishes once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recaster.infra import migrations
from recaster.infra.database import Database, open_database
from recaster.infra.engine import EngineClient, migrate_engine, sweep_dead_workers
from recaster.infra.lease import WorkerLease
from recaster.infra.settings import Settings
from recaster.service.accounts.service import create_organization
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job

pytestmark = pytest.mark.e2e

WORKER = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from recaster.infra.database import open_database
    from recaster.infra.engine import EngineWorker
    from recaster.infra.settings import Settings
    from recaster.service.jobs import service as jobs

    home = Path(sys.argv[1])
    settings = Settings(home=home, executor_id=sys.argv[2])
    database = open_database(settings)
    worker = EngineWorker(settings, database)

    def note(line):
        with (home / "log").open("a") as file:
            file.write(line + "\\n")

    def step(job_id, name):
        note(f"{name} begin")
        if name == "render":
            deadline = time.monotonic() + 30
            while (home / "hold").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        note(f"{name} end")
        return name

    def publish(session, job_id):
        note("publish")
        jobs.finish(session, jobs.locked_running(session, job_id))

    def remix(job_id):
        jobs.begin_attempt(database, job_id, settings.max_job_attempts)
        for name in ("fetch", "analyse", "render"):
            worker.step(name, step, job_id, name)
        jobs.begin_finalizing(database, job_id)
        worker.transaction_step("publish", lambda session: publish(session, job_id))

    worker.register("remix", remix)
    worker.launch()
    note("ready")
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    while not stop:
        time.sleep(0.02)
    running = worker.running()
    worker.shutdown()
    jobs.forgive_attempts(database, running)
    """
)


def wait_for(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=os.environ.get("RECASTER_TEST_DATABASE_URL", ""))


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings)
    migrations.upgrade(opened)
    migrate_engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def run(executor: str = "local") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER, str(tmp_path), executor]
        environment = {**os.environ, "RECASTER_DATABASE_URL": settings.database_url}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def open_job(settings: Settings, database: Database) -> str:
    client = EngineClient(settings)
    with database.system_write() as session:
        organization_id = create_organization(session, "a").id
    with database.write(organization_id) as session:
        job_id = jobs.open_job(session, client, kind="k", workflow="remix", project_id=None, input={}).id
    client.close()
    return job_id


def load(database: Database, job_id: str) -> Job:
    with database.system_read() as session:
        return session.get_one(Job, job_id)


def test_a_killed_worker_resumes_at_the_step_it_was_in(
    settings: Settings, database: Database, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    log = tmp_path / "log"
    (tmp_path / "hold").touch()
    job_id = open_job(settings, database)
    first = start()
    wait_for(lambda: log.exists() and "render begin" in log.read_text())
    if settings.is_sqlite:
        second = start()
        assert second.wait(30) != 0
        assert second.stderr is not None
        assert b"exactly one worker process" in second.stderr.read()
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    (tmp_path / "hold").unlink()
    third = start()
    wait_for(lambda: load(database, job_id).status == "completed")
    third.send_signal(signal.SIGTERM)
    assert third.wait(20) == 0
    lines = [line for line in log.read_text().splitlines() if line != "ready"]
    assert lines == [
        "fetch begin", "fetch end", "analyse begin", "analyse end", "render begin",
        "render begin", "render end", "publish",
    ]  # fmt: skip
    assert load(database, job_id).attempts == 2


def test_a_stopped_worker_is_forgiven(
    settings: Settings, database: Database, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "hold").touch()
    job_id = open_job(settings, database)
    first = start()
    wait_for(lambda: (tmp_path / "log").exists() and "render begin" in (tmp_path / "log").read_text())
    first.send_signal(signal.SIGTERM)
    wait_for(lambda: load(database, job_id).attempts == 0 or first.poll() is not None)
    (tmp_path / "hold").unlink()
    assert first.wait(20) == 0
    start()
    wait_for(lambda: load(database, job_id).status == "completed")
    assert load(database, job_id).attempts <= 1


@pytest.mark.skipif(
    bool(os.environ.get("RECASTER_TEST_DATABASE_URL")), reason="on Postgres the living worker itself sweeps first"
)
def test_the_sweeper_puts_back_what_a_dead_worker_held(
    settings: Settings, database: Database, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "hold").touch()
    job_id = open_job(settings, database)
    dead = start("worker-1")
    wait_for(lambda: (tmp_path / "log").exists() and "render begin" in (tmp_path / "log").read_text())
    dead.send_signal(signal.SIGKILL)
    dead.wait(10)
    (tmp_path / "hold").unlink()
    with database.system_write() as session:
        session.merge(WorkerLease(executor_id="worker-1", beat_at=session.now - timedelta(minutes=1)))
        session.merge(WorkerLease(executor_id="worker-2", beat_at=session.now))
    start("worker-2")
    client = EngineClient(settings)
    assert sweep_dead_workers(database, client, timedelta(seconds=15)) == [job_id]
    assert sweep_dead_workers(database, client, timedelta(seconds=15)) == []
    wait_for(lambda: load(database, job_id).status == "completed")
    client.close()
    with database.system_read() as session:
        assert session.scalars(sa.select(WorkerLease.executor_id)).all() == ["worker-2"]
