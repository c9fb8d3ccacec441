"""Slabs behind lines of text: how far they reach from the letters, how round their corners are, how much shines through.

See-through ones are found in `tints`. Padding is what the drawer means by it: from a line's advance to the side, and
from the font's tall and hanging letters up and down, whichever letters the line has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.inking import rgb
from recaster.media.overlays.model import Slab
from recaster.media.overlays.seen_letters import Color
from recaster.media.overlays.tints import BackedLine, Tint, find_tint

_ALIKE = 60.0
"""Distance of two colours (0–441) up to which they are one; half the contrast where slab and scene are told apart."""
_WIDEST_PADDING = 1.4
"""Widest slab around the letters, in em: anything wider is a wall behind the words."""
_USUAL_RADIUS = 0.2
"""Radius of a slab whose corners cannot be seen, against its height: about what phone editors draw."""


@dataclass(frozen=True, slots=True)
class Backing:
    """A slab and how far it reaches up from the first and down from the last line; these may differ."""

    slab: Slab
    above: float
    below: float


@dataclass(frozen=True, slots=True)
class Glass:
    """A see-through slab."""

    backing: Backing
    shows: bool
    """Whether the scene is seen through it; if not, the scene is too even to tell it from an opaque one."""


def find_slab(lines: Sequence[BackedLine], color: Color) -> Backing | None:
    """An opaque slab of a known colour behind all lines; None where the colour does not end near them."""
    em = lines[0].em
    above, below = _reach(lines[0], color, 0, -1), _reach(lines[-1], color, 0, 1)
    sides = [(_reach(line, color, 1, -1), _reach(line, color, 1, 1)) for line in lines]
    known = [(line, side[0], side[1]) for line, side in zip(lines, sides, strict=True) if None not in side]
    if above is None or below is None or not known:
        return None
    widths = [line.right - line.left for line, *_ in known]
    reached = [float(before or 0) + float(after or 0) for _, before, after in known]
    totals = [width + both for width, both in zip(widths, reached, strict=True)]
    per_line = len(known) < 2 or np.ptp(widths) < 0.4 * em or np.ptp(totals) > 0.4 * np.ptp(widths)
    padding_x = (float(np.median(reached)) if per_line else reached[int(np.argmax(widths))]) / 2
    padding_y = (above + below) / 2
    if max(padding_x, padding_y) > _WIDEST_PADDING * em or padding_x < -0.2 * em:
        return None
    corners = []
    for line, side, up in ((lines[0], sides[0], True), (lines[-1], sides[-1], False)):
        if side[0] is not None and side[1] is not None:
            edge = line.top - above if up else line.bottom + below
            corners += _corners(line, color, line.left - side[0], line.right + side[1], edge, -1 if up else 1)
    height = lines[-1].bottom + below - lines[0].top + above if len(lines) == 1 else lines[0].bottom - lines[0].top
    radius = float(np.median(corners)) if corners else _USUAL_RADIUS * height
    slab = Slab(rgb(color), 1.0, round(radius, 1), round(padding_x, 1), round(padding_y, 1), bool(per_line))
    return Backing(slab, above, below)


def find_glass(lines: Sequence[BackedLine]) -> Glass | None:
    """A see-through slab behind all lines; None where there is none."""
    tint = find_tint(lines)
    if tint is None:
        return None
    em = lines[0].em
    # Farther out than a slab is wide around letters it goes on under something that nobody described.
    sides = [
        side for both in tint.aside for side in both if side is not None and -0.2 * em < side <= _WIDEST_PADDING * em
    ]
    padding_y = round(max(0.0, (tint.above + tint.below) / 2), 1)
    padding_x = round(max(0.0, float(np.median(sides))), 1) if sides else padding_y
    height = lines[0].bottom - lines[0].top + 2 * padding_y
    per_line = len(lines) == 1 or _follows_lines(lines, tint)
    slab = Slab(
        rgb(tint.color), round(1.0 - tint.through, 2), round(_USUAL_RADIUS * height, 1), padding_x, padding_y, per_line
    )
    return Glass(Backing(slab, tint.above, tint.below), tint.shows)


def _follows_lines(lines: Sequence[BackedLine], tint: Tint) -> bool:
    """Whether a slab is as wide as each of its lines: then it reaches equally far aside from all of them."""
    known = [
        (line.right - line.left, before + after)
        for line, (before, after) in zip(lines, tint.aside, strict=True)
        if before is not None and after is not None
    ]
    if len(known) < 2:
        return True
    widths, reached = np.array(known).T
    return bool(np.ptp(reached) < 0.5 * np.ptp(widths) or np.ptp(widths) < 0.4 * lines[0].em)


def _reach(line: BackedLine, color: Color, axis: int, way: int) -> float | None:
    """How far the slab's colour goes on from the text to one side, exact to a part of a pixel; None if it does not end.

    `axis` 0 is up and down, 1 to the sides; `way` −1 is towards the origin.
    """
    height, width = line.pictures[0].shape[:2]
    if axis == 0:
        start = line.top if way < 0 else line.bottom
        inset = 0.1 * (line.right - line.left)
        span = slice(max(0, round(line.left + inset)), min(width, round(line.right - inset)))
        limit = height
    else:
        start = line.left if way < 0 else line.right
        third = 0.3 * (line.bottom - line.top)
        span = slice(max(0, round(line.top + third)), min(height, round(line.bottom - third)))
        limit = width
    # Rows (or columns) from a little inside the text's end outwards, the line's direction last but one.
    first = round(start - way * 0.12 * line.em)
    last = first + way * round((_WIDEST_PADDING + 0.5) * line.em)
    places = [place for place in range(first, last, way) if 0 <= place < limit]
    if len(places) < 6 or span.stop - span.start < 4:
        return None
    bands = np.stack(
        [
            picture[places][:, span] if axis == 0 else picture[span][:, places].swapaxes(0, 1)
            for picture in line.pictures
        ]
    ).astype(np.float32)
    away = np.linalg.norm(bands - color, axis=3)
    alike = (away < _ALIKE).mean(axis=(0, 2))
    inside = np.flatnonzero(alike > 0.7)
    if not inside.size:
        return None
    ends = np.flatnonzero(alike[inside[0] :] < 0.5)
    if not ends.size:
        return None
    end = int(inside[0] + ends[0])
    edge = float(end) - 0.5
    # Between slab and scene lies a blend: the border is where it is half and half.
    beyond = bands[:, min(end + 2, len(places) - 1) : end + 5].mean(axis=1)
    way_out = beyond - color
    contrast = (way_out**2).sum(axis=2)
    clear = contrast > (1.5 * _ALIKE) ** 2
    if clear.mean() > 0.2 and 2 <= end < len(places) - 1:
        low, high = end - 2, min(end + 2, len(places) - 1)
        share = ((bands[:, low : high + 1] - color) * way_out[:, None]).sum(axis=3) / np.maximum(contrast, 1.0)[:, None]
        steps = np.array([float(share[:, index][clear].mean()) for index in range(high - low + 1)])
        cross = np.flatnonzero((steps[:-1] < 0.5) & (steps[1:] >= 0.5))
        if cross.size:
            index = int(cross[0])
            edge = low + index + float((0.5 - steps[index]) / max(steps[index + 1] - steps[index], 1e-6))
    # `edge` counts pixel centres along the places: the border lies half a pixel further out or in.
    border = places[0] + way * edge + 0.5
    return float(way * (border - start))


def _corners(line: BackedLine, color: Color, left: float, right: float, edge: float, way: int) -> list[float]:
    """Radii of the two corners at the upper (−1) or lower (1) edge of a slab.

    Of a square in the corner 1 − π/4 of the radius' square are missing.
    """
    side = round(0.5 * (line.bottom - line.top))
    found = []
    for x, inwards in ((left, 1), (right, -1)):
        columns = np.round(x + inwards * (np.arange(side) + 0.5) - 0.5).astype(int)
        rows = np.round(edge - way * (np.arange(side) + 0.5) - 0.5).astype(int)
        outside = (round(edge + way * 2.5), round(x - inwards * 2.5))
        for picture in line.pictures:
            height, width = picture.shape[:2]
            if min(columns.min(), rows.min(), *outside) < 0:
                continue
            if columns.max() >= width or rows.max() >= height or outside[0] >= height or outside[1] >= width:
                continue
            other = picture[outside].astype(np.float32)
            if float(np.linalg.norm(other - color)) < 2 * _ALIKE:
                continue
            part = picture[np.ix_(rows, columns)].astype(np.float32)
            missing = np.linalg.norm(part - color, axis=2) > np.linalg.norm(part - other, axis=2)
            found.append(_radius(missing, side))
    return found


def _radius(missing: NDArray[np.bool_], side: int) -> float:
    return float(min(np.sqrt(float(missing.sum()) / (1 - np.pi / 4)), side))
