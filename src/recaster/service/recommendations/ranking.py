"""Scores sources against a project by a formula that a person can recompute. No database, no clock, no network.

    score = 0.60 · fit + 0.15 · engagement + 0.05 · freshness + 0.20 · remixability          each part and the score are 0–1

- **fit**: how near the video's words (caption, hashtags, on-screen texts) are in meaning to what the brand says of itself.
  The likeness of two texts is the cosine of their vectors; what counts is the mean of the four greatest over all lines of
  the profile (one word alone means too many things), 0.05 and less as 0, 0.55 and more as 1. Each of the project's terms
  that stands in the words adds a fifth of what is missing to 1. A search keyword is a line of the profile that counts like
  a term when all its words stand there.
- **engagement**: half reach, half reaction. Reach is the views against the creator's own normal: `1 / (1 + n / v)` with the
  median `n` of the creator's videos where three or more are known, so that the usual video has 0.5; else
  `log10(1 + v) / 7`. Reaction is `r / (r + 0.1)` with `r = (likes + 2 · comments + 3 · shares) / views`; against a known
  normal `r / (r + normal)`. Unknown counts add nothing.
- **freshness**: `0.5^(age / h)`; `h` is 30 days, or eight times the creator's usual pause between two videos (10 to 90
  days) where four or more are dated. 0 where the age is unknown.
- **remixability**: see `recaster.service.recommendations.remixability`; 0.5 before a video was analysed.

Equal scores are ordered by the newer publication, then by the TikTok id, so that the same library always gives the same
list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import numpy as np

from recaster.service.recommendations.remixability import Measured, assess
from recaster.service.recommendations.vectors import TextVectors

FIT_WEIGHT = 0.60
ENGAGEMENT_WEIGHT = 0.15
FRESHNESS_WEIGHT = 0.05
REMIXABILITY_WEIGHT = 0.20
UNKNOWN_REMIXABILITY = 0.5

_HALF_LIFE = timedelta(days=30)
_LEAST_HALF_LIFE, _MOST_HALF_LIFE = timedelta(days=10), timedelta(days=90)
_FULL_REACH = 7.0
_HALF_REACTION = 0.1
_LEAST_LIKENESS, _FULL_LIKENESS = 0.05, 0.55
_CLOSE = 0.35
"""Likeness from which it is said that a video is near to a line of the profile."""
_TERM_GAIN = 0.2
_BREADTH = 4
_WORD = re.compile(r"\w+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


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
    measured: Measured | None = None
    """What an analysis found; None before there was one."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a brand says of itself."""

    lines: tuple[str, ...] = ()
    """Sentences and words that stand for it: description, tagline, audience, each keyword."""
    terms: tuple[str, ...] = ()
    """Words that are looked for literally."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score (0–1, four decimals) and the sentences that explain it."""

    candidate: Candidate
    score: float
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Normal:
    """What is usual for one creator; None where too little is known."""

    views: float | None = None
    reaction: float | None = None
    half_life: timedelta = field(default_factory=lambda: _HALF_LIFE)


def rank(
    candidates: Iterable[Candidate],
    *,
    profile: Profile,
    keyword: str | None,
    now: datetime,
    vectors: TextVectors,
    must_match: bool = True,
) -> tuple[Scored, ...]:
    """Score and order `candidates`, best first.

    Args:
        keyword: what was searched for. With `must_match` only those stay that hold each of its words; without, the search
            was made elsewhere.
        vectors: turns texts into vectors.
    """
    everything = list(candidates)
    normals = _normals(everything)
    asked = _words(keyword or "")
    kept = [
        candidate
        for candidate in everything
        if not (asked and must_match) or set(asked) <= set(_words(words_of(candidate)))
    ]
    lines = [line for line in (*profile.lines, *([keyword.strip()] if keyword and asked else [])) if line.strip()]
    likeness = _likeness([words_of(candidate) for candidate in kept], lines, vectors)
    scored = [
        _score(candidate, likeness[row], lines, profile, keyword if asked else None, normals, now)
        for row, candidate in enumerate(kept)
    ]
    return tuple(sorted(scored, key=_order))


def words_of(candidate: Candidate) -> str:
    """Return everything that a video says in words, hashtags taken apart at their capitals."""
    tags = (_HUMP.sub(" ", tag) for tag in candidate.hashtags)
    overlays = candidate.measured.overlay_texts if candidate.measured else ()
    return " ".join(part for part in (candidate.caption or "", *tags, *overlays) if part)


def _likeness(texts: Sequence[str], lines: Sequence[str], vectors: TextVectors) -> np.ndarray:
    """Return the cosine of every text with every line, shape (texts, lines); 0 for a text without words."""
    if not texts or not lines:
        return np.zeros((len(texts), len(lines)), np.float32)
    found = np.asarray(vectors([*texts, *lines]))
    cosine = found[: len(texts)] @ found[len(texts) :].T
    cosine[[not text.strip() for text in texts]] = 0.0
    return np.asarray(cosine, np.float32)


def _order(scored: Scored) -> tuple[float, float, str]:
    published = scored.candidate.published_at
    return (-scored.score, -published.timestamp() if published else math.inf, scored.candidate.tiktok_video_id)


