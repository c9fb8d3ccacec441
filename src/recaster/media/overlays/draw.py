"""Draws text into frames with the engine Skia and the fonts that ship with Recaster; no system font is ever used.

`TextDrawer` is what the rest of the product sees. Where text goes is decided in `layout`; what it says is none of this
module's business. A block is rendered once into a premultiplied BGRA picture and then only blended into each frame.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.overlays._painting import Block, Painter
from recaster.media.overlays._typefaces import Typefaces
from recaster.media.overlays.fonts import FONT_FOLDER, remedy_for
from recaster.media.overlays.layout import (
    SCALE_STEPS,
    SMALLEST_SCALE,
    DoesNotFit,
    FitReport,
    LaidLine,
    SafeZone,
    TextLayout,
    graphemes,
    lay_out,
)
from recaster.media.overlays.model import Box, OverlayLine, TextStyle
from recaster.media.overlays.timing import Appearance
from recaster.media.video.model import Image


class TextDrawer(Protocol):
    """Lays out and draws text."""

    def fits(
        self, text: str, style: TextStyle, box: Box, frame_size: tuple[int, int], *, max_lines: int | None = None
    ) -> FitReport:
        """Whether `text` has room where a block of `style` stood in `box`, and how much text would have.

        `frame_size` is (width, height).
        """
        ...

    def layout(
        self,
        text: str,
        style: TextStyle,
        box: Box,
        frame_size: tuple[int, int],
        *,
        max_lines: int | None = None,
        anchor: Literal["center", "top"] = "center",
        old_lines: tuple[OverlayLine, ...] = (),
    ) -> TextLayout:
        """Place `text` where a block of `style` stood in `box`.

        `max_lines` is the number of lines of the old block unless given. With `old_lines`, the lines that stood there,
        the new ones stand on their baselines, keep their edge or centre, and a slab keeps its place. Raises
        `DoesNotFit` when the size would have to fall under 75 %, `InvalidInput` for an unknown font.
        """
        ...

    def draw(self, image: Image, layout: TextLayout, appearance: Appearance = Appearance()) -> Image:
        """A new picture with the block drawn.

        Raises `InvalidInput` for a layout with missing glyphs or of another frame size.
        """
        ...


class SkiaTextDrawer:
    """`TextDrawer` on Skia's paragraph module (HarfBuzz shaping, ICU bidi, COLRv1 emoji).

    `fallback_fonts` are TrueType files, asked in order for characters that the style's font lacks; without, the Noto
    fonts of the installation. Holds parsed
    fonts and the last `cache_size` rendered blocks; not meant to be shared between threads.
    """

    def __init__(
        self,
        *,
        zone: SafeZone = SafeZone(),
        fallback_fonts: tuple[Path, ...] | None = None,
        font_folder: Path = FONT_FOLDER,
        cache_size: int = 32,
    ) -> None:
        self._zone = zone
        self._fonts = Typefaces(font_folder, fallback_fonts)
        self._painter = Painter(self._fonts)
        self._blocks: OrderedDict[tuple[TextLayout, int, int | None], Block] = OrderedDict()
        self._cache_size = cache_size

    def fits(
        self, text: str, style: TextStyle, box: Box, frame_size: tuple[int, int], *, max_lines: int | None = None
    ) -> FitReport:
        """See `TextDrawer.fits`."""
        laid = self._try(text, style, box, frame_size, max_lines, "center", SCALE_STEPS)
        return FitReport(
            fits=laid is not None,
            scale=laid.scale if laid else SMALLEST_SCALE,
            lines=len(laid.lines) if laid else 0,
            graphemes=len(graphemes(text)),
            max_graphemes=self._capacity(text, style, box, frame_size, max_lines, laid is not None),
            missing_glyphs=self._fonts.missing(text, style),
        )

    def layout(
        self,
        text: str,
        style: TextStyle,
        box: Box,
        frame_size: tuple[int, int],
        *,
        max_lines: int | None = None,
        anchor: Literal["center", "top"] = "center",
        old_lines: tuple[OverlayLine, ...] = (),
    ) -> TextLayout:
        """See `TextDrawer.layout`."""
        laid = self._try(text, style, box, frame_size, max_lines, anchor, SCALE_STEPS)
        if laid is None:
            raise DoesNotFit(self.fits(text, style, box, frame_size, max_lines=max_lines))
        old_text = "\n".join(line.text for line in old_lines)
        if not old_text.strip() or anchor != "center":
            return laid
        old = self._try(old_text, style, box, frame_size, len(old_lines), "center", (1.0,))
        if old is None or old.missing_glyphs or len(old.lines) != len(old_lines):
            return laid
        apart = [
            (line.width, np.mean(np.array(was.polygon), axis=0) - now)
            for line, was in zip(old.lines, old_lines, strict=True)
            if (now := self._center_of(old, line)) is not None
        ]
        if not apart:
            return laid
        # An emoji that was not read moves a line to the side, a wide one the least.
        dx = float(max(apart, key=lambda one: one[0])[1][0])
        dy = float(np.median([move[1] for _, move in apart]))
        return laid.on_the_lines_of(old.moved(dx, dy), box, self._zone)

    def _center_of(self, layout: TextLayout, line: LaidLine) -> NDArray[np.float64] | None:
        """Centre of the extent of a line's letters, without emoji, as it stands in the frame; None without letters."""
        style = layout.style
        box = self._fonts.ink_box(line.text, self._fonts.key_of(style), style.letter_spacing)
        left, top, right, bottom = (edge * style.size for edge in box)
        if right <= left:
            return None
        x = (left + right) / 2 + line.x - layout.center[0]
        y = (top + bottom) / 2 + line.baseline - layout.center[1]
        turn = math.radians(style.rotation)
        c, s = math.cos(turn), math.sin(turn)
        return np.array([layout.center[0] + c * x - s * y, layout.center[1] + s * x + c * y])

    def draw(self, image: Image, layout: TextLayout, appearance: Appearance = Appearance()) -> Image:
        """See `TextDrawer.draw`."""
        if layout.missing_glyphs:
            raise InvalidInput(
                f"No font has the characters {' '.join(layout.missing_glyphs)}; they would show as empty boxes. "
                + remedy_for(layout.missing_glyphs),
                field="text",
                value=layout.text,
            )
        if (image.shape[1], image.shape[0]) != layout.frame_size:
            raise InvalidInput(
                f"The layout was made for frames of {layout.frame_size}, this one has {image.shape[1::-1]}.",
                field="image",
            )
        out = image.copy()
        if appearance.alpha <= 0.0 or appearance.shown <= 0.0:
            return out
        total = sum(len(graphemes(line.text)) for line in layout.lines)
        shown = math.ceil(appearance.shown * total) if appearance.shown < 1.0 else total
        block = self._block(layout, shown, _active_word(layout, appearance))
        pixels, x, y = block.pixels, float(block.x), float(block.y)
        if appearance.scale != 1.0:
            height, width = pixels.shape[:2]
            pixels = np.asarray(
                cv2.resize(
                    pixels,
                    (max(1, round(width * appearance.scale)), max(1, round(height * appearance.scale))),
                    interpolation=cv2.INTER_AREA if appearance.scale < 1.0 else cv2.INTER_CUBIC,
                ),
                np.uint8,
            )
            x = layout.center[0] + (x - layout.center[0]) * appearance.scale
            y = layout.center[1] + (y - layout.center[1]) * appearance.scale
        if appearance.alpha < 1.0:
            pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=appearance.alpha), np.uint8)
        _blend(out, pixels, round(x + appearance.offset[0]), round(y + appearance.offset[1]))
        return out

    def _try(
        self,
        text: str,
        style: TextStyle,
        box: Box,
        frame_size: tuple[int, int],
        max_lines: int | None,
        anchor: Literal["center", "top"],
        scales: tuple[float, ...],
    ) -> TextLayout | None:
        key = self._fonts.key_of(style)
        return lay_out(
            text.strip(),
            style,
            box,
            frame_size,
            max_lines=max_lines,
            zone=self._zone,
            anchor=anchor,
            extents=self._fonts.extents(key),
            measure=lambda run: self._fonts.advance(run, key, style.letter_spacing),
            ink=lambda run: self._fonts.ink(run, key),
            missing=self._fonts.missing(text, style),
            scales=scales,
        )

    def _capacity(
        self, text: str, style: TextStyle, box: Box, frame_size: tuple[int, int], max_lines: int | None, fitting: bool
    ) -> int:
        words = text.split() * (4 if fitting else 1)
        low, high = 0, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            if self._try(" ".join(words[:middle]), style, box, frame_size, max_lines, "center", (SMALLEST_SCALE,)):
                low = middle
            else:
                high = middle - 1
        return len(graphemes(" ".join(words[:low])))

    def _block(self, layout: TextLayout, shown: int, active: int | None) -> Block:
        key = (layout, shown, active)
        cached = self._blocks.get(key)
        if cached is not None:
            self._blocks.move_to_end(key)
            return cached
        block = self._painter.paint(layout, shown, active)
        self._blocks[key] = block
        if len(self._blocks) > self._cache_size:
            self._blocks.popitem(last=False)
        return block


def _active_word(layout: TextLayout, appearance: Appearance) -> int | None:
    """Which word of a block is being said: each has its share of the block's life."""
    if appearance.spoken is None:
        return None
    count = sum(len(line.text.split(" ")) for line in layout.lines)
    return min(count - 1, int(appearance.spoken * count + 1e-9))


def _blend(image: Image, pixels: NDArray[np.uint8], x: int, y: int) -> None:
    """Blend premultiplied BGRA `pixels` into `image` in place, clipped to the frame."""
    left, top = max(0, x), max(0, y)
    right, bottom = min(image.shape[1], x + pixels.shape[1]), min(image.shape[0], y + pixels.shape[0])
    if right <= left or bottom <= top:
        return
    part = pixels[top - y : bottom - y, left - x : right - x]
    keep = cv2.cvtColor(255 - part[..., 3], cv2.COLOR_GRAY2BGR)
    region = image[top:bottom, left:right]
    image[top:bottom, left:right] = cv2.add(cv2.multiply(region, keep, scale=1 / 255), part[..., :3])
