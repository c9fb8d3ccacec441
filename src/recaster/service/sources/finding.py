"""Finds out about ids and fetches them: the fetchers in their order, what was learnt before, and the circuit breaker.

Nothing here runs inside somebody else's transaction: asking a platform takes seconds. The order is: the organization's
own library, the operator's folder, then the platform, which alone is guarded by the breaker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from recaster.infra.database import Database
from recaster.infra.settings import Settings
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching import breaker
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.model import SourceLookup
from recaster.service.fetching.protocol import FetchedSource, Progress, SourceFetcher, SourceMetadata

REMEMBERED: Final = timedelta(minutes=15)
"""How long an answer of the platform is not asked for again."""

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about an id after looking: its facts, or None while nobody can say."""

    metadata: SourceMetadata | None
    signal: str | None = None
    """Why nobody can say."""


class SourceFinder:
    """Looks up and fetches ids. Safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        local: Callable[[str], tuple[SourceFetcher, ...]],
        platform: SourceFetcher | None,
    ) -> None:
        """`local` gives the fetchers that never leave the machine, for an organization; `platform` the one that does."""
        self._settings = settings
        self._database = database
        self._local = local
        self._platform = platform
        self._slots = threading.BoundedSemaphore(settings.source_probe_slots)

    def find(self, organization_id: str, tiktok_video_id: str) -> Verdict:
        """Look an id up within the seconds of the settings.

        Raises:
            InvalidTiktokId: it is not fetchable; `reason` says why.
        """
        refusal: InvalidTiktokId | None = None
        for fetcher in self._local(organization_id):
            try:
                return Verdict(fetcher.look_up(tiktok_video_id, seconds=self._settings.source_probe_seconds))
            except InvalidTiktokId as error:
                refusal = error
        if self._platform is None:
            assert refusal is not None
            raise refusal
        try:
            return Verdict(self._ask(self._platform, tiktok_video_id))
        except TryLater as later:
            _LOG.warning("source look-up put off", video=tiktok_video_id, signal=later.signal, reason=later.message)
            return Verdict(None, later.signal)

    def fetch(
        self,
        organization_id: str,
        tiktok_video_id: str,
        folder: Path,
        *,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> FetchedSource:
        """Bring the file of an id into `folder`.

        Raises:
            InvalidTiktokId, TryLater, MediaInvalid, Cancelled: see `SourceFetcher.fetch`.
        """
        refusal: InvalidTiktokId | None = None
        for fetcher in self._local(organization_id):
            try:
                return fetcher.fetch(tiktok_video_id, folder, progress=progress, is_cancelled=is_cancelled)
            except InvalidTiktokId as error:
                refusal = error
        if self._platform is None:
            assert refusal is not None
            raise refusal
        self._admit(self._platform)
        try:
            fetched = self._platform.fetch(tiktok_video_id, folder, progress=progress, is_cancelled=is_cancelled)
        except (InvalidTiktokId, TryLater) as outcome:
            self._record(self._platform, tiktok_video_id, outcome)
            raise
        self._record(self._platform, tiktok_video_id, fetched.metadata)
        return fetched

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """Search the platform.

        Raises:
            TryLater: it cannot be searched now, or not at all with these settings.
        """
        platform = self._searchable()
        started = time.monotonic()
        with self._slot(platform):
            left = max(seconds - (time.monotonic() - started), 0.5)
            return self._listed(platform, platform.search(keyword, limit=limit, seconds=left))

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """List a creator's newest videos at the platform.

        Raises:
            TryLater: as `search`.
        """
        platform = self._searchable()
        with self._slot(platform):
            return self._listed(platform, platform.of_creator(handle, limit=limit, seconds=seconds))

    def _listed(self, platform: SourceFetcher, found: tuple[SourceMetadata, ...]) -> tuple[SourceMetadata, ...]:
        """Remember what was found: whoever picks one of them next need not ask again."""
        with self._database.system_write() as session:
            for metadata in found:
                if metadata.kind == "video":
                    breaker.record(session, platform.name, metadata.tiktok_video_id, metadata)
        return found

    def _searchable(self) -> SourceFetcher:
        if self._platform is None:
            raise TryLater("This server is set to ask no platform (RECASTER_SOURCE_FETCHER).", signal="unsure")
        with self._database.system_read() as session:
            state = breaker.state_of(session, self._platform.name)
            if state is not None:
                raise TryLater(f"The platform is not asked at present: {state.reason}", signal="paused")
        return self._platform

    def _ask(self, platform: SourceFetcher, tiktok_video_id: str) -> SourceMetadata:
        known = self._remembered(tiktok_video_id)
        if known is not None:
            return known
        deadline = time.monotonic() + self._settings.source_probe_seconds
        with self._slot(platform):
            self._admit(platform)
            try:
                found = platform.look_up(tiktok_video_id, seconds=max(deadline - time.monotonic(), 0.5))
            except (InvalidTiktokId, TryLater) as outcome:
                self._record(platform, tiktok_video_id, outcome)
                raise
        self._record(platform, tiktok_video_id, found)
        return found

    def _slot(self, platform: SourceFetcher) -> _Slot:
        return _Slot(self._slots, platform.name)

    def _admit(self, platform: SourceFetcher) -> None:
        with self._database.system_write() as session:
            breaker.admit(session, platform.name)

    def _record(
        self, platform: SourceFetcher, tiktok_video_id: str, outcome: SourceMetadata | InvalidTiktokId | TryLater
    ) -> None:
        with self._database.system_write() as session:
            breaker.record(session, platform.name, tiktok_video_id, outcome)

    def _remembered(self, tiktok_video_id: str) -> SourceMetadata | None:
        """Return the facts found a moment ago, or raise the refusal of a moment ago."""
        with self._database.system_read() as session:
            row = session.get(SourceLookup, tiktok_video_id)
            if row is None or session.now - row.checked_at >= REMEMBERED:
                return None
            if row.outcome == "found" and row.found is not None:
                return SourceMetadata.from_untrusted(row.found)
            if row.outcome == "refused":
                raise InvalidTiktokId(row.message or "", **row.details)
        return None


class _Slot:
    """One of the few look-ups that a process runs at a time."""

    def __init__(self, slots: threading.BoundedSemaphore, name: str) -> None:
        self._slots = slots
        self._name = name

    def __enter__(self) -> None:
        if not self._slots.acquire(timeout=0.5):
            raise TryLater(f"Too many questions to {self._name} are open at a time.", signal="transient")

    def __exit__(self, *_: object) -> None:
        self._slots.release()
