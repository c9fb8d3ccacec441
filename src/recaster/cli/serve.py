"""`recaster serve` and `recaster worker`: the processes of the service, started and stopped together.

The API process does no heavy work; a worker process runs the workflows. The worker is tied to the server by a pipe: when
the server is gone, however it went, the worker ends too, and its stages with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Annotated

import typer
import uvicorn

from recaster.api.app import create_app
from recaster.errors import NotInstalled, RecasterError
from recaster.infra.database import open_database
from recaster.infra.engine import migrate_engine
from recaster.infra.isolation import require_isolation
from recaster.infra.logging import configure_logging
from recaster.infra.migrations import upgrade
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.remix.worker import run_worker

GRACE_SECONDS = 5
"""How long open requests (event streams above all) may go on after the signal to stop."""
LEAST_WORKER_LIFE = 5.0
"""Seconds; a worker that lives shorter is not started again at once."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default from the settings.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default from the settings.")] = None,
    worker: Annotated[bool, typer.Option(help="Run a worker beside the API.")] = True,
) -> None:
    """Run the service: the API, and a worker beside it."""
    settings = Settings()
    configure_logging(settings.log_level)
    _require_models(settings)
    require_isolation(settings)
    _bring_up_to_date(settings)
    keeper = _WorkerKeeper() if worker else None
    address, number = host or settings.host, port if port is not None else settings.port
    typer.echo(f"Recaster listens on http://{address}:{number} (home {settings.home})", err=True)
    try:
        uvicorn.run(
            create_app(settings),
            host=address,
            port=number,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    finally:
        if keeper is not None:
            keeper.stop()


def work(tied: Annotated[bool, typer.Option(hidden=True, help="End when standard input closes.")] = False) -> None:
    """Run a worker: takes jobs from the database and does them."""
    settings = Settings()
    _require_models(settings)
    require_isolation(settings)
    _bring_up_to_date(settings)
    if tied:
        threading.Thread(target=_end_with_server, daemon=True).start()
    run_worker(settings)


def _bring_up_to_date(settings: Settings) -> None:
    # Here and not in both children of one start: two processes must not migrate side by side.
    database = open_database(settings)
    try:
        upgrade(database)
    finally:
        database.dispose()
    migrate_engine(settings)


def _require_models(settings: Settings) -> None:
    states = ModelStore(settings.folder("models")).status()
    missing = [status for status in states if status.state != "ok" and not status.model.optional]
    if missing:
        names = ", ".join(status.model.name for status in missing)
        raise NotInstalled(
            f"These model files are not in place: {names}. Run `recaster models install`, then start again."
        )


def _end_with_server() -> None:
    # Not through sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1024):
        pass
    os._exit(RecasterError.exit_code)


class _WorkerKeeper:
    """Keeps one worker process running until told to stop."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to end, and wait for it."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(timeout=30)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recaster.cli", "worker", "--tied"], stdin=subprocess.PIPE
            )
            self._process.wait()
            if not self._stopping.is_set() and time.monotonic() - started < LEAST_WORKER_LIFE:
                self._stopping.wait(LEAST_WORKER_LIFE)
