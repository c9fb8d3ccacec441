"""Where new text goes: line breaks, size and place of a block of text, as plain values. Nothing is drawn here.

A block is laid out in its own upright frame and turned about `TextLayout.center` when it is drawn. Widths come from a
measuring function, so this module knows no text engine. Units are pixels of the frame as shown, y down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import regex

from recaster.errors import CopyRejected
from recaster.media.overlays.line_breaking import break_lines
from recaster.media.overlays.model import Box, TextStyle

SMALLEST_SCALE = 0.75
"""The size steps down by at most a quarter; after that the text has to be shorter."""
LEAST_PADDING_X, LEAST_PADDING_Y = 0.2, 0.08
"""Least room between letters and the edge of their slab, per em."""
SCALE_STEPS = (1.0, 0.95, 0.9, 0.85, 0.8, SMALLEST_SCALE)


@dataclass(frozen=True, slots=True)
class SafeZone:
    """Margins, as fractions of the frame, that the platform's own buttons and captions cover or come near to.

    The defaults keep clear of the title row at the top and of the caption and music rows at the bottom of the large
    short-video apps. The old block's own box is always allowed, even where it reaches out of the zone.
    """

    left: float = 0.04
    top: float = 0.06
    right: float = 0.04
    bottom: float = 0.15

    def box(self, frame_size: tuple[int, int]) -> Box:
        """The zone in a frame of (width, height)."""
        width, height = frame_size
        return (self.left * width, self.top * height, (1 - self.right) * width, (1 - self.bottom) * height)


@dataclass(frozen=True, slots=True)
class LaidLine:
    """One line: its text, the left end of its advance and its baseline, its advance width."""

    text: str
    x: float
    baseline: float
    width: float


@dataclass(frozen=True, slots=True)
class TextLayout:
    """A block of text ready to be drawn."""

    lines: tuple[LaidLine, ...]
    style: TextStyle
    """With the size, stroke, shadow and slab that are really used (scaled by `scale`)."""
    scale: float
    """Used size divided by the wanted size, 0.75–1."""
    box: Box
    """Around text, stroke and slab, upright (before rotation about `center`)."""
    center: tuple[float, float]
    frame_size: tuple[int, int]
    line_top: float
    """Height above the baseline that a line's slab is measured from."""
    line_bottom: float
    """Depth below the baseline that a line's slab is measured from."""
    missing_glyphs: tuple[str, ...]
    """Characters for which no font has a picture. A layout with any of them is not drawn."""

    @property
    def text(self) -> str:
        """All lines joined by line breaks."""
        return "\n".join(line.text for line in self.lines)

    def moved(self, dx: float, dy: float) -> TextLayout:
        """The same block elsewhere."""
        left, top, right, bottom = self.box
        return replace(
            self,
            lines=tuple(replace(line, x=line.x + dx, baseline=line.baseline + dy) for line in self.lines),
            box=(left + dx, top + dy, right + dx, bottom + dy),
            center=(self.center[0] + dx, self.center[1] + dy),
        )

    def on_the_lines_of(self, old: TextLayout, box: Box, zone: SafeZone) -> TextLayout:
        """The block moved onto the lines of `old`, the old words laid out where they really stood; `box` is their box.

        Baselines agree where both have as many lines, else the middles between the first and the last one. A slab keeps
        its distance to the lines. The move leads neither out of the zone nor of the box.
        """
        shift = {"left": 0.0, "center": 0.5, "right": 1.0}[self.style.align]

        def anchor(layout: TextLayout) -> tuple[float, float]:
            left = min(line.x for line in layout.lines)
            right = max(line.x + line.width for line in layout.lines)
            return left + shift * (right - left), (layout.lines[0].baseline + layout.lines[-1].baseline) / 2

        (old_x, old_y), (own_x, own_y) = anchor(old), anchor(self)
        dx, dy = old_x - own_x, old_y - own_y
        limits = zone.box(self.frame_size)
        if self.style.rotation == 0:
            low_x, high_x = min(limits[0], box[0]) - self.box[0], max(limits[2], box[2]) - self.box[2]
            low_y, high_y = min(limits[1], box[1]) - self.box[1], max(limits[3], box[3]) - self.box[3]
            dx = min(max(dx, min(0.0, low_x)), max(0.0, high_x))
            dy = min(max(dy, min(0.0, low_y)), max(0.0, high_y))
        moved = self.moved(dx, dy)
        if self.style.slab is None or self.style.rotation != 0:
            return moved
        # How much lower than the middle of its letters the old slab hangs; with its padding it cannot leave them.
        lower = (box[1] + box[3] - old.box[1] - old.box[3]) / 2 * self.scale
        lower = min(max(lower, -self.style.slab.padding_y), self.style.slab.padding_y)
        left, top, right, bottom = moved.box
        return replace(
            moved,
            line_top=moved.line_top - lower,
            line_bottom=moved.line_bottom + lower,
            box=(left, top + lower, right, bottom + lower),
        )


