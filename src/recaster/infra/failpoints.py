"""Named moments at which a crash would hurt most, so that tests can make it happen exactly there.

The code calls `reach(Failpoint.…)` at each of them. Nothing happens unless a test's own launcher has armed one in its
process with `arm`; no command, setting or variable of the product does. Then the process kills itself at that moment:
no cleanup, no flushing. A new member here is killed by `tests/chaos` like all others.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Failpoint(StrEnum):
    """A moment between two effects that must not come apart."""

    ACCEPT_JOB_WRITTEN = "accept.job_written"  # job row is there, its work is not queued yet
    ACCEPT_QUEUED = "accept.queued"  # work is queued; container, credits and answer are not there yet
    ACCEPT_RESERVED = "accept.reserved"  # credits are held, the answer is not kept yet
    JOB_ENDED = "job.ended"  # inside the transaction that ends a job in whatever way, nobody told
    BEFORE_COMMIT = "database.before_commit"  # any shared commit of this process
    AFTER_COMMIT = "database.after_commit"  # durable, and nobody was told
    ATTEMPT_BEGUN = "run.attempt_begun"  # the attempt is counted, no step has run
    STAGE_BEGUN = "run.stage_begun"  # a stage is reported, its work not begun
    STAGE_DONE = "run.stage_done"  # files are in the scratch folder, not in the store
    OBJECT_STORED = "run.object_stored"  # in the store, the step's result is not remembered
    FINALIZING = "publish.finalizing"  # can no longer be cancelled, nothing published
    CAPTURED = "publish.captured"  # inside the publishing transaction, all written
    PUBLISHED = "publish.committed"  # published, the engine does not know that the work is done


_armed: tuple[Failpoint, int] | None = None


def arm(point: Failpoint, nth: int = 1) -> None:
    """Let this process die when it reaches `point` for the `nth` time."""
    global _armed
    _armed = (point, nth)


def reach(point: Failpoint) -> None:
    """Pass a named moment."""
    if _armed is not None and _armed[0] is point:
        _die_in_time()


def _die_in_time() -> None:
    global _armed
    assert _armed is not None
    point, left = _armed
    _armed = (point, left - 1)
    if left == 1:
        os.kill(os.getpid(), signal.SIGKILL)
