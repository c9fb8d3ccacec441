"""See-through slabs behind lines of text, found by what they do to the picture across their borders.

A slab of opacity o and colour F turns a background B into (1 - o) B + o F. Along a straight border of a slab the same
scene is seen once with and once without it: one o and one F explain the whole step, in every frame. Nothing else in a
scene does that above and below a line of text at once, so neither texture nor level lines are needed.
Opaque slabs are found by their colour, in `backing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recaster.media.video.model import Image

_BESIDE, _DEEP = 1, 3
"""Pixels left out on both sides of a border, which are blends, and pixels asked behind them."""
_NARROWEST, _WIDEST = -0.1, 1.3
"""How far a slab's border may lie from the letters, in em."""
_WIDEST_ASIDE = 4.5
"""The same to the sides, where emoji that nobody described may stand between."""
_ASKED, _PICTURES = 120, 6
"""Places along a border, and pictures, that are asked at most."""
_LEAST_STEP = 7.0
"""Step, in code values, that a border makes at least."""
_LEAST_SHARE, _LEAST_MEAN_SHARE = 0.78, 0.86
"""Share of the places along a border at which the tint explains more than half of the step; and the mean of both."""
_LEAST_SHARE_ASIDE = 0.7
_ALIKE = 0.16
"""How much of the background two borders of one slab may seem to let through more than each other."""
_OPAQUE = 0.1
"""Below this share of the background a slab is opaque: coding noise is all that would come back."""
_CLEAREST = 0.85
"""Above it a slab would hardly set words off from the scene."""
_SHORTEST = 1.5
"""Length of a line, in em, from which its borders are long enough to tell."""

Colors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BackedLine:
    """A line whose words are set, with its pictures. All in pixels of the pictures, in which the line is level."""

    pictures: tuple[Image, ...]
    left: float
    right: float
    """Ends of its advance, emoji included."""
    top: float
    bottom: float
    """How far the font's tall and hanging letters reach."""
    em: float


