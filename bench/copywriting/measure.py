"""What the embedded adapter makes of the frozen videos, with the room measured by the real drawing code."""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recaster.errors import CopyRejected
from recaster.media.copywriting import (
    AdaptedLine,
    BrandProfile,
    CopyLine,
    CopyRequest,
    Fits,
    FitVerdict,
    FormulaAdapter,
    Violation,
    check_copy,
)
from recaster.media.copywriting.model import KEPT_ROLES
from recaster.media.overlays import SkiaTextDrawer
from recaster.media.overlays.model import Box, OverlayRole, Stroke, TextStyle

HERE = Path(__file__).parent
FRAME = (1080, 1920)
STYLE = TextStyle(
    "tiktok-sans", 700, 58.0, (255, 255, 255), 1.0, Stroke((0, 0, 0), 5.0), None, None, "center", 1.2, 0.0
)
WIDEST: Box = (110.0, 500.0, 970.0, 1100.0)
"""Where a phone editor breaks the lines of a text."""


@dataclass(frozen=True, slots=True)
class Video:
    """One frozen video."""

    id: str
    language: str
    lines: tuple[CopyLine, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one video."""

    video: Video
    brand: str
    language: str
    lines: tuple[AdaptedLine, ...]
    """Empty where the adapter refused."""
    refusal: str
    violations: tuple[Violation, ...]
    cpu_seconds: float

    @property
    def wanted(self) -> tuple[CopyLine, ...]:
        """The lines that are the adapter's to write."""
        translated = self.video.language != self.language
        return tuple(
            line
            for line in self.video.lines
            if line.role not in KEPT_ROLES or (translated and line.role is OverlayRole.CAPTION)
        )

    @property
    def adapted(self) -> tuple[AdaptedLine, ...]:
        """The lines that have a new text."""
        return tuple(line for line in self.lines if line.action == "adapted")


def load_videos() -> tuple[Video, ...]:
    """Read the frozen set."""
    values = tomllib.loads((HERE / "videos.toml").read_text(encoding="utf-8"))["video"]
    return tuple(
        Video(
            entry["id"],
            entry["language"],
            tuple(
                CopyLine(f"ov{number}", OverlayRole(role), text, 200, float(seconds))
                for number, (role, seconds, text) in enumerate(entry["lines"], 1)
            ),
        )
        for entry in values
    )


def load_brands() -> tuple[BrandProfile, ...]:
    """Read the five brand profiles, in the order of their names."""
    return tuple(BrandProfile.from_toml(path) for path in sorted((HERE / "brands").glob("*.toml")))


def without_bank(brand: BrandProfile) -> BrandProfile:
    """The same brand as one that has filled in nothing beyond its name and vocabulary."""
    return brand.model_copy(update={"message_bank": {}})


@cache
def place(text: str) -> tuple[Box, int]:
    """Return the box and the number of lines of a source text as a phone editor sets it."""
    layout = SkiaTextDrawer().layout(text, STYLE, WIDEST, FRAME, max_lines=5)
    return layout.box, len(layout.lines)


def room(lines: tuple[CopyLine, ...]) -> Fits:
    """Return what asks the drawing code whether a text fits where the old one stood."""
    drawer = SkiaTextDrawer()
    texts = {line.id: line.text for line in lines}

    @cache
    def fits(line_id: str, text: str) -> FitVerdict:
        box, lines = place(texts[line_id])
        report = drawer.fits(text, STYLE, box, FRAME, max_lines=lines)
        return FitVerdict(report.fits and not report.missing_glyphs, report.max_graphemes)

    return fits


def run(video: Video, brand: BrandProfile, language: str, seed: int = 0) -> Outcome:
    """Let the embedded adapter write one video."""
    fits = room(video.lines)
    for line in video.lines:
        place(line.text)
    request = CopyRequest(video.lines, brand, language, seed=seed)
    started = time.process_time()
    try:
        result = FormulaAdapter().adapt(request, fits)
    except CopyRejected as refusal:
        return Outcome(video, brand.name, language, (), refusal.message, (), time.process_time() - started)
    spent = time.process_time() - started
    return Outcome(video, brand.name, language, result.lines, "", check_copy(request, result, fits), spent)


def run_all(videos: tuple[Video, ...], language: str | None, *, bank: bool) -> list[Outcome]:
    """Write every video for one brand each, in turn. `language` None means each video's own."""
    brands = load_brands()
    found = []
    for number, video in enumerate(videos):
        brand = brands[number % len(brands)]
        brand = brand if bank else without_bank(brand)
        target = language or video.language
        found.append(run(video, replace_language(brand, target), target, seed=number))
    return found


def replace_language(brand: BrandProfile, language: str) -> BrandProfile:
    """The brand as it works in a language."""
    return brand.model_copy(update={"primary_language": language})
