"""Lines that are looked for in what stands still over a second: faint, thin and tilted ones that no single frame shows well.

The picture is that of `still`; here the detector looks at it closely, and what it finds is looked up in the frames of that
second. Lines that single frames have shown as long already are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.contours import Contours, contours_of
from recaster.media.overlays.edges import TILE, Region, busy_regions, edge_strength, halved, in_rows, tile_sums
from recaster.media.overlays.finding import MOST_CROPS, FoundLine, Sighting
from recaster.media.overlays.geometry import bounds, covered, line_height, line_width, overlap
from recaster.media.overlays.networks import LineDetector, Quad
from recaster.media.overlays.still import StillLayer
from recaster.media.video.model import Frame, Image, Luma

_STEP = 3
"""Every how many frames one is added."""
_PARTS = 3
"""Parts of a window; each look is one part after the last."""
_PARTS_BETWEEN = 3
"""Parts from one look to the next."""
_SIDE = 1120
"""Longer side of the picture that the detector works on, at most."""
_EDGE = 32
"""Sobel response of the picture at half size from which an edge may be one of faint text."""
_SIDE_OF_TILE = 2 * TILE
"""In pixels of the picture at full size."""
_TILE_EDGES = 80
"""Such pixels that make a tile busy."""
_NEW_EDGES = 24
"""New ones among them that make it worth another look: what was looked at a second ago is not looked at again."""
_STRONGER = 1.4
"""How much stronger than at the last look an edge is that counts as new."""
_LEAST_STRENGTH = 0.6
"""Share of its strength in the picture that a line must have in the frames of the window where it is strongest."""
_FULL = 0.85
"""Share of its greatest strength from which a line's colours are taken from a frame."""
_SAME_PLACE = 0.5
_MOST_OF_IT = 0.35
"""Overlap with a line that was seen in several frames from which nothing new stands there."""


@dataclass(slots=True)
class _Part:
    layer: StillLayer = field(default_factory=StillLayer)
    frames: list[_Held] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    index: int
    luma: Luma
    image: Image


