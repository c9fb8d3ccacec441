"""How a block of text looks: measured on a picture in which the moving background has been averaged away.

Colours come from the pixels themselves: the slab is the even colour that fills most of the line's box, the fill is the
colour in the middle of the strokes, the outline the colour around it. The size follows from the width of the words in the
font class; letter shapes are not compared, so the font class is the default one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import emoji
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.draw import SkiaTextDrawer
from recaster.media.overlays.fonts import DEFAULT_FONT
from recaster.media.overlays.model import Box, Color, OverlayLine, Slab, Stroke, TextStyle
from recaster.media.video.model import Image

_SLAB_SHARE = 0.36
"""Share of a line's box that one even colour must fill to be a slab."""
_SLAB_SPREAD = 26.0
"""Colour distance (0–441) within which pixels count as the same even colour."""
_PADDING = 0.27
"""Padding of the detector's boxes on each side, in heights of the box."""
_WIDEST_PADDING = 0.6
"""Widest slab around the ink, in heights of the line's box."""
_WEIGHT = 700
_PADDED_HEIGHT = 1.55
"""The detector's boxes are about this much higher than the em size of their text."""

Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Ink:
    fill: Color
    stroke: Stroke | None
    slab: Slab | None
    left: float
    right: float
    top: float
    bottom: float


def describe_style(
    lines: Sequence[OverlayLine],
    crops: Sequence[tuple[Image, tuple[int, int]]],
    frame_size: tuple[int, int],
) -> tuple[TextStyle, Box]:
    """Describe the look of a block and the box around everything that belongs to it.

    `crops` holds for each line an averaged BGR picture with some margin, and the place of its left top pixel in the frame.
    """
    inks = [_measure(line, crop, origin) for line, (crop, origin) in zip(lines, crops, strict=True)]
    sizes = [_size(line, ink) for line, ink in zip(lines, inks, strict=True)]
    size = float(np.median(sizes))
    first = max(zip(lines, inks, strict=True), key=lambda pair: len(pair[0].text))[1]
    stroke, slab = first.stroke, first.slab
    centres = [np.mean([point[1] for point in line.polygon]) for line in lines]
    spacing = float(np.mean(np.diff(centres))) / size if len(lines) > 1 else 1.28
    style = TextStyle(
        font=DEFAULT_FONT,
        weight=_WEIGHT,
        size=round(size, 1),
        fill=first.fill,
        opacity=1.0,
        stroke=stroke,
        shadow=None,
        slab=slab,
        align=_alignment(inks, frame_size[0]),
        line_spacing=round(min(max(spacing, 0.9), 2.0), 3),
        rotation=_rotation(lines),
    )
    reach_x = slab.padding_x if slab else (stroke.width if stroke else 0.0)
    reach_y = slab.padding_y if slab else (stroke.width if stroke else 0.0)
    box = (
        max(0.0, min(ink.left for ink in inks) - reach_x),
        max(0.0, min(ink.top for ink in inks) - reach_y),
        min(float(frame_size[0]), max(ink.right for ink in inks) + reach_x),
        min(float(frame_size[1]), max(ink.bottom for ink in inks) + reach_y),
    )
    return style, box


def _measure(line: OverlayLine, crop: Image, origin: tuple[int, int]) -> _Ink:
    left, top, right, bottom = _inside(line, crop, origin)
    part = crop[top:bottom, left:right].astype(np.float32)
    slab_color = _even_color(part)
    if slab_color is not None:
        ink = np.linalg.norm(part - slab_color, axis=-1) > 2.2 * _SLAB_SPREAD
        fill = _middle_color(part, ink, slab_color)
        stroke = None
    else:
        ink, fill, stroke = _outlined(part)
    if slab_color is None:
        place = _inset(line)
    else:
        ink &= ~_colorful_ends(part, fill)[None, :]
        rows, columns = np.flatnonzero(ink.mean(axis=1) > 0.02), np.flatnonzero(ink.any(axis=0))
        if rows.size == 0 or columns.size == 0:
            rows, columns = np.array([0, part.shape[0] - 1]), np.array([0, part.shape[1] - 1])
        place = (
            origin[0] + left + float(columns[0]),
            origin[1] + top + float(rows[0]),
            origin[0] + left + float(columns[-1]) + 1,
            origin[1] + top + float(rows[-1]) + 1,
        )
    slab = None
    if slab_color is not None:
        slab = _slab(crop, origin, slab_color, place)
        if max(slab.padding_x, slab.padding_y) > _WIDEST_PADDING * (bottom - top):
            slab = None  # an even wall behind the words, not a box around them
    return _Ink(_rgb(fill), stroke, slab, place[0], place[2], place[1], place[3])


