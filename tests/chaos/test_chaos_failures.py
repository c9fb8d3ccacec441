"""How a remix fails: each stage's own refusal becomes the job's code, the credits come back, and no file is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fast_stages
import invariants
import pytest
import sqlalchemy as sa
from house import GOOD, Tenant, furnish
from sim import SimEngine

from recaster.infra import migrations
from recaster.infra.child import run_in_child
from recaster.infra.database import Database, OrganizationSession, open_database
from recaster.infra.settings import Settings
from recaster.infra.storage import ObstoreObjectStore, open_storage
from recaster.remix.stage_runner import StageRunner, StagesInChildren
from recaster.remix.workflow import RemixWorkflow
from recaster.service.content.model import Container
from recaster.service.credits.model import Wallet
from recaster.service.influencers.model import Influencer
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import Job
from recaster.service.keys.model import ApiKey
from recaster.service.projects.service import require_project
from recaster.service.remixes.schemas import VideoRemixRequest
from recaster.service.remixes.service import accept
from recaster.service.sources.finding import SourceFinder

pytestmark = pytest.mark.e2e

HERE = str(Path(__file__).parent)
CREDITS = 1000


class Steps:
    """An engine for workflows that are not interrupted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        return function()

    def transaction_step(self, name: str, function: Callable[[OrganizationSession], Any]) -> Any:
        with self._database.system_write() as session:
            return function(session)

    def continue_later(self, workflow: str, job_id: str, **_: Any) -> None:
        raise NotImplementedError(f"{workflow} {job_id}")


@dataclass
class Shop:
    """A home with a tenant, in which one remix after the other is done in this process."""

    settings: Settings
    database: Database
    storage: ObstoreObjectStore
    engine: SimEngine
    tenant: Tenant

    def accept(self) -> str:
        """Accept a remix of the good clip."""
        with self.database.write(self.tenant.organization_id) as session:
            body = {"tiktokVideoId": GOOD, "influencerId": self.tenant.influencer_id}
            key_id = session.scalars(sa.select(ApiKey.id)).one()
            return accept(
                session, self.engine, self.settings, project_id=self.tenant.project_id,
                request=VideoRemixRequest.model_validate(body), api_key_id=key_id, tier="standard",
            ).job_id  # fmt: skip

    def work(self, job_id: str, run_stage: StageRunner) -> Job:
        """Do a job and return it as it ended."""
        finder = SourceFinder(self.settings, self.database, local=lambda _: (), platform=None)
        workflow = RemixWorkflow(self.settings, self.database, self.storage, threading.Semaphore(1), finder, run_stage)
        workflow.run(job_id, Steps(self.database))
        with self.database.system_read() as session:
            return session.get_one(Job, job_id)

    def change_influencer(self, **values: Any) -> None:
        """Change the tenant's influencer past the API."""
        with self.database.write(self.tenant.organization_id) as session:
            session.execute(sa.update(Influencer).values(**values))

    def require_untouched(self, job_id: str) -> None:
        """The job took nothing and left nothing."""
        with self.database.system_read() as session:
            wallet = session.get_one(Wallet, self.tenant.organization_id)
            assert (wallet.prepaid, wallet.held_prepaid, wallet.used) == (CREDITS, 0, 0)
            container = session.scalars(sa.select(Container).where(Container.job_id == job_id)).one()
            assert container.last_error == session.get_one(Job, job_id).error
        assert self.storage.keys(f"jobs/{job_id}") == ()
        assert list((self.settings.home / "work").iterdir()) == []
        assert invariants.broken(self.database) == []


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    settings = Settings(home=tmp_path)
    database = open_database(settings)
    migrations.upgrade(database)
    tenant = furnish(database, settings, CREDITS)
    yield Shop(settings, database, open_storage(settings), SimEngine(database), tenant)
    database.dispose()


