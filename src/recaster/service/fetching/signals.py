"""What an answer of TikTok means: a table from exception types and status numbers to the contract's classes. Pure.

The facts come from `recaster.infra.ytdlp_child`, which reads them off exception objects and the page's own
data. No text of an error is looked at: texts change with every release, and one of them ("your IP address is blocked")
also answers for ids that do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.errors import TryLater

PRIVATE_STATUS: Final = frozenset({10216, 10222})
"""Private post, private account."""
AMBIGUOUS_STATUS: Final = 10204
"""Region lock or no such video."""
LOGIN_TRIES: Final = 3
UNSURE_TRIES: Final = 2

_TRANSPORT_TYPES = frozenset(
    {"TransportError", "IncompleteRead", "SSLError", "CertificateVerifyError", "ProxyError", "TimeoutError"}
)
_UNREADY_TYPES = frozenset({"NoSupportingHandlers", "UnsupportedRequest"})


@dataclass(frozen=True, slots=True)
class Signal:
    """What was seen while a page or a file was asked for."""

    types: tuple[str, ...] = ()
    """Names of the exception's classes and of those that caused it, outermost first; empty without an exception."""
    http_status: int | None = None
    """Status of the answer that failed."""
    stage: str = "page"
    """`page` or `media`: what was asked for."""
    platform_status: int | None = None
    """The page's own status number; None where no page data was read."""
    at_login: bool = False
    """Whether the request ended at the login page."""
    classified: bool = False
    """Whether the page says that the content is age-restricted, and shows no video."""
    egress_refused: bool = False
    """Whether our own proxy refused the connection by its rules."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Signal:
        """Build from the child's JSON."""
        http = data.get("httpStatus")
        platform = data.get("platformStatus")
        return cls(
            types=tuple(str(name) for name in data.get("types", ())),
            http_status=http if isinstance(http, int) else None,
            stage="media" if data.get("stage") == "media" else "page",
            platform_status=platform if isinstance(platform, int) else None,
            at_login=bool(data.get("atLogin")),
            classified=bool(data.get("classified")),
            egress_refused=bool(data.get("egressRefused")),
        )


def judge(signal: Signal) -> InvalidTiktokId | TryLater:
    """Return the error that a failed look-up or fetch stands for."""
    code = signal.platform_status
    if code in PRIVATE_STATUS:
        return InvalidTiktokId(
            "The video or its account is private. Ask the creator, or set cookies of an account that may see it with "
            "`recaster sources cookies`.",
            reason="private",
            platformCode=code,
        )
    if signal.classified:
        return InvalidTiktokId(
            "TikTok shows this video to signed-in people only (age or sensitivity). Cookies of an account, set with "
            "`recaster sources cookies`, may open it.",
            reason="login_required",
        )
    if code == AMBIGUOUS_STATUS:
        return InvalidTiktokId(
            "TikTok shows no video under this id to this server: the id is wrong, or the video is locked in this region. "
            "Check the id; a proxy in another region can be set with RECASTER_SOURCE_PROXY.",
            reason="unavailable_or_region_locked",
            platformCode=code,
        )
    if code is not None and code > 0:
        return TryLater(
            f"TikTok answers with its status {code}: removed, under review, or something that passes.",
            signal="unsure",
            most_tries=UNSURE_TRIES,
            then="unavailable",
            platform_code=code,
        )
    if signal.at_login:
        return TryLater(
            "TikTok sends this server to its login page, by policy or because it asked too often.",
            signal="login",
            most_tries=LOGIN_TRIES,
            then="login_required",
        )
    return _judge_transport(signal)


def _judge_transport(signal: Signal) -> TryLater:
    status = signal.http_status
    if signal.egress_refused:
        return TryLater(
            "TikTok led to a host that this server does not contact. The list is RECASTER_SOURCE_HOSTS.",
            signal="refused",
        )
    if status == 429 or (status is not None and status >= 500):
        return TryLater(f"TikTok answers HTTP {status}: it is busy or slows this server down.", signal="transient")
    if status in (401, 403, 451):
        what = "the page" if signal.stage == "page" else "the file"
        return TryLater(f"TikTok refuses {what} to this server (HTTP {status}).", signal="blocked")
    if status is not None:
        return TryLater(f"TikTok answers HTTP {status}.", signal="unsure", most_tries=UNSURE_TRIES, then="unavailable")
    if _TRANSPORT_TYPES & set(signal.types):
        return TryLater("TikTok could not be reached: time out, TLS or proxy.", signal="transient")
    if _UNREADY_TYPES & set(signal.types):
        return TryLater(
            "yt-dlp cannot imitate the browser that RECASTER_SOURCE_IMPERSONATE names with what is installed.",
            signal="broken",
        )
    return TryLater(
        "TikTok's page was not understood: it changed, or it is a challenge. A newer yt-dlp may help.", signal="broken"
    )
