"""Before and after as one picture for a person to judge: the face at moments spread over a clip, source above, result below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from recaster.media.faces.analysis import FaceTrack
from recaster.media.faces.mesh import Points
from recaster.media.video import Image, read_chosen

_GAP = 4


def face_sheet(
    before: Path, after: Path, track: FaceTrack, count: int = 6, tile: tuple[int, int] = (300, 380)
) -> Image:
    """Draw `count` moments of a track, BGR; tiles are `tile` (width, height) pixels and show the head with its surroundings.

    Raises:
        MediaInvalid: one of the clips cannot be read.
    """
    rows = [round((position + 0.5) * len(track.frames) / count - 0.5) for position in range(count)]
    chosen = sorted({int(track.frames[row]) for row in rows})
    place = {int(frame): row for row, frame in enumerate(track.frames)}
    strips = []
    for clip in (before, after):
        tiles = [
            head_tile(frame.image, track.landmarks[place[frame.index]], tile) for frame in read_chosen(clip, chosen)
        ]
        strips.append(joined(tiles))
    gap = np.full((_GAP, strips[0].shape[1], 3), 255, np.uint8)
    return np.vstack([strips[0], gap, strips[1]])


def joined(tiles: Sequence[Image]) -> Image:
    """Tiles of one height side by side with a white gap."""
    gap = np.full((tiles[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for tile in tiles for part in (tile, gap)]
    return np.hstack(parts[:-1])


def head_tile(image: Image, points: Points, tile: tuple[int, int]) -> Image:
    """The head of a face with landmarks (468, 3), at the size `tile` (width, height)."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    height = 1.75 * float(high[1] - low[1])
    scale = tile[1] / height
    x, y = (low + high) / 2
    matrix = np.array([[scale, 0, tile[0] / 2 - scale * x], [0, scale, tile[1] / 2 - scale * (y - 0.02 * height)]])
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    source = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.8 else image
    return np.asarray(cv2.warpAffine(source, matrix, tile, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
