"""Fills a project's portfolio with videos worth remixing: searches by its keywords and looks at creators it knows.

What is found is listed, not fetched: a file comes when the video is first remixed. Nothing that a project already has
loses anything; counts are brought up to date. Made to run on a schedule (`recaster sources discover --every`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
import structlog

from recaster.infra.database import Database
from recaster.infra.settings import Settings
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.protocol import SourceMetadata
from recaster.service.projects.service import require_project
from recaster.service.sources import service
from recaster.service.sources.finding import SourceFinder
from recaster.service.sources.model import Source

SEARCH_SECONDS: Final = 60.0
"""How long one search may take; nobody waits for it."""
PER_SEARCH: Final = 30
"""Most videos of one search."""
MOST_CREATORS: Final = 10
"""How many creators of the portfolio are looked at: those with the most videos in it."""

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a discovery did."""

    new: int
    refreshed: int
    skipped: int
    """Found, but no video or too long."""
    searches: int
    failed: tuple[str, ...]
    """Searches that could not be made, each with the reason."""


def discover(
    settings: Settings,
    database: Database,
    finder: SourceFinder,
    *,
    organization_id: str,
    project_id: str,
    keywords: Sequence[str] | None = None,
    creators: Sequence[str] | None = None,
    per_search: int = PER_SEARCH,
) -> Discovered:
    """Search and list. Without `keywords` and `creators` it takes the project's keywords and its best-known creators.

    Raises:
        NotFound: there is no such project.
    """
    with database.read(organization_id) as session:
        project = require_project(session, project_id)
        given = keywords is not None or creators is not None
        topics = list(keywords or ()) if given else list(project.keywords)
        people = list(creators or ()) if given else _creators(list(session.scalars(service.listing(project.id))))
    found: dict[str, SourceMetadata] = {}
    failed: list[str] = []
    searches: list[tuple[str, Callable[..., tuple[SourceMetadata, ...]], str]] = []
    searches += [(f"keyword {topic!r}", finder.search, topic) for topic in topics]
    searches += [(f"creator @{handle}", finder.of_creator, handle) for handle in people]
    for label, search, what in searches:
        try:
            listed = search(what, limit=per_search, seconds=SEARCH_SECONDS)
        except TryLater as later:
            _LOG.warning("discovery search failed", search=label, signal=later.signal, reason=later.message)
            failed.append(f"{label}: {later.message}")
            continue
        for metadata in listed:
            found.setdefault(metadata.tiktok_video_id, metadata)
    suitable = [metadata for metadata in found.values() if _is_suitable(settings, metadata)]
    new = 0
    # One short transaction each: requests must not wait behind a long one.
    for metadata in suitable:
        with database.write(organization_id) as session:
            known = session.scalar(
                sa.select(Source.id).where(
                    Source.project_id == project.id, Source.tiktok_video_id == metadata.tiktok_video_id
                )
            )
            new += known is None
            service.list_source(session, settings, project.id, metadata, metadata.tiktok_video_id)
    return Discovered(
        new=new,
        refreshed=len(suitable) - new,
        skipped=len(found) - len(suitable),
        searches=len(searches),
        failed=tuple(failed),
    )


def _creators(library: Sequence[Source]) -> list[str]:
    counted = Counter(source.author for source in library if source.author)
    # Of equally many videos the name decides, so that two runs look at the same people.
    return [handle for handle, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_CREATORS]]


def _is_suitable(settings: Settings, metadata: SourceMetadata) -> bool:
    duration = metadata.duration_ms
    return metadata.kind == "video" and (duration is None or duration <= settings.max_video_seconds * 1000)
