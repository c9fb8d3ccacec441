"""The same request from many threads to two server processes at once is one job, one reservation and one answer."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from house import GOOD, Client, History, House

from recaster.service.content.model import Container
from recaster.service.credits.model import LedgerTransaction, Reservation
from recaster.service.idempotency.model import IdempotencyKey
from recaster.service.jobs.model import Job

pytestmark = pytest.mark.e2e

THREADS = 32
ROUNDS = int(os.environ.get("RECASTER_CHAOS_ROUNDS", "3"))
"""`bench/api/chaos.py` raises it to 50."""


def test_one_key_from_every_side_is_one_job(tmp_path: Path) -> None:
    with House(tmp_path, servers=2) as house:
        house.start("server", 0)
        house.start("server", 1)
        history = History()
        clients = [Client(house, history, house.ports[number % 2]) for number in range(2 * THREADS)]
        with ThreadPoolExecutor(2 * THREADS) as pool:
            for turn in range(1, ROUNDS + 1):
                barrier = threading.Barrier(2 * THREADS)

                def send(client: Client, turn: int = turn, barrier: threading.Barrier = barrier) -> str:
                    barrier.wait()
                    return client.start(GOOD, f"storm-{turn}")

                assert len(set(pool.map(send, clients))) == 1
                assert _rows(house) == {model.__tablename__: turn for model in _ONCE} | {"reserve": turn}
        assert history.findings(house.database) == []
        bodies = [json.loads(body) for told in history.accepted.values() for body in told]
        assert len({body["containerIds"][0] for body in bodies}) == ROUNDS


_ONCE = (Job, Container, Reservation, IdempotencyKey)


def _rows(house: House) -> dict[str, int]:
    with house.database.system_read() as session:
        counts = {
            model.__tablename__: session.scalar(sa.select(sa.func.count()).select_from(model)) or 0 for model in _ONCE
        }
        reserved = sa.select(sa.func.count()).where(LedgerTransaction.kind == "reserve")
        counts["reserve"] = session.scalar(reserved) or 0
        queued = session.scalar(sa.text("SELECT count(*) FROM workflow_status"))
    assert queued == counts["vr_job"], "as much work is queued as there are jobs"
    return counts