@dataclass(frozen=True, slots=True)
class FitReport:
    """Whether a text has room, and how much text would have."""

    fits: bool
    scale: float
    """The size factor that is needed; the smallest one where the text does not fit."""
    lines: int
    graphemes: int
    max_graphemes: int
    """About how many graphemes have room at the smallest size, measured on this text's own words."""
    missing_glyphs: tuple[str, ...]


class DoesNotFit(CopyRejected):
    """The text has no room even at the smallest size. `details["report"]` is the `FitReport`."""

    def __init__(self, report: FitReport) -> None:
        super().__init__(
            f"The text of {report.graphemes} characters has no room in its place, even at {SMALLEST_SCALE:.0%} of the "
            f"old size; about {report.max_graphemes} characters fit. Shorten it.",
            graphemes=report.graphemes,
            max_graphemes=report.max_graphemes,
        )
        self.report = report


@dataclass(frozen=True, slots=True)
class FontExtents:
    """How far tall letters rise above and hanging letters fall below the baseline, per em, as positive numbers."""

    top: float
    bottom: float


def graphemes(text: str) -> list[str]:
    """User-perceived characters (Unicode UAX #29), without line breaks."""
    return [cluster for cluster in regex.findall(r"\X", text) if cluster not in ("\n", "\r\n", "\r")]


def scaled_style(style: TextStyle, scale: float) -> TextStyle:
    """The style with every length multiplied."""
    return replace(
        style,
        size=style.size * scale,
        stroke=None if style.stroke is None else replace(style.stroke, width=style.stroke.width * scale),
        shadow=None
        if style.shadow is None
        else replace(
            style.shadow, dx=style.shadow.dx * scale, dy=style.shadow.dy * scale, blur=style.shadow.blur * scale
        ),
        slab=None
        if style.slab is None
        else replace(
            style.slab,
            radius=style.slab.radius * scale,
            # Letters that touch the slab's edge are a measuring error of the reader, never a look.
            padding_x=max(style.slab.padding_x, LEAST_PADDING_X * style.size) * scale,
            padding_y=max(style.slab.padding_y, LEAST_PADDING_Y * style.size) * scale,
        ),
    )


def margins(style: TextStyle) -> tuple[float, float]:
    """How far stroke and slab reach out of the text, sideways and up/down, in pixels."""
    stroke = style.stroke.width if style.stroke else 0.0
    if style.slab is None:
        return stroke, stroke
    return max(stroke, style.slab.padding_x), max(stroke, style.slab.padding_y)


def upright_size(box: Box, rotation: float) -> tuple[float, float]:
    """Width and height of a block that, turned by `rotation` degrees, has the given axis-parallel box."""
    width, height = box[2] - box[0], box[3] - box[1]
    c, s = abs(math.cos(math.radians(rotation))), abs(math.sin(math.radians(rotation)))
    spread = c * c - s * s
    if spread < 0.3:
        return width, height
    return max(1.0, (width * c - height * s) / spread), max(1.0, (height * c - width * s) / spread)


