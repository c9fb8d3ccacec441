"""Field types that several resources share on the wire: plain text, language tags, time zones, territories, digests.

Each is an `Annotated` type for Pydantic models; a bad value becomes one `VALIDATION` issue at its path. It is not a
place for rules that need the database.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StringConstraints

_LINE_BREAKS = frozenset("\n\t")
# Bidirectional embedding, override and isolate characters let a text show as another one than it is.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# RFC 5646 section 2.1, `langtag` without grandfathered and private-use-only tags.
_LANGUAGE_TAG = re.compile(
    r"""
    (?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})
    (?:-(?P<script>[a-z]{4}))?
    (?:-(?P<region>[a-z]{2}|[0-9]{3}))?
    (?P<rest>
        (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*
        (?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*
        (?:-x(?:-[a-z0-9]{1,8})+)?
    )
    """,
    re.VERBOSE | re.ASCII,
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COUNTRY = re.compile(r"[A-Z]{2}")

EVERYWHERE = "*"
"""In a list of languages or territories: all of them."""


def plain_text(value: str) -> str:
    """Return `value` in Unicode form NFC, or raise `ValueError` for control and bidirectional control characters."""
    normalised = unicodedata.normalize("NFC", value)
    for character in normalised:
        if character in _BIDI_CONTROLS or (unicodedata.category(character) == "Cc" and character not in _LINE_BREAKS):
            raise ValueError(
                f"holds the control character U+{ord(character):04X}; write plain text (line breaks and tabs may stay)"
            )
    return normalised


def plain_line(value: str) -> str:
    """Return `value` as `plain_text` does, or raise `ValueError` if it is more than one line."""
    normalised = plain_text(value)
    if not _LINE_BREAKS.isdisjoint(normalised):
        raise ValueError("holds a line break or a tab; write one line")
    return normalised


def language_tag(value: str) -> str:
    """Return a well-formed BCP 47 tag in its recommended spelling (`en`, `pt-BR`, `zh-Hant-TW`), or raise `ValueError`.

    Well-formed in the sense of RFC 5646 section 2.2.9; the registry of subtags is not consulted.
    """
    match = _LANGUAGE_TAG.fullmatch(value.lower())
    if match is None or len(value) > 35:
        raise ValueError("is not a BCP 47 language tag such as en, de or pt-BR")
    parts = [match["language"]]
    if match["script"]:
        parts.append(match["script"].title())
    if match["region"]:
        parts.append(match["region"].upper())
    return "-".join(parts) + match["rest"]


def language_covers(granted: str, asked: str) -> bool:
    """Tell whether the tag or range `granted` covers `asked` (RFC 4647 section 3.3.1, basic filtering)."""
    wide, narrow = granted.lower(), asked.lower()
    return wide in (EVERYWHERE, narrow) or narrow.startswith(wide + "-")


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    # The list that the tzdata package ships, so that a server without system zone files accepts the same names.
    return frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())


def time_zone(value: str) -> str:
    """Return `value` if it is a name of the IANA time zone database, else raise `ValueError`."""
    if value not in _time_zones():
        raise ValueError("is not a name of the IANA time zone database such as Europe/Berlin or UTC")
    return value


def _language_range(value: str) -> str:
    return value if value == EVERYWHERE else language_tag(value)


def _territory(value: str) -> str:
    if value != EVERYWHERE and not _COUNTRY.fullmatch(value):
        raise ValueError("is neither an ISO 3166-1 alpha-2 country code such as DE nor * for everywhere")
    return value


def _sha256(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError("is not a SHA-256 digest: 64 hexadecimal digits in lower case")
    return value


def _moment(value: object) -> datetime:
    # Bodies are validated strictly, after JSON was parsed: there a time is still a text.
    if not isinstance(value, str):
        raise ValueError("is not a time in ISO 8601, such as 2026-01-31T08:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("is a time without its offset; end it with Z or +02:00")
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is a time outside the years 1 to 9999") from error
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _line(maximum: int) -> tuple[object, ...]:
    return (StringConstraints(strip_whitespace=True, min_length=1, max_length=maximum), AfterValidator(plain_line))


def _text(maximum: int) -> tuple[object, ...]:
    return (StringConstraints(strip_whitespace=True, min_length=1, max_length=maximum), AfterValidator(plain_text))


LanguageTag = Annotated[str, AfterValidator(language_tag)]
"""A BCP 47 tag in its recommended spelling."""
LanguageRange = Annotated[str, AfterValidator(_language_range)]
"""A BCP 47 tag, or `*` for every language."""
Territory = Annotated[str, AfterValidator(_territory)]
"""ISO 3166-1 alpha-2 country code, or `*` for everywhere."""
TimeZone = Annotated[str, AfterValidator(time_zone)]
"""Name of the IANA time zone database."""
Sha256 = Annotated[str, AfterValidator(_sha256)]
"""64 hexadecimal digits in lower case."""
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A time written as ISO 8601 with its offset, kept in UTC and cut to milliseconds."""
Term = Annotated[str, *_line(60)]
"""A word or phrase of 1–60 characters."""
Line40 = Annotated[str, *_line(40)]
"""One line of 1–40 characters."""
Line200 = Annotated[str, *_line(200)]
"""One line of 1–200 characters."""
Text500 = Annotated[str, *_text(500)]
"""Text of 1–500 characters, line breaks allowed."""
Text2000 = Annotated[str, *_text(2000)]
"""Text of 1–2000 characters, line breaks allowed."""
