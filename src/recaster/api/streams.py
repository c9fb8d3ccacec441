"""Server-sent events: a job's progress as a stream that a client can cut and take up again.

The job row is the truth, so the stream sends its state whenever it has changed (`id` is the row's version) and ends with
the job. `Last-Event-ID` says what the client has seen: nothing is sent twice, and states that were skipped while it was
away are not sent at all, because the newest holds everything.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from recaster.infra.database import Database
from recaster.service.errors import RateLimited
from recaster.service.jobs import service as jobs
from recaster.service.jobs.model import JobStatus

POLL_SECONDS: Final = 0.5
"""How often a stream looks for a new state."""
KEEP_ALIVE_SECONDS: Final = 15.0
"""After how long without a state a comment is sent, so that nobody between cuts the connection."""
LONGEST_SECONDS: Final = 3600.0
"""After how long a stream ends; the client takes it up again by itself."""
STREAMS_PER_KEY: Final = 20
MEDIA_TYPE: Final = "text/event-stream"


class StreamSlots:
    """Bounds the open streams of each API key in this process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._open: Counter[str] = Counter()

    def take(self, api_key_id: str) -> None:
        """Take a slot.

        Raises:
            RateLimited: all of them are taken.
        """
        with self._mutex:
            if self._open[api_key_id] >= STREAMS_PER_KEY:
                raise RateLimited(
                    f"This key has {STREAMS_PER_KEY} event streams open, the most there can be. Close one first.",
                    retry_after=5, limit=STREAMS_PER_KEY, scope="streams",
                )  # fmt: skip
            self._open[api_key_id] += 1

    def give_back(self, api_key_id: str) -> None:
        """Give a slot back."""
        with self._mutex:
            self._open[api_key_id] -= 1


@dataclass(frozen=True, slots=True)
class _State:
    version: int
    status: JobStatus
    body: str

    @property
    def message(self) -> str:
        name = "job.updated" if self.status is JobStatus.RUNNING else f"job.{self.status}"
        return f"id: {self.version}\nevent: {name}\ndata: {self.body}\n\n"


def job_stream(
    database: Database,
    slots: StreamSlots,
    *,
    organization_id: str,
    api_key_id: str,
    job_id: str,
    last_event_id: str | None,
) -> Response:
    """Answer with the stream of a job, or 204 if it has ended and the client has seen its end.

    Raises:
        NotFound: there is no such job.
        RateLimited: the key has too many streams open.
    """
    seen = _last_seen(last_event_id or "")
    state = _newer(database, organization_id, job_id, seen)
    if state is None and _has_ended(database, organization_id, job_id):
        return Response(status_code=204)

    slots.take(api_key_id)
    messages = _follow(database, organization_id, job_id, seen, state)
    return _SlottedStream(messages, lambda: slots.give_back(api_key_id))


class _SlottedStream(StreamingResponse):
    """A stream that gives its slot back when it ends, also when the client was gone before it began."""

    def __init__(self, messages: AsyncIterator[str], give_back: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(messages, media_type=MEDIA_TYPE, headers=headers)
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_back()


async def _follow(
    database: Database, organization_id: str, job_id: str, seen: int, state: _State | None
) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    started = quiet_since = time.monotonic()
    while time.monotonic() - started < LONGEST_SECONDS:
        if state is not None:
            yield state.message
            if state.status is not JobStatus.RUNNING:
                return
            seen, quiet_since = state.version, time.monotonic()
        elif time.monotonic() - quiet_since >= KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"
            quiet_since = time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
        state = await run_in_threadpool(_newer, database, organization_id, job_id, seen)


def _last_seen(given: str) -> int:
    # An id that is none of ours means that nothing was seen: the newest state is sent again.
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0


def _newer(database: Database, organization_id: str, job_id: str, seen: int) -> _State | None:
    with database.read(organization_id) as session:
        job = jobs.require_job(session, job_id)
        if job.version <= seen:
            return None
        body = jobs.view(session, job).model_dump_json(by_alias=True)
        return _State(job.version, JobStatus(job.status), body)


def _has_ended(database: Database, organization_id: str, job_id: str) -> bool:
    with database.read(organization_id) as session:
        return jobs.require_job(session, job_id).status != JobStatus.RUNNING
