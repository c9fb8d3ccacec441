"""Makes real server and worker processes quickly: everything is imported once, then each process is a fork of this one.

Run as `python nursery.py`. Each line on standard input is JSON: `{"role": "server" | "worker", "home", "port",
"failpoint": [name, nth] | null}`; the answer is the process id on one line. The processes end with the nursery.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fast_stages import run_stage

from recaster.api.app import create_app
from recaster.infra import failpoints
from recaster.infra.settings import Settings
from recaster.remix.worker import run_worker

ATTEMPTS = 20
"""More than any job is killed; that a job is given up after few attempts has tests of its own."""


def settings(home: Path) -> Settings:
    """Settings of all processes over one home."""
    return Settings(
        home=home, max_job_attempts=ATTEMPTS, engine_poll_seconds=0.05, log_level="WARNING", egress_allow="127.0.0.0/8"
    )


def live(order: dict[str, Any]) -> None:
    """Be the process that was ordered."""
    if order["failpoint"]:
        name, nth = order["failpoint"]
        failpoints.arm(failpoints.Failpoint(name), nth)
    home = Path(order["home"])
    log = os.open(home / f"{order['role']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if order["role"] == "worker":
        run_worker(settings(home), run_stage)
    else:
        uvicorn.run(create_app(settings(home)), host="127.0.0.1", port=order["port"], log_config=None)


def main() -> None:
    """Take orders until standard input closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children: list[int] = []
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 1
            try:
                live(json.loads(line))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
        print(child, flush=True)
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
