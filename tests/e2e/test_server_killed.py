"""The whole service is killed in the middle of a render and started again: the job goes on where it was, and costs once."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2
import psutil
import pytest
import sqlalchemy as sa

from recaster.demo.source import make_source_clip
from recaster.infra import migrations
from recaster.infra.database import Database, open_database
from recaster.infra.engine import EngineClient, migrate_engine
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.infra.storage import open_storage
from recaster.media.faces import prepare_persona
from recaster.media.video import probe
from recaster.remix.engines import Engines, engine_choice
from recaster.service.accounts.service import create_organization
from recaster.service.credits.model import LedgerTransaction
from recaster.service.credits.service import audit, grant
from recaster.service.influencers.model import Influencer
from recaster.service.jobs.model import Job
from recaster.service.keys.service import mint
from recaster.service.projects.schemas import ProjectCreate
from recaster.service.projects.service import create as create_project

pytestmark = pytest.mark.e2e

TIKTOK_ID = "7301234567890123456"
PATIENCE = 300.0
BRAND = {
    "name": "Pantrypal",
    "messageBank": {"en": {"hook": ["3 things I wish I knew before planning my week"]}},
}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


class Service:
    """`recaster serve` as an operator runs it, with its worker and the worker's stages."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe_socket:
            probe_socket.bind(("127.0.0.1", 0))
            self.port = probe_socket.getsockname()[1]
        self._environment = {**os.environ, "RECASTER_HOME": str(home), "OMP_NUM_THREADS": "1"}
        self._log = (home / "log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "recaster.cli", "serve", "--port", str(self.port)]
        self._process = subprocess.Popen(command, env=self._environment, stderr=self._log, stdout=self._log)
        wait_for(self._listens, "the server to listen")

    def kill(self) -> list[psutil.Process]:
        """SIGKILL the server, its worker, and whatever they had started; return them."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        family = [server, *server.children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        self._process.wait(10)
        return family

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(40)
        self._log.close()

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended by itself"
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/healthz").is_success
        except httpx2.TransportError:
            return False


@pytest.fixture
def settings(tmp_path: Path, model_store: ModelStore) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(Settings().models_folder)
    return Settings(home=home)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings)
    migrations.upgrade(opened)
    migrate_engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    made = Service(settings.home)
    yield made
    made.stop()


def furnish(settings: Settings, database: Database, persona: Path) -> tuple[str, str, str, str]:
    """Make an organization with credits, a key, a project and a ready influencer; return their ids and the token."""
    key = f"personas/{persona.name}"
    open_storage(settings).put_file(key, persona)
    with database.system_write() as session:
        organization_id = create_organization(session, "Kill", "pilot").id
        grant(session, organization_id, 240)
        token = mint(session, settings.pepper(), organization_id, name="kill", scopes=["*"], tier="pilot").token
    with database.write(organization_id) as session:
        project = create_project(session, ProjectCreate.model_validate(BRAND))
        influencer = Influencer(
            id=session.new_id("inf"), project_id=project.id, name="Ada", gender=None, age_range=None, brand_voice=None,
            language="en", status="ready", origin="synthetic", consent=None, reference_asset_ids=[],
            training_job_id=None, persona_key=key, last_error=None, created_at=session.now, updated_at=session.now,
            archived_at=None,
        )  # fmt: skip
        session.add(influencer)
    return organization_id, token, project.id, influencer.id


def stored(home: Path) -> dict[str, int]:
    """Every stored object and when it was written."""
    root = home / "objects"
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_a_killed_service_goes_on_with_the_render(
    tmp_path: Path, settings: Settings, database: Database, service: Service, model_store: ModelStore,
    model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path],
) -> None:  # fmt: skip
    clip = tmp_path / "source.mp4"
    make_source_clip(persona_pictures["P006"], model_files, clip, seconds=2, rate=12, size=(540, 960))
    engines = Engines.from_choice(engine_choice(settings, model_store))
    prepare_persona([persona_pictures["P007"] / "studio_portrait.jpg"], engines.face_models()).save(tmp_path / "p.npz")
    organization_id, token, project_id, influencer_id = furnish(settings, database, tmp_path / "p.npz")
    service.start()
    client = httpx2.Client(
        base_url=f"http://127.0.0.1:{service.port}", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    fields = {"tiktokVideoId": TIKTOK_ID, "rightsNote": "made for this test"}
    with clip.open("rb") as file:
        answer = client.post(f"/v1/projects/{project_id}/sources", data=fields, files={"file": ("clip.mp4", file)})
    assert answer.status_code == 201, answer.text
    accepted = client.post(
        f"/v1/projects/{project_id}/content/video-remix",
        json={"tiktokVideoId": TIKTOK_ID, "influencerId": influencer_id},
    )
    assert accepted.status_code == 202, accepted.text
    job_id, container_id = accepted.json()["jobId"], accepted.json()["containerIds"][0]

    def in_mid_render() -> bool:
        shown = client.get(f"/v1/content/{container_id}/progress").raise_for_status().json()
        assert shown["status"] in {"queued", "processing"}, shown
        return bool(shown["stage"] == "generating_visuals" and shown["stageProgress"] > 0.05)

    wait_for(in_mid_render, "the render to be under way")
    family = service.kill()
    assert len(family) >= 3, "server, worker and stage were to be killed"
    before = stored(settings.home)
    assert any(key.startswith("analyses/") for key in before)
    assert not any("remix-" in key for key in before)
    with database.system_read() as session:
        assert session.get_one(Job, job_id).status == "running"
        assert session.scalars(sa.select(LedgerTransaction.kind)).all().count("capture") == 0

    service.start()
    wait_for(lambda: client.get(f"/v1/jobs/{job_id}").json()["status"] != "running", "the job to end")
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "completed", job
    after = stored(settings.home)
    assert {key: after[key] for key in before} == before, "nothing that was stored before the kill was made again"
    steps = EngineClient(settings)
    names = [name for name in steps.finished_steps(job_id) if not name.startswith("DBOS")]
    steps.close()
    assert len(names) == len(set(names)), f"a step was run twice: {names}"
    with database.system_read() as session:
        assert session.get_one(Job, job_id).attempts == 2
        kinds = list(session.scalars(sa.select(LedgerTransaction.kind)))
        assert (kinds.count("reserve"), kinds.count("capture"), kinds.count("release")) == (1, 1, 0)
        assert audit(session, organization_id) == []
    video = next(asset for asset in job["result"]["assets"] if asset["kind"] == "video")
    content = client.get(video["url"]).raise_for_status().content
    assert hashlib.sha256(content).hexdigest() == video["checksumSha256"]
    (tmp_path / "remix.mp4").write_bytes(content)
    assert probe(tmp_path / "remix.mp4").frame_count == probe(clip).frame_count
    assert client.get("/v1/credits").json()["available"] == 120
    wait_for(lambda: not any((settings.home / "work").iterdir()), "the scratch folder to go")
    client.close()
