"""The process that runs yt-dlp for `recaster.service.fetching.ytdlp`: the only place where it is imported.

It runs locked up, with a way to our egress proxy and to nothing else. yt-dlp is used as a library and not by its command
line: so exceptions keep their types and numbers, and nothing reads configuration files, loads plug-ins, starts programs,
runs post-processors or writes a cache. Requests come from our parent; every answer is data, an expected failure included.
"""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from yt_dlp import YoutubeDL
from yt_dlp.extractor.tiktok import TikTokIE, TikTokTagIE, TikTokUserIE
from yt_dlp.networking import Request as WebRequest
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.networking.impersonate import ImpersonateTarget
from yt_dlp.utils import YoutubeDLError
from yt_dlp.version import __version__ as ytdlp_version

CHUNK: Final = 1 << 18
MOST_VARIANTS: Final = 6
"""Formats of one video that are tried before a fetch is given up."""

_WATERMARKED = "download"
_UNPLAYABLE_CODECS = ("bytevc2",)
_PROXY_STATUS = re.compile(r"\b(403|405|407)\b")

Request = Mapping[str, Any]
Answer = dict[str, Any]
Progress = Callable[[int, int], None]


class _TooLarge(Exception):
    """The file goes on beyond the limit of bytes."""


class _Watch:
    """Takes note of what the extractor sees, without changing it: the page's status number, and where it ended."""

    def __init__(self, extractor: Any) -> None:
        self.platform_status: int | None = None
        self.at_login = False
        self.classified = False
        self.is_picture_post = False
        fetch_page, read_data = extractor._download_webpage_handle, extractor._get_universal_data

        def watched_page(*args: Any, **kwargs: Any) -> Any:
            result = fetch_page(*args, **kwargs)
            if result is not False:
                self.at_login = urlsplit(result[1].url).path == "/login"
            return result

        def watched_data(*args: Any, **kwargs: Any) -> Any:
            data = read_data(*args, **kwargs)
            detail = data.get("webapp.video-detail") or data.get("webapp.user-detail")
            if isinstance(detail, dict):
                self._note(detail)
            return data

        extractor._download_webpage_handle, extractor._get_universal_data = watched_page, watched_data

    def _note(self, detail: Mapping[str, Any]) -> None:
        status = detail.get("statusCode")
        self.platform_status = status if isinstance(status, int) else 0
        info = detail.get("itemInfo")
        item = info.get("itemStruct") if isinstance(info, dict) else None
        if isinstance(item, dict):
            has_video = isinstance(item.get("video"), dict) and bool(item["video"])
            self.classified = bool(item.get("isContentClassified")) and not has_video
            self.is_picture_post = bool(item.get("imagePost"))


class _Session:
    """One yt-dlp with the parent's options."""

    def __init__(self, request: Request) -> None:
        options = request["options"]
        arguments = {
            name: [options[key]]
            for name, key in (("device_id", "deviceId"), ("app_info", "appInfo"), ("api_hostname", "apiHostname"))
            if options.get(key)
        }
        parameters: dict[str, Any] = {
            "quiet": True, "no_warnings": True, "noprogress": True, "no_color": True, "cachedir": False,
            "socket_timeout": request["socketSeconds"], "retries": 0, "extractor_retries": 1,
            "proxy": os.environ["HTTPS_PROXY"], "cookiefile": io.StringIO(options["cookies"]) if options.get("cookies") else None,
            "extractor_args": {"tiktok": arguments}, "nopart": True, "updatetime": False, "check_formats": False,
            "postprocessors": [], "external_downloader": {}, "usenetrc": False, "allowed_extractors": ["tiktok.*"],
            "compat_opts": {"no-certifi"} if options.get("caFile") else set(), "js_runtimes": {},
        }  # fmt: skip
        if options.get("impersonate"):
            parameters["impersonate"] = ImpersonateTarget.from_str(options["impersonate"])
        self.ydl = YoutubeDL(parameters, auto_init=False)
        self.watch: _Watch | None = None

    def extractor(self, kind: Any) -> Any:
        made = kind()
        self.ydl.add_info_extractor(made)
        made.initialize()
        self.watch = _Watch(made)
        return made

    def info(self, video_id: str) -> Answer:
        found: Answer = self.extractor(TikTokIE).extract(f"https://www.tiktok.com/@/video/{video_id}")
        return found

    def signal(self, error: BaseException, stage: str = "page") -> Answer:
        """Describe a failure by its types and numbers."""
        chain = list(_causes(error))
        statuses = [cause.status for cause in chain if isinstance(cause, HTTPError)]
        types = [kind.__name__ for cause in chain for kind in type(cause).__mro__ if issubclass(kind, Exception)]
        refused = any(
            type(cause).__name__ == "ProxyError" and _PROXY_STATUS.search(str(cause)) is not None for cause in chain
        )
        watch = self.watch
        return {
            "signal": {
                "types": list(dict.fromkeys(types)),
                "httpStatus": statuses[0] if statuses else None,
                "stage": stage,
                "platformStatus": watch.platform_status if watch else None,
                "atLogin": watch.at_login if watch else False,
                "classified": watch.classified if watch else False,
                "egressRefused": refused,
            },
            "message": str(error)[:500],
            "version": ytdlp_version,
        }


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [
            cause
            for cause in (getattr(current, "cause", None), current.__cause__, current.__context__)
            if isinstance(cause, BaseException)
        ]


