"""What stands in front of the face: told by colour against the face's own usual look, and by hands, in the mesh's layout."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import BROWS, LIDS, OUTER_LIPS
from recaster.media.faces.light import filled_texels, oval_texels
from recaster.media.faces.mesh import Plane

MOST_HIDDEN = 0.30
"""Share of the face from which on the landmarks are a guess and the source's own face stays."""
_SCALE = np.array([16.0, 7.0, 7.0], np.float32)
"""Differences in L, a and b that count as one."""
_FROM, _FULL = 1.5, 2.4
_MOVING = 1.2
_MOST_SAMPLES = 64
_MEMORY = 1
"""Frames before and after in which what hides the face is taken to be there already and still."""


def hidden_texels(textures: NDArray[np.uint8], hands: NDArray[np.uint8], runs: NDArray[np.int32]) -> NDArray[np.uint8]:
    """How sure it is that something hides the face, 0–255, (n, s, s), soft in space and steady in time.

    Args:
        textures: colours of one face over time, BGR, (n, s, s, 3).
        hands: where a hand was seen, 0–255, (n, s, s).
        runs: uninterrupted run of each row, (n,); nothing is remembered from one to the next.
    """
    size = textures.shape[1]
    step = max(1, len(textures) // _MOST_SAMPLES)
    usual = _lab(np.median(textures[::step], axis=0))
    skin, allowance = oval_texels(size, 0.98), _allowance(size)
    opening = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closing = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    raw = np.zeros(textures.shape[:3], np.uint8)
    for row, texture in enumerate(textures):
        off = _lab(texture) - usual
        # Light that changes on the whole face is no object.
        off -= np.median(off[allowance == 0], axis=0)
        distance = np.linalg.norm(off / _SCALE, axis=2) - allowance
        sure = (np.clip((distance - _FROM) / (_FULL - _FROM), 0, 1) * skin).astype(np.float32)
        opened = cv2.morphologyEx(sure, cv2.MORPH_OPEN, opening)
        if hands[row].any():
            opened = np.maximum(opened, hands[row].astype(np.float32) / 255)
        if opened.max() > 0:
            # What is found on both sides of lips, brows or eyes goes on over them.
            closed = cv2.morphologyEx(cv2.dilate(opened, np.ones((3, 3), np.uint8)), cv2.MORPH_CLOSE, closing)
            raw[row] = np.round(255 * cv2.GaussianBlur(closed, (0, 0), 0.8))
    remembered = raw.copy()
    for shift in range(1, _MEMORY + 1):
        same = (runs[shift:] == runs[:-shift])[:, None, None]
        remembered[shift:] = np.maximum(remembered[shift:], np.where(same, raw[:-shift], 0))
        remembered[:-shift] = np.maximum(remembered[:-shift], np.where(same, raw[shift:], 0))
    return remembered


def hidden_share(hidden: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of the face that is hidden in each row, 0–1, (n,)."""
    oval = oval_texels(hidden.shape[1], 1.0)
    return np.asarray(np.tensordot(hidden.astype(np.float32) / 255, oval, axes=2) / oval.sum(), np.float32)


@lru_cache(maxsize=2)
def _allowance(size: int) -> Plane:
    """How much more than skin a place may change by moving: eyes, brows and lips; 0 on skin."""
    moving = np.zeros((size, size), np.float32)
    for part in (*LIDS, *BROWS):
        moving = np.maximum(moving, filled_texels(size, part, 1.1))
    moving = np.maximum(moving, filled_texels(size, OUTER_LIPS, (1.15, 1.45)))
    return np.where(oval_texels(size, 0.98) > 0, _MOVING * moving, 1)


def _lab(texture: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(texture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab), np.float32)
