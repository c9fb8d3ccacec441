"""How a source arrives: out of the library, or fetched, examined and put there; and what happens when it does not yet.

A platform that cannot answer now is asked again after growing pauses. While a job waits it holds no worker: its workflow
ends, and another one of the same job begins after the pause (`put_off`). When the pauses are used up the job fails with
`SOURCE_UNAVAILABLE`; a transient fault never makes an id invalid.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recaster.errors import MediaInvalid, RecasterError, SourceUnavailable
from recaster.infra.database import Database, OrganizationSession
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.service.content.model import Container
from recaster.service.errors import InvalidTiktokId, PayloadTooLarge, UnsupportedMediaType
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.model import SourceRetry
from recaster.service.fetching.protocol import FetchedSource, Progress
from recaster.service.jobs.model import Job
from recaster.service.media.decoding import FileExaminer
from recaster.service.media.inspection import MediaFacts, UploadedFile
from recaster.service.media.service import store_upload
from recaster.service.sources import service as sources
from recaster.service.sources.finding import SourceFinder
from recaster.service.sources.model import Source, SourceState


class SourceArrival:
    """Brings the sources of jobs into the library."""

    def __init__(self, settings: Settings, database: Database, storage: ObjectStore, finder: SourceFinder) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._finder = finder

    def bring(
        self, job_id: str, scratch: Path, *, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Return key, SHA-256 and origin of the job's source file, which is fetched first if the library has none.

        Raises:
            InvalidTiktokId: the platform does not give the video away, or it is none.
            TryLater: it cannot be fetched now.
            MediaInvalid: what came is no video that may be decoded.
        """
        source = self._source(job_id)
        if source.state != SourceState.READY:
            source = self._fetch(job_id, source, scratch, progress, is_cancelled)
        return {"key": source.object_key, "sha256": source.checksum_sha256, "fetchedWith": source.fetched_with}

    def _source(self, job_id: str) -> Source:
        with self._database.system_read() as session:
            job = session.get_one(Job, job_id)
            source = session.get(Source, job.input["sourceId"])
        if source is None:
            raise InvalidTiktokId("The source is no longer in the library.", reason="unavailable")
        return source

    def _fetch(
        self, job_id: str, source: Source, scratch: Path, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> Source:
        folder = scratch / "fetched"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        try:
            fetched = self._finder.fetch(
                source.organization_id, source.tiktok_video_id, folder, progress=progress, is_cancelled=is_cancelled
            )
            file = UploadedFile.of(fetched.path)
            facts = self._examine(file)
        except InvalidTiktokId as refusal:
            self._refuse(source.id, refusal)
            raise
        key = store_upload(self._storage, source.organization_id, file)
        shutil.rmtree(folder, ignore_errors=True)
        return self._keep(job_id, source.id, fetched, file, facts, key)

    def _examine(self, file: UploadedFile) -> MediaFacts:
        try:
            return sources.inspect_source(file, FileExaminer(self._settings))
        except (UnsupportedMediaType, PayloadTooLarge) as error:
            # The same findings on an upload are answers about the request; here they are about the platform's file.
            raise MediaInvalid(
                f"What the platform sent cannot be remixed: {error.message}", field="file", **error.details
            ) from error

    def _keep(
        self, job_id: str, source_id: str, fetched: FetchedSource, file: UploadedFile, facts: MediaFacts, key: str
    ) -> Source:
        with self._database.system_write() as session:
            source = session.get_one(Source, source_id, with_for_update=True, populate_existing=True)
            if source.state != SourceState.READY:
                sources.keep_file(source, file, facts, key, fetched_with=fetched.fetched_with)
                sources.refresh(source, fetched.metadata)
                source.seen_at = session.now
            if source.author:
                session.execute(
                    sa.update(Container).where(Container.job_id == job_id).values(source_credit=f"@{source.author}")
                )
            retry = session.get(SourceRetry, job_id)
            if retry is not None:
                session.delete(retry)
        return source

    def _refuse(self, source_id: str, refusal: InvalidTiktokId) -> None:
        with self._database.system_write() as session:
            source = session.get_one(Source, source_id)
            if source.state != SourceState.READY:
                source.state = SourceState.REFUSED.value
                source.refused_reason = str(refusal.details["reason"])


def put_off(session: OrganizationSession, settings: Settings, job_id: str, later: TryLater) -> tuple[int, float]:
    """Take note that a job's try to fetch was in vain; return the number of its next try and the pause before it.

    Raises:
        InvalidTiktokId: what this signal may mean at most was meant long enough.
        SourceUnavailable: the pauses are used up.
    """
    retry = session.get(SourceRetry, job_id) or SourceRetry(job_id=job_id, tries=0)
    retry.tries += 1
    retry.signal = later.signal
    pauses = settings.source_retry_seconds
    last = verdict_after(later, retry.tries, len(pauses) + 1)
    if last is not None:
        raise last
    pause = float(pauses[retry.tries - 1])
    retry.next_at = session.now + timedelta(seconds=pause)
    session.add(retry)
    job = session.get_one(Job, job_id)
    # A worker begins the job anew for every try; that is no sign that the job brings workers down.
    job.attempts = max(0, job.attempts - 1)
    return retry.tries, pause


def verdict_after(later: TryLater, tries: int, most_tries: int) -> RecasterError | None:
    """Return what a job fails with after `tries` tries in vain, None while it may try again."""
    if later.then is not None and later.most_tries is not None and tries >= later.most_tries:
        code = later.details.get("platformCode")
        return InvalidTiktokId(
            f"After {tries} tries the platform still does not give the video away. {later.message}",
            reason=later.then,
            platformCode=code,
        )
    if tries < most_tries:
        return None
    return SourceUnavailable(
        f"The source could not be fetched in {tries} tries. {later.message} Nothing was charged; start the remix again "
        "later, or upload the video.",
        signal=later.signal,
        tries=tries,
    )
