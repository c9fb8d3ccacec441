"""Texts that pass before a face: which, in which frames, and how the two are kept out of each other's way.

A face is learned and swapped in pictures without the text before it, or letters would be taken for the face's own colours;
text that stays is laid over the new face again, pixel for pixel. Nothing is erased or swapped here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from recaster.media.faces import FaceTrack
from recaster.media.overlays import OverlayTrack, TextEraser
from recaster.media.video import Frame, Image, Mask, read_frames

_EDGE = 2
"""Pixels around letters that belong to them too: compression blurs them into the picture."""
_CHANGED = 20
"""Difference of a pixel with and without text, of 255, from which it is one of a letter's."""


def crossing_frames(text: OverlayTrack, face: FaceTrack, reach: float) -> tuple[int, ...]:
    """Frames in which a block of text and a face overlap, rising.

    `reach` widens the face's bounds on every side, as a share of its size.
    """
    chosen = (face.frames >= text.first_frame) & (face.frames <= text.last_frame)
    if not chosen.any():
        return ()
    frames, points = face.frames[chosen], face.landmarks[chosen, :, :2]
    low, high = points.min(axis=1), points.max(axis=1)
    margin = reach * (high - low)
    shifts = np.array([text.offset_at(int(frame)) for frame in frames])
    box = np.asarray(text.box, np.float64)
    apart = ((box[2:] + shifts < low - margin) | (box[:2] + shifts > high + margin)).any(axis=1)
    return tuple(int(frame) for frame in frames[~apart])


class FramesWithoutText:
    """`FrameReader` of a clip for which an eraser was prepared."""

    def __init__(self, eraser: TextEraser) -> None:
        self._eraser = eraser

    def __call__(self, path: Path, start: int = 0, stop: int | None = None, /) -> Iterator[Frame]:
        """Yield the frames without the text."""
        for frame in read_frames(path, start, stop):
            yield replace(frame, image=self._eraser.erase(frame))


def laid_over(image: Image, source: Image, erased: Image, text: Mask) -> Image:
    """`image` with the letters of `source` where `text` is not 0, and a soft edge around them.

    Masks for erasing are generous; what of them is a letter shows in the difference to `erased`, the source without text.
    """
    rows, columns = np.flatnonzero(text.any(axis=1)), np.flatnonzero(text.any(axis=0))
    if not len(rows):
        return image
    edge = 2 * _EDGE
    part = np.s_[
        max(0, rows[0] - edge) : rows[-1] + edge + 1,
        max(0, columns[0] - edge) : columns[-1] + edge + 1,
    ]
    changed = cv2.absdiff(source[part], erased[part]).max(axis=2) > _CHANGED
    letters = np.asarray(changed & (text[part] > 0), np.uint8)
    size = 2 * _EDGE + 1
    wide = cv2.dilate(letters, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    share = np.maximum(cv2.blur(wide.astype(np.float32), (3, 3)), letters)[:, :, None]
    out = image.copy()
    out[part] = np.rint(image[part] + share * (source[part].astype(np.float32) - image[part])).astype(np.uint8)
    return out