def _score(
    candidate: Candidate,
    likeness: np.ndarray,
    lines: Sequence[str],
    profile: Profile,
    keyword: str | None,
    normals: Mapping[str, _Normal],
    now: datetime,
) -> Scored:
    reasons: list[str] = []
    normal = normals.get(candidate.author or "", _Normal())
    fit = _fit(candidate, likeness, lines, profile, keyword, reasons)
    engagement = _engagement(candidate, normal, reasons)
    freshness = _freshness(candidate, normal, now, reasons)
    remixability = UNKNOWN_REMIXABILITY
    if candidate.measured is not None:
        assessed = assess(candidate.measured)
        remixability = assessed.score
        reasons.extend(assessed.reasons)
    score = (
        FIT_WEIGHT * fit
        + ENGAGEMENT_WEIGHT * engagement
        + FRESHNESS_WEIGHT * freshness
        + REMIXABILITY_WEIGHT * remixability
    )
    if not reasons:
        reasons.append("Nothing more is known about it than that it exists.")
    return Scored(candidate, round(score, 4), tuple(reasons))


def _fit(
    candidate: Candidate,
    likeness: np.ndarray,
    lines: Sequence[str],
    profile: Profile,
    keyword: str | None,
    reasons: list[str],
) -> float:
    words = set(_words(words_of(candidate)))
    matched = _matching_terms(candidate, profile.terms)
    matches = len(matched)
    if keyword is not None and set(_words(keyword)) <= words:
        reasons.append(f"Matches the search “{keyword.strip()}”.")
        matches += 1
    if matched:
        reasons.append(f"Speaks of what the project speaks of: {', '.join(matched[:5])}.")
    meaning = 0.0
    if likeness.size:
        best = np.sort(likeness)[::-1]
        near = float(best[:_BREADTH].mean())
        meaning = min(max((near - _LEAST_LIKENESS) / (_FULL_LIKENESS - _LEAST_LIKENESS), 0.0), 1.0)
        if best[0] >= _CLOSE:
            closest = lines[int(np.argmax(likeness))]
            reasons.append(f"Close in meaning to “{closest[:80]}”.")
    return 1.0 - (1.0 - meaning) * (1.0 - _TERM_GAIN) ** matches


def _engagement(candidate: Candidate, normal: _Normal, reasons: list[str]) -> float:
    views = candidate.views
    if not views:
        return 0.0
    if normal.views:
        reach = 1.0 / (1.0 + normal.views / views)
        times = views / normal.views
        if times >= 1.5:
            reasons.append(f"Seen {views:,} times, {times:.1f} times this creator's usual.")
        else:
            reasons.append(f"Seen {views:,} times.")
    else:
        reach = min(math.log10(1 + views) / _FULL_REACH, 1.0)
        reasons.append(f"Seen {views:,} times.")
    rate = _reaction(candidate)
    usual = normal.reaction or _HALF_REACTION
    if rate >= usual:
        likes = (candidate.likes or 0) / views
        reasons.append(f"People react to it: {likes:.1%} liked it, with comments and shares weighing more.")
    return 0.5 * reach + 0.5 * rate / (rate + usual)


def _freshness(candidate: Candidate, normal: _Normal, now: datetime, reasons: list[str]) -> float:
    if candidate.published_at is None:
        return 0.0
    age = max(now - candidate.published_at, timedelta(0))
    if age <= normal.half_life:
        days = age.days
        reasons.append("Published today." if days == 0 else f"Published {days} day{'s' if days > 1 else ''} ago.")
    return float(0.5 ** (age / normal.half_life))


def _normals(candidates: Sequence[Candidate]) -> dict[str, _Normal]:
    by_author: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.author:
            by_author.setdefault(candidate.author, []).append(candidate)
    normals = {}
    for author, videos in by_author.items():
        normal = _Normal()
        seen = [video.views for video in videos if video.views]
        if len(seen) >= 3:
            normal.views = float(median(seen))
            normal.reaction = float(median(_reaction(video) for video in videos if video.views)) or None
        dates = sorted(video.published_at for video in videos if video.published_at is not None)
        if len(dates) >= 4:
            pause = median((later - earlier).total_seconds() for earlier, later in pairwise(dates))
            normal.half_life = min(max(timedelta(seconds=8 * pause), _LEAST_HALF_LIFE), _MOST_HALF_LIFE)
        normals[author] = normal
    return normals


def _reaction(candidate: Candidate) -> float:
    counted = (candidate.likes or 0) + 2 * (candidate.comments or 0) + 3 * (candidate.shares or 0)
    return counted / candidate.views if candidate.views else 0.0


def _matching_terms(candidate: Candidate, terms: Sequence[str]) -> list[str]:
    text = f" {' '.join(_words(words_of(candidate)))} "
    tags = {_squeezed(tag) for tag in candidate.hashtags}
    matched: dict[str, str] = {}
    for term in terms:
        words = _words(term)
        # A hashtag writes a phrase as one word: "study tips" matches #studytips.
        if words and (f" {' '.join(words)} " in text or _squeezed(term) in tags):
            matched.setdefault(" ".join(words), term)
    return list(matched.values())


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _squeezed(text: str) -> str:
    return "".join(_words(text))
