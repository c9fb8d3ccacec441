"""Real processes are killed at every named failpoint and at random moments: nothing is lost, doubled or left behind."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from house import FAILING, GOOD, Client, History, House, Role, alive, wait_for
from invariants import untold

from recaster.infra.failpoints import Failpoint

pytestmark = pytest.mark.e2e

RANDOM_KILLS = int(os.environ.get("RECASTER_CHAOS_KILLS", "10"))
"""`bench/api/chaos.py` raises it to 300."""
LONG = 100
SEED = int(os.environ.get("RECASTER_CHAOS_SEED", "0"))
CLIENTS = 3

_BY_SERVER = ("accept.", "database.")
_CASES: list[tuple[Role, Failpoint, str]] = [
    *(("server", point, "start") for point in Failpoint if point.startswith(_BY_SERVER)),
    ("server", Failpoint.JOB_ENDED, "cancel"),
    *(("worker", point, "start") for point in Failpoint if not point.startswith("accept.")),
    ("worker", Failpoint.JOB_ENDED, "fail"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("chaos")) as opened:
        opened.start("server")
        opened.start("worker")
        yield opened


def test_every_failpoint_has_a_case() -> None:
    assert {point for _, point, _ in _CASES} == set(Failpoint)


@pytest.mark.parametrize(("role", "point", "deed"), _CASES, ids=str)
def test_a_kill_at_a_failpoint_changes_nothing(house: House, role: Role, point: Failpoint, deed: str) -> None:
    history = History()
    client = Client(house, history)
    house.kill(role)
    if role == "worker":
        client.start(FAILING[0] if deed == "fail" else GOOD)
        armed = house.start("worker", failpoint=(point, 1))
        wait_for(lambda: not alive(armed), f"the worker to die at {point}")
        house.start("worker")
    else:
        _kill_server(house, client, point, deed)
    assert house.findings_at_rest() == []
    (told,) = history.accepted.values()
    (answer,) = told
    expected = {"start": "completed", "cancel": "canceled", "fail": "failed"}[deed]
    assert client.look(json.loads(answer)["jobId"])["status"] == expected
    assert history.findings(house.database, all_of_them=False) == []


def _kill_server(house: House, client: Client, point: Failpoint, deed: str) -> None:
    """Let the server die at the failpoint while a client asks; the client goes on until it is answered."""
    job_id = ""
    if deed == "cancel":
        house.kill("worker")  # or it would be done before
        house.start("server")
        job_id = client.start()
        house.kill("server")
    armed = house.start("server", failpoint=(point, 1))
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(client.cancel, job_id) if deed == "cancel" else pool.submit(client.start)
        wait_for(lambda: not alive(armed), f"the server to die at {point}")
        house.start("server")
        answered.result()
    if deed == "cancel":
        house.start("worker")


def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    history = History()
    stop = threading.Event()
    with House(tmp_path) as house:
        house.start("server")
        house.start("worker")
        clients = [
            threading.Thread(target=Client(house, history).live, args=(random.Random(dice.random()), stop))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        try:
            for _ in range(RANDOM_KILLS):
                stop.wait(dice.random() * 0.6)
                role: Role = dice.choice(["server", "worker", "worker"])
                house.kill(role)
                house.start(role)
        finally:
            stop.set()
            for client in clients:
                client.join()
        if RANDOM_KILLS >= LONG:
            # A delivery that a killed worker had claimed is taken over when its minute has passed.
            house.await_jobs()
            wait_for(lambda: not untold(house.database), "all events to be told", 180)
        findings = house.findings_at_rest() + history.findings(house.database)
    assert len(history.accepted) > RANDOM_KILLS / 2, "too few remixes to prove anything"
    assert house.receiver.heard, "no event was told"
    assert findings == []