def look_up(request: Request, progress: Progress) -> Answer:
    """Read a video's page: `{"metadata": …}` or `{"signal": …}`."""
    session = _Session(request)
    try:
        info = session.info(request["id"])
    except YoutubeDLError as error:
        return session.signal(error)
    return {"metadata": _metadata(info, session.watch), "version": ytdlp_version}


def search(request: Request, progress: Progress) -> Answer:
    """List videos under a hashtag or of a creator: `{"items": […]}` or `{"signal": …}`."""
    session = _Session(request)
    kind, path = (
        (TikTokTagIE, f"tag/{request['tag']}") if "tag" in request else (TikTokUserIE, f"@{request['creator']}")
    )
    items: list[Answer] = []
    try:
        listing = session.extractor(kind).extract(f"https://www.tiktok.com/{path}")
        for entry in itertools.islice(listing["entries"], request["limit"]):
            items.append(_metadata(entry, None))
    except YoutubeDLError as error:
        # What was listed before a later page failed is worth having.
        if not items:
            return session.signal(error)
    return {"items": items, "version": ytdlp_version}


def fetch(request: Request, progress: Progress) -> Answer:
    """Write a video's best variant to `target`: `{"metadata": …, "format": …}` or `{"signal": …}`."""
    session = _Session(request)
    failure: Answer = {}
    # A link to a file lives for a short time: when all are dead, the page is read once more for fresh ones.
    for _ in range(2):
        try:
            info = session.info(request["id"])
        except YoutubeDLError as error:
            return session.signal(error)
        metadata = _metadata(info, session.watch)
        variants = usable_variants(info.get("formats") or [])
        if metadata["kind"] == "slideshow" or _is_too_long(metadata, request):
            return {"metadata": metadata, "version": ytdlp_version}
        for variant in variants[:MOST_VARIANTS]:
            try:
                size = _download(session.ydl, info, variant, request, progress)
            except _TooLarge:
                failure = {"metadata": metadata, "tooLarge": True, "version": ytdlp_version}
                continue
            except YoutubeDLError as error:
                failure = session.signal(error, "media")
                if failure["signal"]["httpStatus"] not in (403, 404, 410):
                    return failure
                continue
            return {
                "metadata": metadata,
                "format": str(variant.get("format_id", ""))[:80],
                "codec": str(variant.get("vcodec", ""))[:20],
                "sizeBytes": size,
                "version": ytdlp_version,
            }
        if failure.get("tooLarge"):
            break
    return failure or session.signal(YoutubeDLError("the page names no file that can be played"), "media")


def usable_variants(formats: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order the playable variants, best first: H.264 without watermark, HEVC with sound, the watermarked one.

    Left out: sound alone, the codec that nothing plays, and variants without sound.
    """

    def rank(variant: Mapping[str, Any]) -> tuple[int, int, int]:
        name, codec = str(variant.get("format_id", "")), str(variant.get("vcodec", ""))
        group = 3 if name.startswith(_WATERMARKED) else (0 if name.startswith("play") else 1) if codec == "h264" else 2
        height = variant.get("height")
        preference = variant.get("preference")
        return (
            group,
            -(preference if isinstance(preference, int) else 0),
            -(height if isinstance(height, int) else 0),
        )

    playable = [
        variant
        for variant in formats
        if variant.get("vcodec") not in (None, "none", *_UNPLAYABLE_CODECS)
        and variant.get("acodec") != "none"
        and isinstance(variant.get("url"), str)
    ]
    return sorted(playable, key=rank)


def _download(
    ydl: Any, info: Mapping[str, Any], variant: Mapping[str, Any], request: Request, progress: Progress
) -> int:
    limit = int(request["mostBytes"])
    headers = {**(info.get("http_headers") or {}), **(variant.get("http_headers") or {})}
    response = ydl.urlopen(WebRequest(variant["url"], headers=headers))
    try:
        announced = response.headers.get("Content-Length") or ""
        total = int(announced) if announced.isdigit() else 0
        if total > limit:
            raise _TooLarge
        size = 0
        with Path(request["target"]).open("wb") as file:
            while data := response.read(CHUNK):
                size += len(data)
                if size > limit:
                    raise _TooLarge
                file.write(data)
                progress(size, max(total, size))
    finally:
        response.close()
    return size


def _is_too_long(metadata: Answer, request: Request) -> bool:
    duration = metadata["durationMs"]
    return isinstance(duration, int) and duration > int(request["mostMilliseconds"])


def _metadata(info: Mapping[str, Any], watch: _Watch | None) -> Answer:
    formats = info.get("formats")
    pictures_only = formats is not None and not any(f.get("vcodec") not in (None, "none") for f in formats)
    is_picture_post = watch is not None and watch.is_picture_post
    duration = info.get("duration")
    covers = [cover.get("url") for cover in info.get("thumbnails") or [] if isinstance(cover, dict)]
    return {
        "id": str(info.get("id", "")),
        "kind": "slideshow" if pictures_only or is_picture_post else "video",
        "author": info.get("uploader"),
        "caption": info.get("description") or info.get("title"),
        "durationMs": round(duration * 1000) if isinstance(duration, int | float) else None,
        "views": info.get("view_count"),
        "likes": info.get("like_count"),
        "comments": info.get("comment_count"),
        "shares": info.get("repost_count"),
        "publishedAt": info.get("timestamp"),
        "thumbnailUrl": covers[-1] if covers else None,
    }
