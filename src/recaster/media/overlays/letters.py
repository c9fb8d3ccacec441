"""The letters of one line in its own pixels: where exactly they are, and which colours fill, rim and surround them.

A line is first turned level with some room around it. Edges say where the letters end; the colours on both sides of the
edges say what is fill, outline and slab. It reads no words and knows no fonts; `style` makes a description of a block
out of these measures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.geometry import axes, line_height, line_width
from recaster.media.overlays.networks import Quad
from recaster.media.video.model import Image

Bits = NDArray[np.bool_]
Color = NDArray[np.float32]
"""Blue, green, red, each 0–255."""

_LEVEL = 500.0
"""Degrees times pixels of width within which a line counts as level: the detector is not surer of a short line's tilt."""
_ALIKE = 42.0
"""Distance of two colours (0–441) up to which they are one even colour after encoding."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelLine:
    """A line turned level, one pixel per pixel of the frame."""

    picture: Image
    to_frame: NDArray[np.float64]
    """Affine matrix, shape (2, 3), from pixels of the picture to pixels of the frame."""
    left: float
    top: float
    right: float
    bottom: float
    """Where the line's corners as found lie in the picture."""

    def in_frame(self, left: float, top: float, right: float, bottom: float) -> Quad:
        """A rectangle of the picture as corners in the frame."""
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
        return (corners @ self.to_frame[:, :2].T + self.to_frame[:, 2]).astype(np.float32)


def level_line(picture: Image, origin: tuple[int, int], quad: Quad, aside: float, upright: float) -> LevelLine:
    """Turn a line level, with `aside` pixels more at both ends and `upright` above and below.

    `picture` is a part of the frame whose left top pixel is `origin`; what lies outside of it repeats its border.
    """
    _, along, down = axes(quad)
    centre = quad.mean(axis=0)
    tilt = abs(float(np.degrees(np.arctan2(along[1], along[0]))))
    if tilt < float(np.clip(_LEVEL / max(line_width(quad), 1.0), 0.8, 3.0)):
        along, down = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    width, height = line_width(quad), line_height(quad)
    size = (max(8, round(width + 2 * aside)), max(8, round(height + 2 * upright)))
    corner = centre - along * (size[0] / 2) - down * (size[1] / 2)
    if along[1] == 0:
        corner = np.rint(corner)
    to_frame = np.array([[along[0], down[0], corner[0]], [along[1], down[1], corner[1]]], np.float64)
    to_crop = to_frame.copy()
    to_crop[:, 2] -= origin
    level = cv2.warpAffine(
        picture,
        to_crop,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return LevelLine(
        np.asarray(level, np.uint8),
        to_frame,
        (size[0] - width) / 2,
        (size[1] - height) / 2,
        (size[0] + width) / 2,
        (size[1] + height) / 2,
    )


@dataclass(frozen=True, slots=True)
class Extent:
    """Rectangle of the letters in a level picture, last row and column not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """Rows from the highest to the lowest letter."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns from the first to the last letter."""
        return self.right - self.left


def letter_extent(level: LevelLine, positions: Sequence[float]) -> Extent:
    """Where the letters begin and end, by their upright edges.

    `positions` are the centres of the characters along the line, 0–1; without them the whole line is taken.
    """
    edges = upright_edges(level.picture)
    length = level.right - level.left
    if positions:
        pitch = length / max(len(positions), 1)
        near = min(1.2 * pitch, 0.9 * (level.bottom - level.top))
        first = level.left + min(positions) * length
        last = level.left + max(positions) * length
    else:
        near, first, last = 0.0, level.left, level.right
    inner = edges[:, max(0, int(first - 0.3 * near)) : max(1, int(last + 0.3 * near) + 1)]
    top, bottom = _rows(inner, level, len(positions))
    columns = edges[top:bottom].sum(axis=0)
    gap = max(3, round(0.2 * (bottom - top)))
    left = _outward(columns, int(first), -1, gap, max(0, int(first - near)))
    right = _outward(columns, int(last), 1, gap, min(len(columns) - 1, int(last + near)))
    return Extent(left, top, max(right + 1, left + 2), bottom)


def upright_edges(picture: Image) -> Bits:
    """Pixels on the hardest edges that run up and down: the sides of letters."""
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    across = np.abs(cv2.Sobel(luma, cv2.CV_16S, 1, 0, ksize=3))
    return np.asarray(across >= max(60.0, 0.4 * float(np.quantile(across, 0.985))), np.bool_)


def _rows(edges: Bits, level: LevelLine, letters: int) -> tuple[int, int]:
    counts = edges.sum(axis=1).astype(np.float32)
    low, high = max(0, int(level.top)), min(len(counts), int(level.bottom) + 1)
    body = counts[low:high]
    if body.size == 0 or body.max() < 2:
        return low, max(high, low + 2)
    peak = float(np.quantile(body, 0.9))
    middle = low + int(np.argmax(np.convolve(body, np.ones(5), "same")))
    # One tail of many letters is little; of a few letters, all rows have their share, and what has less is scene.
    share = 0.4 if letters <= 2 else 0.3 if letters == 3 else max(0.045, 0.54 / letters)
    least = max(1.0, share * peak)
    top = _outward(counts, middle, -1, 2, max(0, low - 4), least)
    bottom = _outward(counts, middle, 1, 2, min(len(counts) - 1, high + 4), least)
    return top, bottom + 1


def _outward(counts: NDArray[np.generic], start: int, step: int, gap: int, limit: int, least: float = 1.0) -> int:
    """Walk from `start` by `step` to `limit`, across gaps shorter than `gap`; return the last place with edges."""
    reached, empty = start, 0
    position = start
    while position != limit:
        position += step
        if not 0 <= position < len(counts):
            break
        if counts[position] >= least:
            reached, empty = position, 0
        else:
            empty += 1
            if empty >= gap and abs(position - start) > gap:
                break
    return reached


def edge_sharpness(level: LevelLine, extent: Extent) -> float:
    """Steepest rise of brightness per pixel against the whole range of it inside the letters' rectangle.

    About 1 for set type, which goes from fill to outline within a pixel, 0.6–0.8 after a resave at half size, around 0.5
    or less for print that a lens has seen.
    """
    part = level.picture[extent.top : extent.bottom, extent.left : extent.right]
    luma = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    across, down = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3)
    low, high = np.quantile(luma, [0.05, 0.95])
    return float(np.quantile(np.hypot(across, down), 0.97)) / 4 / max(float(high - low), 1.0)


