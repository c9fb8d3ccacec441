"""Typefaces and shaped lines: which font serves a style, what it lacks, how wide a run is. It paints no block."""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import emoji
import numpy as np
import regex
import skia

from recaster.errors import InvalidInput
from recaster.media.overlays.fonts import (
    DEFAULT_FONT,
    EMOJI_FONT,
    FALLBACK_WEIGHT,
    SCRIPT_FONTS,
    cjk_font_file,
    cjk_members,
    fallback_font_files,
    find_font,
    has_cjk,
    read_font,
)
from recaster.media.overlays.layout import FontExtents
from recaster.media.overlays.model import TextStyle

EMOJI_SCALE = 0.9
"""Em size of emoji against the text: their advance becomes 1.12 em, as phone editors set them."""
FINE = 4
"""Cells per pixel and axis in which text is drawn before they are averaged. The engine sets baselines on whole cells and
fits small letters to them; four cells put both below what is seen, so that text can stand anywhere between pixels."""
_EMOJI_MARKS = ("\ufe0f", "\u20e3")


def _is_emoji(cluster: str) -> bool:
    return (
        emoji.is_emoji(cluster)
        or (cluster[-1] in _EMOJI_MARKS)
        or (emoji.is_emoji(cluster[0] + "\ufe0f") and ord(cluster[0]) > 0x2190)
    )


@lru_cache(maxsize=4096)
def runs(text: str) -> tuple[tuple[str, bool], ...]:
    """Neighbouring graphemes of one kind, with whether they are emoji."""
    found: list[tuple[str, bool]] = []
    for cluster in regex.findall(r"\X", text):
        pictorial = _is_emoji(cluster)
        if found and found[-1][1] == pictorial:
            found[-1] = (found[-1][0] + cluster, pictorial)
        else:
            found.append((cluster, pictorial))
    return tuple(found)


