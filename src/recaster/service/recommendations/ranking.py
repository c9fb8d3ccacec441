"""Scores sources against a project by a formula that a person can recompute. Pure: no database, no clock, no network.

    score = 0.45 · fit + 0.35 · engagement + 0.20 · freshness          each part and the score are 0–1

- **fit**: `1 − 0.5^m`, where `m` is the number of the project's terms that stand as whole words in caption, hashtags or
  author name. Terms are its keywords, then its app name. A search keyword counts as two more matches.
- **engagement**: half reach, `log10(1 + views) / 7` up to 1 (ten million views), half reaction, `r / (r + 0.1)` with
  `r = (likes + 2 · comments + 3 · shares) / views`. Unknown counts add nothing.
- **freshness**: `0.5^(age / 30 days)` of the publication time; 0 if that is unknown.

Equal scores are ordered by the newer publication, then by the TikTok id, so that the same library always gives the
same list. It measures words, not meaning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FIT_WEIGHT = 0.45
ENGAGEMENT_WEIGHT = 0.35
FRESHNESS_WEIGHT = 0.20

_HALF_LIFE = timedelta(days=30)
_FULL_REACH = 7.0
_HALF_REACTION = 0.1
_KEYWORD_MATCHES = 2
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the ranking looks at of one source. Counts are `None` where nobody knows them."""

    tiktok_video_id: str
    author: str | None
    caption: str | None
    hashtags: tuple[str, ...]
    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score (0–1, four decimals) and the sentences that explain it."""

    candidate: Candidate
    score: float
    reasons: tuple[str, ...]


def rank(
    candidates: Iterable[Candidate],
    *,
    terms: Sequence[str],
    keyword: str | None,
    now: datetime,
) -> tuple[Scored, ...]:
    """Score and order `candidates`, best first. With a `keyword` only those stay that hold each of its words."""
    asked = _words(keyword or "")
    kept = (candidate for candidate in candidates if not asked or set(asked) <= set(_words(_text_of(candidate))))
    scored = [_score(candidate, terms=terms, keyword=keyword if asked else None, now=now) for candidate in kept]
    return tuple(sorted(scored, key=_order))


def _order(scored: Scored) -> tuple[float, float, str]:
    published = scored.candidate.published_at
    return (-scored.score, -published.timestamp() if published else math.inf, scored.candidate.tiktok_video_id)


def _score(candidate: Candidate, *, terms: Sequence[str], keyword: str | None, now: datetime) -> Scored:
    reasons: list[str] = []
    matched = _matching_terms(candidate, terms)
    matches = len(matched)
    if keyword is not None:
        reasons.append(f"Matches the search “{keyword.strip()}”.")
        matches += _KEYWORD_MATCHES
    if matched:
        reasons.append(f"Speaks of what the project speaks of: {', '.join(matched[:5])}.")
    fit = 1.0 - 0.5**matches
    engagement = _engagement(candidate, reasons)
    freshness = _freshness(candidate, now, reasons)
    score = FIT_WEIGHT * fit + ENGAGEMENT_WEIGHT * engagement + FRESHNESS_WEIGHT * freshness
    if not reasons:
        reasons.append("In the project's library; nothing more is known about it.")
    return Scored(candidate, round(score, 4), tuple(reasons))


def _engagement(candidate: Candidate, reasons: list[str]) -> float:
    if not candidate.views:
        return 0.0
    reach = min(math.log10(1 + candidate.views) / _FULL_REACH, 1.0)
    reasons.append(f"Seen {candidate.views:,} times.")
    reactions = (candidate.likes or 0) + 2 * (candidate.comments or 0) + 3 * (candidate.shares or 0)
    rate = reactions / candidate.views
    if rate >= _HALF_REACTION:
        likes = (candidate.likes or 0) / candidate.views
        reasons.append(f"People react to it: {likes:.1%} liked it, with comments and shares weighing more.")
    return 0.5 * reach + 0.5 * rate / (rate + _HALF_REACTION)


def _freshness(candidate: Candidate, now: datetime, reasons: list[str]) -> float:
    if candidate.published_at is None:
        return 0.0
    age = max(now - candidate.published_at, timedelta(0))
    if age <= _HALF_LIFE:
        days = age.days
        reasons.append("Published today." if days == 0 else f"Published {days} day{'s' if days > 1 else ''} ago.")
    return float(0.5 ** (age / _HALF_LIFE))


def _matching_terms(candidate: Candidate, terms: Sequence[str]) -> list[str]:
    text = f" {' '.join(_words(_text_of(candidate)))} "
    tags = {_squeezed(tag) for tag in candidate.hashtags}
    matched: dict[str, str] = {}
    for term in terms:
        words = _words(term)
        # A hashtag writes a phrase as one word: "study tips" matches #studytips.
        if words and (f" {' '.join(words)} " in text or _squeezed(term) in tags):
            matched.setdefault(" ".join(words), term)
    return list(matched.values())


def _text_of(candidate: Candidate) -> str:
    return " ".join((candidate.caption or "", *candidate.hashtags, candidate.author or ""))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _squeezed(text: str) -> str:
    return "".join(_words(text))