_TALL = re.compile(r"[A-Z0-9bdfhkltß@&$€£%?!(){}\[\]/|'\"À-ÖØ-Þ\u0370-\u9fff\uac00-\ud7af]")
DEEP = re.compile(r"[gjpqyçQ,;@(){}\[\]|/$\u0590-\u0dff\u3040-\u9fff]")
"""Letters and signs that reach below the baseline."""


def em_size(text: str, height: float) -> float:
    """About the size of the type, from which letters a line has and how high it is from the highest to the lowest."""
    above = 0.74 if _TALL.search(text) else 0.56
    below = 0.21 if DEEP.search(text) else 0.01
    return height / (above + below)


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """The colours of a line of letters."""

    fill: Color
    letters: Bits
    """Pixels of the fill inside the extent, shape of the level picture."""
    stroke: Color | None
    stroke_width: float
    slab: Color | None


def measure_ink(level: LevelLine, extent: Extent) -> Ink:
    """Tell fill, outline and slab of the letters in `extent`."""
    picture = level.picture.astype(np.float32)
    inside = picture[extent.top : extent.bottom, extent.left : extent.right]
    bright, dark = _sides(inside)
    bright_color, bright_share = commonest(bright)
    dark_color, dark_share = commonest(dark)
    rim = _rim(picture, extent)
    rim_bright = float((np.linalg.norm(rim - bright_color, axis=1) < _ALIKE).mean())
    rim_dark = float((np.linalg.norm(rim - dark_color, axis=1) < _ALIKE).mean())
    near_bright = np.linalg.norm(picture - bright_color, axis=2)
    near_dark = np.linalg.norm(picture - dark_color, axis=2)
    half = 0.5 * float(np.linalg.norm(bright_color - dark_color))
    bright_bits, dark_bits = near_bright < min(half, 70.0), near_dark < min(half, 70.0)
    slab: Color | None = None
    if max(rim_bright, rim_dark) >= 0.72 and min(rim_bright, rim_dark) < 0.2:
        fill_is_bright = rim_dark > rim_bright
        slab = dark_color if fill_is_bright else bright_color
    elif bright_share < 0.3 or dark_share < 0.3:
        fill_is_bright = bright_share >= dark_share
    else:
        window = (slice(extent.top, extent.bottom), slice(extent.left, extent.right))
        fill_is_bright = _surrounded(bright_bits[window], dark_bits[window]) >= _surrounded(
            dark_bits[window], bright_bits[window]
        )
    fill, other = (bright_color, dark_color) if fill_is_bright else (dark_color, bright_color)
    bits, others = (bright_bits, dark_bits) if fill_is_bright else (dark_bits, bright_bits)
    letters = np.zeros_like(bits)
    letters[extent.top : extent.bottom, extent.left : extent.right] = bits[
        extent.top : extent.bottom, extent.left : extent.right
    ]
    width = 0.0 if slab is not None else _stroke_width(letters, others, extent)
    return Ink(fill, letters, other if width > 0 else None, width, slab)


