"""Which emoji stand at the ends of a line, found by comparing with the pictures of the emoji font that ships.

There is no network for this: each emoji of the font is a template, compared pixel by pixel where it is opaque. An emoji in
another maker's drawing is usually not like any template; it is then reported as an emoji that was not recognised.
Sequences (flags, families, skin tones) are known by their base picture only. Words are read elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._emoji_templates import COARSE, LEAST_VARIETY, MARGIN, SIDE, Field, templates, variety
from recaster.media.overlays.letters import Color, Extent, LevelLine
from recaster.media.video.model import Image

_SHORTLIST = 60
_CLOSELY = 12
"""Of the shortlist, whose places are looked at closely."""
_MOST_DIFFERENCE = 60.0
"""Root mean square difference (0–255) from a template up to which it may be that emoji."""
_MOST_DIFFERENCE_ON_SCENE = 36.0
"""The same where no slab tells what is emoji and what is scene."""
_ON_SLAB = 50.0
"""Distance of two colours (0–441) from which a pixel beside the letters is not the slab's."""
_LEAST_SEEN = 0.6
"""Share of an emoji that has to be seen on a slab."""
_BLANK = 0.85
"""Quantile of columns by their blank run about the middle: how high the slab is."""
_LEAST_CONTRAST = 22.0
"""Distance of mean colours that an emoji has at least from what is around it."""
COLORFUL = 75
"""Spread of the three channels from which a pixel is colourful."""
_SIZES = (0.86, 0.98, 1.1, 1.24)
"""Sides of an emoji that are tried, in em."""


@dataclass(frozen=True, slots=True)
class SeenEmoji:
    """One emoji beside the letters, in pixels of the level picture."""

    character: str
    """Empty where it is not recognised."""
    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    at: Literal["start", "end"]


def find_emoji(level: LevelLine, extent: Extent, em: float, slab: Color | None) -> tuple[SeenEmoji, ...]:
    """Emoji before and after the letters of a line, from left to right.

    `em` is about the size of its type in pixels, `slab` the even colour (BGR) behind it, where there is one.
    """
    after = _walk(level, extent, em, slab, 1)
    before = _walk(level, extent, em, slab, -1)
    return (*reversed(before), *after)


def _walk(level: LevelLine, extent: Extent, em: float, slab: Color | None, way: int) -> list[SeenEmoji]:
    found: list[SeenEmoji] = []
    edge = float(extent.right if way > 0 else extent.left)
    border = level.right if way > 0 else level.left
    centre = (extent.top + extent.bottom) / 2
    width = level.picture.shape[1]
    while len(found) < 4:
        room = (width - edge) if way > 0 else edge
        colorful = _colorful_share(level.picture, edge, centre, em, way)
        expected = way * (border - edge) > 0.8 * em
        # Emoji follow words; before them one is only believed where the line as found begins with it.
        if room < 0.8 * em or not (expected or (way > 0 and (colorful > 0.22 or slab is not None))):
            break
        if slab is not None:
            place = _on_slab(level.picture, edge, centre, em, way, slab)
            if place is None:
                break
            best = _match_at(level.picture, place, way, slab)
            if best is None:
                x, y, side = place
                best = SeenEmoji("", x, y, x + side, y + side, 0.5, _end(way))
        else:
            best = emoji_at(level.picture, edge, centre, em, way)
        if best is not None and (best.character or colorful > 0.1 or slab is not None):
            found.append(best)
            edge = best.right if way > 0 else best.left
            continue
        if colorful > 0.3 and expected:
            left = edge + 0.15 * em if way > 0 else edge - 1.2 * em
            found.append(
                SeenEmoji("", left, centre - 0.55 * em, left + 1.05 * em, centre + 0.55 * em, colorful, _end(way))
            )
            edge = left + 1.05 * em if way > 0 else left
            continue
        break
    return found


def _end(way: int) -> Literal["start", "end"]:
    return "end" if way > 0 else "start"


