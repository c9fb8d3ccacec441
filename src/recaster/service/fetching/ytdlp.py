"""Fetches from TikTok with yt-dlp, in a locked-up process whose only way out is our filtering proxy.

The table of what an answer means is in `recaster.service.fetching.signals`; what runs in the process is in
`recaster.infra.ytdlp_child`.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from recaster.errors import MediaInvalid
from recaster.infra.child import PROXY_VARIABLES, ChildTimedOut, StageCrashed, run_in_child
from recaster.infra.egress_proxy import EgressProfile, EgressProxy
from recaster.infra.sandbox import SandboxPolicy
from recaster.infra.settings import Settings
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.errors import TryLater
from recaster.service.fetching.protocol import FetchedSource, Progress, SourceMetadata
from recaster.service.fetching.signals import AMBIGUOUS_STATUS, Signal, judge

TIKTOK_HOSTS: Final = (
    "tiktok.com", "tiktokv.com", "tiktokv.us", "tiktokv.eu", "tiktokcdn.com", "tiktokcdn-us.com", "tiktokcdn-eu.com",
    "ttwstatic.com", "byteoversea.com", "ibyteimg.com", "ibytedtos.com", "muscdn.com",
)  # fmt: skip
"""The platform's own families of hosts; a page that names another one leads to nowhere."""

MAIN_WAY: Final = "sources"
SECOND_WAY: Final = "sources-second"
"""Profiles of the egress proxy: how pages and files are asked for, and how it is asked again."""

_MEMORY_BYTES = 2_000_000_000
_FETCH_SECONDS = 900.0
_SOCKET_SECONDS = 15.0
_LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class YtDlpOptions:
    """What the operator may set for TikTok. It holds secrets: never logged, never written to disk in the clear."""

    impersonate: str = ""
    cookies: str = field(default="", repr=False)
    """Netscape cookie file as text."""
    device_id: str = ""
    app_info: str = ""
    api_hostname: str = ""
    ca_file: str = ""

    @classmethod
    def from_settings(cls, settings: Settings, cookies: str = "") -> YtDlpOptions:
        """Take the options of the settings."""
        return cls(
            impersonate=settings.source_impersonate,
            cookies=cookies,
            device_id=settings.source_device_id,
            app_info=settings.source_app_info,
            api_hostname=settings.source_api_hostname,
            ca_file=str(settings.source_ca_file.absolute()) if settings.source_ca_file else "",
        )

    def to_json(self) -> dict[str, str]:
        """Return what the child reads."""
        return {
            "impersonate": self.impersonate, "cookies": self.cookies, "deviceId": self.device_id,
            "appInfo": self.app_info, "apiHostname": self.api_hostname, "caFile": self.ca_file,
        }  # fmt: skip


def source_profiles(settings: Settings) -> list[EgressProfile]:
    """Return the ways of the egress proxy that fetching uses, as the settings state them."""
    hosts = (*TIKTOK_HOSTS, *settings.source_hosts)
    upstream = settings.source_proxy.get_secret_value()
    most = settings.max_video_bytes + 20_000_000
    always = upstream if settings.source_proxy_use == "always" else ""
    profiles = [EgressProfile(MAIN_WAY, hosts=hosts, response_bytes=most, seconds=_FETCH_SECONDS, upstream=always)]
    if upstream and settings.source_proxy_use == "second":
        second = EgressProfile(SECOND_WAY, hosts=hosts, response_bytes=most, seconds=_FETCH_SECONDS, upstream=upstream)
        profiles.append(second)
    return profiles