def _inset(line: OverlayLine) -> tuple[float, float, float, float]:
    """Where the ink of a line without slab is: the detector's box without its padding."""
    xs, ys = [point[0] for point in line.polygon], [point[1] for point in line.polygon]
    pad = _PADDING * (max(ys) - min(ys))
    return (min(xs) + pad, min(ys) + pad, max(xs) - pad, max(ys) - pad)


def _inside(line: OverlayLine, crop: Image, origin: tuple[int, int]) -> tuple[int, int, int, int]:
    xs, ys = [point[0] - origin[0] for point in line.polygon], [point[1] - origin[1] for point in line.polygon]
    height, width = crop.shape[:2]
    left, right = max(0, int(min(xs))), min(width, int(max(xs)) + 1)
    top, bottom = max(0, int(min(ys))), min(height, int(max(ys)) + 1)
    return left, top, max(right, left + 2), max(bottom, top + 2)


def _even_color(part: Pixels) -> Pixels | None:
    """Return the colour (BGR) that fills most of a line's box evenly, None where there is none."""
    flat = part.reshape(-1, 3)
    bins = (flat // 24).astype(np.int32)
    keys = bins[:, 0] * 121 + bins[:, 1] * 11 + bins[:, 2]
    values, counts = np.unique(keys, return_counts=True)
    color = flat[keys == values[counts.argmax()]].mean(axis=0)
    near = np.linalg.norm(flat - color, axis=1) < _SLAB_SPREAD
    color = flat[near].mean(axis=0)
    if (np.linalg.norm(flat - color, axis=1) < _SLAB_SPREAD).mean() < _SLAB_SHARE:
        return None
    # The same even colour above and below the letters, along the whole line: a sky behind plain text has no such rim.
    inset = max(1, round(0.14 * part.shape[0]))  # the detector's box may reach over the slab's edge
    rim = np.concatenate([part[inset : inset + 2].reshape(-1, 3), part[-inset - 2 : -inset].reshape(-1, 3)])
    if (np.linalg.norm(rim - color, axis=1) < 1.5 * _SLAB_SPREAD).mean() < 0.6:
        return None
    return np.asarray(color, np.float32)


def _middle_color(part: Pixels, ink: NDArray[np.bool_], slab: Pixels) -> Pixels:
    """Return the colour in the middle of the strokes, where no edge mixes into it."""
    distance = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 3)
    if not ink.any():
        return np.asarray(255 - slab, np.float32)
    middle = distance >= max(1.0, 0.7 * float(np.quantile(distance[ink], 0.9)))
    colored = part[middle]
    distances = np.linalg.norm(colored - slab, axis=1)
    return np.asarray(np.median(colored[distances >= np.quantile(distances, 0.4)], axis=0), np.float32)