def inked_rows(extent: Extent, ink: Ink) -> Extent:
    """The extent drawn in to the rows of the letters' own colour, where hard edges of the scene had made it higher.

    Only pieces about as high as the highest count, and what may be an accent or a tail of theirs.
    """
    inside = ink.letters[extent.top : extent.bottom, extent.left : extent.right].astype(np.uint8)
    pieces = cv2.connectedComponentsWithStats(inside)[2][1:]
    tops, heights = pieces[:, cv2.CC_STAT_TOP], pieces[:, cv2.CC_STAT_HEIGHT]
    whole = heights >= 0.55 * float(heights.max(initial=0))
    if int(whole.sum()) < 2:
        return extent
    height = float(heights[whole].max())
    top, bottom = int(tops[whole].min()), int((tops + heights)[whole].max())
    near = (pieces[:, cv2.CC_STAT_AREA] >= max(4.0, 0.004 * height**2)) & (tops > top - 0.45 * height)
    near &= tops + heights < bottom + 0.4 * height
    if near.any():
        top, bottom = min(top, int(tops[near].min())), max(bottom, int((tops + heights)[near].max()))
    rim = round(ink.stroke_width) + 1
    return replace(
        extent,
        top=max(extent.top, extent.top + top - rim),
        bottom=min(extent.bottom, extent.top + bottom + rim),
    )


def bright_side(level: LevelLine, extent: Extent) -> Color:
    """The colour on the bright side of the letters' edges."""
    part = level.picture[extent.top : extent.bottom, extent.left : extent.right].astype(np.float32)
    return commonest(_sides(part)[0])[0]


def _sides(part: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours on the bright and on the dark side of the hardest edges, each of shape (n, 3)."""
    luma = cv2.cvtColor(np.clip(part, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY)
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3)
    magnitude = np.hypot(across, down)
    ys, xs = np.nonzero(magnitude >= max(40.0, 0.45 * float(np.quantile(magnitude, 0.97))))
    if len(xs) == 0:
        flat = part.reshape(-1, 3)
        return flat, flat
    step = 2.0 / np.maximum(magnitude[ys, xs], 1e-6)
    dx, dy = across[ys, xs] * step, down[ys, xs] * step

    def at(sign: float) -> NDArray[np.float32]:
        x = np.clip(np.rint(xs + sign * dx), 0, part.shape[1] - 1).astype(np.int32)
        y = np.clip(np.rint(ys + sign * dy), 0, part.shape[0] - 1).astype(np.int32)
        return np.asarray(part[y, x], np.float32)

    return at(1.0), at(-1.0)


def commonest(colors: NDArray[np.float32]) -> tuple[Color, float]:
    """The most frequent of colours of shape (n, 3), and the share of them that are near it."""
    bins = (colors // 20).astype(np.int32)
    keys = bins[:, 0] * 400 + bins[:, 1] * 20 + bins[:, 2]
    values, counts = np.unique(keys, return_counts=True)
    color = np.median(colors[keys == values[counts.argmax()]], axis=0)
    for _ in range(2):
        near = np.linalg.norm(colors - color, axis=1) < _ALIKE
        if not near.any():
            break
        color = np.median(colors[near], axis=0)
    return np.asarray(color, np.float32), float((np.linalg.norm(colors - color, axis=1) < _ALIKE).mean())


def _rim(picture: NDArray[np.float32], extent: Extent) -> NDArray[np.float32]:
    """Pixels just outside the letters, above and below along the whole line and at both ends, shape (n, 3)."""
    height, width = picture.shape[:2]
    reach = max(2, round(0.06 * extent.height))
    above = picture[max(0, extent.top - 1 - reach) : max(1, extent.top - 1), extent.left : extent.right]
    below = picture[min(height - 1, extent.bottom + 1) : extent.bottom + 1 + reach, extent.left : extent.right]
    before = picture[extent.top : extent.bottom, max(0, extent.left - 1 - reach) : max(1, extent.left - 1)]
    after = picture[extent.top : extent.bottom, min(width - 1, extent.right + 1) : extent.right + 1 + reach]
    return np.concatenate([part.reshape(-1, 3) for part in (above, below, before, after)])


def _surrounded(inner: Bits, outer: Bits) -> float:
    """Share of the pixels right around `inner` that are `outer`."""
    grown = cv2.dilate(inner.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    # One pixel of blend lies between the two colours.
    ring = grown & ~(cv2.dilate(inner.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    return float((ring & outer).sum()) / max(float(ring.sum()), 1.0)


def _stroke_width(letters: Bits, outline: Bits, extent: Extent) -> float:
    """Visible width of an outline, 0 where there is none: how far from the letters its colour still holds."""
    distance = cv2.distanceTransform((~letters).astype(np.uint8), cv2.DIST_L2, 5)
    farthest = max(3, round(0.25 * extent.height))
    shares = []
    for step in range(1, farthest + 1):
        ring = (distance > step - 0.5) & (distance <= step + 0.5)
        shares.append(float(outline[ring].mean()) if ring.any() else 0.0)
    best = max(shares[:4])
    if best < 0.6:
        return 0.0
    reached = next((index for index, share in enumerate(shares) if index >= 1 and share < 0.5 * best), len(shares))
    return float(reached) if reached < len(shares) else 0.0
