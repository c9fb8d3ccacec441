"""See-through slabs: how much of the picture shines through, and the picture without the slab.

A slab of opacity o and colour F turns a background B into (1 - o) B + o F. Both are measured across the slab's edge,
where the same background is seen once with and once without it; then the equation is solved for B. What stands opaque on
the slab, and its soft edge, stay hidden and are left to `_carry`. Where the reader has no slab, or calls it see-through,
`find_pane` looks for one in the eraser's own pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._fill import smooth_known
from recaster.media.overlays._letters import Samples
from recaster.media.overlays._shapes import grown, line_axes, painted
from recaster.media.overlays.model import OverlayTrack, Slab
from recaster.media.overlays.tints import BackedLine, find_tint
from recaster.media.video.model import Image, Mask

_EDGE = 4
"""Pixels on both sides of a slab's edge that are not asked: they are soft."""
_SOFT = 7
"""Pixels at the rim of a slab's mask, three of them outside of it, that are not seen through: coding rings there."""
_LEAST_THROUGH = 0.25
"""Below this share of the background, coding noise is all that would come back."""
_NEARLY_GRAY = 24.0
"""Slabs are black or white: a smaller difference between the channels is the bleeding of colour at the edge."""


@dataclass(frozen=True, slots=True)
class Pane:
    """Where a see-through slab stands, as its borders show it."""

    track: OverlayTrack
    """The block with this slab in its style."""
    mask: Mask
    """255 on the slab, on the grid of the samples."""
    marks: Mask
    """255 where the slab goes on far beyond a line: emoji that nobody described stand there."""


def find_pane(track: OverlayTrack, samples: Samples) -> Pane | None:
    """Look for a see-through slab; None where there is none, or the block is on an opaque one."""
    stated, style = track.style.slab, track.style
    if style.active_slab is not None or (stated is not None and stated.opacity * style.opacity > 0.9):
        return None
    along, down = line_axes(track.lines[0])
    turn = np.array([along, down])
    height, width = samples.shape
    origin = np.array([samples.left, samples.top])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) + origin
    low = np.floor((corners @ turn.T).min(axis=0))
    size = np.ceil((corners @ turn.T).max(axis=0) - low).astype(int)
    # From pixels of the level pictures to pixels of the samples.
    to_samples = np.column_stack([turn.T, turn.T @ low - origin])
    pictures = samples.pictures
    if abs(along[1]) > 1e-3:
        pictures = tuple(
            np.asarray(
                cv2.warpAffine(
                    one,
                    to_samples,
                    (int(size[0]), int(size[1])),
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                ),
                np.uint8,
            )
            for one in pictures
        )
    boxes = []
    for line in track.lines:
        places = np.concatenate([np.array(p, np.float64) for p in (line.polygon, *(e.polygon for e in line.emoji))])
        (left, top), (right, bottom) = (places @ turn.T - low).min(axis=0), (places @ turn.T - low).max(axis=0)
        boxes.append((left, top, right, bottom))
    tint = find_tint([BackedLine(pictures, b[0], b[2], b[1], b[3], style.size) for b in boxes])
    if tint is None:
        return None
    sides = [side for both in tint.aside for side in both if side is not None]
    usual = min(float(np.median(sides)), style.size) if sides else (tint.above + tint.below) / 2
    mask, marks = np.zeros(samples.shape, np.uint8), np.zeros(samples.shape, np.uint8)
    for number, ((left, top, right, bottom), (before, after)) in enumerate(zip(boxes, tint.aside, strict=True)):
        x0, x1 = left - (usual if before is None else before), right + (usual if after is None else after)
        y0 = top - tint.above if number == 0 else (boxes[number - 1][3] + top) / 2
        y1 = bottom + tint.below if number == len(boxes) - 1 else (bottom + boxes[number + 1][1]) / 2
        x1, y1 = x1 - 1, y1 - 1  # from edges to the last pixels inside of them
        fall = tint.slope * (np.array([x0, x1]) - (left + right) / 2)
        level = np.array([[x0, y0 + fall[0]], [x1, y0 + fall[1]], [x1, y1 + fall[1]], [x0, y1 + fall[0]]])
        mask |= painted(samples.shape, (level + low) @ turn, samples.left, samples.top)
        for end, side, far in ((left, before, x0), (right, after, x1)):
            if side is not None and side > max(1.5 * usual, 0.8 * style.size):
                beyond = level.copy()
                beyond[:, 0] = np.clip(beyond[:, 0], min(end, far), max(end, far))
                marks |= painted(samples.shape, (beyond + low) @ turn, samples.left, samples.top)
    opacity = min(1.0, (1.0 - tint.through) / max(style.opacity, 0.1))
    blue, green, red = (int(value) for value in tint.color)
    radius = 0.2 * (boxes[0][3] - boxes[0][1] + tint.above + tint.below) if stated is None else stated.radius
    slab = Slab((red, green, blue), opacity, radius, usual, (tint.above + tint.below) / 2, True)
    return Pane(replace(track, style=replace(style, slab=slab)), mask, marks)


