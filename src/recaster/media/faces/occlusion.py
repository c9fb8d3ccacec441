"""What stands in front of the face: found by colour against the face's own usual look, in the layout of the mesh."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SCALE = np.array([16.0, 7.0, 7.0], np.float32)
"""Differences in L, a and b that count as one."""
_FROM, _FULL = 1.4, 2.4
_MOST_SAMPLES = 64


def hidden_texels(textures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How sure it is that something hides the face, 0–255, for textures (n, s, s, 3) of one face over time."""
    step = max(1, len(textures) // _MOST_SAMPLES)
    usual = _lab(np.median(textures[::step], axis=0))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    result = np.zeros(textures.shape[:3], np.uint8)
    for row, texture in enumerate(textures):
        lab = _lab(texture)
        off = lab - usual
        # Light that changes on the whole face is no object.
        off -= np.median(off.reshape(-1, 3), axis=0)
        distance = np.linalg.norm(off / _SCALE, axis=2)
        sure = np.clip((distance - _FROM) / (_FULL - _FROM), 0, 1).astype(np.float32)
        opened = cv2.morphologyEx(sure, cv2.MORPH_OPEN, kernel)
        result[row] = np.round(255 * cv2.GaussianBlur(cv2.dilate(opened, kernel), (0, 0), 1.0))
    return result


def _lab(texture: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(texture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab), np.float32)