def installed_versions() -> dict[str, str]:
    """Return the versions of yt-dlp and of what it imitates browsers with; a missing one is left out."""
    found = {}
    for package in ("yt-dlp", "curl-cffi"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class YtDlpFetcher:
    """A `SourceFetcher` for public videos of TikTok."""

    name = "yt-dlp"

    def __init__(
        self,
        settings: Settings,
        proxy: EgressProxy,
        *,
        options: Callable[[], YtDlpOptions],
        ways: tuple[str, ...] = (MAIN_WAY,),
    ) -> None:
        """`options` is asked for each call, because cookies may be replaced while the process runs. `ways` are profiles of
        `proxy`; the second is used to ask again where the first way seems to be blocked.
        """
        self._settings = settings
        self._proxy = proxy
        self._options = options
        self._ways = ways

    def look_up(self, tiktok_video_id: str, *, seconds: float) -> SourceMetadata:
        """See `SourceFetcher.look_up`."""
        deadline = time.monotonic() + seconds
        last: TryLater | None = None
        for attempt in range(2):
            left = deadline - time.monotonic()
            if attempt and left < _LEAST_SECONDS:
                break
            try:
                answer = self._ask_ways("look_up", {"id": tiktok_video_id}, seconds=max(left, 0.1))
                return self._accepted(answer, tiktok_video_id)
            except TryLater as later:
                last = later
                # Only what may be a mere slip of the platform is asked twice within one look-up.
                if later.signal != "unsure":
                    break
        assert last is not None
        raise last

    def fetch(
        self, tiktok_video_id: str, folder: Path, *, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> FetchedSource:
        """See `SourceFetcher.fetch`."""
        target = folder / "fetched.bin"
        settings = self._settings
        request = {
            "id": tiktok_video_id,
            "target": str(target),
            "mostBytes": settings.max_video_bytes,
            "mostMilliseconds": settings.max_video_seconds * 1000,
        }
        answer = self._ask_ways(
            "fetch", request, seconds=_FETCH_SECONDS, folder=folder, progress=progress, is_cancelled=is_cancelled
        )
        metadata = self._accepted(answer, tiktok_video_id)
        if answer.get("tooLarge"):
            raise MediaInvalid(
                f"The video holds more than the {settings.max_video_bytes} bytes that a source may hold.",
                field="size_bytes",
                limit=settings.max_video_bytes,
            )
        if not target.is_file() or target.is_symlink():
            raise TryLater("yt-dlp ended without a file.", signal="broken")
        return FetchedSource(target, metadata, f"yt-dlp/{str(answer.get('version', ''))[:40]}")

    def search(self, keyword: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """Search by hashtag: TikTok's keyword search is closed to yt-dlp, its hashtag pages are not.

        Raises:
            TryLater: as ever; also when the keyword has no letter or digit, which makes no hashtag.
        """
        tag = "".join(re.findall(r"\w", keyword.casefold())).replace("_", "")
        if not tag:
            raise TryLater("The keyword holds no letter and no digit to search for.", signal="unsure")
        return self._listed(self._ask_ways("search", {"tag": tag[:100], "limit": limit}, seconds=seconds), limit)

    def of_creator(self, handle: str, *, limit: int, seconds: float) -> tuple[SourceMetadata, ...]:
        """See `SourceFetcher.of_creator`."""
        if re.fullmatch(r"[A-Za-z0-9._]{1,64}", handle, re.ASCII) is None:
            raise TryLater("This is no handle of TikTok.", signal="unsure")
        return self._listed(self._ask_ways("search", {"creator": handle, "limit": limit}, seconds=seconds), limit)

    def _listed(self, answer: Mapping[str, Any], limit: int) -> tuple[SourceMetadata, ...]:
        found = []
        for item in list(answer.get("items", ()))[:limit]:
            try:
                found.append(SourceMetadata.from_untrusted(item, hosts=TIKTOK_HOSTS))
            except ValueError:
                # An entry without a usable id is worth nothing to anybody.
                continue
        return tuple(found)

    def _accepted(self, answer: Mapping[str, Any], tiktok_video_id: str) -> SourceMetadata:
        data = {**answer.get("metadata", {}), "id": tiktok_video_id}
        metadata = SourceMetadata.from_untrusted(data, hosts=(*TIKTOK_HOSTS, *self._settings.source_hosts))
        if metadata.kind == "slideshow":
            raise InvalidTiktokId(
                "The post is a series of pictures, not a video. A video remix needs a video; slideshow-remix is made for "
                "picture posts.",
                reason="not_a_video",
                hint="slideshow-remix",
            )
        most = self._settings.max_video_seconds
        if metadata.duration_ms is not None and metadata.duration_ms > most * 1000:
            raise InvalidTiktokId(
                f"The video lasts {metadata.duration_ms / 1000:.0f} s; a source may last {most} s.",
                reason="too_long",
                limitSeconds=most,
            )
        return metadata

    def _ask_ways(self, function: str, request: Mapping[str, Any], *, seconds: float, **more: Any) -> dict[str, Any]:
        """Run one question; where this server's address seems to be the reason for a no, ask once more another way."""
        deadline = time.monotonic() + seconds
        for position, way in enumerate(self._ways):
            answer = self._ask(function, request, way, seconds=max(deadline - time.monotonic(), 0.1), **more)
            if "signal" not in answer:
                return answer
            signal = Signal.from_json(answer["signal"])
            is_last = position == len(self._ways) - 1 or deadline - time.monotonic() < _LEAST_SECONDS
            if is_last or signal.platform_status != AMBIGUOUS_STATUS:
                raise judge(signal)
        raise AssertionError("there is at least one way")

    def _ask(
        self,
        function: str,
        request: Mapping[str, Any],
        way: str,
        *,
        seconds: float,
        folder: Path | None = None,
        progress: Progress = lambda done, total: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        options = self._options()
        with tempfile.TemporaryDirectory(prefix="recaster-fetch-") as scratch:
            policy = SandboxPolicy(
                readable=(options.ca_file,) if options.ca_file else (),
                writable=(str(folder) if folder else scratch,),
                network="proxy",
                proxy_socket=self._proxy.socket_path,
                proxy_port=self._proxy.port,
                memory_bytes=_MEMORY_BYTES,
                cpu_seconds=120,
                file_bytes=self._settings.max_video_bytes + 1_000_000,
                strict=self._settings.isolation == "strict",
            )
            environment = dict.fromkeys(PROXY_VARIABLES, self._proxy.url(way))
            environment |= {"YTDLP_NO_PLUGINS": "1", "XDG_CONFIG_HOME": scratch, "XDG_CACHE_HOME": scratch}
            if options.ca_file:
                environment["SSL_CERT_FILE"] = options.ca_file
            try:
                return run_in_child(
                    f"recaster.infra.ytdlp_child:{function}",
                    {
                        **request,
                        "options": options.to_json(),
                        "socketSeconds": min(_SOCKET_SECONDS, seconds),
                    },
                    sandbox=policy,
                    seconds=seconds,
                    environment=environment,
                    progress=progress,
                    is_cancelled=is_cancelled,
                )
            except ChildTimedOut as error:
                raise TryLater(f"TikTok did not answer within {seconds:.0f} s.", signal="transient") from error
            except StageCrashed as error:
                raise TryLater(
                    "yt-dlp broke down on TikTok's answer. A newer version may help.", signal="broken"
                ) from error
