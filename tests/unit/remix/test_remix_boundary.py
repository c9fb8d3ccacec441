"""Whatever goes wrong in a workflow, its job ends, with the attempt counted and nothing of the cause shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from recaster.infra import migrations
from recaster.infra.child import StageCrashed
from recaster.infra.database import Database, OrganizationSession, open_database
from recaster.infra.settings import Settings
from recaster.infra.storage import open_storage
from recaster.remix.persona_workflow import PersonaWorkflow
from recaster.remix.worker import settle_abandoned
from recaster.remix.workflow import RemixWorkflow
from recaster.service.accounts.service import create_organization
from recaster.service.influencers import service as influencers
from recaster.service.influencers.model import Influencer
from recaster.service.influencers.schemas import InfluencerCreate
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job
from recaster.service.projects import service as projects
from recaster.service.projects.schemas import ProjectCreate
from recaster.service.sources.finding import SourceFinder

pytestmark = pytest.mark.unit


def remix_workflow(settings: Settings, database: Database) -> RemixWorkflow:
    finder = SourceFinder(settings, database, local=lambda _: (), platform=None)
    return RemixWorkflow(settings, database, open_storage(settings), threading.Semaphore(1), finder)


def persona_workflow(settings: Settings, database: Database) -> PersonaWorkflow:
    return PersonaWorkflow(settings, database, open_storage(settings), threading.Semaphore(1))


class Queue:
    def enqueue_in_transaction(
        self, session: Session, *, workflow: str, job_id: str, organization_id: str, priority: int = 10
    ) -> None:
        """Nobody takes it; the tests run the workflow themselves."""


class BreakingSteps:
    """Steps that run nothing and raise."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        raise self.error

    def transaction_step(self, name: str, function: Callable[[OrganizationSession], Any]) -> Any:
        raise self.error

    def continue_later(self, workflow: str, job_id: str, *, organization_id: str, number: int, seconds: float) -> None:
        raise self.error


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings)
    migrations.upgrade(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def job_id(database: Database) -> str:
    with database.system_write() as session:
        organization_id = create_organization(session, "a").id
    with database.write(organization_id) as session:
        project = projects.create(session, ProjectCreate(name="Tea House"))
        influencer = influencers.create(session, project, InfluencerCreate(name="Ada", origin="synthetic"))
        job = jobs.open_job(
            session, Queue(), kind="k", workflow="w", project_id=project.id, input={"influencerId": influencer.id}
        )
        influencers.mark_training(session, influencer, job.id)
    return job.id


def load(database: Database, job_id: str) -> tuple[Job, Influencer]:
    with database.system_read() as session:
        job = session.get_one(Job, job_id)
        return job, session.get_one(Influencer, job.input["influencerId"])


@pytest.mark.parametrize("make", [remix_workflow, persona_workflow])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("/home/operator/secret"),
        OSError(28, "No space left on device"),
        StageCrashed("The stage 'render' ended without an answer.", log="/home/operator/secret"),
    ],
)
def test_an_unexpected_error_fails_the_job(
    settings: Settings, database: Database, job_id: str, make: Any, error: Exception
) -> None:
    workflow = make(settings, database)
    workflow.run(job_id, BreakingSteps(error))
    job, influencer = load(database, job_id)
    assert (job.status, job.attempts) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "INTERNAL"
    assert "secret" not in str(job.error)
    assert influencer.status == ("failed" if make is persona_workflow else "training")
    assert "secret" not in str(influencer.last_error)


def test_what_stops_a_workflow_from_outside_passes(settings: Settings, database: Database, job_id: str) -> None:
    workflow = remix_workflow(settings, database)
    with pytest.raises(KeyboardInterrupt):
        workflow.run(job_id, BreakingSteps(KeyboardInterrupt()))
    assert load(database, job_id)[0].status == "running"


def test_a_finished_preparation_that_runs_again_changes_nothing(
    settings: Settings, database: Database, job_id: str
) -> None:
    with database.system_write() as session:
        job = session.get_one(Job, job_id)
        influencers.mark_ready(session, session.get_one(Influencer, job.input["influencerId"]), "persona")
        jobs.finish(session, job)
    persona_workflow(settings, database).run(job_id, BreakingSteps(ValueError("must not be reached")))
    job, influencer = load(database, job_id)
    assert (job.status, influencer.status) == ("completed", "ready")


@pytest.mark.parametrize(("status", "settled"), [("ERROR", True), ("SUCCESS", True), ("PENDING", False), (None, False)])
def test_a_job_whose_workflow_has_ended_is_settled(
    database: Database, job_id: str, status: str | None, settled: bool
) -> None:
    class Engine:
        def statuses(self, job_ids: Sequence[str]) -> dict[str, str]:
            return dict.fromkeys(job_ids, status) if status else {}

    assert settle_abandoned(database, Engine()) == ([job_id] if settled else [])
    assert load(database, job_id)[0].status == ("failed" if settled else "running")
    assert settle_abandoned(database, Engine()) == []
