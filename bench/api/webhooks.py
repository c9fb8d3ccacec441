#!/usr/bin/env python3
"""How fast events are told: deliveries a second to healthy receivers on loopback, alone and beside one that hangs.

    python bench/api/webhooks.py [--deliveries 600] [--endpoints 6]

Sender, receivers and the embedded database share one machine and one process; signatures, outbox and outcome rows are
real. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from recaster.infra import migrations
from recaster.infra.database import Database, open_database
from recaster.infra.egress import Egress
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.service.accounts.service import create_organization
from recaster.service.webhooks import service as webhooks
from recaster.service.webhooks.delivery import DeliveryLoop, Dispatcher
from recaster.service.webhooks.schemas import EndpointCreate


class Receiver:
    """Answers 200, at once or when it is let go."""

    def __init__(self, hang: threading.Event | None = None) -> None:
        self.got = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                if hang is not None:
                    hang.wait(60)
                receiver.got += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


def measure(deliveries: int, endpoints: int, *, beside_a_hanging_one: bool) -> tuple[float, float]:
    """Return deliveries a second and CPU milliseconds per delivery."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), egress_allow="127.0.0.0/8")
        database = open_database(settings)
        migrations.upgrade(database)
        let_go = threading.Event()
        receivers = [Receiver() for _ in range(endpoints)]
        hanging = Receiver(let_go) if beside_a_hanging_one else None
        sealer = Sealer(settings.sealing_keys())
        _fill(database, settings, sealer, receivers, hanging, deliveries)
        loop = DeliveryLoop(Dispatcher(database, Egress(settings.open_networks()), sealer), keep=timedelta(days=30))
        started, worked = time.perf_counter(), time.process_time()
        loop.start()
        while sum(receiver.got for receiver in receivers) < deliveries:
            time.sleep(0.005)
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        let_go.set()
        loop.stop()
        for receiver in [*receivers, *([hanging] if hanging else [])]:
            receiver.close()
        database.dispose()
        return deliveries / seconds, 1000 * cpu / deliveries


def _fill(
    database: Database,
    settings: Settings,
    sealer: Sealer,
    receivers: list[Receiver],
    hanging: Receiver | None,
    deliveries: int,
) -> None:
    with database.system_write() as session:
        organization = create_organization(session, "bench").id
    with database.write(organization) as session:
        made = [
            webhooks.create(
                session, sealer, EndpointCreate(url=receiver.url, events=["test.ping"]), settings.open_networks()
            )[0]
            for receiver in [*receivers, *([hanging] if hanging else [])]
        ]
        for number in range(deliveries):
            webhooks.send_test(session, made[number % len(receivers)])
        if hanging is not None:
            for _ in range(100):
                webhooks.send_test(session, made[-1])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=600)
    parser.add_argument("--endpoints", type=int, default=6)
    asked = parser.parse_args()
    print("| receivers | deliveries a second | CPU ms per delivery |\n| --- | --- | --- |")
    for name, hanging in (("healthy", False), ("healthy, beside one that hangs", True)):
        rate, cpu = measure(asked.deliveries, asked.endpoints, beside_a_hanging_one=hanging)
        print(f"| {name} | {rate:.0f} | {cpu:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
