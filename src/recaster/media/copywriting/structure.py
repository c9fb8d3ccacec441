"""What each line does for its video: roles told from words and order, lists, and which pay-off belongs to which set-up.

The reader of overlays tells roles from place, size and time; what it calls plain text is told here from what it says and
where it stands in the order. A role that the reader is sure of by form (handle, caption, list item) stays, and so does a
hook that is not the first half of a joke. It changes no text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import emoji
import regex

from recaster.media.copywriting.language import list_mark, words
from recaster.media.copywriting.model import CopyLine
from recaster.media.overlays.model import OverlayRole

_OPEN_END = regex.compile(r"(?::|\.{2,}|…|👇|⬇️|➡️|,)\s*$")


def classify(lines: Sequence[CopyLine]) -> tuple[CopyLine, ...]:
    """Return the lines of a video, which are in order of appearance, with their roles refined."""
    roles = [_role(line) for line in lines]
    if OverlayRole.HOOK not in roles and len(lines) > 1 and roles[0] is OverlayRole.TEXT:
        # Nothing stood in the hook's usual place: what comes first is what makes one stay.
        roles[0] = OverlayRole.HOOK
    if (
        len(lines) > 1
        and roles[0] is OverlayRole.HOOK
        and roles[1] is OverlayRole.TEXT
        and _says(lines[0].text, "setup")
    ):
        # A joke has no hook: its first half opens it.
        roles[0] = OverlayRole.SETUP
    plain = [position for position, role in enumerate(roles) if role is OverlayRole.TEXT]
    if (
        plain
        and plain[-1] > 0
        and "?" in lines[plain[-1]].text
        and roles[plain[-1] + 1 :] in ([], [OverlayRole.HANDLE])
    ):
        # A video that ends on a question asks its viewers.
        roles[plain[-1]] = OverlayRole.CALL_TO_ACTION
    for position, line in enumerate(lines):
        if roles[position] is OverlayRole.TEXT:
            opens = _says(line.text, "setup") or stays_open(line.text)
            answered = position + 1 < len(lines) and roles[position + 1] in (OverlayRole.TEXT, OverlayRole.PUNCHLINE)
            before = roles[position - 1] if position else None
            if before in (OverlayRole.SETUP, OverlayRole.HOOK) and _says(line.text, "punchline"):
                roles[position] = OverlayRole.PUNCHLINE
            elif opens and (answered or _says(line.text, "setup")):
                roles[position] = OverlayRole.SETUP
            elif before is OverlayRole.SETUP or _says(line.text, "punchline"):
                roles[position] = OverlayRole.PUNCHLINE
    return tuple(
        line if line.role is role else replace(line, role=role) for line, role in zip(lines, roles, strict=True)
    )


def item_count(lines: Sequence[CopyLine]) -> int:
    """Return how many list items a video has."""
    return sum(line.role is OverlayRole.LIST_ITEM for line in lines)


def payoffs(lines: Sequence[CopyLine]) -> dict[str, str]:
    """Return for each set-up's id the id of the punchline that answers it: the next one before another set-up."""
    pairs: dict[str, str] = {}
    opened: str | None = None
    for line in lines:
        if line.role is OverlayRole.SETUP:
            opened = line.id
        elif line.role is OverlayRole.PUNCHLINE and opened is not None:
            pairs[opened] = line.id
            opened = None
    return pairs


def frame(lines: Sequence[CopyLine]) -> Literal["advice", "warning", "story"]:
    """Return what the opening line makes of the lines after it: to be done, not to be done, or simply told."""
    opening = next((line for line in lines if line.role is OverlayRole.HOOK), lines[0] if lines else None)
    if opening is None:
        return "story"
    if _says(opening.text, "warning"):
        return "warning"
    return "advice" if _says(opening.text, "advice") else "story"


def place_in_run(lines: Sequence[CopyLine], line: CopyLine) -> str | None:
    """Return where a plain line stands among at least three in a row: `sequence_first`, `…_middle`, `…_last`, or None."""
    at = next(position for position, other in enumerate(lines) if other.id == line.id)
    start, end = at, at
    while start and lines[start - 1].role is OverlayRole.TEXT:
        start -= 1
    while end + 1 < len(lines) and lines[end + 1].role is OverlayRole.TEXT:
        end += 1
    if line.role is not OverlayRole.TEXT or end - start < 2:
        return None
    return "sequence_first" if at == start else "sequence_last" if at == end else "sequence_middle"


def asks_for(text: str) -> str | None:
    """Return what a line asks the viewer for: `save`, `follow`, `link`, `comment`, `share`, `try`, `like`, or None."""
    core = _core(text)
    return next((what for what, signs in _signs("asks").items() if any(sign.search(core) for sign in signs)), None)


def asks_for_something(text: str, language: str) -> bool:
    """Tell whether a line in a base language can be a call to action at all; of other languages nothing is known."""
    signs = _signs("asking").get(language)
    core = _core(text)
    return signs is None or "?" in text or any(regex.search(rf"\b{sign.pattern}", core, regex.I) for sign in signs)


def stays_open(text: str) -> bool:
    """Tell whether a line ends in a way that lets one expect the next: a colon, dots, an arrow."""
    return _OPEN_END.search(text.strip()) is not None


def _role(line: CopyLine) -> OverlayRole:
    text = line.text.strip()
    if _says(text, "handle"):
        return OverlayRole.HANDLE
    if _says(text, "watermark"):
        return OverlayRole.WATERMARK
    if line.role not in (OverlayRole.TEXT, OverlayRole.LIST_ITEM):
        return line.role
    if list_mark(text) or line.role is OverlayRole.LIST_ITEM:
        return OverlayRole.LIST_ITEM
    if asks_for(text):
        return OverlayRole.CALL_TO_ACTION
    if _says(text, "suspense"):
        return OverlayRole.SUSPENSE
    return OverlayRole.TEXT


def _says(text: str, what: str) -> bool:
    # The sign of copyright counts as an emoji, so a mark may show only in the text as it stands.
    return any(sign.search(text.strip()) or sign.search(_core(text)) for sign in _signs(what)["signs"])


def _core(text: str) -> str:
    plain = emoji.replace_emoji(text, " ").replace("’", "'")
    plain = " ".join(plain[len(list_mark(plain)) :].split())
    return plain.rstrip(" .!?…") if words(plain) else plain.strip()


@lru_cache(maxsize=16)
def _signs(what: str) -> dict[str, tuple[regex.Pattern[str], ...]]:
    return {
        name: tuple(regex.compile(sign, regex.IGNORECASE) for sign in signs) for name, signs in _tables()[what].items()
    }


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files(__package__).joinpath("data", "roles.toml").read_text(encoding="utf-8"))
