"""What every fetcher can do, and the values that it hands over. All implementations pass
`tests/contract/test_source_fetcher.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

MOST_CAPTION_CHARACTERS: Final = 2000
MOST_HASHTAGS: Final = 50
_MOST_COUNT: Final = 10**15
_HANDLE = re.compile(r"[A-Za-z0-9._]{1,64}", re.ASCII)
_HASHTAG = re.compile(r"#(\w{1,100})")
_KEPT_CONTROLS = frozenset("\n\t")
_EARLIEST = datetime(2016, 9, 1, tzinfo=UTC)
"""TikTok's beginning; a publication before it is a mistake."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SourceMetadata:
    """What a platform says about a video. Every text is clean and short, every count plausible; None is unknown."""

    tiktok_video_id: str
    kind: Literal["video", "slideshow"] = "video"
    author: str | None = None
    """The creator's handle without @."""
    caption: str | None = None
    hashtags: tuple[str, ...] = ()
    duration_ms: int | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    published_at: datetime | None = None
    thumbnail_url: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON that `from_untrusted` reads."""
        published = None if self.published_at is None else self.published_at.timestamp()
        return {
            "id": self.tiktok_video_id, "kind": self.kind, "author": self.author, "caption": self.caption,
            "hashtags": list(self.hashtags), "durationMs": self.duration_ms, "views": self.views, "likes": self.likes,
            "comments": self.comments, "shares": self.shares, "publishedAt": published,
            "thumbnailUrl": self.thumbnail_url,
        }  # fmt: skip

    @classmethod
    def from_untrusted(cls, data: Mapping[str, Any], *, hosts: tuple[str, ...] | None = None) -> SourceMetadata:
        """Build from JSON that a stranger wrote; what is not plausible becomes None.

        `hosts`: domains on which a thumbnail may lie; None accepts any.

        Raises:
            ValueError: the id is none.
        """
        video_id = str(data.get("id", ""))
        if re.fullmatch(r"[0-9]{17,20}", video_id, re.ASCII) is None:
            raise ValueError(f"{video_id[:40]!r} is no TikTok video id")
        caption = clean_text(data.get("caption"), MOST_CAPTION_CHARACTERS)
        given = data.get("hashtags")
        tags = [str(tag) for tag in given] if isinstance(given, list) else []
        tags += _HASHTAG.findall(caption or "")
        author = data.get("author")
        return cls(
            tiktok_video_id=video_id,
            kind="slideshow" if data.get("kind") == "slideshow" else "video",
            author=author if isinstance(author, str) and _HANDLE.fullmatch(author) else None,
            caption=caption,
            hashtags=tuple(dict.fromkeys(tag for tag in tags if re.fullmatch(r"\w{1,100}", tag)))[:MOST_HASHTAGS],
            duration_ms=_count(data.get("durationMs")),
            views=_count(data.get("views")),
            likes=_count(data.get("likes")),
            comments=_count(data.get("comments")),
            shares=_count(data.get("shares")),
            published_at=_moment(data.get("publishedAt")),
            thumbnail_url=_url(data.get("thumbnailUrl"), hosts),
        )


@dataclass(frozen=True, slots=True)
class FetchedSource:
    """A file that lies in our folder. Nothing of it was decoded yet."""

    path: Path
    metadata: SourceMetadata
    fetched_with: str
    """Name and version of what fetched it, for the job's record: `yt-dlp/2026.10.26`."""


class SourceFetcher(Protocol):
    """Finds and fetches videos by their TikTok id."""

    @property
    def name(self) -> str:
        """Short name, as it stands in the settings."""

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        """Say what the video is, within `seconds`.

        Raises:
            InvalidTiktokId: it is not fetchable; `reason` says why.
            TryLater: nobody can say now.
        """

    def fetch(
        self,
        tiktok_video_id: str,
        folder: Path,
        *,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> FetchedSource:
        """Write the video into `folder`, which is empty and ours.

        Raises:
            InvalidTiktokId, TryLater: as `look_up`.
            Cancelled: `is_cancelled` said so; the folder may hold a part.
        """

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """Return videos about a keyword, the platform's order, at most `limit`.

        Raises:
            TryLater: nobody can say now, or this fetcher cannot search.
        """

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """Return a creator's newest videos, newest first, at most `limit`.

        Raises:
            TryLater: as `search`.
        """


def clean_text(value: object, most: int) -> str | None:
    """Return a text without control, bidi and other invisible characters, cut at `most`; None where nothing is left."""
    if not isinstance(value, str):
        return None
    normal = unicodedata.normalize("NFC", value[: most * 4])
    # Zero-width joiners build emoji; all other format characters can only mislead.
    kept = (
        character
        for character in normal
        if character in _KEPT_CONTROLS
        or character == "\u200d"
        or not unicodedata.category(character).startswith(("Cc", "Cf", "Cs", "Co"))
    )
    return "".join(kept).strip()[:most] or None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_COUNT else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        moment = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment >= _EARLIEST else None


def _url(value: object, hosts: tuple[str, ...] | None) -> str | None:
    if not isinstance(value, str) or len(value) > 2000 or not value.isascii():
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme != "https" or not host or parts.username is not None or any(c.isspace() for c in value):
        return None
    if hosts is not None and not any(host == name or host.endswith(f".{name}") for name in hosts):
        return None
    return value
