"""Which pixels are letters, outline, shadow or emoji of a block of burned-in text, found in a few pictures of it.

The mask is as tight as the picture allows: every pixel taken too much is background that has to be guessed, every pixel
too little leaves a ghost. Slabs behind the text are found in `_slabs`; when a block shows is decided in `_masks`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._change import Change
from recaster.media.overlays._fill import Plane, largest_difference, push_pull, smooth_known
from recaster.media.overlays._shapes import band, grown, painted, with_holes_filled
from recaster.media.overlays.model import Color, OverlayLine, OverlayTrack
from recaster.media.video.model import Image, Mask

_STRONG = 100.0
"""Contrast of ink, in code values, that coding spreads visibly over more than a pixel beside it."""
_FAINT = 0.65
"""Opacity below which the colour of letters is more what shines through than their own, so that strokes alone tell them. Above
it that rule takes in half as much again of what is no letter."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Crops of a block at rest, all at the same place of the block."""

    pictures: tuple[Image, ...]
    left: int
    top: int
    """Where the crops begin in the reference frame."""
    median: Image
    restless: Plane
    """Mean absolute difference of the samples from their median, largest over the channels."""

    @classmethod
    def of(cls, pictures: list[Image], left: int, top: int) -> Samples:
        """Gather crops of one shape."""
        stack = np.stack(pictures)
        median = np.median(stack, axis=0).astype(np.uint8) if len(pictures) > 1 else pictures[0]
        spread = np.zeros(median.shape[:2], np.float32)
        for picture in pictures:
            spread += cv2.absdiff(picture, median).max(axis=2)
        return cls(tuple(pictures), left, top, median, np.asarray(spread / len(pictures), np.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the crops."""
        height, width = self.median.shape[:2]
        return height, width


@dataclass(frozen=True, slots=True)
class Letters:
    """What belongs to the text itself, on the grid of the samples."""

    core: Mask
    """Pixels that have the fill's colour: the letters without outline and soft edges."""
    ink: Mask
    """Letters with outline, shadow, soft edges and emoji."""


def line_places(track: OverlayTrack, samples: Samples, along: float, across: float) -> Mask:
    """The places of a block's lines and their emoji, grown by pixels along and across their direction."""
    out = np.zeros(samples.shape, np.uint8)
    for line in track.lines:
        for polygon in (line.polygon, *(one.polygon for one in line.emoji)):
            out |= painted(samples.shape, band(polygon, along, across), samples.left, samples.top)
    return out


def find_letters(track: OverlayTrack, samples: Samples, change: Change | None) -> Letters:
    """Find the letters of all lines of a block, and what is drawn around them; `change` tells their colour where known."""
    core, ink = np.zeros(samples.shape, np.uint8), np.zeros(samples.shape, np.uint8)
    style = track.style
    fringe = soft_edge(style.size)
    fill = _true_fill(track, samples, change)
    for line in track.lines:
        zone = painted(
            samples.shape, band(line.polygon, 0.15 * style.size, 0.12 * style.size), samples.left, samples.top
        )
        if fill is None:
            ink |= grown(zone, fringe)  # no colour looks like letters: the whole line goes, so that nothing stays
            continue
        letters = _letters_of(track, samples, zone, fill)
        core |= letters
        outline = _outline_width(samples, letters, style.stroke.width if style.stroke else 0.0, style.size)
        own = grown(letters, outline)
        if style.shadow is not None:
            shift = np.array([[1, 0, style.shadow.dx], [0, 1, style.shadow.dy]], np.float64)
            moved = cv2.warpAffine(own, shift, own.shape[::-1])
            own = own | grown(np.asarray(moved, np.uint8), 0.7 * style.shadow.blur)
        own = with_holes_filled(_with_soft_edge(own, samples, fringe), 0.03 * style.size**2)
        ink |= own | _emoji(line, samples, own, style.size)
    return Letters(core, ink)


def soft_edge(size: float) -> float:
    """How far, in pixels, the edge of a letter of that size reaches beyond what has its colour."""
    return 2.0 if size < 60 else 3.0


def _with_soft_edge(ink: Mask, samples: Samples, reach: float) -> Mask:
    """Ink with its soft edge: as wide as `reach` beside what stands out strongly, one pixel beside faint ink.

    What faint ink leaves beside itself is less than the error of a fill.
    """
    wide, narrow = grown(ink, reach), grown(ink, 1.0)
    picture = samples.median.astype(np.float32)
    behind, _ = smooth_known(picture, np.asarray(wide == 0, np.float32), 6.0)
    strong = (ink > 0) & (largest_difference(np.asarray(picture - behind, np.float32)) > _STRONG)
    return narrow | (wide & grown(np.asarray(strong * 255, np.uint8), reach))


def _true_fill(track: OverlayTrack, samples: Samples, change: Change | None) -> Color | None:
    """The colour of the letters: the stated one, unless the picture shows much more lettering of another.

    Letters cover 8 to 70 % of their line. A misread look must not leave the old text standing. None where neither the
    stated colour nor any frequent one makes letters.
    """
    style = track.style
    inside = np.zeros(samples.shape, np.uint8)
    for line in track.lines:
        if line.text.strip() or not line.emoji:
            inside |= painted(samples.shape, band(line.polygon, 0, 0), samples.left, samples.top)
    area = int((inside > 0).sum())
    untold = style.opacity < 0.9 and change is None
    if not area or untold or style.active_fill is not None or style.active_slab is not None:
        return style.fill
    if change is not None and int(((change.ink > 0) & (inside > 0)).sum()) > 0.08 * area:
        return _changed_fill(track, samples, change, inside)

    def share(color: Color) -> float:
        cover, away, _ = strokes(samples.median, style.size, color)
        return float(((inside > 0) & (cover > 0.6) & (away < 44.0)).sum()) / area

    stated = share(style.fill)
    if 0.1 <= stated <= 0.7:
        return style.fill
    # Where brightness changes within a stem's width there may be letters: which colours are frequent there?
    bins, counts = np.unique(samples.median[inside > 0] // 32, axis=0, return_counts=True)
    frequent = [_rgb_of(color) for color in bins[np.argsort(-counts)[:5]]]
    found = {color: share(color) for color in ((255, 255, 255), (0, 0, 0), *frequent)}
    best = max((color for color in found if found[color] <= 0.7), key=lambda color: found[color], default=None)
    if best is not None and found[best] > max(0.12, 4.0 * stated):
        return best
    return style.fill if stated >= 0.02 else None


def _changed_fill(track: OverlayTrack, samples: Samples, change: Change, inside: Mask) -> Color:
    """The colour whose thin strokes are what comes and goes with the block, and are nowhere where nothing does."""
    changed = (change.ink > 0) & (inside > 0)
    pixels = samples.median[changed]
    bins, counts = np.unique(pixels // 32, axis=0, return_counts=True)
    frequent = [_rgb_of(color) for color in bins[np.argsort(-counts)[:4]]]

    def score(color: Color) -> float:
        cover, away, _ = strokes(samples.median, track.style.size, color)
        letters = (inside > 0) & (cover > 0.6 * track.style.opacity) & (away < 44.0)
        return float((letters & changed).sum()) - 2.0 * float((letters & change.silent).sum())

    stated = score(track.style.fill)
    best = max(((255, 255, 255), (0, 0, 0), *frequent), key=score)
    # An outline changes as well, and may be more than the letters: a colour that explains a good part is right.
    poor = stated < 0.2 * float(changed.sum())
    return best if poor and score(best) > 1.5 * max(stated, 0.02 * float(changed.sum())) else track.style.fill


def _rgb_of(cell: NDArray[np.uint8]) -> Color:
    """The middle of a cell of the coarse BGR colour cube."""
    blue, green, red = (32 * int(value) + 16 for value in cell)
    return red, green, blue


def _letters_of(track: OverlayTrack, samples: Samples, zone: Mask, fill: Color) -> Mask:
    """The letters of one line: pixels of `zone` that are thin strokes of the fill's colour on whatever is around them.

    Each picture is asked on its own, because what moves behind see-through letters, or beside thin ones, differs.
    """
    style = track.style
    covers, aways, strays = zip(*(strokes(one, style.size, fill) for one in samples.pictures), strict=True)
    # Word after word of a caption may take another look: each has the style's own in some of the pictures only.
    turns = style.active_fill is not None or style.active_slab is not None
    if turns:
        best = np.argmax(np.stack(covers) - np.stack(aways) / 128.0, axis=0)[None]
        cover = np.take_along_axis(np.stack(covers), best, 0)[0]
        away = np.take_along_axis(np.stack(aways), best, 0)[0]
    else:
        cover, away = np.median(np.stack(covers), axis=0), np.median(np.stack(aways), axis=0)
    thin = (zone > 0) & (cover > 0.3 * style.opacity)
    if not thin.any():
        return np.zeros(zone.shape, np.uint8)
    if style.opacity < _FAINT:
        # Their colour depends on what shines through; what is nearer to the fill than they can be is a print or a lamp.
        found = thin & (cover < 1.3 * style.opacity + 0.1) & (np.median(np.stack(strays), axis=0) < 32.0)
        return np.asarray(found * 255, np.uint8)
    nearest = np.sort(away[thin])[: max(8, int(0.3 * thin.sum()))]
    closest = float(np.median(nearest))
    tolerance = min(40.0 if style.stroke else 70.0, 36.0 + closest) + 1.3 * closest
    found = thin & (away <= tolerance)
    if style.stroke is None and not turns:
        # Thin letters never reach their full colour, but lie between it and what is around.
        found |= thin & (cover > 0.4) & (np.median(np.stack(strays), axis=0) < 20.0)
    if len(samples.pictures) > 2 and not turns:
        found &= samples.restless < 26.0
    return np.asarray(found * 255, np.uint8)


def strokes(image: Image, size: float, fill: Color) -> tuple[Plane, Plane, Plane]:
    """How much of each pixel a thin stroke of a colour covers, 0–1; how far its own colour is from that one; and how far
    from every mixture of that one with what is around.
    """
    wanted = np.array(fill[::-1], np.float32)
    reach = 2 * max(2, round(0.24 * size)) + 1
    kernel = np.ones((reach, reach), np.uint8)
    ground = np.empty_like(image)
    for channel in range(3):
        # What is left when everything thinner than the widest stem and nearer to the fill's value is taken away.
        way = cv2.MORPH_OPEN if wanted[channel] > 110 else cv2.MORPH_CLOSE
        ground[..., channel] = cv2.morphologyEx(np.ascontiguousarray(image[..., channel]), way, kernel)
    picture, behind = image.astype(np.float32), ground.astype(np.float32)
    apart = wanted - behind
    contrast = (apart * apart).sum(axis=2)
    cover = ((picture - behind) * apart).sum(axis=2) / np.maximum(contrast, 1.0)
    cover = np.where(contrast > 24.0**2, cover, 0.0).astype(np.float32)
    away = np.abs(picture - wanted).max(axis=2)
    stray = np.abs(picture - behind - cover[..., None] * apart).max(axis=2)
    return cover, np.asarray(away, np.float32), np.asarray(stray, np.float32)


def _outline_width(samples: Samples, letters: Mask, stated: float, size: float) -> float:
    """Width of the outline as the picture shows it: rings around the letters that have one and the same colour."""
    if not letters.any():
        return stated
    inner = grown(letters, 1)
    rings = []
    for width in range(2, 2 + max(2, round(0.2 * size))):
        outer = grown(letters, width)
        ring = (outer > 0) & (inner == 0)
        if int(ring.sum()) < 12:
            break
        rings.append((width, samples.median[ring].astype(np.int16)))
        inner = outer
    if not rings:
        return stated
    color = np.median(rings[0][1], axis=0)
    measured = 0.0
    for width, pixels in rings:
        if float((np.abs(pixels - color).max(axis=1) <= 48).mean()) < 0.55:
            break
        measured = float(width)
    if len(rings) > 1 and measured >= rings[-1][0]:
        # The colour goes on and on: it is the ground of the text. An outline of that colour would not be seen, and what
        # is taken too much of an even ground comes back.
        measured = stated if stated > 0.0 else max(2.0, 0.09 * size)
    return max(stated, min(measured, max(1.6 * stated + 2.0, 0.12 * size + 1.0)))


def _emoji(line: OverlayLine, samples: Samples, letters: Mask, size: float) -> Mask:
    """The emoji of a line: what differs from its surroundings in their places, with the holes filled."""
    out = np.zeros(samples.shape, np.uint8)
    for one in line.emoji:
        place = painted(samples.shape, band(one.polygon, 0.12 * size, 0.12 * size), samples.left, samples.top)
        ys, xs = np.nonzero(place)
        if not len(ys):
            continue
        pad = max(4, round(0.4 * size))
        part = np.s_[max(0, ys.min() - pad) : ys.max() + pad, max(0, xs.min() - pad) : xs.max() + pad]
        unknown = (place[part] > 0) | (letters[part] > 0)
        picture = samples.median[part].astype(np.float32)
        behind = push_pull(picture, np.asarray(~unknown, np.float32))
        differs = np.asarray((np.abs(picture - behind).max(axis=2) > 14.0) * 255, np.uint8) & place[part]
        differs = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
        points = cv2.findNonZero(differs)
        whole = np.zeros_like(differs)
        if points is not None and float((differs > 0).sum()) > 0.25 * size * size:
            cv2.fillConvexPoly(whole, cv2.convexHull(points), 255)
        else:
            whole = place[part]
        out[part] |= grown(whole, soft_edge(size))
    return out