def old_line_count(style: TextStyle, box: Box, extents: FontExtents) -> int:
    """How many lines stand in the box in this style."""
    _, height = upright_size(box, style.rotation)
    _, pad = margins(scaled_style(style, 1.0))
    first = (extents.top + extents.bottom) * style.size
    step = max(0.5 * style.size, style.line_spacing * style.size)
    return max(1, 1 + round((height - 2 * pad - first) / step))


def lay_out(
    text: str,
    style: TextStyle,
    box: Box,
    frame_size: tuple[int, int],
    *,
    max_lines: int | None,
    zone: SafeZone,
    anchor: Literal["center", "top"],
    extents: FontExtents,
    measure: Callable[[str], float],
    ink: Callable[[str], tuple[float, float]],
    missing: tuple[str, ...],
    scales: tuple[float, ...] = SCALE_STEPS,
) -> TextLayout | None:
    """Place `text` where the old block stood; None when it has no room at any of the `scales`.

    `measure` gives the advance width per em of a run, `ink` the (top, bottom) of a run's letters per em. At each size
    the old width is tried first, then the width of the safe zone. The block keeps the old alignment edge and, with
    `anchor="center"`, the old vertical centre, else its old top; it is pushed back into the zone where it would leave.
    """
    frame_width, frame_height = frame_size
    zone_box = zone.box(frame_size)
    limits = (
        max(0.0, min(zone_box[0], box[0])),
        max(0.0, min(zone_box[1], box[1])),
        min(float(frame_width), max(zone_box[2], box[2])),
        min(float(frame_height), max(zone_box[3], box[3])),
    )
    old_width, old_height = upright_size(box, style.rotation)
    center_x, center_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    lines_allowed = max_lines or old_line_count(style, box, extents)
    turn = math.radians(style.rotation)
    for scale in scales:
        used = scaled_style(style, scale)
        pad_x, pad_y = margins(used)
        size = used.size

        def width_of(run: str, size: float = size) -> float:
            return measure(run) * size

        for outer in (old_width, limits[2] - limits[0]):
            # Half a percent of slack: the same words in the measured style must not wrap by a rounding error.
            room = (outer - 2 * pad_x) * 1.005 + 1.0
            room = min(room, limits[2] - limits[0] - 2 * pad_x)
            lines = break_lines(text, room, lines_allowed, width_of)
            if lines is None:
                continue
            widths = [width_of(line) for line in lines]
            block_width = max(widths)
            step = size * used.line_spacing
            if used.slab is None:
                top, _ = ink(lines[0])
                _, bottom = ink(lines[-1])
            else:
                top, bottom = extents.top, extents.bottom
            height = top * size + bottom * size + step * (len(lines) - 1) + 2 * pad_y
            full_width = block_width + 2 * pad_x
            turned_width = abs(full_width * math.cos(turn)) + abs(height * math.sin(turn))
            turned_height = abs(full_width * math.sin(turn)) + abs(height * math.cos(turn))
            if turned_height > max(limits[3] - limits[1], old_height) or turned_width > limits[2] - limits[0] + 1.0:
                continue
            if used.align == "left":
                x = center_x - old_width / 2 + full_width / 2
            elif used.align == "right":
                x = center_x + old_width / 2 - full_width / 2
            else:
                x = center_x
            y = center_y if anchor == "center" else center_y - old_height / 2 + height / 2
            x = min(max(x, limits[0] + turned_width / 2), max(limits[0], limits[2] - turned_width / 2))
            y = min(max(y, limits[1] + turned_height / 2), max(limits[1], limits[3] - turned_height / 2))
            left, first = x - block_width / 2, y - height / 2 + pad_y + top * size
            shift = {"left": 0.0, "center": 0.5, "right": 1.0}[used.align]
            return TextLayout(
                lines=tuple(
                    LaidLine(line, left + (block_width - width) * shift, first + step * i, width)
                    for i, (line, width) in enumerate(zip(lines, widths, strict=True))
                ),
                style=used,
                scale=scale,
                box=(x - full_width / 2, y - height / 2, x + full_width / 2, y + height / 2),
                center=(x, y),
                frame_size=frame_size,
                line_top=extents.top * size,
                line_bottom=extents.bottom * size,
                missing_glyphs=missing,
            )
    return None
