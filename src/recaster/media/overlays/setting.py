"""Words set in a shipped face: how they are set, as plain values, and the coverage that they have then.

The same text engine later draws the new words, so that both mean the same by size and place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.media.overlays._typefaces import FINE, Typefaces
from recaster.media.overlays.fonts import DEFAULT_FONT, FONT_FOLDER
from recaster.media.overlays.seen_letters import Field


@dataclass(frozen=True, slots=True)
class Face:
    """A shipped face: font class and weight."""

    font: str
    weight: int


DEFAULT_FACE = Face(DEFAULT_FONT, 700)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a line of words is set, in pixels of the picture that it is laid on."""

    face: Face
    size: float
    """Em size."""
    spacing: float
    """Extra advance behind each letter, per em."""
    x: float
    """Centre of the line's advance."""
    baseline: float
    """At the centre."""
    tilt: float
    """Radians clockwise about the centre."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A setting and how well it lies on what was seen."""

    setting: Setting
    agreement: float
    """Correlation of drawn and seen coverage, 1 at best."""


class Typesetter:
    """Draws the coverage of set words, in `FINE` cells per pixel first. Holds parsed fonts; not meant to be shared between threads."""

    def __init__(self) -> None:
        self._fonts = Typefaces(FONT_FOLDER, None)

    def has(self, text: str, face: Face) -> bool:
        """Whether the face itself has all letters of the text."""
        key = self._fonts.key(face.font, face.weight)
        return all(self._fonts[key].unicharToGlyph(ord(one)) for one in text if not one.isspace())

    def advance(self, text: str, face: Face, spacing: float) -> float:
        """Width of the line per em."""
        return self._fonts.advance(text, self._fonts.key(face.font, face.weight), spacing)

    def extents(self, face: Face) -> tuple[float, float]:
        """How far tall letters rise above and hanging ones fall below the baseline, per em."""
        extents = self._fonts.extents(self._fonts.key(face.font, face.weight))
        return extents.top, extents.bottom

    def ink_box(self, text: str, setting: Setting) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the letters before the line is tilted."""
        key = self._fonts.key(setting.face.font, setting.face.weight)
        left, top, right, bottom = (edge * setting.size for edge in self._fonts.ink_box(text, key, setting.spacing))
        start = setting.x - self.advance(text, setting.face, setting.spacing) * setting.size / 2
        return start + left, setting.baseline + top, start + right, setting.baseline + bottom

    def coverage(self, text: str, setting: Setting, shape: tuple[int, int]) -> Field:
        """How much of each pixel the letters cover, 0–1, in a picture of (height, width)."""
        return np.asarray(
            cv2.resize(self.fine(text, setting, shape), shape[::-1], interpolation=cv2.INTER_AREA), np.float32
        ) / np.float32(255)

    def fine(self, text: str, setting: Setting, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """The same, `FINE` cells per pixel and axis, 0–255."""
        key = self._fonts.key(setting.face.font, setting.face.weight)
        rows, columns = FINE * shape[0], FINE * shape[1]
        pixels = np.zeros((rows, columns), np.uint8)
        info = skia.ImageInfo.MakeA8(columns, rows)
        surface = skia.Surface.MakeRasterDirect(info, pixels)
        canvas = surface.getCanvas()
        if setting.tilt:
            canvas.rotate(math.degrees(setting.tilt), FINE * setting.x, FINE * setting.baseline)
        # The engine rounds where a line stands within its paragraph: text is laid out in cells, not in pixels.
        paragraph = self._fonts.paragraph(
            text,
            key,
            FINE * setting.size,
            skia.Paint(AntiAlias=True),
            spacing=setting.spacing,
            emoji_visible=False,
        )
        left = setting.x - self.advance(text, setting.face, setting.spacing) * setting.size / 2
        paragraph.paint(canvas, FINE * left, FINE * setting.baseline - paragraph.AlphabeticBaseline)
        surface.flushAndSubmit()
        return pixels


@lru_cache(maxsize=1)
def typesetter() -> Typesetter:
    """One for the process: its fonts are read once."""
    return Typesetter()
