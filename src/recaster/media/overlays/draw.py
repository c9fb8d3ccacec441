"""Draws text into frames with the engine Skia and the fonts that ship with Recaster; no system font is ever used.

`TextDrawer` is what the rest of the product sees. Where text goes is decided in `layout`; what it says is none of this
module's business. A block is rendered once into a premultiplied BGRA picture and then only blended into each frame.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.overlays._typefaces import FINE, Typefaces, is_right_to_left
from recaster.media.overlays.fonts import (
    FONT_FOLDER,
)
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


@dataclass(frozen=True, slots=True)
class _Block:
    """A rendered block: premultiplied BGRA and the frame position of its left top pixel."""

    pixels: NDArray[np.uint8]
    x: int
    y: int


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
        self._blocks: OrderedDict[tuple[TextLayout, int, int | None], _Block] = OrderedDict()
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
                f"No font has the characters {' '.join(layout.missing_glyphs)}; they would show as empty boxes. Use "
                "other words or add a fallback font.",
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

    def _block(self, layout: TextLayout, shown: int, active: int | None) -> _Block:
        key = (layout, shown, active)
        cached = self._blocks.get(key)
        if cached is not None:
            self._blocks.move_to_end(key)
            return cached
        block = self._render(layout, shown, active)
        self._blocks[key] = block
        if len(self._blocks) > self._cache_size:
            self._blocks.popitem(last=False)
        return block

    def _render(self, layout: TextLayout, shown: int, active: int | None) -> _Block:
        style = layout.style
        stroke = style.stroke.width if style.stroke else 0.0
        shadow = max(abs(style.shadow.dx), abs(style.shadow.dy)) + 2 * style.shadow.blur if style.shadow else 0.0
        # Accents above capitals and swashes reach out of the box: a whole em of room around, trimmed afterwards.
        room = style.size + stroke + shadow + 4
        width, height = layout.box[2] - layout.box[0] + 2 * room, layout.box[3] - layout.box[1] + 2 * room
        turn = math.radians(style.rotation)
        half_x = (abs(width * math.cos(turn)) + abs(height * math.sin(turn))) / 2
        half_y = (abs(width * math.sin(turn)) + abs(height * math.cos(turn))) / 2
        x0, y0 = math.floor(layout.center[0] - half_x), math.floor(layout.center[1] - half_y)
        columns, rows = math.ceil(2 * half_x) + 2, math.ceil(2 * half_y) + 2
        fine = np.zeros((FINE * rows, FINE * columns, 4), np.uint8)
        info = skia.ImageInfo.Make(FINE * columns, FINE * rows, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRasterDirect(info, fine)
        canvas = surface.getCanvas()
        canvas.scale(FINE, FINE)
        canvas.translate(-x0, -y0)
        if style.rotation:
            canvas.rotate(style.rotation, *layout.center)
        if style.opacity < 1.0:
            canvas.saveLayerAlpha(None, round(style.opacity * 255))
        if style.slab is not None:
            self._paint_slab(canvas, layout)
        lit = None if active is None else self._word(layout, active)
        if lit is not None and style.active_slab is not None:
            paint = skia.Paint(AntiAlias=True, Color=skia.Color(*style.active_slab))
            canvas.drawRoundRect(lit, style.size / 6, style.size / 6, paint)
        self._paint_text(canvas, layout, shown, lit)
        if style.opacity < 1.0:
            canvas.restore()
        surface.flushAndSubmit()
        pixels = np.asarray(cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        seen = np.flatnonzero(pixels[..., 3].any(axis=1)), np.flatnonzero(pixels[..., 3].any(axis=0))
        if not len(seen[0]):
            return _Block(np.zeros((1, 1, 4), np.uint8), x0, y0)
        top, bottom, left, right = seen[0][0], seen[0][-1] + 1, seen[1][0], seen[1][-1] + 1
        return _Block(pixels[top:bottom, left:right].copy(), x0 + int(left), y0 + int(top))

    def _paint_slab(self, canvas: Any, layout: TextLayout) -> None:
        slab = layout.style.slab
        assert slab is not None
        paint = skia.Paint(AntiAlias=True, Color=skia.Color(*slab.color, round(slab.opacity * 255)))
        if not slab.per_line:
            canvas.drawRoundRect(skia.Rect(*layout.box), slab.radius, slab.radius, paint)
            return
        whole = skia.Path()
        above: Any = None
        for line in layout.lines:
            if not line.text:
                above = None
                continue
            part = skia.Path()
            rect = skia.Rect(
                line.x - slab.padding_x,
                line.baseline - layout.line_top - slab.padding_y,
                line.x + line.width + slab.padding_x,
                line.baseline + layout.line_bottom + slab.padding_y,
            )
            part.addRoundRect(rect, slab.radius, slab.radius)
            # Neighbouring slabs join as in phone editors: no slit of background and no notch between two lines.
            if above is not None and rect.top() - above.bottom() < 0.45 * layout.style.size:
                left, right = max(rect.left(), above.left()), min(rect.right(), above.right())
                reach = slab.radius + 1
                if right - left > 0:
                    part.addRect(skia.Rect(left, above.bottom() - reach, right, rect.top() + reach))
            above = rect
            united = skia.Op(whole, part, skia.PathOp.kUnion_PathOp)
            whole = united if united is not None else whole
        canvas.drawPath(whole, paint)

    def _word(self, layout: TextLayout, number: int) -> Any:
        """The box of a word by its number within the block, with a little room at its sides; None if there is none."""
        key = self._fonts.key_of(layout.style)
        size = layout.style.size
        for line in layout.lines:
            words = line.text.split(" ")
            if number >= len(words):
                number -= len(words)
                continue
            before = " ".join([*words[:number], ""])
            # A space at the end of a run has no width of its own: measure it between letters.
            spacing = layout.style.letter_spacing
            lead = self._fonts.advance(before + "n", key, spacing) - self._fonts.advance("n", key, spacing)
            start = lead * size if before else 0.0
            width = self._fonts.advance(words[number], key, spacing) * size
            if is_right_to_left(line.text):
                start = line.width - start - width
            room = size / 7
            return skia.Rect(
                line.x + start - room,
                line.baseline - layout.line_top - 1.6 * room,
                line.x + start + width + room,
                line.baseline + layout.line_bottom + 0.6 * room,
            )
        return None

    def _paint_text(self, canvas: Any, layout: TextLayout, shown: int, lit: Any) -> None:
        style = layout.style
        passes: list[tuple[Any, bool, float, float]] = []
        if style.shadow is not None:
            color = skia.Color(*style.shadow.color, round(style.shadow.opacity * 255))
            paint = skia.Paint(AntiAlias=True, Color=color)
            if style.stroke:
                paint.setStyle(skia.Paint.kStrokeAndFill_Style)
                paint.setStrokeWidth(2 * style.stroke.width * FINE)
                paint.setStrokeJoin(skia.Paint.kRound_Join)
            if style.shadow.blur > 0:
                paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, style.shadow.blur / 2 * FINE))
            passes.append((paint, False, style.shadow.dx, style.shadow.dy))
        if style.stroke is not None and style.stroke.width > 0:
            paint = skia.Paint(
                AntiAlias=True,
                Color=skia.Color(*style.stroke.color),
                Style=skia.Paint.kStroke_Style,
                StrokeWidth=2 * style.stroke.width * FINE,
                StrokeJoin=skia.Paint.kRound_Join,
            )
            passes.append((paint, False, 0.0, 0.0))
        passes.append((skia.Paint(AntiAlias=True, Color=skia.Color(*style.fill)), True, 0.0, 0.0))
        self._paint_passes(canvas, layout, shown, passes)
        if lit is not None and style.active_fill is not None:
            canvas.save()
            canvas.clipRect(lit)
            paint = skia.Paint(AntiAlias=True, Color=skia.Color(*style.active_fill))
            self._paint_passes(canvas, layout, shown, [(paint, True, 0.0, 0.0)])
            canvas.restore()

    def _paint_passes(
        self, canvas: Any, layout: TextLayout, shown: int, passes: list[tuple[Any, bool, float, float]]
    ) -> None:
        style = layout.style
        key = self._fonts.key_of(style)
        canvas.save()
        # The engine rounds where a line stands within its paragraph: text is laid out in cells, not in pixels.
        canvas.scale(1 / FINE, 1 / FINE)
        for paint, emoji_visible, dx, dy in passes:
            left = shown
            for line in layout.lines:
                clusters = graphemes(line.text)
                text = line.text if left >= len(clusters) else "".join(clusters[: max(0, left)])
                left -= len(clusters)
                if not text:
                    continue
                paragraph = self._fonts.paragraph(
                    text, key, FINE * style.size, paint, spacing=style.letter_spacing, emoji_visible=emoji_visible
                )
                x, baseline = FINE * (line.x + dx), FINE * (line.baseline + dy)
                paragraph.paint(canvas, x, baseline - paragraph.AlphabeticBaseline)
        canvas.restore()


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
