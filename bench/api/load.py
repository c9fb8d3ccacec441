"""Measures what the API carries: accepted remixes and conditional polls a second, with the load client on the same machine.

    python -m bench.api.load [--seconds 15] [--repeat 3] [--database-url postgresql://…]

The server is `recaster serve --no-worker` as it ships, with its real limits: the load is spread over as many
organizations as their budgets ask for. Each kind of load is run twice: as fast as the answers come over 16 connections
(what it carries), and paced at the promised rate (how long a client waits there). Figures of a busy machine are worth
little, so the load average stands beside them, and CPU time per request, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from recaster.infra import migrations
from recaster.infra.database import Database, open_database
from recaster.infra.engine import migrate_engine
from recaster.infra.settings import Settings
from recaster.service.accounts.service import create_organization
from recaster.service.credits.service import grant
from recaster.service.influencers.model import Influencer
from recaster.service.keys.service import mint
from recaster.service.projects.schemas import ProjectCreate
from recaster.service.projects.service import create as create_project
from recaster.service.sources.model import Source

TIKTOK_ID = "7301234567890123456"
JOBS_PER_ORGANIZATION = 95
"""Below the partner tier's cap of running jobs; the rest of the load goes to other organizations."""
CONNECTIONS = 16
PROMISED = {"accept": (100, 0.250), "poll": (1000, 0.060)}
"""Requests a second, and the longest time within which 99 of 100 are answered."""


@dataclass(frozen=True)
class Tenant:
    """An organization that can start remixes."""

    token: str
    project_id: str
    influencer_id: str


def make_tenant(database: Database, settings: Settings, number: int) -> Tenant:
    """Make an organization with credits, a key, a project, a ready influencer and a source."""
    with database.system_write() as session:
        organization = create_organization(session, f"Load {number}", "partner")
        grant(session, organization.id, 120 * 10 * JOBS_PER_ORGANIZATION)
        minted = mint(session, settings.pepper(), organization.id, name="load", scopes=["*"], tier="partner")
    with database.write(organization.id) as session:
        project = create_project(session, ProjectCreate.model_validate({"name": "Load"}))
        influencer = Influencer(
            id=session.new_id("inf"), project_id=project.id, name="Ada", gender=None, age_range=None, brand_voice=None,
            language="en", status="ready", origin="synthetic", consent=None, reference_asset_ids=[],
            training_job_id=None, persona_key="persona", last_error=None, created_at=session.now,
            updated_at=session.now, archived_at=None,
        )  # fmt: skip
        session.add(influencer)
        session.add(
            Source(
                id=session.new_id("src"), project_id=project.id, tiktok_video_id=TIKTOK_ID, mime_type="video/mp4",
                size_bytes=1, width=720, height=1280, duration_ms=8000, checksum_sha256="0" * 64,
                object_key="sources/x.mp4", rights_basis="operator_statement", rights_note="load", rights_by="load",
                rights_at=session.now, author=None, caption=None, hashtags=[], views=None, likes=None, comments=None,
                shares=None, published_at=None, created_at=session.now,
            )
        )  # fmt: skip
    return Tenant(minted.token, project.id, influencer.id)


