"""Wire shapes of source recommendations."""

from __future__ import annotations

from typing import Literal

from recaster.service.fetching.protocol import SourceMetadata
from recaster.service.recommendations.ranking import Scored
from recaster.service.schemas import UtcTime, View
from recaster.service.sources.model import Source
from recaster.service.sources.schemas import SourceStats, stats_of

RecommendationKind = Literal["video", "slideshow", "mixed"]
"""What is asked for. The library holds videos only, so `slideshow` finds nothing."""


class Recommendation(View):
    """A source worth remixing, and why."""

    tiktok_video_id: str
    kind: Literal["video", "slideshow"]
    url: str
    author: str | None
    caption: str | None
    hashtags: list[str]
    thumbnail_url: str | None
    duration_ms: int | None
    stats: SourceStats
    published_at: UtcTime | None
    score: float
    reasons: list[str]

    @classmethod
    def of(cls, source: Source, scored: Scored) -> Recommendation:
        """Show a row with its score."""
        return cls(
            tiktok_video_id=source.tiktok_video_id,
            kind="video",
            url=source.url,
            author=source.author,
            caption=source.caption,
            hashtags=source.hashtags,
            thumbnail_url=source.thumbnail_url,
            duration_ms=source.duration_ms,
            stats=stats_of(source),
            published_at=source.published_at,
            score=scored.score,
            reasons=list(scored.reasons),
        )

    @classmethod
    def live(cls, metadata: SourceMetadata, scored: Scored) -> Recommendation:
        """Show what a live search found, with its score."""
        return cls(
            tiktok_video_id=metadata.tiktok_video_id,
            kind=metadata.kind,
            url=f"https://www.tiktok.com/@{metadata.author or ''}/video/{metadata.tiktok_video_id}",
            author=metadata.author,
            caption=metadata.caption,
            hashtags=list(metadata.hashtags),
            thumbnail_url=metadata.thumbnail_url,
            duration_ms=metadata.duration_ms,
            stats=SourceStats(
                views=metadata.views, likes=metadata.likes, comments=metadata.comments, shares=metadata.shares
            ),
            published_at=metadata.published_at,
            score=scored.score,
            reasons=list(scored.reasons),
        )


class Recommendations(View):
    """The best sources first. `source` says where they were looked for."""

    items: list[Recommendation]
    source: Literal["portfolio", "live"]
    next_cursor: None = None