def failing_at(failing: str, function: str) -> StageRunner:
    """Run the stage `failing` as a function of `failing_stages` in a real child, the others quickly."""

    def run(stage: str, request: Any, *, progress: Any, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        if stage == failing:
            return run_in_child(
                f"failing_stages:{function}", request, progress=progress, is_cancelled=is_cancelled,
                environment={"PYTHONPATH": HERE},
            )  # fmt: skip
        return fast_stages.run_stage(stage, request, progress=progress, is_cancelled=is_cancelled, pause=lambda: None)

    return run


@pytest.mark.parametrize(
    ("stage", "function", "code", "details"),
    [
        ("probe", "media_invalid", "MEDIA_INVALID", {"field": "codec", "value": "none", "limit": ["h264"]}),
        ("analyse", "no_face", "NO_FACE_FOUND", {}),
        ("render", "face_unsuitable", "FACE_UNSUITABLE", {"height": 31, "limit": 48}),
        ("adapt", "copy_rejected", "COPY_REJECTED", {}),
        (
            "render",
            "output_rejected",
            "OUTPUT_REJECTED",
            {"checks": [{"name": "readable", "value": 0.1, "limit": 0.8}]},
        ),
    ],
)
def test_a_stage_that_refuses_ends_the_job_with_its_code(
    shop: Shop, stage: str, function: str, code: str, details: dict[str, Any]
) -> None:
    job_id = shop.accept()
    job = shop.work(job_id, failing_at(stage, function))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == code
    assert job.error["message"]
    assert {key: job.error["details"][key] for key in details} == details
    assert isinstance(job.error["details"]["retryable"], bool)
    shop.require_untouched(job_id)


def test_a_stage_that_breaks_ends_the_job_without_its_inner_words(shop: Shop) -> None:
    job_id = shop.accept()
    job = shop.work(job_id, failing_at("render", "bug"))
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "INTERNAL")
    assert "secret" not in str(job.error)
    shop.require_untouched(job_id)


def test_a_file_that_is_no_video_fails_in_the_real_probe(shop: Shop, model_files: Any) -> None:
    (shop.settings.home / "models").symlink_to(Settings().models_folder)
    job_id = shop.accept()
    job = shop.work(job_id, StagesInChildren(shop.settings))
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", "MEDIA_INVALID")
    shop.require_untouched(job_id)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "failed"}, "INFLUENCER_UNUSABLE"),
        ({"origin": "consented_person", "consent": None}, "CONSENT_MISSING"),
    ],
)
def test_an_influencer_that_became_unusable(shop: Shop, change: dict[str, Any], code: str) -> None:
    job_id = shop.accept()
    shop.change_influencer(**change)
    job = shop.work(job_id, failing_at("none", ""))
    assert job.error is not None
    assert (job.status, job.error["code"]) == ("failed", code)
    shop.require_untouched(job_id)


def test_an_influencer_that_is_archived_while_the_job_runs(shop: Shop) -> None:
    job_id = shop.accept()

    def run(stage: str, request: Any, **callbacks: Any) -> dict[str, Any]:
        if stage == "adapt":
            with shop.database.system_read() as session:
                moment = session.now
            shop.change_influencer(archived_at=moment)
        return fast_stages.run_stage(stage, request, pause=lambda: None, **callbacks)

    job = shop.work(job_id, run)
    assert job.error is not None
    assert job.error["code"] == "INFLUENCER_UNUSABLE"
    shop.require_untouched(job_id)


def test_a_cancel_in_mid_render_kills_the_stage_and_keeps_nothing(shop: Shop) -> None:
    job_id = shop.accept()
    done: list[Job] = []
    worker = threading.Thread(target=lambda: done.append(shop.work(job_id, failing_at("render", "endless"))))
    worker.start()
    half = shop.settings.home / "work" / job_id / "remix.mp4"
    deadline = time.monotonic() + 60
    while not half.exists():
        assert time.monotonic() < deadline, "the render did not begin"
        time.sleep(0.02)
    with shop.database.write(shop.tenant.organization_id) as session:
        assert jobs.cancel(session, job_id).accepted
    worker.join(30)
    assert not worker.is_alive()
    assert [job.status for job in done] == ["canceled"]
    shop.require_untouched(job_id)


def test_the_same_shop_completes_a_job_that_nothing_disturbs(shop: Shop) -> None:
    """The control of all the others."""
    job_id = shop.accept()
    assert shop.work(job_id, failing_at("none", "")).status == "completed"
    with shop.database.read(shop.tenant.organization_id) as session:
        assert require_project(session, shop.tenant.project_id).name == "Chaos"
        wallet = session.get_one(Wallet, shop.tenant.organization_id)
        assert (wallet.prepaid, wallet.held_prepaid, wallet.used) == (CREDITS - 120, 0, 120)
    assert len(shop.storage.keys(f"jobs/{job_id}")) == 3
    assert invariants.broken(shop.database) == []