class StillLineFinder:
    """Is fed every frame of a clip; `lines` holds what stood still and was not known before."""

    def __init__(self, detector: LineDetector, *, part: int, shot_starts: Iterable[int], last_frame: int) -> None:
        """`part` is the length of a third of a window in frames."""
        self._detector = detector
        self._part = max(_STEP, part)
        self._shot_starts = frozenset(shot_starts)
        self._last_frame = last_frame
        self._parts: deque[_Part] = deque([_Part()], maxlen=_PARTS)
        self._since = self._fresh = 0
        self._seen: NDArray[np.float32] | None = None
        self.lines: list[FoundLine] = []

    def feed(self, frame: Frame, luma: Luma, known: Sequence[FoundLine]) -> None:
        """Take the next frame and its brightness; `known` are the lines that were found so far in other ways."""
        index = frame.index
        if index in self._shot_starts and index > 0:
            self._look(known)
            self._parts.clear()
            self._parts.append(_Part())
            self._since = self._fresh = 0
            self._seen = None
        part = self._parts[-1]
        if index % _STEP == 0:
            part.layer.add(luma)
            part.frames.append(_Held(index, luma, frame.image))
            self._fresh += 1
        full = len(part.frames) >= self._part // _STEP
        if full:
            self._since += 1
        complete = full and len(self._parts) == _PARTS and self._since >= _PARTS_BETWEEN
        if complete or (index == self._last_frame and self._fresh >= self._part // _STEP):
            self._look(known)
            self._since = self._fresh = 0
        if full:
            self._parts.append(_Part())

    def _look(self, known: Sequence[FoundLine]) -> None:
        first, *others = self._parts
        layer = first.layer.joined(part.layer for part in others)
        frames = [frame for part in self._parts for frame in part.frames]
        if layer.count < _PARTS:
            return
        picture, plain = layer.pictures()
        scale = min(1.0, _SIDE / max(plain.shape))
        busy, fresh = self._busy_tiles(plain)
        for region in busy_regions(busy, plain.shape):
            left, top, right, bottom = region
            # A part of a region would be looked at in vain: the detector takes what is cut off for a line of its own.
            if not fresh[
                top // _SIDE_OF_TILE : bottom // _SIDE_OF_TILE + 1, left // _SIDE_OF_TILE : right // _SIDE_OF_TILE + 1
            ].any():
                continue
            part = np.asarray(cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_GRAY2BGR), np.uint8)
            for found in self._detector.detect(part, scale):
                quad = (found.quad + np.asarray((left, top), np.float32)).astype(np.float32)
                self._note(quad, picture, plain, frames, known)

    def _busy_tiles(self, plain: Luma) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The tiles with many edges, and those of them of which a good part was not there, or fainter, at the look before."""
        strength = edge_strength(halved(plain))
        edges = np.asarray(strength > _EDGE // 2, np.uint8)
        busy = tile_sums(edges) >= _TILE_EDGES
        fresh = busy
        if self._seen is not None:
            fresh = in_rows(busy & (tile_sums(edges & (strength > _STRONGER * self._seen)) >= _NEW_EDGES))
        looked_at = np.kron(busy, np.ones((TILE, TILE), np.bool_))[: strength.shape[0], : strength.shape[1]]
        known = cv2.dilate(np.where(looked_at, strength, np.uint8(0)), np.ones((3, 3), np.uint8))
        self._seen = known.astype(np.float32)
        return busy, fresh

    def _note(
        self,
        quad: Quad,
        picture: Luma,
        plain: Luma,
        frames: Sequence[_Held],
        known: Sequence[FoundLine],
    ) -> None:
        pattern = contours_of([(plain, (0, 0))], quad)
        if pattern is None:
            return
        standing = _standing(pattern, frames)
        if not standing:
            return
        first, last = standing[0][0].index, standing[-1][0].index
        most = max(strength for _, strength in standing)
        strong = [held for held, strength in standing if strength >= _FULL * most]
        strongest = next(held.index for held, strength in standing if strength == most)
        if any(_is_known(quad, first, last, line) for line in (*known, *self.lines)):
            return
        line = FoundLine(first, last, [(strongest, quad, (0, 0))], [pattern])
        margin = max(8.0, 0.9 * line_height(quad))
        left, top, right, bottom = bounds(quad)
        x0, y0 = max(0, int(left - 2 * margin)), max(0, int(top - margin))
        region: Region = (x0, y0, int(right + 2 * margin), int(bottom + margin))
        crop = plain[region[1] : region[3], region[0] : region[2]]
        clear = picture[region[1] : region[3], region[0] : region[2]]
        line.kept.append(
            Sighting(strongest, quad, np.asarray(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), np.uint8), (x0, y0), (0, 0))
        )
        for held in strong[:: -(-len(strong) // MOST_CROPS)]:
            seen = held.image[region[1] : region[3], region[0] : region[2]].copy()
            line.in_frames.append(Sighting(held.index, quad, seen, (x0, y0), (0, 0)))
        line.clear = np.asarray(cv2.cvtColor(clear, cv2.COLOR_GRAY2BGR), np.uint8)
        self.lines.append(line)


def _standing(pattern: Contours, frames: Sequence[_Held]) -> list[tuple[_Held, float]]:
    """The frames around the strongest in which a pattern stands, and how strong it is in each."""
    strengths = [pattern.presence(held.luma).strength for held in frames]
    strongest = int(np.argmax(strengths))
    least = max(_LEAST_STRENGTH, 0.5 * strengths[strongest])
    if strengths[strongest] < least:
        return []
    low = high = strongest
    while low > 0 and strengths[low - 1] >= least:
        low -= 1
    while high + 1 < len(frames) and strengths[high + 1] >= least:
        high += 1
    return list(zip(frames[low : high + 1], strengths[low : high + 1], strict=True))


def _is_known(quad: Quad, first: int, last: int, line: FoundLine) -> bool:
    """Whether a line was found at the same place and time already, and as long."""
    if line.moves or line.last < first or line.first > last:
        return False
    box, other = bounds(quad), bounds(line.quad)
    if line_width(quad) <= 1.2 * line_width(line.quad):
        return overlap(box, other) > _SAME_PLACE
    # Captions that take turns within the second are mixed here; single frames have seen each.
    return len(line.places) > 1 and covered(other, box) > _SAME_PLACE and overlap(box, other) > _MOST_OF_IT
