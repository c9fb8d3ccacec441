"""Where a picture has edges that may be those of text: the watch on edges that newly stand still, and the tiles they make.

It works on pictures of half the size and calls for looks; it finds no lines itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.model import Box
from recaster.media.video.model import Luma

Region = tuple[int, int, int, int]
"""left, top, right, bottom in pixels, the last two not included."""
_ROOM_ASIDE, _ROOM_ABOVE = 80, 48
"""Pixels around newly standing edges that are looked at as well."""
_HARD = 110
"""Sobel response at half size from which an edge is hard."""
_CHANGED = 40
"""Difference of brightness (0–255) from the last look that makes an edge a new one."""
_STILL = 14
"""Difference of brightness (0–255) over three frames up to which an edge stands still: one that moves sweeps over more."""
TILE = 16
"""Side of the watch's tiles in half-size pixels."""
_TILE_EDGES = 22
"""New hard pixels that make a tile worth a look."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 3, 12
"""Frames that the watch waits at one place between two calls."""
_LEAST_CLUSTER, _WIDEST_CLUSTER, _HIGHEST_CLUSTER = 2, 9, 4
"""Tiles of a cluster that is looked at once more: at least in all, and at most in a row and in a column."""


class EdgeWatch:
    """Tells in which parts of the picture hard edges newly stand still."""

    def __init__(self) -> None:
        self._recent: deque[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = deque(maxlen=2)
        self._known: NDArray[np.uint8] | None = None
        self._looked: NDArray[np.int32] | None = None
        self._pause: NDArray[np.int32] | None = None
        self._active: NDArray[np.bool_] | None = None
        self._settled: NDArray[np.uint8] | None = None

    def feed(self, half: Luma, index: int, size: tuple[int, int]) -> list[Region]:
        """Take the next frame at half its (height, width) `size` and return the regions that are worth a look now."""
        hard = edges_of(half, _HARD)
        stable = hard
        for earlier, before in self._recent:
            stable = np.asarray(cv2.bitwise_and(stable, earlier), np.uint8)
            moved = cv2.threshold(cv2.absdiff(half, before), _STILL, 255, cv2.THRESH_BINARY_INV)[1]
            stable = np.asarray(cv2.bitwise_and(stable, moved), np.uint8)
        complete = len(self._recent) == self._recent.maxlen
        # What has come since then has not stood long enough to call: it must stay new, whether or not it is looked at.
        self._settled = self._recent[0][1] if complete else half
        self._recent.append((np.asarray(cv2.dilate(hard, np.ones((3, 3), np.uint8)), np.uint8), half))
        if self._known is None or self._looked is None or self._pause is None:
            self._known = self._settled.copy()
            rows, columns = -(-hard.shape[0] // TILE), -(-hard.shape[1] // TILE)
            self._looked = np.full((rows, columns), -99, np.int32)
            self._pause = np.full((rows, columns), _SHORTEST_PAUSE, np.int32)
            self._active = np.zeros((rows, columns), np.bool_)
            return []
        if not complete:
            return []
        changed = cv2.threshold(cv2.absdiff(half, self._known), _CHANGED, 255, cv2.THRESH_BINARY)[1]
        counts = tile_sums(np.asarray(cv2.bitwise_and(stable, changed), np.uint8))
        self._active = (counts >= _TILE_EDGES) & (index - self._looked >= self._pause)
        return busy_regions(self._active, size)

    def looked(self, region: Region, index: int, texts: Sequence[Box] = (), *, called: bool = True) -> None:
        """Take note that a region was looked at in the frame that was fed last.

        `texts` are the boxes of the lines that were seen there. Where the watch called for nothing it waits longer with
        its next call, so that a waving hand does not keep the detector busy.
        """
        if self._known is None or self._settled is None or self._looked is None or self._pause is None:
            return
        left, top, right, bottom = region
        part = slice(top // 2, -(-bottom // 2)), slice(left // 2, -(-right // 2))
        self._known[part] = self._settled[part]
        tiles = slice(top // 2 // TILE, -(-bottom // 2 // TILE)), slice(left // 2 // TILE, -(-right // 2 // TILE))
        self._looked[tiles] = index
        if called and self._active is not None:
            waiting = self._active[tiles]
            self._pause[tiles][waiting] = np.minimum(2 * self._pause[tiles][waiting], _LONGEST_PAUSE)
        side = 2 * TILE
        for x0, y0, x1, y1 in texts:
            self._pause[int(y0) // side : int(y1) // side + 1, int(x0) // side : int(x1) // side + 1] = _SHORTEST_PAUSE

    def calls_beyond(self, region: Region, boxes: Sequence[Box]) -> bool:
        """Whether the watch calls for a region because of anything that is not in these boxes."""
        if self._active is None:
            return False
        return bool(self._calling(region, boxes).any())

    def _calling(self, region: Region, boxes: Sequence[Box]) -> NDArray[np.uint8]:
        """The calling tiles in a region that are in none of the boxes."""
        assert self._active is not None
        side = 2 * TILE
        calling = np.zeros(self._active.shape, np.uint8)
        tiles = slice(region[1] // side, -(-region[3] // side)), slice(region[0] // side, -(-region[2] // side))
        calling[tiles] = self._active[tiles]
        for x0, y0, x1, y1 in boxes:
            calling[max(0, int(y0) // side) : int(y1) // side + 1, max(0, int(x0) // side) : int(x1) // side + 1] = 0
        return calling

    def left_over(self, region: Region, texts: Sequence[Box]) -> list[Region]:
        """Small clusters of calling tiles in a region where no text was found."""
        if self._active is None:
            return []
        side = 2 * TILE
        count, _, boxes, _ = cv2.connectedComponentsWithStats(self._calling(region, texts), connectivity=8)
        height, width = (2 * length for length in (self._settled.shape if self._settled is not None else (0, 0)))
        return [
            (
                max(0, x * side - side),
                max(0, y * side - side),
                min(width, (x + columns + 1) * side),
                min(height, (y + rows + 1) * side),
            )
            for x, y, columns, rows, tile_count in boxes[1:count].tolist()
            if tile_count >= _LEAST_CLUSTER and columns <= _WIDEST_CLUSTER and rows <= _HIGHEST_CLUSTER
        ]


def halved(luma: Luma) -> Luma:
    """A picture at half its size."""
    return np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def edges_of(half: NDArray[np.uint8] | NDArray[np.int16], least: int) -> NDArray[np.uint8]:
    """255 where a picture of half the size, or a difference of two, has a Sobel response, summed over both ways, above `least`."""
    return np.asarray(cv2.threshold(edge_strength(half), least // 2, 255, cv2.THRESH_BINARY)[1], np.uint8)


def edge_strength(half: NDArray[np.uint8] | NDArray[np.int16]) -> NDArray[np.uint8]:
    """Half the Sobel response, summed over both ways, up to 255."""
    across = cv2.convertScaleAbs(cv2.Sobel(half, cv2.CV_16S, 1, 0, ksize=3), alpha=0.5)
    down = cv2.convertScaleAbs(cv2.Sobel(half, cv2.CV_16S, 0, 1, ksize=3), alpha=0.5)
    return np.asarray(cv2.add(across, down), np.uint8)


def tile_sums(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """How many pixels of a mask at half size each tile has."""
    shape = (-(-mask.shape[0] // TILE), -(-mask.shape[1] // TILE))
    padded = np.zeros((shape[0] * TILE, shape[1] * TILE), np.uint8)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    sums = cv2.resize((padded > 0).astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA) * TILE * TILE
    return np.rint(sums).astype(np.int32)


def in_rows(tiles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The tiles that have two more beside them: a line of text is never as short as one tile."""
    row = np.ones((1, 3), np.uint8)
    return np.asarray(cv2.morphologyEx(tiles.astype(np.uint8), cv2.MORPH_OPEN, row) > 0, np.bool_)


def busy_regions(active: NDArray[np.bool_], shape: tuple[int, int]) -> list[Region]:
    """Boxes around tiles in a picture of (height, width) `shape`, with room for the rest of a line of text around them."""
    height, width = shape
    side = 2 * TILE
    regions: list[Region] = []
    rows = np.flatnonzero(active.any(axis=1))
    for group in np.split(rows, np.flatnonzero(np.diff(rows) > 3) + 1) if len(rows) else []:
        columns = np.flatnonzero(active[group[0] : group[-1] + 1].any(axis=0))
        left, right = int(columns[0]) * side - _ROOM_ASIDE, (int(columns[-1]) + 1) * side + _ROOM_ASIDE
        top, bottom = int(group[0]) * side - _ROOM_ABOVE, (int(group[-1]) + 1) * side + _ROOM_ABOVE
        regions.append((max(0, left), max(0, top), min(width, right), min(height, bottom)))
    return regions