class Server:
    """`recaster serve --no-worker` on a free port."""

    def __init__(self, home: Path, database_url: str, profile: str | None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {
            **os.environ,
            "RECASTER_HOME": str(home),
            "RECASTER_DATABASE_URL": database_url,
        }
        command = [sys.executable, "-m", "recaster.cli", "serve", "--no-worker", "--port", str(self.port)]
        with (home / "log").open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        self._await()
        self._profiler = None
        if profile:
            self._profiler = subprocess.Popen(
                [
                    "py-spy",
                    "record",
                    "-f",
                    "raw",
                    "-r",
                    "250",
                    "-g",
                    "-o",
                    profile,
                    "-p",
                    str(self.process.pid),
                    "-t",
                    "-d",
                    "600",
                ]
            )

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def cpu_seconds(self) -> float:
        """CPU time that the server has used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """Stop it."""
        if self._profiler is not None:
            self._profiler.send_signal(signal.SIGINT)
            self._profiler.wait()
        self.process.terminate()
        self.process.wait(20)


def send(server: Server, requests: list[str], *, seconds: float, rate: float | None, repeat: bool) -> dict[str, Any]:
    """Let the load client send the requests; return its measurements with the server's CPU time per request."""
    plan = {
        "host": "127.0.0.1", "port": server.port, "connections": CONNECTIONS if rate is None else 4 * CONNECTIONS,
        "seconds": seconds, "rate": rate, "repeat": repeat, "requests": requests,
    }  # fmt: skip
    before = server.cpu_seconds()
    run = subprocess.run(
        [sys.executable, "-m", "bench.api.client"],
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(run.stdout)
    result["server_cpu"] = server.cpu_seconds() - before
    return result


def request(method: str, path: str, token: str, *, body: Any = None, **headers: str) -> str:
    """Write a request as it goes over the wire."""
    content = "" if body is None else json.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines) + "\r\n\r\n" + content


def accepts(tenants: list[Tenant]) -> list[str]:
    """Requests for remixes, each with its own idempotency key, in turn over the tenants."""
    return [
        request(
            "POST",
            f"/v1/projects/{tenant.project_id}/content/video-remix",
            tenant.token,
            body={"tiktokVideoId": TIKTOK_ID, "influencerId": tenant.influencer_id},
            Idempotency_Key=str(uuid.uuid4()),
        )
        for _ in range(JOBS_PER_ORGANIZATION)
        for tenant in tenants
    ]


def polls(server: Server, tenants: list[Tenant]) -> list[str]:
    """Conditional polls of one running job of each tenant, each naming the tag it has seen."""
    import httpx2

    found = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for tenant in tenants:
            headers = {"Authorization": f"Bearer {tenant.token}"}
            accepted = client.post(
                f"/v1/projects/{tenant.project_id}/content/video-remix",
                json={"tiktokVideoId": TIKTOK_ID, "influencerId": tenant.influencer_id},
                headers=headers,
            )
            path = accepted.raise_for_status().json()["locationUrl"]
            tag = client.get(path, headers=headers).headers["etag"]
            found.append(request("GET", path, tenant.token, If_None_Match=tag))
    return found


def main() -> None:
    """Run the loads and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--database-url", default="", help="an empty Postgres database instead of the SQLite file")
    parser.add_argument("--models", type=Path, default=Settings().models_folder, help="folder of installed model files")
    parser.add_argument("--profile", help="write a py-spy profile of the server (speedscope) to this file")
    parser.add_argument("--only", choices=["accept", "poll"])
    options = parser.parse_args()
    print("| load | pace | answers/s | p50 ms | p95 ms | p99 ms | server CPU ms per request | load average | bar |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for _ in range(options.repeat):
        for kind in ("accept", "poll"):
            for paced in (False, True):
                if options.only in {None, kind}:
                    measure(kind, paced, options)


def measure(kind: str, paced: bool, options: argparse.Namespace) -> None:
    """Run one load on a fresh database and print its line."""
    rate, longest = PROMISED[kind]
    with tempfile.TemporaryDirectory(prefix="recaster-load-") as folder:
        home = Path(folder)
        (home / "models").symlink_to(options.models)
        settings = Settings(home=home, database_url=options.database_url)
        database = open_database(settings)
        migrations.upgrade(database)
        migrate_engine(settings)
        # Enough organizations for the budget of 300 starts a minute and 100 running jobs of the partner tier each.
        tenants = [make_tenant(database, settings, number) for number in range(60)]
        database.dispose()
        server = Server(home, options.database_url, options.profile)
        try:
            requests = accepts(tenants) if kind == "accept" else polls(server, tenants)
            send(server, requests[:200], seconds=2, rate=None, repeat=False)
            result = send(
                server, requests[200:] if kind == "accept" else requests, seconds=options.seconds,
                rate=rate if paced else None, repeat=kind == "poll",
            )  # fmt: skip
        finally:
            server.stop()
    wanted = "202" if kind == "accept" else "304"
    count = result["statuses"].get(wanted, 0)
    strange = {status: number for status, number in result["statuses"].items() if status != wanted}
    if strange:
        raise SystemExit(f"Unexpected answers to {kind}: {strange}")
    ordered = sorted(result["latencies"])
    p50, p95, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.95, 0.99))
    pace = f"{rate}/s" if paced else f"{CONNECTIONS} connections"
    figures = f"{count / result['seconds']:.0f} | {p50:.1f} | {p95:.1f} | {p99:.1f}"
    cost = 1000 * result["server_cpu"] / count
    bar = f"≥ {rate}/s, p99 ≤ {longest * 1000:.0f} ms"
    print(f"| {kind} | {pace} | {figures} | {cost:.2f} | {os.getloadavg()[0]:.1f} | {bar} |", flush=True)


if __name__ == "__main__":
    main()
