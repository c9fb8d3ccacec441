"""A home with real server and worker processes over it, and clients that never give up: what the kill proofs stand on."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import fast_stages
import invariants
import sqlalchemy as sa

from recaster.infra import migrations
from recaster.infra.database import Database, open_database
from recaster.infra.engine import migrate_engine
from recaster.infra.failpoints import Failpoint
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import open_storage
from recaster.service.accounts.service import create_organization
from recaster.service.credits.service import grant
from recaster.service.influencers.model import Influencer
from recaster.service.jobs.model import Job
from recaster.service.keys.service import mint
from recaster.service.projects.schemas import ProjectCreate
from recaster.service.projects.service import create as create_project
from recaster.service.sources.model import Source
from recaster.service.webhooks import service as webhooks
from recaster.service.webhooks.model import Event, WebhookDelivery
from recaster.service.webhooks.schemas import EndpointCreate

Role = Literal["server", "worker"]
PATIENCE: Final = 60.0
"""Seconds after which something that should have happened is taken for lost."""
LOOPBACK: Final = "127.0.0.0/8"
TOLD: Final = ("job.completed", "job.failed", "job.canceled", "content.generated")
CLIPS: Final = {
    "7301234567890123450": b"a clip",
    **{f"730123456789012346{i}": c for i, c in enumerate(fast_stages.FAILURES)},
}
"""TikTok id → content of the source: the first is remixed, the others fail."""
GOOD, *FAILING = CLIPS


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it did not become true.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(0.01)


@dataclass
class Tenant:
    """Who asks, and for what."""

    token: str
    organization_id: str
    project_id: str
    influencer_id: str


def furnish(database: Database, settings: Settings, credits: int) -> Tenant:
    """Make an organization that can start remixes of every clip."""
    storage = open_storage(settings)
    with database.system_write() as session:
        organization = create_organization(session, "Chaos", "partner")
        grant(session, organization.id, credits)
        minted = mint(session, settings.pepper(), organization.id, name="chaos", scopes=["*"], tier="partner")
    with database.write(organization.id) as session:
        project = create_project(session, ProjectCreate.model_validate({"name": "Chaos"}))
        influencer = Influencer(
            id=session.new_id("inf"), project_id=project.id, name="Ada", gender=None, age_range=None, brand_voice=None,
            language="en", status="ready", origin="synthetic", consent=None, reference_asset_ids=[],
            training_job_id=None, persona_key="personas/ada.npz", last_error=None, created_at=session.now,
            updated_at=session.now, archived_at=None,
        )  # fmt: skip
        session.add(influencer)
        for tiktok_id, content in CLIPS.items():
            stored = storage.put_bytes(f"sources/{tiktok_id}.mp4", content)
            session.add(
                Source(
                    id=session.new_id("src"), project_id=project.id, tiktok_video_id=tiktok_id, mime_type="video/mp4",
                    size_bytes=stored.size_bytes, width=720, height=1280, duration_ms=8000,
                    checksum_sha256=stored.checksum_sha256, object_key=stored.key, rights_basis="operator_statement",
                    rights_note="chaos", rights_by="chaos", rights_at=session.now, author=None, caption=None,
                    hashtags=[], views=None, likes=None, comments=None, shares=None, published_at=None,
                    created_at=session.now,
                )
            )  # fmt: skip
    storage.put_bytes("personas/ada.npz", b"persona")
    return Tenant(minted.token, organization.id, project.id, influencer.id)


class Receiver:
    """A partner's web server that hears of events."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        """Ids of the events, as they came."""
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                heard.append(self.headers["webhook-id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop to listen."""
        self._server.shutdown()
        self._server.server_close()

    def findings(self, database: Database) -> list[str]:
        """Return what the receiver was told of and is not so, and what is taken for told and was not."""
        with database.system_read() as session:
            events = set(session.scalars(sa.select(Event.id)))
            delivered = sa.select(WebhookDelivery.event_id).where(WebhookDelivery.status == "delivered")
            told = set(session.scalars(delivered))
            failed = session.scalars(sa.select(WebhookDelivery.id).where(WebhookDelivery.status == "failed")).all()
        heard = set(self.heard)
        return [
            *(f"W2 {event_id} is taken for delivered and never came." for event_id in sorted(told - heard)),
            *(f"W1 {event_id} came and is no event." for event_id in sorted(heard - events)),
            *(f"W2 the delivery {delivery_id} was given up." for delivery_id in failed),
        ]


class House:
    """The home and its processes. A `with` block ends them all."""

    def __init__(self, home: Path, *, servers: int = 1, credits: int = 10_000_000) -> None:
        self.settings = Settings(home=home, egress_allow=LOOPBACK)
        self.database = open_database(self.settings)
        migrations.upgrade(self.database)
        migrate_engine(self.settings)
        self.tenant = furnish(self.database, self.settings, credits)
        self.receiver = Receiver()
        sealer = Sealer(self.settings.sealing_keys())
        hook = EndpointCreate.model_validate({"url": self.receiver.url, "events": list(TOLD)})
        with self.database.write(self.tenant.organization_id) as session:
            webhooks.create(session, sealer, hook, self.settings.open_networks())
        self.ports = [_free_port() for _ in range(servers)]
        self._orders = threading.Lock()
        self._nursery = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.processes: dict[tuple[Role, int], int] = {}

    def __enter__(self) -> House:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(30)
        self.receiver.close()
        self.database.dispose()

    def start(self, role: Role, number: int = 0, failpoint: tuple[Failpoint, int] | None = None) -> int:
        """Start a process; a server is ready when this returns."""
        order = {"role": role, "home": str(self.settings.home), "port": self.ports[number], "failpoint": failpoint}
        with self._orders:
            assert self._nursery.stdin is not None
            assert self._nursery.stdout is not None
            self._nursery.stdin.write(json.dumps(order) + "\n")
            self._nursery.stdin.flush()
            pid = int(self._nursery.stdout.readline())
        self.processes[role, number] = pid
        if role == "server":
            wait_for(lambda: _listens(self.ports[number]) or not alive(pid), "the server to listen")
        return pid

    def kill(self, role: Role, number: int = 0) -> None:
        """SIGKILL a process and wait until it is gone."""
        pid = self.processes[role, number]
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the killed process to be gone")

    def stop(self, role: Role, number: int = 0) -> None:
        """SIGTERM a process and wait for its end."""
        pid = self.processes[role, number]
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not alive(pid), "the process to end")

    def await_jobs(self) -> None:
        """Wait until no job runs."""
        wait_for(lambda: not invariants.unfinished(self.database), "all jobs to end")

    def findings_at_rest(self) -> list[str]:
        """Wait until no job runs, and return every invariant that does not hold then."""
        self.await_jobs()
        work = self.settings.home / "work"
        # The scratch folder goes after the last transaction.
        wait_for(lambda: not any(work.iterdir()), "the scratch folders to go", 10)
        storage = open_storage(self.settings)
        names = tuple(path.name for path in work.iterdir())
        halves = [
            f"J5 the half-written file {path} was left behind."
            for path in (self.settings.home / "objects").rglob("*")
            if path.is_file() and ("#" in path.name or path.name.startswith("."))
        ]
        return [
            *invariants.broken(self.database),
            *invariants.orphans(self.database, storage, names),
            *halves,
            *self.receiver.findings(self.database),
        ]


def alive(pid: int) -> bool:
    """Tell whether a process is there (the nursery leaves no zombies)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class History:
    """What clients did and were told: checked against each other and the database in the end."""

    accepted: dict[str, set[str]] = field(default_factory=dict)
    """Idempotency key → bodies of its 202 answers."""
    canceled: set[str] = field(default_factory=set)
    """Jobs whose cancel was accepted."""
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Job → its representations, in the order in which they came."""

    def findings(self, database: Database, *, all_of_them: bool = True) -> list[str]:
        """Return what was told to a client and is not so. `all_of_them`: this history is all that ever happened."""
        with database.system_read() as session:
            jobs = {row.id: row for row in session.scalars(sa.select(Job).where(Job.kind == "content_generate"))}
        found = [f"I2 the key {key} got different answers." for key, told in self.accepted.items() if len(told) != 1]
        told = [json.loads(next(iter(bodies)))["jobId"] for bodies in self.accepted.values()]
        found += [f"J1 {job_id} was accepted and is gone." for job_id in told if job_id not in jobs]
        if len(told) != len(set(told)) or (all_of_them and len(jobs) != len(told)):
            found.append(
                f"I1 {len(told)} keys were accepted, {len(set(told))} jobs told of, {len(jobs)} jobs are there."
            )
        for job_id in self.canceled:
            if jobs[job_id].status != "canceled":
                found.append(f"J6 the cancel of {job_id} was accepted, it is {jobs[job_id].status}.")
        for job_id, shown in self.seen.items():
            found += self._judge(job_id, shown, jobs[job_id])
        return found

    @staticmethod
    def _judge(job_id: str, shown: list[dict[str, Any]], job: Any) -> list[str]:
        found = []
        progress = [view["progress"] for view in shown]
        if progress != sorted(progress):
            found.append(f"J3 the progress of {job_id} fell: {progress}.")
        ends = {view["status"] for view in shown} - {"running"}
        if ends - {job.status}:
            found.append(f"J2 {job_id} was shown as {ends} and is {job.status}.")
        return found


class Client:
    """Asks over and over until it is answered, as a careful partner would, and keeps a history."""

    def __init__(self, house: House, history: History, port: int | None = None) -> None:
        self._house = house
        self._history = history
        self._port = port or house.ports[0]
        self._headers = {"Authorization": f"Bearer {house.tenant.token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, bytes]:
        """Send a request until an answer comes that is not one of those that ask to try again.

        Raises:
            TimeoutError: none came within `PATIENCE`.
        """
        deadline = time.monotonic() + PATIENCE
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
                continue
            finally:
                connection.close()
            if answer.status == 429 or answer.status >= 500 or b"IDEMPOTENCY_IN_PROGRESS" in content:
                time.sleep(0.1)
                continue
            return answer.status, content
        raise TimeoutError(f"{method} {path} got no answer within {PATIENCE:.0f} s.")

    def start(self, tiktok_id: str = GOOD, key: str | None = None) -> str:
        """Start a remix and return the job's id."""
        tenant = self._house.tenant
        key = key or str(uuid.uuid4())
        path = f"/v1/projects/{tenant.project_id}/content/video-remix"
        status, content = self.ask(
            "POST", path, {"tiktokVideoId": tiktok_id, "influencerId": tenant.influencer_id}, key
        )
        if status != 202:
            raise AssertionError(f"The remix was answered {status}: {content!r}")
        self._history.accepted.setdefault(key, set()).add(content.decode())
        return str(json.loads(content)["jobId"])

    def look(self, job_id: str) -> dict[str, Any]:
        """Poll a job once."""
        view: dict[str, Any] = json.loads(self.ask("GET", f"/v1/jobs/{job_id}")[1])
        self._history.seen.setdefault(job_id, []).append(view)
        return view

    def cancel(self, job_id: str) -> None:
        """Ask for a cancel."""
        status, content = self.ask("POST", f"/v1/jobs/{job_id}/cancel")
        if status == 202 and json.loads(content)["accepted"]:
            self._history.canceled.add(job_id)

    def live(self, dice: random.Random, stop: threading.Event) -> None:
        """Start remixes, repeat requests, poll and cancel at random until told to stop."""
        while not stop.is_set():
            key = str(uuid.uuid4())
            tiktok_id = dice.choice([GOOD, GOOD, GOOD, *FAILING])
            job_id = self.start(tiktok_id, key)
            for _ in range(dice.randrange(4)):
                act = dice.randrange(4)
                if act == 0:
                    self.start(tiktok_id, key)
                elif act == 1:
                    self.cancel(job_id)
                else:
                    self.look(job_id)
                stop.wait(dice.random() * 0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
