"""Fetches from a folder of the operator: files named `<TikTok id>.mp4`, with an optional `<TikTok id>.json` of facts.

For operators who get their material by another way (a licence, the creators themselves) and mount it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from recaster.errors import Cancelled
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.protocol import FetchedSource, Progress, SourceMetadata

ENDINGS: Final = (".mp4", ".mov", ".webm", ".mkv", ".m4v")
_MOST_FACT_BYTES: Final = 65_536
_CHUNK: Final = 1 << 20
_ID = re.compile(r"[0-9]{17,20}", re.ASCII)


class FolderFetcher:
    """A `SourceFetcher` over files that the operator put in place."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        """See `SourceFetcher.look_up`."""
        self._file(tiktok_video_id)
        return self._facts(tiktok_video_id)

    def fetch(
        self, tiktok_video_id: str, folder: Path, *, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> FetchedSource:
        """See `SourceFetcher.fetch`."""
        path = self._file(tiktok_video_id)
        target = folder / "fetched.bin"
        done, total = 0, path.stat().st_size
        with path.open("rb") as source, target.open("wb") as file:
            while data := source.read(_CHUNK):
                if is_cancelled():
                    raise Cancelled("The fetch was cancelled.")
                file.write(data)
                done += len(data)
                progress(done, max(total, done))
        return FetchedSource(target, self._facts(tiktok_video_id), self.name)

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """Return the videos whose facts hold every word of `keyword`, in the order of their ids."""
        words = set(re.findall(r"\w+", keyword.casefold()))
        found = (facts for facts in self._all() if words <= set(_words(facts)))
        return tuple(found)[:limit]

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """See `SourceFetcher.of_creator`."""
        mine = [facts for facts in self._all() if facts.author == handle]
        mine.sort(key=lambda facts: (facts.published_at is None, facts.published_at), reverse=True)
        return tuple(mine)[:limit]

    def _file(self, tiktok_video_id: str) -> Path:
        if _ID.fullmatch(tiktok_video_id):
            for ending in ENDINGS:
                path = self._folder / f"{tiktok_video_id}{ending}"
                # No links: the folder may be writable by people who may not read our other files.
                if path.is_file() and not path.is_symlink():
                    return path
        raise InvalidTiktokId(
            f"The video {tiktok_video_id[:40]} is not in the operator's folder. Put it there as "
            f"{tiktok_video_id[:40]}.mp4, or upload it.",
            reason="unavailable",
        )

    def _facts(self, tiktok_video_id: str) -> SourceMetadata:
        path = self._folder / f"{tiktok_video_id}.json"
        data: object = {}
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_FACT_BYTES:
            try:
                data = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                data = {}
        given = data if isinstance(data, dict) else {}
        return SourceMetadata.from_untrusted({**given, "id": tiktok_video_id})

    def _all(self) -> list[SourceMetadata]:
        ids = {
            entry.name.partition(".")[0]
            for entry in os.scandir(self._folder)
            if entry.name.endswith(ENDINGS) and entry.is_file(follow_symlinks=False)
        }
        return [self._facts(video_id) for video_id in sorted(ids) if _ID.fullmatch(video_id)]


def _words(facts: SourceMetadata) -> list[str]:
    text = " ".join((facts.caption or "", *facts.hashtags, facts.author or ""))
    return re.findall(r"\w+", text.casefold())
