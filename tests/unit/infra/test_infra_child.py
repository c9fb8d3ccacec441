"""A stage in a process of its own: answers, errors, sudden death, cancelling, and no orphan when the parent dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from recaster.errors import Cancelled, FaceUnsuitable
from recaster.infra.child import StageCrashed, run_in_child

pytestmark = pytest.mark.unit

HERE = str(Path(__file__).parent)
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH", "")])])}


def test_result_and_progress_come_back_and_noise_does_not() -> None:
    seen: list[tuple[int, int]] = []
    result = run_in_child(
        "stages_for_tests:double",
        {"value": 21},
        progress=lambda done, total: seen.append((done, total)),
        environment=ENVIRONMENT,
    )
    assert result == {"value": 42}
    assert seen[-1] == (5, 5)


def test_an_error_keeps_its_class_message_and_details() -> None:
    with pytest.raises(FaceUnsuitable, match="too small") as caught:
        run_in_child("stages_for_tests:refuse", {}, environment=ENVIRONMENT)
    assert caught.value.details == {"height": 31, "limit": 48}


@pytest.mark.parametrize(("stage", "trace"), [("die", "out of memory"), ("fail", "ZeroDivisionError: a bug")])
def test_a_sudden_death_is_an_error_that_can_be_tried_again(stage: str, trace: str) -> None:
    with pytest.raises(StageCrashed) as caught:
        run_in_child(f"stages_for_tests:{stage}", {}, environment=ENVIRONMENT)
    assert caught.value.retryable
    assert trace in caught.value.details["log"]


def test_cancelling_kills_the_child(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(Cancelled):
        run_in_child("stages_for_tests:forever", {"file": str(file)}, is_cancelled=file.exists, environment=ENVIRONMENT)
    assert not psutil.pid_exists(int(file.read_text()))


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = "import sys; from recaster.infra.child import run_in_child; "
    program += "run_in_child('stages_for_tests:forever', {'file': sys.argv[1]})"
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        env={**os.environ, **ENVIRONMENT},
    )
    deadline = time.monotonic() + 30
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(file.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while psutil.pid_exists(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)
