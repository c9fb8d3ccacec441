"""Wire shapes of sources."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from recaster.service.fields import Line200, Moment, Text2000
from recaster.service.schemas import RequestBody, UtcTime, View
from recaster.service.social.schemas import handle
from recaster.service.sources.model import Source

RightsBasis = Literal["operator_statement", "licence", "creator_permission"]
"""On what a source may be remixed: the operator's own word, a licence, or the creator's permission."""

_TIKTOK_ID = re.compile(r"[0-9]{17,20}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)
_HASHTAG = re.compile(r"\w{1,100}")


def is_tiktok_video_id(text: str) -> bool:
    """Tell whether `text` has the form of a TikTok video id: 17–20 digits."""
    return _TIKTOK_ID.fullmatch(text) is not None


def _tiktok_video_id(value: str) -> str:
    if not is_tiktok_video_id(value):
        raise ValueError("is no TikTok video id: 17–20 digits")
    return value


def _count(value: object) -> int:
    # Form fields are texts.
    if not isinstance(value, str) or not _COUNT.fullmatch(value):
        raise ValueError("is no count: a whole number of up to 15 digits")
    return int(value)


def _hashtags(value: object) -> list[str]:
    text = value if isinstance(value, str) else ""
    tags = [tag.removeprefix("#") for tag in re.split(r"[\s,]+", text.strip()) if tag]
    for tag in tags:
        if not _HASHTAG.fullmatch(tag):
            raise ValueError(f"holds {tag[:40]!r}, which is no hashtag; write them with commas or spaces between")
    return tags


Count = Annotated[int, BeforeValidator(_count)]


class SourceUpload(RequestBody):
    """The text fields of a source upload, beside the part `file`. All values are texts, as forms have them."""

    tiktok_video_id: Annotated[str, AfterValidator(_tiktok_video_id)]
    rights_note: Text2000
    rights_basis: RightsBasis = "operator_statement"
    rights_by: Line200 | None = None
    rights_at: Moment | None = None
    author: Annotated[str, AfterValidator(handle)] | None = None
    caption: Text2000 | None = None
    hashtags: Annotated[list[str], BeforeValidator(_hashtags)] = Field(default_factory=list, max_length=50)
    views: Count | None = None
    likes: Count | None = None
    comments: Count | None = None
    shares: Count | None = None
    published_at: Moment | None = None


class SourceStats(View):
    """Counts at the platform when the source was added; null where nobody knows."""

    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None


class SourceRights(View):
    """On what basis the source may be remixed, who vouches for it and since when."""

    basis: RightsBasis
    note: str
    by: str
    at: UtcTime


class SourceView(View):
    """A source of the library. `width` and `height` are pixels as shown; facts of the file are null until it is ready."""

    id: str
    project_id: str
    tiktok_video_id: str
    kind: Literal["video"]
    state: Literal["listed", "ready", "refused"]
    """`listed`: the file is fetched when it is first remixed."""
    url: str
    author: str | None
    caption: str | None
    hashtags: list[str]
    thumbnail_url: str | None
    mime_type: str | None
    size_bytes: int | None
    width: int | None
    height: int | None
    duration_ms: int | None
    checksum_sha256: str | None
    fetched_with: str | None
    stats: SourceStats
    rights: SourceRights | None
    """Null while nobody has said on what basis it may be remixed."""
    published_at: UtcTime | None
    created_at: UtcTime

    @classmethod
    def of(cls, source: Source) -> SourceView:
        """Show a row."""
        values = {name: getattr(source, name) for name in cls.model_fields if name not in {"kind", "stats", "rights"}}
        return cls(
            **values,
            kind="video",
            stats=stats_of(source),
            rights=rights_of(source),
        )


def rights_of(source: Source) -> SourceRights | None:
    """Show on what basis a row may be remixed."""
    if source.rights_basis is None:
        return None
    return SourceRights.model_validate(
        {"basis": source.rights_basis, "note": source.rights_note, "by": source.rights_by, "at": source.rights_at}
    )


def stats_of(source: Source) -> SourceStats:
    """Show the counts of a row."""
    return SourceStats(views=source.views, likes=source.likes, comments=source.comments, shares=source.shares)