@dataclass(frozen=True, slots=True)
class Veil:
    """A see-through slab that stands still against its block."""

    mask: Mask
    """255 where nothing but the slab covers the background, on the grid of the block's mask."""
    through: float
    """Share of the background that is seen, 0–1."""
    added: NDArray[np.float32]
    """BGR that the slab adds."""

    def lifted(self, picture: Image, covered: Mask, strength: float) -> Image:
        """The picture with the slab taken off where `covered` is not 0; `strength` is less than 1 while it fades."""
        through = 1.0 - strength * (1.0 - self.through)
        bare = (picture.astype(np.float32) - strength * self.added) / np.float32(through)
        # Colour is coded more coarsely than brightness and taking off the slab multiplies its error: smooth it alone.
        luma, red, blue = cv2.split(cv2.cvtColor(bare, cv2.COLOR_BGR2YCrCb))
        inside = np.asarray(covered > 0, np.float32)
        red, blue = (smooth_known(np.asarray(plane, np.float32), inside, 1.0)[0] for plane in (red, blue))
        clean = cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2BGR)
        out = picture.copy()
        out[covered > 0] = np.clip(np.rint(clean[covered > 0]), 0, 255).astype(np.uint8)
        return out


def find_veil(track: OverlayTrack, samples: Samples, slab: Mask, letters: Mask) -> Veil | None:
    """Measure a see-through slab; None where there is none, or where its edge does not tell enough."""
    stated = track.style.slab
    if stated is None or stated.opacity * track.style.opacity > 0.9 or not slab.any():
        return None
    solid = np.asarray(cv2.erode(slab, np.ones((3, 3), np.uint8)), np.uint8)  # the mask has a margin of its own
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    inner = (depth >= _EDGE) & (depth < _EDGE + 2) & (grown(letters, 2) == 0)
    away, nearest = cv2.distanceTransformWithLabels(
        np.asarray(~inner, np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    outside = cv2.distanceTransform(np.asarray(slab == 0, np.uint8), cv2.DIST_L2, 5)
    outer = (outside >= 2) & (outside < 4) & (away < 3 * _EDGE)
    if int(outer.sum()) < 60 or int(inner.sum()) < 60:
        return None
    place = np.zeros(int(nearest.max()) + 1, np.intp)
    place[nearest[inner]] = np.flatnonzero(inner)
    partner = place[nearest[outer]]
    through, added = _fit(
        np.concatenate([p.reshape(-1, 3)[np.flatnonzero(outer)] for p in samples.pictures]).astype(np.float32),
        np.concatenate([p.reshape(-1, 3)[partner] for p in samples.pictures]).astype(np.float32),
        1.0 - stated.opacity * track.style.opacity,
    )
    if not _LEAST_THROUGH <= through <= 0.97:
        return None
    if float(np.ptp(added)) < _NEARLY_GRAY:
        added = np.full(3, added.mean(), np.float32)
    # Where a corner is round cannot be seen through the slab: what a round one would leave out stays hidden.
    radius = 2 * max(2, round(1.3 * max(stated.radius, 0.45 * track.style.size))) + 1
    rounded = cv2.morphologyEx(slab, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (radius, radius)))
    depth = cv2.distanceTransform(np.asarray(rounded, np.uint8), cv2.DIST_L2, 5)
    mask = np.asarray(((depth >= _SOFT) & (letters == 0)) * 255, np.uint8)
    return Veil(mask, through, added)


def _fit(
    without: NDArray[np.float32], with_slab: NDArray[np.float32], stated: float
) -> tuple[float, NDArray[np.float32]]:
    """`with_slab` = through * `without` + added, fitted in three rounds that leave out what does not agree.

    Where the background along the edge is too even, or changes too fast across it, to tell, `stated` is taken for
    `through`.
    """
    kept = np.ones(len(without), bool)
    through, added = stated, np.zeros(3, np.float32)
    for _ in range(3):
        x, y = without[kept], with_slab[kept]
        middle_x, middle_y = x.mean(axis=0), y.mean(axis=0)
        spread_x, spread_y = float(((x - middle_x) ** 2).mean()), float(((y - middle_y) ** 2).mean())
        common = float(((x - middle_x) * (y - middle_y)).mean())
        tells = spread_x > 15.0**2 and common**2 > 0.7 * spread_x * spread_y
        through = common / spread_x if tells else stated
        added = np.asarray(middle_y - through * middle_x, np.float32)
        misfit = np.abs(with_slab - through * without - added).max(axis=1)
        kept = misfit <= max(4.0, 2.0 * float(np.median(misfit)))
    return through, added
