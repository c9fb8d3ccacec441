"""Rules of recommendations: a project's library, or what a live search finds, ranked for the project.

Without a keyword the library is ranked (`source: "portfolio"`). With one the platform is searched (`source: "live"`);
where it cannot be searched now, or not with these settings, the library is searched instead and the answer says so with
`source: "portfolio"`.
"""

from __future__ import annotations

from typing import Final

import structlog

from recaster.infra.database import Database, OrganizationSession
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.protocol import SourceMetadata
from recaster.service.projects.model import Project
from recaster.service.projects.service import require_project
from recaster.service.recommendations.ranking import Candidate, Profile, rank
from recaster.service.recommendations.remixability import Measured
from recaster.service.recommendations.schemas import Recommendation, RecommendationKind, Recommendations
from recaster.service.recommendations.vectors import TextVectors
from recaster.service.sources import service as sources
from recaster.service.sources.finding import SourceFinder
from recaster.service.sources.model import Source

PORTFOLIO_SIZE: Final = 2000
"""Most sources that one answer ranks: the newest of the library."""
LIVE_SIZE: Final = 50
"""Most videos that a live search asks for; they are ranked and cut afterwards."""

_LOG = structlog.get_logger(__name__)


def recommend(
    database: Database,
    organization_id: str,
    project_id: str,
    *,
    finder: SourceFinder,
    vectors: TextVectors,
    keyword: str | None,
    kind: RecommendationKind,
    limit: int,
    search_seconds: float,
) -> Recommendations:
    """Return the `limit` best sources for a project.

    It opens its own units of work, because a live search takes seconds.

    Raises:
        NotFound: there is no such project.
        ModelMissing: the sentence model is not the one that was judged.
    """
    with database.read(organization_id) as session:
        project = require_project(session, project_id)
        live = kind != "slideshow" and keyword is not None and bool(keyword.strip())
        known = {source.tiktok_video_id: source for source in _library(session, project)} if live else {}
        now = session.now
    found = _search(finder, keyword or "", search_seconds) if live else None
    if found is None:
        with database.read(organization_id) as session:
            return from_library(session, project, vectors=vectors, keyword=keyword, kind=kind, limit=limit)
    # What the library has measured of a video counts for it in a live search as well.
    candidates = [
        candidate_of(known[video]) if video in known else _candidate(metadata) for video, metadata in found.items()
    ]
    ranked = rank(candidates, profile=profile_of(project), keyword=keyword, now=now, vectors=vectors, must_match=False)
    items = [Recommendation.live(found[scored.candidate.tiktok_video_id], scored) for scored in ranked[:limit]]
    return Recommendations(items=items, source="live")


def from_library(
    session: OrganizationSession,
    project: Project,
    *,
    vectors: TextVectors,
    keyword: str | None,
    kind: RecommendationKind,
    limit: int,
) -> Recommendations:
    """Return the `limit` best sources of the project's library; with a keyword only those that hold all its words."""
    if kind == "slideshow":
        return Recommendations(items=[], source="portfolio")
    known = {source.tiktok_video_id: source for source in _library(session, project)}
    ranked = rank(
        [candidate_of(source) for source in known.values()],
        profile=profile_of(project),
        keyword=keyword,
        now=session.now,
        vectors=vectors,
    )
    items = [Recommendation.of(known[scored.candidate.tiktok_video_id], scored) for scored in ranked[:limit]]
    return Recommendations(items=items, source="portfolio")


def profile_of(project: Project) -> Profile:
    """Return what a project says of its brand, as the ranking takes it."""
    sentences = (project.app_name, project.app_description, project.tagline, project.audience)
    lines = tuple(line for line in (*sentences, *project.keywords) if line)
    return Profile(lines, tuple(term for term in (*project.keywords, project.app_name) if term))


def candidate_of(source: Source) -> Candidate:
    """Return what the ranking looks at of a row."""
    return Candidate(
        tiktok_video_id=source.tiktok_video_id, author=source.author, caption=source.caption,
        hashtags=tuple(source.hashtags), views=source.views, likes=source.likes, comments=source.comments,
        shares=source.shares, published_at=source.published_at,
        measured=Measured.from_json(source.measured) if source.measured else None,
    )  # fmt: skip


def _candidate(metadata: SourceMetadata) -> Candidate:
    return Candidate(
        tiktok_video_id=metadata.tiktok_video_id, author=metadata.author, caption=metadata.caption,
        hashtags=metadata.hashtags, views=metadata.views, likes=metadata.likes, comments=metadata.comments,
        shares=metadata.shares, published_at=metadata.published_at,
    )  # fmt: skip


def _library(session: OrganizationSession, project: Project) -> list[Source]:
    newest = sources.listing(project.id).order_by(Source.created_at.desc(), Source.id.desc()).limit(PORTFOLIO_SIZE)
    return list(session.scalars(newest))


def _search(finder: SourceFinder, keyword: str, seconds: float) -> dict[str, SourceMetadata] | None:
    """Return the videos that the platform finds by their ids, None where it cannot be searched now."""
    try:
        found = finder.search(keyword, limit=LIVE_SIZE, seconds=seconds)
    except TryLater as later:
        _LOG.info("live search not possible", signal=later.signal, reason=later.message)
        return None
    return {metadata.tiktok_video_id: metadata for metadata in found if metadata.kind == "video"}
