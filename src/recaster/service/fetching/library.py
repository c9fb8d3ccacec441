"""Fetches from an organization's own library: videos that were uploaded or fetched before, in whichever project."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from recaster.errors import Cancelled
from recaster.infra.database import Database
from recaster.infra.storage import ObjectStore
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.protocol import FetchedSource, Progress, SourceMetadata
from recaster.service.sources.model import Source, SourceState

_MOST_SEARCHED = 2000


class LibraryFetcher:
    """A `SourceFetcher` over the files that an organization has already. It never leaves the machine."""

    name = "library"

    def __init__(self, database: Database, storage: ObjectStore, organization_id: str) -> None:
        self._database = database
        self._storage = storage
        self._organization_id = organization_id

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        """See `SourceFetcher.look_up`."""
        return metadata_of(self._source(tiktok_video_id))

    def fetch(
        self, tiktok_video_id: str, folder: Path, *, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> FetchedSource:
        """See `SourceFetcher.fetch`."""
        source = self._source(tiktok_video_id)
        target = folder / "fetched.bin"
        done, total = 0, source.size_bytes or 0
        with target.open("wb") as file:
            for data in self._storage.read(source.object_key or ""):
                if is_cancelled():
                    raise Cancelled("The fetch was cancelled.")
                file.write(data)
                done += len(data)
                progress(done, max(total, done))
        return FetchedSource(target, metadata_of(source), self.name)

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """Return the videos whose caption, hashtags and author hold every word of `keyword`, newest first."""
        words = set(re.findall(r"\w+", keyword.casefold()))
        return tuple(found for found in self._newest() if words <= set(_words(found)))[:limit]

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """See `SourceFetcher.of_creator`."""
        return tuple(found for found in self._newest() if found.author == handle)[:limit]

    def _source(self, tiktok_video_id: str) -> Source:
        with self._database.read(self._organization_id) as session:
            source = session.scalars(
                sa.select(Source)
                .where(Source.tiktok_video_id == tiktok_video_id, Source.state == SourceState.READY.value)
                .order_by(Source.id)
                .limit(1)
            ).first()
        if source is None:
            raise InvalidTiktokId(
                f"The video {tiktok_video_id[:40]} is not in the library. Upload it.", reason="unavailable"
            )
        return source

    def _newest(self) -> list[SourceMetadata]:
        with self._database.read(self._organization_id) as session:
            rows = session.scalars(
                sa.select(Source)
                .where(Source.state == SourceState.READY.value)
                .order_by(sa.func.coalesce(Source.published_at, Source.created_at).desc(), Source.id)
                .limit(_MOST_SEARCHED)
            )
            return list({row.tiktok_video_id: metadata_of(row) for row in rows}.values())


def metadata_of(source: Source) -> SourceMetadata:
    """Return what a row of the library knows about its video."""
    return SourceMetadata(
        tiktok_video_id=source.tiktok_video_id, author=source.author, caption=source.caption,
        hashtags=tuple(source.hashtags), duration_ms=source.duration_ms, views=source.views, likes=source.likes,
        comments=source.comments, shares=source.shares, published_at=source.published_at,
        thumbnail_url=source.thumbnail_url,
    )  # fmt: skip


def _words(found: SourceMetadata) -> list[str]:
    text = " ".join((found.caption or "", *found.hashtags, found.author or ""))
    return re.findall(r"\w+", text.casefold())
