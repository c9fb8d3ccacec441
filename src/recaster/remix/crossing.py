"""Texts that pass before a face: which, in which frames, and how the two are kept out of each other's way.

A face is learned and swapped in pictures without the text before it, or letters would be taken for the face's own colours;
text that stays is laid over the new face again, pixel for pixel. Nothing is erased or swapped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import FaceUnsuitable
from recaster.media.faces import FaceAnalysis, FaceTrack
from recaster.media.overlays import OverlayTrack, TextEraser
from recaster.media.video import Frame, Image, Mask, Shot, read_frames

_EDGE = 2
"""Pixels around letters that belong to them too: compression blurs them into the picture."""
MOST_BEHIND_TEXT = 0.2
"""Share of a face's frames in which it may be lost behind text."""
_BLINK = 4
"""Frames for which a face may be missing without a reason."""
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


def hiding_texts(texts: Sequence[OverlayTrack], faces: FaceAnalysis, frame_count: int) -> tuple[OverlayTrack, ...]:
    """Texts that stand before the on-camera face, or because of which it may not have been found.

    The latter are those that show while the face is missing, near where it is seen at other times; all that show for as
    long as a blink where it is never seen.
    """
    if faces.on_camera is None:
        return tuple(text for text in texts if text.last_frame - text.first_frame >= _BLINK)
    face = faces.track(faces.on_camera)
    points = face.landmarks[:, :, :2]
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    left, top = low - face.height
    right, bottom = high + face.height
    missing = np.ones(frame_count, np.bool_)
    missing[face.frames] = False
    return tuple(
        text
        for text in texts
        if crossing_frames(text, face, 0.0)
        or (
            missing[text.first_frame : text.last_frame + 1].sum() > _BLINK
            and text.box[0] < right
            and text.box[2] > left
            and text.box[1] < bottom
            and text.box[3] > top
        )
    )


def require_in_sight(texts: Sequence[OverlayTrack], face: FaceTrack, shots: Sequence[Shot]) -> None:
    """Refuse a face that is not found for too long because text stands before it: two people would be seen in turn.

    A frame counts where, in a shot that shows the face, it was not found and text stands where it was last or next.

    Raises:
        FaceUnsuitable: that is so in more than a fifth of its frames.
    """
    behind = 0
    for shot in shots:
        rows = np.flatnonzero((face.frames >= shot.first_frame) & (face.frames <= shot.last_frame))
        if not len(rows):
            continue
        for frame in sorted(set(range(shot.first_frame, shot.last_frame + 1)) - set(face.frames[rows].tolist())):
            nearest = face.landmarks[rows[np.argmin(np.abs(face.frames[rows] - frame))], :, :2]
            behind += any(_covers(text, frame, nearest) for text in texts)
    share = behind / (behind + len(face.frames))
    if share > MOST_BEHIND_TEXT:
        raise FaceUnsuitable(
            f"The face on camera is behind burned-in text and cannot be followed in {100 * share:.0f} % of its frames; "
            f"at most {100 * MOST_BEHIND_TEXT:.0f} % can be left as they are. Pick a source whose text leaves the face free.",
            field="behind_text",
            value=round(share, 3),
            limit=MOST_BEHIND_TEXT,
        )


def _covers(text: OverlayTrack, frame: int, points: NDArray[np.float32]) -> bool:
    if not text.first_frame <= frame <= text.last_frame:
        return False
    low, high = points.min(axis=0), points.max(axis=0)
    shift = np.asarray(text.offset_at(frame))
    return bool((np.asarray(text.box[:2]) + shift < high).all() and (np.asarray(text.box[2:]) + shift > low).all())


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