@dataclass(frozen=True, slots=True, eq=False)
class Tint:
    """What a see-through slab does to the scene, and where it ends."""

    through: float
    """Share of the background that is seen, 0–1."""
    added: Colors
    """BGR that the slab adds."""
    above: float
    below: float
    """How far it reaches up from the first line and down from the last one, in pixels."""
    aside: tuple[tuple[float | None, float | None], ...]
    """How far it reaches to the left and to the right of each line; None where its end is not seen."""
    slope: float
    """Pixels that its borders fall to the right for each pixel: lines that are taken for level may be a little tilted."""
    shows: bool
    """Whether the scene is seen through it; if not, the scene is too even to tell it from an opaque one."""

    @property
    def color(self) -> Colors:
        """BGR of the slab itself."""
        return np.asarray(np.clip(self.added / max(1.0 - self.through, 1e-3), 0, 255), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Border:
    """Colours beside all places that a border may have on one side of a line, each of shape (places, n, 3)."""

    inside: Colors
    outside: Colors
    distances: NDArray[np.float64]
    """How far each place is from the line."""

    @classmethod
    def of(cls, line: BackedLine, axis: int, way: int, span: slice, widest: float) -> _Border:
        """Along rows (`axis` 0) or columns, towards (`way` -1) or away from the origin; `span` is along the border."""
        start = (line.top, line.left)[axis] if way < 0 else (line.bottom, line.right)[axis]
        first = round(start + way * _NARROWEST * line.em)
        length = line.pictures[0].shape[axis]
        reach = _BESIDE + _DEEP
        places = np.arange(first, round(start + way * widest * line.em) + way, way)
        places = places[(places >= reach) & (places <= length - reach)]
        span = slice(span.start, span.stop, max(1, (span.stop - span.start) // _ASKED))
        inside, outside = [], []
        for picture in line.pictures[:: -(-len(line.pictures) // _PICTURES)]:
            turned = picture if axis == 0 else picture.swapaxes(0, 1)
            sums = np.cumsum(turned[:, span].astype(np.float32), axis=0)
            sums = np.concatenate([np.zeros_like(sums[:1]), sums])
            before = (sums[places - _BESIDE] - sums[places - reach]) / _DEEP
            after = (sums[places + reach] - sums[places + _BESIDE]) / _DEEP
            inside.append(after if way < 0 else before)
            outside.append(before if way < 0 else after)
        return cls(
            np.concatenate(inside, axis=1),
            np.concatenate(outside, axis=1),
            np.asarray(way * (places - start), np.float64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """The likeliest border on one side."""

    distance: float
    through: float
    added: Colors
    share: float
    outside: Colors
    inside: Colors


def find_tint(lines: Sequence[BackedLine]) -> Tint | None:
    """The see-through slab behind the lines of a block, from top to bottom; None where there is none."""
    first, last = lines[0], lines[-1]
    if min(first.right - first.left, last.right - last.left) < _SHORTEST * first.em:
        return None
    upper, lower = _strongest(_upright(first, -1)), _strongest(_upright(last, 1))
    if upper is None or lower is None or upper.share + lower.share < 2 * _LEAST_MEAN_SHARE:
        return None
    if abs(upper.through - lower.through) > _ALIKE:
        return None
    outside = np.concatenate([upper.outside, lower.outside])
    inside = np.concatenate([upper.inside, lower.inside])
    through, added = _fitted(outside, inside)
    color = added / max(1.0 - through, 1e-3)
    if not _OPAQUE <= through <= _CLEAREST or color.min() < -25 or color.max() > 280:
        return None
    if _share(outside, inside, through, added) < _LEAST_SHARE:
        return None
    slope = float(np.mean([_slope(first, -1, upper, through, added), _slope(last, 1, lower, through, added)]))
    aside = []
    for line in lines:
        along = []
        if line is first:
            along.append(_explained(line, -1, upper.distance, through, added))
        if line is last:
            along.append(_explained(line, 1, lower.distance, through, added))
        aside.append((_end(line, -1, through, added, along), _end(line, 1, through, added, along)))
    return Tint(through, added, upper.distance, lower.distance, tuple(aside), slope, _is_related(outside, inside))


def _upright(line: BackedLine, way: int) -> _Border:
    return _Border.of(line, 0, way, slice(max(0, round(line.left)), max(1, round(line.right))), _WIDEST)


def _strongest(border: _Border) -> _Step | None:
    """The place at which one tint explains the largest step."""
    best: tuple[float, _Step] | None = None
    for distance, inside, outside in zip(border.distances, border.inside, border.outside, strict=True):
        if not len(inside):
            return None
        step = float(np.median(np.abs(inside - outside).mean(axis=1)))
        if step < _LEAST_STEP or (best is not None and step <= best[0]):
            continue
        through, added = _fitted(outside, inside)
        share = _share(outside, inside, through, added)
        if share >= _LEAST_SHARE and through <= _CLEAREST:
            best = (step, _Step(float(distance), through, added, share, outside, inside))
    return None if best is None else best[1]


def _share(outside: Colors, inside: Colors, through: float, added: Colors) -> float:
    """Share of the places at which the tint leaves less than half of the step unexplained."""
    left = np.abs(inside - through * outside - added).mean(axis=1)
    step = np.abs(inside - outside).mean(axis=1)
    return float((left < 0.5 * step).mean())


def _fitted(outside: Colors, inside: Colors) -> tuple[float, Colors]:
    """`inside` = through * `outside` + added, in three rounds that leave out what does not agree.

    Slabs are mostly white or black: another colour is taken only where it explains more.
    """
    kept = np.ones(len(outside), bool)
    through, added = 1.0, np.zeros(3, np.float32)
    for _ in range(3):
        x, y = outside[kept], inside[kept]
        found = []
        for paint in (255.0, 0.0):
            through = float(
                np.clip(((x - paint) * (y - paint)).sum() / max(float(((x - paint) ** 2).sum()), 1e-6), 0, 1)
            )
            found.append((through, np.full(3, (1 - through) * paint, np.float32)))
        dx = x - x.mean(axis=0)
        through = float(np.clip((dx * (y - y.mean(axis=0))).sum() / max(float((dx * dx).sum()), 1e-6), 0, 1))
        found.append((through, np.asarray(y.mean(axis=0) - through * x.mean(axis=0), np.float32)))
        errors = [float(np.sqrt(((y - t * x - a) ** 2).mean())) for t, a in found]
        plain = int(np.argmin(errors[:2]))
        through, added = found[plain if errors[plain] <= 1.2 * errors[2] + 1.0 else 2]
        misfit = np.abs(inside - through * outside - added).max(axis=1)
        kept = misfit <= max(6.0, 2.5 * float(np.median(misfit)))
    return through, added


def _is_related(outside: Colors, inside: Colors) -> bool:
    dx, dy = outside - outside.mean(axis=0), inside - inside.mean(axis=0)
    shared, own, its = float((dx * dy).sum()), float((dx * dx).sum()), float((dy * dy).sum())
    return own > 3 * len(outside) * 8.0**2 and shared > 0 and shared**2 > 0.5 * own * its


def _slope(line: BackedLine, way: int, step: _Step, through: float, added: Colors) -> float:
    """How much a border falls from the left to the right half of a line, per pixel."""
    left, right = max(0, round(line.left)), max(1, round(line.right))
    middle = (left + right) // 2
    places = []
    for span in (slice(left, middle), slice(middle, right)):
        border = _Border.of(line, 0, way, span, _WIDEST)
        near = np.abs(border.distances - step.distance) <= 0.03 * (right - left) + 1.0
        apart = np.abs(border.inside[near] - border.outside[near]).mean(axis=2)
        left_over = np.abs(border.inside[near] - through * border.outside[near] - added).mean(axis=2)
        clear = np.maximum(0.0, np.median(apart - left_over, axis=1))
        # The step is strongest at the border and falls off to both sides of it.
        weights = clear**4
        places.append(float((border.distances[near] * weights).sum() / max(float(weights.sum()), 1e-6)))
    return way * (places[1] - places[0]) / max(1.0, 0.5 * (right - left))


def _explained(line: BackedLine, way: int, distance: float, through: float, added: Colors) -> NDArray[np.float32]:
    """For each column, how often (0–1) the tint explains what happens across a border above (-1) or below a line."""
    start = line.top if way < 0 else line.bottom
    place = round(start + way * distance)
    upper = [
        picture[place - _BESIDE - _DEEP : place - _BESIDE].astype(np.float32).mean(axis=0) for picture in line.pictures
    ]
    lower = [
        picture[place + _BESIDE : place + _BESIDE + _DEEP].astype(np.float32).mean(axis=0) for picture in line.pictures
    ]
    outside, inside = (np.stack(side) for side in ((upper, lower) if way < 0 else (lower, upper)))
    left = np.abs(inside - through * outside - added).mean(axis=2)
    step = np.abs(inside - outside).mean(axis=2)
    return np.asarray(((left < 0.5 * step) & (step > 0.5 * _LEAST_STEP)).mean(axis=0), np.float32)


def _end(
    line: BackedLine, way: int, through: float, added: Colors, along: Sequence[NDArray[np.float32]]
) -> float | None:
    """How far the slab reaches to one side: the farthest step of its tint up to which its other borders go on.

    `along` tells for each column whether the border above or below the line is there.
    """
    third = 0.25 * (line.bottom - line.top)
    rows = slice(max(0, round(line.top + third)), max(1, round(line.bottom - third)))
    border = _Border.of(line, 1, way, rows, _WIDEST_ASIDE)
    end = line.left if way < 0 else line.right
    best: tuple[float, float] | None = None
    for distance, inside, outside in zip(border.distances, border.inside, border.outside, strict=True):
        step = float(np.median(np.abs(inside - outside).mean(axis=1)))
        if step < _LEAST_STEP or _share(outside, inside, through, added) < _LEAST_SHARE_ASIDE:
            continue
        near, far = sorted((round(end), round(end + way * distance)))
        goes_on = [float(columns[max(0, near) : far].mean()) > _LEAST_SHARE for columns in along]
        # A line between others has no border of its own that would tell how far it goes on.
        if distance > _WIDEST * line.em and not (goes_on and all(goes_on)):
            continue
        apart = best is not None and distance > best[1] + 2 * _DEEP
        if best is None or apart or step > best[0]:
            best = (step, float(distance))
    return None if best is None else best[1]
