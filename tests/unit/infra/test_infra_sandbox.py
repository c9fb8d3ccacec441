"""A locked-up child: what it cannot do, and that the same attacks do get through without the lock."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from recaster.infra import sandbox
from recaster.infra.child import ChildReport, ChildTimedOut, run_in_child
from recaster.infra.isolation import examine_isolation, require_isolation
from recaster.infra.sandbox import IsolationMissing, SandboxPolicy
from recaster.infra.settings import Settings

pytestmark = pytest.mark.unit

HERE = str(Path(__file__).parent)
PATHS = {
    "PYTHONPATH": os.pathsep.join(
        [HERE, *map(os.path.abspath, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))]
    )
}


def policy(folder: Path, **changes: object) -> SandboxPolicy:
    return SandboxPolicy(readable=(HERE,), writable=(str(folder),), **changes)  # type: ignore[arg-type]


def test_every_step_that_is_said_to_hold_withstands_its_attack() -> None:
    isolation = examine_isolation()
    assert [step.name for step in isolation.steps] == list(sandbox.STEPS)
    for step in isolation.missing:
        # Where the kernel has no such step it says so; a step that is there and gives way is a bug.
        assert "was" not in step.reason
        assert "could be" not in step.reason
    assert next(step for step in isolation.steps if step.name == "limits").holds


def test_the_attacks_get_through_where_nothing_is_locked(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        request = {
            "secret": str(secret),
            "outside": str(tmp_path),
            "port": listener.getsockname()[1],
            "tooMuchMemory": 1000,
        }
        gave_way = run_in_child("recaster.infra.sandbox:demonstrate", request)["gaveWay"]
    assert {"limits", "namespaces", "files", "system calls"} <= set(gave_way)


def test_a_locked_up_child_has_no_secret_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECASTER_KEY_PEPPER", "canary-value")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-value")
    seen = run_in_child("stages_for_tests:environment", {}, environment=PATHS, sandbox=policy(tmp_path))
    assert "canary-value" not in str(seen)
    assert seen["HOME"] == str(tmp_path)


def test_it_writes_in_its_folder_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    request = {"paths": [str(inside / "a"), str(outside / "b"), "/tmp/recaster-escape"]}
    written = run_in_child("stages_for_tests:write", request, environment=PATHS, sandbox=policy(inside))["written"]
    if "files" not in [step.name for step in examine_isolation().missing]:
        assert written == [str(inside / "a")]
        assert list(outside.iterdir()) == []


def test_a_program_runs_only_where_it_is_allowed_and_is_locked_up_too(tmp_path: Path) -> None:
    holding = {step.name for step in examine_isolation().steps if step.holds}
    secret = tmp_path / "secret"
    secret.write_text("canary")
    inside = tmp_path / "inside"
    inside.mkdir()

    def start(command: list[str], *, allowed: bool) -> dict[str, str]:
        locked = policy(inside, programs=allowed)
        return run_in_child("stages_for_tests:start_program", {"command": command}, environment=PATHS, sandbox=locked)

    assert start(["/bin/echo", "heard"], allowed=True)["output"] == "heard\n"
    if "system calls" in holding:
        assert "error" in start(["/bin/echo", "heard"], allowed=False)
    if "files" in holding:
        assert start(["/bin/cat", str(secret)], allowed=True)["output"] == ""


def test_a_file_beyond_the_limit_is_not_written(tmp_path: Path) -> None:
    request = {"path": str(tmp_path / "big"), "bytes": 2_000_000}
    locked = policy(tmp_path, file_bytes=1_000_000)
    result = run_in_child("stages_for_tests:write_much", request, environment=PATHS, sandbox=locked)
    assert "too large" in result["error"].lower()
    assert (tmp_path / "big").stat().st_size <= 1_000_000


def test_time_is_limited_and_the_report_comes_anyway(tmp_path: Path) -> None:
    reports: list[ChildReport] = []
    with pytest.raises(ChildTimedOut):
        run_in_child(
            "stages_for_tests:sleep",
            {},
            environment=PATHS,
            sandbox=policy(tmp_path),
            seconds=1.0,
            observe=reports.append,
        )
    assert [name for name, _, _ in reports[0].isolation] == list(sandbox.STEPS)
    assert reports[0].peak_bytes > 0


def test_strict_refuses_where_a_step_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise OSError("Landlock is not in this kernel")

    held = examine_isolation()
    incomplete = sandbox.Isolation(
        tuple(sandbox.IsolationStep(s.name, s.name != "files", "absent") for s in held.steps)
    )
    monkeypatch.setattr("recaster.infra.isolation.examine_isolation", lambda: incomplete)
    require_isolation(Settings(home=tmp_path, isolation="best-effort"))
    with pytest.raises(IsolationMissing, match="files"):
        require_isolation(Settings(home=tmp_path, isolation="strict"))


def test_a_strict_child_refuses_before_it_runs_anything(tmp_path: Path) -> None:
    # A soft limit above the hard one cannot be set: the step fails, and with it the child.
    marker = tmp_path / "ran"
    with pytest.raises(IsolationMissing) as caught:
        run_in_child(
            "stages_for_tests:write",
            {"paths": [str(marker)]},
            environment=PATHS,
            sandbox=policy(tmp_path, strict=True, open_files=-5),
        )
    assert caught.value.details["steps"] == ["limits"]
    assert not marker.exists()