def _outlined(part: Pixels) -> tuple[NDArray[np.bool_], Pixels, Stroke | None]:
    """Find fill and outline of text that stands on the picture itself."""
    gray = part.mean(axis=-1)
    low, high = np.quantile(gray, [0.04, 0.96])
    bright = gray > high - 0.22 * (high - low)
    dark = gray < low + 0.22 * (high - low)
    # Letters are what the other colour surrounds: the outline touches the rest of the picture, the fill does not.
    fill_mask, ring_mask = (bright, dark) if _touches(bright, dark) >= _touches(dark, bright) else (dark, bright)
    fill = np.median(part[fill_mask], axis=0)
    near = cv2.dilate(fill_mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=3) > 0
    ring = ring_mask & near
    around = near & ~fill_mask
    share = float(ring.sum()) / max(float(around.sum()), 1.0)
    if share < 0.25:
        return fill_mask, np.asarray(fill, np.float32), None
    color = np.median(part[ring], axis=0)
    contour = max(
        float((cv2.dilate(fill_mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0).sum() - fill_mask.sum()), 1.0
    )
    width = float(np.clip(ring.sum() / contour, 1.0, 0.2 * part.shape[0]))
    return fill_mask, np.asarray(fill, np.float32), Stroke(_rgb(color), round(width, 1))


def _colorful_ends(part: Pixels, fill: Pixels) -> NDArray[np.bool_]:
    """Columns at either end of a line that hold emoji: colourful where the letters are not. Shape (width,)."""
    hsv = cv2.cvtColor(np.clip(part, 0, 255).astype(np.uint8), cv2.COLOR_BGR2HSV)
    ends = np.zeros(part.shape[1], np.bool_)
    if float(np.ptp(fill)) > 70:
        return ends
    colorful = ((hsv[..., 1] > 100) & (hsv[..., 2] > 70)).mean(axis=0) > 0.22
    least = part.shape[0] // 3
    for end, columns in ((slice(None, None, 1), colorful), (slice(None, None, -1), colorful[::-1])):
        close = cv2.morphologyEx(columns.astype(np.uint8)[None], cv2.MORPH_CLOSE, np.ones((1, least), np.uint8))[0] > 0
        start = next((index for index in range(min(least, len(close))) if close[index]), None)
        if start is not None:
            length = start + _run(close[start:])
            if least <= length < 0.5 * len(close):
                ends[end][:length] = True
    return ends


def _touches(inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> float:
    """Share of the pixels right around `inner` that are `outer`, or lie between the two."""
    grown = cv2.dilate(inner.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ring = grown & ~inner
    return float((ring & outer).sum()) / max(float(ring.sum()), 1.0)


def _slab(crop: Image, origin: tuple[int, int], color: Pixels, place: tuple[float, float, float, float]) -> Slab:
    """Measure how far the slab reaches around the ink."""
    even = np.linalg.norm(crop.astype(np.float32) - color, axis=-1) < 1.5 * _SLAB_SPREAD
    left, top = int(place[0] - origin[0]), int(place[1] - origin[1])
    right, bottom = int(place[2] - origin[0]), int(place[3] - origin[1])
    row = even[max(0, (top + bottom) // 2 - 2) : (top + bottom) // 2 + 3].mean(axis=0) > 0.5
    column = even[:, max(0, left) : max(right, left + 1)].mean(axis=1) > 0.6
    reach_left = _run(row[: max(left, 0)][::-1])
    reach_right = _run(row[right:])
    reach_up = _run(column[: max(top, 0)][::-1])
    reach_down = _run(column[bottom:])
    padding_x, padding_y = max(1.0, (reach_left + reach_right) / 2), max(1.0, (reach_up + reach_down) / 2)
    return Slab(_rgb(color), 1.0, round(0.3 * (bottom - top), 1), round(padding_x, 1), round(padding_y, 1), True)


def _run(values: NDArray[np.bool_]) -> int:
    """Length of the run of true values at the beginning."""
    stops = np.flatnonzero(~values)
    return int(stops[0]) if stops.size else len(values)


def _size(line: OverlayLine, ink: _Ink) -> float:
    """Em size at which the words of a line are as wide as their ink."""
    words = emoji.replace_emoji(line.text, "").strip()
    width = _advance(words) if words else 0.0
    height = float(np.linalg.norm(np.subtract(line.polygon[3], line.polygon[0]))) / _PADDED_HEIGHT
    if width <= 0:
        return max(height, 6.0)
    size = (ink.right - ink.left) / width
    # A misread letter or an emoji in the line makes the width wrong; the height bounds the error.
    return float(np.clip(size, 0.75 * height, 1.2 * height))


@lru_cache(maxsize=512)
def _advance(text: str) -> float:
    """Width of a text per em in the default font."""
    style = TextStyle(DEFAULT_FONT, _WEIGHT, 100.0, (0, 0, 0), 1.0, None, None, None, "left", 1.28, 0.0)
    span = 100 * len(text) + 400
    layout = SkiaTextDrawer().layout(text, style, (0.0, 0.0, float(span), 400.0), (span, 400), max_lines=1)
    return layout.lines[0].width / layout.style.size


def _alignment(inks: Sequence[_Ink], width: int) -> Literal["left", "center", "right"]:
    lefts, rights = [ink.left for ink in inks], [ink.right for ink in inks]
    centres = [(left + right) / 2 for left, right in zip(lefts, rights, strict=True)]
    middle = (min(lefts) + max(rights)) / 2
    if len(inks) > 1 and abs(middle - width / 2) < 0.04 * width and np.ptp(centres) < 0.05 * width:
        return "center"
    if len(inks) > 1:
        spreads: dict[Literal["left", "center", "right"], float] = {
            "center": float(np.ptp(centres)),
            "left": float(np.ptp(lefts)),
            "right": float(np.ptp(rights)),
        }
        return min(spreads, key=lambda key: spreads[key])
    if abs(centres[0] - width / 2) < 0.06 * width:
        return "center"
    return "left" if centres[0] < width / 2 else "right"


def _rotation(lines: Sequence[OverlayLine]) -> float:
    angles = []
    for line in lines:
        (x0, y0), (x1, y1) = line.polygon[0], line.polygon[1]
        angles.append(float(np.degrees(np.arctan2(y1 - y0, x1 - x0))))
    angle = float(np.median(angles))
    return round(angle, 1) if abs(angle) > 1.5 else 0.0


def _rgb(color: NDArray[np.floating]) -> Color:
    blue, green, red = (round(float(value)) for value in color)
    return (red, green, blue)