def _colorful_share(picture: Image, edge: float, centre: float, em: float, way: int) -> float:
    start, stop = sorted((edge + way * 0.1 * em, edge + way * 1.3 * em))
    part = picture[max(0, int(centre - 0.5 * em)) : int(centre + 0.5 * em), max(0, int(start)) : max(1, int(stop))]
    if part.size == 0:
        return 0.0
    # Against the even colour that lies around: a red slab is no emoji.
    around = np.median(part.reshape(-1, 3), axis=0)
    spread = np.ptp(part.astype(np.int16), axis=2) > COLORFUL
    apart = np.abs(part.astype(np.int16) - around).max(axis=2) > 40
    return float((spread & apart).mean())


def emoji_at(picture: Image, edge: float, centre: float, em: float, way: int) -> SeenEmoji | None:
    """The emoji that begins at `edge`: rough pictures at many places choose candidates, fine ones decide."""
    windows = [
        (edge + way * gap * em + (0 if way > 0 else -size * em), centre + lift * em - size * em / 2, size * em)
        for size in _SIZES
        for gap in np.arange(-0.14, 0.55, 0.08)
        for lift in (-0.2, -0.12, -0.04, 0.04, 0.12, 0.2)
    ]
    places, crops = _cut(picture, windows, COARSE)
    if not places:
        return None
    difference = templates(COARSE).differences(crops) / np.maximum(variety(crops), LEAST_VARIETY)[:, None]
    best_window = difference.argmin(axis=0)
    members = np.argsort(difference.min(axis=0))[:_SHORTLIST]
    chosen = templates(SIDE).of(members)
    nearby = dict.fromkeys(
        (x + dx - grow * side / 2, y + dy - grow * side / 2, side * (1 + grow))
        for x, y, side in {places[int(best_window[member])] for member in members[:_CLOSELY]}
        for grow in (-0.1, -0.05, 0.0, 0.05, 0.1)
        for dx in (-3, -1.5, 0, 1.5, 3)
        for dy in (-3, -1.5, 0, 1.5, 3)
    )
    fine_places, fine_crops = _cut(picture, list(nearby), SIDE)
    if not fine_places:
        return None
    row, member, error, distinct = chosen.most_like(fine_crops)
    if error > _MOST_DIFFERENCE_ON_SCENE or not distinct:
        return None
    x, y, side = fine_places[row]
    if _stands_out(picture, chosen.alpha[member].reshape(SIDE, SIDE), (x, y, side)) < _LEAST_CONTRAST:
        return None
    inner = MARGIN / SIDE * side
    return SeenEmoji(
        chosen.characters[member],
        x + inner,
        y + inner,
        x + side - inner,
        y + side - inner,
        1.0 - 0.5 * error / _MOST_DIFFERENCE,
        _end(way),
    )


def _on_slab(
    picture: Image, edge: float, centre: float, em: float, way: int, slab: Color
) -> tuple[float, float, float] | None:
    """Square (left, top, side) around the next thing that stands on the slab beside the letters; None for nothing."""
    top, bottom = max(0, round(centre - 0.8 * em)), min(picture.shape[0], round(centre + 0.8 * em))
    start, stop = (round(edge) + 1, round(edge + 1.75 * em)) if way > 0 else (round(edge - 1.75 * em), round(edge) - 1)
    start, stop = max(0, start), min(picture.shape[1], stop)
    if stop - start < 0.6 * em or bottom - top < 0.6 * em:
        return None
    apart = np.linalg.norm(picture[top:bottom, start:stop].astype(np.float32) - slab, axis=2) > _ON_SLAB
    # Seen from the letters outwards, so that both sides are worked out alike.
    apart = apart if way > 0 else apart[:, ::-1]
    begin = _first(apart[round(0.5 * em) : -round(0.5 * em)].any(axis=0))
    if begin > 0.6 * em:
        return None
    # Above and below, the slab ends where the blankest column does: others hold letters, emoji or their soft edges.
    runs = sorted((_run_around_middle(~column) for column in apart.T), key=lambda run: run[1] - run[0])
    # A few of them go on beyond it over a light spot of the scene.
    first, last = runs[int(_BLANK * (len(runs) - 1))]
    busy = apart[first:last].any(axis=0)
    begin = _first(busy)
    gaps = np.flatnonzero(~busy[begin + round(0.5 * em) :])
    if len(gaps) == 0:
        return None
    end = begin + round(0.5 * em) + int(gaps[0])
    if not 0.6 * em <= end - begin <= 1.4 * em:
        return None
    rows = first + np.flatnonzero(apart[first:last, begin:end].any(axis=1))
    x0, x1 = (begin, end) if way > 0 else (len(busy) - end, len(busy) - begin)
    if len(rows) < 0.3 * em:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    side = max(x1 - x0, y1 - y0)
    return (start + (x0 + x1 - side) / 2, top + (y0 + y1 - side) / 2, float(side))


