"""Rules of recommendations: a project's library, ranked.

With a keyword the library is searched too, and the answer says so with `source: "portfolio"`; a live search at the
platform does not exist yet.
"""

from __future__ import annotations

from recaster.infra.database import OrganizationSession
from recaster.service.projects.model import Project
from recaster.service.recommendations.ranking import Candidate, rank
from recaster.service.recommendations.schemas import Recommendation, RecommendationKind, Recommendations
from recaster.service.sources import service as sources
from recaster.service.sources.model import Source

PORTFOLIO_SIZE = 2000
"""Most sources that one answer ranks: the newest of the library."""


def recommend(
    session: OrganizationSession, project: Project, *, keyword: str | None, kind: RecommendationKind, limit: int
) -> Recommendations:
    """Return the `limit` best sources of the project's library."""
    if kind == "slideshow":
        return Recommendations(items=[], source="portfolio")
    rows = session.scalars(
        sources.listing(project.id).order_by(Source.created_at.desc(), Source.id.desc()).limit(PORTFOLIO_SIZE)
    )
    library = {source.tiktok_video_id: source for source in rows}
    terms = [*project.keywords, *([project.app_name] if project.app_name else [])]
    ranked = rank((_candidate(source) for source in library.values()), terms=terms, keyword=keyword, now=session.now)
    items = [Recommendation.of(library[scored.candidate.tiktok_video_id], scored) for scored in ranked[:limit]]
    return Recommendations(items=items, source="portfolio")


def _candidate(source: Source) -> Candidate:
    return Candidate(
        tiktok_video_id=source.tiktok_video_id,
        author=source.author,
        caption=source.caption,
        hashtags=tuple(source.hashtags),
        views=source.views,
        likes=source.likes,
        comments=source.comments,
        shares=source.shares,
        published_at=source.published_at,
    )