def is_right_to_left(text: str) -> bool:
    """Whether the first letter with a direction is written from right to left."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


class Typefaces:
    """Parsed fonts, shipped and fallback, and lines of text shaped with them (HarfBuzz shaping, ICU bidi, COLRv1 emoji)."""

    def __init__(self, folder: Path, fallback_fonts: tuple[Path, ...] | None) -> None:
        self._folder = folder
        self._provider = skia.textlayout.TypefaceFontProvider()
        self._collection = skia.textlayout.FontCollection()
        self._collection.setDefaultFontManager(self._provider)
        self._unicode = skia.Unicode.ICU_Make()
        self._faces: dict[str, Any] = {}
        self._widths: dict[tuple[str, str, float], float] = {}
        self._boxes: dict[tuple[str, str, float], tuple[float, float, float, float]] = {}
        self._keys: dict[tuple[str, int], str] = {}
        # Latin, Greek and Cyrillic letters that a face lacks come from the default one.
        self._fallbacks: list[str] = [self.key(font, FALLBACK_WEIGHT) for font in (DEFAULT_FONT, *SCRIPT_FONTS)]
        for path in fallback_font_files() if fallback_fonts is None else fallback_fonts:
            face = skia.Typeface.MakeFromFile(str(path))
            if face is None:
                raise InvalidInput(
                    f"{path.name} is not a font file that can be read.", field="fallback_fonts", value=str(path)
                )
            alias = f"fallback-{len(self._fallbacks)}"
            self.register(alias, _bold(face))
            self._fallbacks.append(alias)

    def register(self, alias: str, face: Any) -> None:
        """Make a typeface known under a name."""
        self._faces[alias] = face
        self._provider.registerTypeface(face, alias)

    def key_of(self, style: TextStyle) -> str:
        """The name of the typeface that serves a style."""
        return self.key(style.font, style.weight)

    def key(self, font: str, weight: int) -> str:
        """The name of the typeface that serves a font class in a weight; it is loaded when it is first asked for."""
        if (font, weight) in self._keys:
            return self._keys[font, weight]
        entry = find_font(font, weight, self._folder)
        alias = self._keys[font, weight] = f"{entry.key}-{entry.weight}"
        if alias not in self._faces:
            self.register(alias, skia.Typeface.MakeFromData(skia.Data.MakeWithCopy(read_font(entry, self._folder))))
        return alias

    def _families(self, key: str, text: str) -> list[str]:
        """Names of the typefaces that are asked for the letters of a text, in that order."""
        found = [key, *self._fallbacks]
        path = cjk_font_file() if has_cjk(text) else None
        if path is not None:
            for member in cjk_members(text):
                alias = f"cjk-{member}"
                if alias not in self._faces:
                    self.register(alias, _bold(skia.Typeface.MakeFromFile(str(path), member)))
                found.append(alias)
        return found

    def emoji_face(self) -> Any:
        """The typeface of colour emoji."""
        if EMOJI_FONT not in self._faces:
            data = read_font(find_font(EMOJI_FONT, 400, self._folder), self._folder)
            self.register(EMOJI_FONT, skia.Typeface.MakeFromData(skia.Data.MakeWithCopy(data)))
        return self._faces[EMOJI_FONT]

    def missing(self, text: str, style: TextStyle) -> tuple[str, ...]:
        """Characters of `text` for which no font has a picture."""
        faces = [self._faces[key] for key in self._families(self.key_of(style), text)]
        found: dict[str, None] = {}
        for run, pictorial in runs(text):
            for character in run:
                if character.isspace() or unicodedata.category(character) in ("Cf", "Cc") or character in _EMOJI_MARKS:
                    continue
                asked = [self.emoji_face()] if pictorial else faces
                if not any(face.unicharToGlyph(ord(character)) for face in asked):
                    found[character] = None
        return tuple(found)

    def extents(self, key: str) -> FontExtents:
        """How far tall and hanging letters of a typeface reach, per em."""
        top, bottom = self.ink("dbhkl", key)[0], self.ink("pqgy", key)[1]
        return FontExtents(top, bottom)

    def ink(self, run: str, key: str) -> tuple[float, float]:
        """Top and bottom of a run's letters, per em, as positive numbers."""
        font = skia.Font(self._faces[key], 100)
        font.setHinting(skia.FontHinting.kNone)
        letters = "".join(part for part, pictorial in runs(run) if not pictorial and part.strip())
        bounds = [b for b in font.getBounds(font.textToGlyphs(letters)) if b.height() > 0] if letters else []
        if not bounds:
            return 0.75, 0.2
        return -min(b.top() for b in bounds) / 100, max(b.bottom() for b in bounds) / 100

    def advance(self, run: str, key: str, spacing: float = 0.0) -> float:
        """Advance width of a run, per em, with `spacing` em more behind each letter."""
        if (run, key, spacing) not in self._widths:
            if len(self._widths) > 20000:
                self._widths.clear()
            paragraph = self.paragraph(run, key, 100.0, skia.Paint(), spacing=spacing)
            self._widths[run, key, spacing] = float(paragraph.MaxIntrinsicWidth) / 100
        return self._widths[run, key, spacing]

    def ink_box(self, line: str, key: str, spacing: float) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of a line's letters from the start of its baseline, per em; emoji are left out.

        All zeros for a line without letters.
        """
        known = self._boxes.get((line, key, spacing))
        if known is None:
            if len(self._boxes) > 20000:
                self._boxes.clear()
            known = self._boxes[line, key, spacing] = self._drawn_box(line, key, spacing)
        return known

    def _drawn_box(self, line: str, key: str, spacing: float) -> tuple[float, float, float, float]:
        size = 100 * FINE
        rows, columns = 4 * size, math.ceil(self.advance(line, key, spacing) * size) + 2 * size
        pixels = np.zeros((rows, columns), np.uint8)
        surface = skia.Surface.MakeRasterDirect(skia.ImageInfo.MakeA8(columns, rows), pixels)
        paragraph = self.paragraph(line, key, size, skia.Paint(AntiAlias=True), spacing=spacing, emoji_visible=False)
        paragraph.paint(surface.getCanvas(), size, 2.5 * size - paragraph.AlphabeticBaseline)
        surface.flushAndSubmit()
        left, top, width, height = cv2.boundingRect(cv2.threshold(pixels, 127, 255, cv2.THRESH_BINARY)[1])
        if not width:
            return 0.0, 0.0, 0.0, 0.0
        x, y = left / size - 1, top / size - 2.5
        return x, y, x + width / size, y + height / size

    def paragraph(
        self,
        line: str,
        key: str,
        size: float,
        paint: Any,
        *,
        spacing: float = 0.0,
        emoji_visible: bool = True,
        whole: str = "",
    ) -> Any:
        """One shaped line at a size in pixels, painted with `paint`, with `spacing` em more behind each letter.

        `whole` is the text that the line is of, where that tells its language better.
        """
        text_style = skia.textlayout.TextStyle()
        text_style.setFontFamilies(self._families(key, whole or line))
        text_style.setFontSize(size)
        text_style.setForegroundPaint(paint)
        if spacing:
            text_style.setLetterSpacing(spacing * size)
        paragraph_style = skia.textlayout.ParagraphStyle()
        paragraph_style.setTextStyle(text_style)
        builder = skia.textlayout.ParagraphBuilder.make(paragraph_style, self._collection, self._unicode)
        right_to_left = is_right_to_left(line)
        if right_to_left:  # an isolate sets the base direction, for which the binding has no call
            builder.addText("\u2067")
        for run, pictorial in runs(line):
            if pictorial:
                self.emoji_face()
                emoji_style = skia.textlayout.TextStyle()
                emoji_style.setFontFamilies([EMOJI_FONT])
                emoji_style.setFontSize(size * EMOJI_SCALE)
                # The outline pass must keep the emoji's place without painting it.
                emoji_style.setForegroundPaint(
                    skia.Paint(Color=skia.ColorBLACK if emoji_visible else skia.ColorTRANSPARENT)
                )
                builder.pushStyle(emoji_style)
                builder.addText(run)
                builder.pop()
            else:
                builder.pushStyle(text_style)
                builder.addText(run)
                builder.pop()
        if right_to_left:
            builder.addText("\u2069")
        paragraph = builder.Build()
        paragraph.layout(1e6)
        return paragraph

    def __getitem__(self, key: str) -> Any:
        """The typeface of a name."""
        return self._faces[key]


def _bold(face: Any) -> Any:
    """A variable font at the weight of overlays; any other as it is."""
    if "wght" not in {axis.tag.to_bytes(4, "big").decode() for axis in face.getVariationDesignParameters()}:
        return face
    # Each of these only points to the one before: all must live until the clone is made.
    weight = skia.FontArguments.VariationPosition.Coordinate(int.from_bytes(b"wght", "big"), FALLBACK_WEIGHT)
    coordinates = skia.FontArguments.VariationPosition.Coordinates([weight])
    position = skia.FontArguments.VariationPosition(coordinates)
    arguments = skia.FontArguments()
    arguments.setVariationDesignPosition(position)
    return face.makeClone(arguments)
