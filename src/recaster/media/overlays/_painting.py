"""Paints a block of laid out text into a picture of its own: slab, shadow, outline, letters, the word being said.

When it shows and where it is blended is the business of `draw`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.media.overlays._typefaces import FINE, Typefaces, is_right_to_left
from recaster.media.overlays.layout import TextLayout, graphemes


@dataclass(frozen=True, slots=True)
class Block:
    """A rendered block: premultiplied BGRA and the frame position of its left top pixel."""

    pixels: NDArray[np.uint8]
    x: int
    y: int


class Painter:
    """Paints with given typefaces."""

    def __init__(self, fonts: Typefaces) -> None:
        self._fonts = fonts

    def paint(self, layout: TextLayout, shown: int, active: int | None) -> Block:
        """A block of which `shown` graphemes show and the word numbered `active` is being said."""
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
            return Block(np.zeros((1, 1, 4), np.uint8), x0, y0)
        top, bottom, left, right = seen[0][0], seen[0][-1] + 1, seen[1][0], seen[1][-1] + 1
        return Block(pixels[top:bottom, left:right].copy(), x0 + int(left), y0 + int(top))

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
                    text,
                    key,
                    FINE * style.size,
                    paint,
                    spacing=style.letter_spacing,
                    emoji_visible=emoji_visible,
                    whole=layout.text,
                )
                x, baseline = FINE * (line.x + dx), FINE * (line.baseline + dy)
                paragraph.paint(canvas, x, baseline - paragraph.AlphabeticBaseline)
        canvas.restore()