def _first(bits: NDArray[np.bool_]) -> int:
    """Index of the first true one, the length where there is none."""
    return int(np.argmax(bits)) if bits.any() else len(bits)


def _run_around_middle(rows: NDArray[np.bool_]) -> tuple[int, int]:
    """First row of the unbroken run of true ones around the middle, and the row after its last."""
    middle = len(rows) // 2
    above, below = np.flatnonzero(~rows[:middle]), np.flatnonzero(~rows[middle:])
    return (int(above[-1]) + 1 if len(above) else 0, middle + int(below[0]) if len(below) else len(rows))


def _match_at(picture: Image, place: tuple[float, float, float], way: int, slab: Color) -> SeenEmoji | None:
    """The emoji whose picture fills a known square on a slab of that colour (BGR)."""
    x, y, side = place
    windows = [
        (x + dx - grow * side / 2, y + dy - grow * side / 2, side * (1 + grow))
        for grow in (-0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
        for dx in (-2, -1, 0, 1, 2)
        for dy in (-2, -1, 0, 1, 2)
    ]
    scale = SIDE / (SIDE - 2 * MARGIN)
    places, crops = _cut(
        picture,
        [(left - (scale - 1) * size / 2, top - (scale - 1) * size / 2, scale * size) for left, top, size in windows],
        SIDE,
    )
    if not places:
        return None
    pictures = templates(SIDE)
    row, column, error, distinct = pictures.most_like(crops)
    if error > _MOST_DIFFERENCE or not distinct:
        return None
    # As much of the picture has to differ from the slab as the template says: a few lines are no full moon.
    alpha, own, seen = pictures.alpha[column], pictures.color[:, column], crops[row]
    expected, found = (
        float(alpha[np.linalg.norm(colors - slab[:, None], axis=0) > _ON_SLAB].sum()) for colors in (own, seen)
    )
    if found < _LEAST_SEEN * expected:
        return None
    return SeenEmoji(
        pictures.characters[column], x, y, x + side, y + side, 1.0 - 0.5 * error / _MOST_DIFFERENCE, _end(way)
    )


def _cut(
    picture: Image, windows: list[tuple[float, float, float]], side: int
) -> tuple[list[tuple[float, float, float]], Field]:
    """The square windows (left, top, side) that lie in the picture, and their pixels, shape (m, 3, side²)."""
    height, width = picture.shape[:2]
    places, crops = [], []
    for x, y, size in windows:
        # A template has a margin around its picture, so has the window.
        grown = size * SIDE / (SIDE - 2 * MARGIN) if side == COARSE else size
        left, top = (x - (grown - size) / 2, y - (grown - size) / 2) if side == COARSE else (x, y)
        x0, y0, x1, y1 = round(left), round(top), round(left + grown), round(top + grown)
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height or x1 - x0 < 4:
            continue
        places.append((left, top, grown))
        crops.append(cv2.resize(picture[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA))
    if not crops:
        return places, np.zeros((0, 3, side * side), np.float32)
    return places, _planes(np.stack(crops).astype(np.float32))


def _stands_out(picture: Image, alpha: Field, place: tuple[float, float, float]) -> float:
    """Distance of the mean colours inside and outside of an emoji's picture, 0–441."""
    x, y, side = place
    part = picture[max(0, round(y)) : round(y + side), max(0, round(x)) : round(x + side)].astype(np.float32)
    inside = cv2.resize(alpha, part.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    if not inside.any() or inside.all():
        return 0.0
    return float(np.linalg.norm(part[inside].mean(axis=0) - part[~inside].mean(axis=0)))


def _planes(crops: Field) -> Field:
    return crops.reshape(len(crops), -1, 3).transpose(0, 2, 1)
