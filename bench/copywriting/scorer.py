"""How well the hard rules tell a line that a person would publish from one that nobody would."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from measure import room

from recaster.media.copywriting import AdaptedLine, BrandProfile, CopyLine, CopyRequest
from recaster.media.copywriting.checks import check_line
from recaster.media.overlays.model import OverlayRole

JUDGED = Path(__file__).parent / "judged.toml"


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled line and the rules that it broke."""

    label: str
    role: str
    language: str
    source: str
    text: str
    rules: tuple[str, ...]


def judge() -> tuple[list[Judged], list[Judged]]:
    """Return the bad lines and the good ones with what the rules say of them."""
    values = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
    brand = BrandProfile.model_validate(values["brand"])
    bad = [_judged(brand, *line) for line in values["bad"]["lines"]]
    good = [_judged(brand, "good", *line) for line in values["good"]["lines"]]
    return bad, good


def _judged(brand: BrandProfile, label: str, role: str, language: str, source: str, text: str) -> Judged:
    line = CopyLine("ov1", OverlayRole(role), source, 200, 3.0)
    request = CopyRequest((line,), brand, language, source_language="en")
    new = AdaptedLine("ov1", line.role, source, text, "adapted", "provider", "")
    found = check_line(request, line, new, room((line,)))
    return Judged(label, role, language, source, text, tuple(violation.rule for violation in found))
