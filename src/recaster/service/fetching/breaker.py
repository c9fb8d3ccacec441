"""The circuit breaker over all ids: when the platform or the extractor fails as a whole, stop asking and look from time
to time.

Closed: everything is asked. When at least five different ids failed as `blocked`, `broken` or `refused` within ten
minutes and none was answered, it opens. Open: nothing is asked but one id every five minutes. One answer, a refusal of
that id included, closes it. The state lies in the database, so that all processes share it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
import structlog

from recaster.infra.database import OrganizationSession
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.errors import COUNTED_SIGNALS, TryLater
from recaster.service.fetching.model import SourceBreaker, SourceLookup
from recaster.service.fetching.protocol import SourceMetadata

FAILED_IDS: Final = 5
WINDOW: Final = timedelta(minutes=10)
PROBE_EVERY: Final = timedelta(minutes=5)

_LOG = structlog.get_logger(__name__)


def admit(session: OrganizationSession, fetcher: str) -> None:
    """Let a question through, or refuse it while the breaker is open.

    The one that is let through while it is open is the probe: until its answer is recorded no other passes.

    Raises:
        TryLater: with the signal `paused`.
    """
    state = session.get(SourceBreaker, fetcher, with_for_update=True, populate_existing=True)
    if state is None:
        return
    if session.now < state.next_probe_at:
        raise TryLater(
            f"{fetcher} is not asked at present: {state.reason} The next try is at {state.next_probe_at:%H:%M} UTC.",
            signal="paused",
        )
    state.next_probe_at = session.now + PROBE_EVERY
    session.flush()


def record(
    session: OrganizationSession,
    fetcher: str,
    tiktok_video_id: str,
    outcome: SourceMetadata | InvalidTiktokId | TryLater,
) -> None:
    """Take note of an answer; it may open or close the breaker."""
    row = session.get(SourceLookup, tiktok_video_id) or SourceLookup(tiktok_video_id=tiktok_video_id)
    row.fetcher, row.checked_at, row.found, row.reason, row.message, row.details = (
        fetcher, session.now, None, None, None, {},
    )  # fmt: skip
    if isinstance(outcome, SourceMetadata):
        row.outcome, row.found = "found", outcome.to_json()
    elif isinstance(outcome, InvalidTiktokId):
        row.outcome, row.reason = "refused", str(outcome.details["reason"])
        row.message, row.details = outcome.message, dict(outcome.details)
    else:
        row.outcome, row.reason, row.message = "later", outcome.signal, outcome.message
    session.add(row)
    session.flush()
    state = session.get(SourceBreaker, fetcher)
    if row.outcome != "later":
        if state is not None:
            session.delete(state)
            session.flush()
            _LOG.info("circuit breaker closed", fetcher=fetcher)
    elif state is None and row.reason in COUNTED_SIGNALS and _failed_ids(session, fetcher) >= FAILED_IDS:
        session.add(
            SourceBreaker(
                fetcher=fetcher,
                opened_at=session.now,
                next_probe_at=session.now + PROBE_EVERY,
                reason=row.message or "it fails for every id.",
            )
        )
        session.flush()
        _LOG.error("circuit breaker opened", fetcher=fetcher, reason=row.message)


def state_of(session: OrganizationSession, fetcher: str) -> SourceBreaker | None:
    """Return the open breaker, None while it is closed."""
    return session.get(SourceBreaker, fetcher)


def _failed_ids(session: OrganizationSession, fetcher: str) -> int:
    """Count the ids that failed in the window, 0 where any was answered in it."""
    recent = sa.and_(SourceLookup.fetcher == fetcher, SourceLookup.checked_at > session.now - WINDOW)
    answered = session.scalar(sa.select(sa.func.count()).where(recent, SourceLookup.outcome != "later"))
    if answered:
        return 0
    failed = sa.select(sa.func.count()).where(recent, SourceLookup.reason.in_(COUNTED_SIGNALS))
    return session.scalar(failed) or 0
