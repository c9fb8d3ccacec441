"""Proves on this machine what `recaster.infra.sandbox` claims: a locked-up child tries to break each step.

For `recaster doctor`, and for processes that must not start where the isolation does not hold.
"""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import structlog

from recaster.infra.child import ChildReport, run_in_child
from recaster.infra.sandbox import STEPS, Isolation, IsolationMissing, IsolationStep, SandboxPolicy
from recaster.infra.settings import Settings

_LOG = structlog.get_logger(__name__)
_MEMORY_BYTES = 1_000_000_000
_SECONDS = 30.0


def examine_isolation() -> Isolation:
    """Start a locked-up child, let it attack, and return which steps hold."""
    reports: list[ChildReport] = []
    with (
        tempfile.TemporaryDirectory(prefix="recaster-inside-") as inside,
        tempfile.TemporaryDirectory(prefix="recaster-outside-") as outside,
        socket.create_server(("127.0.0.1", 0)) as canary,
    ):
        secret = Path(outside) / "secret"
        secret.write_text("not for you", encoding="ascii")
        result = run_in_child(
            "recaster.infra.sandbox:demonstrate",
            {
                "secret": str(secret),
                "outside": outside,
                "port": canary.getsockname()[1],
                "tooMuchMemory": 2 * _MEMORY_BYTES,
            },
            sandbox=SandboxPolicy(writable=(inside,), memory_bytes=_MEMORY_BYTES),
            seconds=_SECONDS,
            observe=reports.append,
        )
    claimed = {name: (holds, why) for name, holds, why in reports[0].isolation}
    steps = []
    for name in STEPS:
        holds, why = claimed[name]
        broken = result["gaveWay"].get(name, "")
        steps.append(IsolationStep(name, holds and not broken, why or broken))
    return Isolation(tuple(steps))


def require_isolation(settings: Settings) -> None:
    """Refuse to go on where the settings ask for `strict` isolation and a step does not hold; else say so in the log.

    Raises:
        IsolationMissing: names the steps.
    """
    missing = examine_isolation().missing
    if missing and settings.isolation != "strict":
        _LOG.warning("isolation incomplete", missing={step.name: step.reason for step in missing})
    elif missing:
        raise IsolationMissing(
            "The isolation of untrusted files does not hold on this machine: "
            + "; ".join(f"{step.name} ({step.reason})" for step in missing)
            + ". Mend it, or set RECASTER_ISOLATION=best-effort.",
            steps=[step.name for step in missing],
        )
