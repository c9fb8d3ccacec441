"""What stands in front of the face: told by colour against the face's own usual look, and by hands, in the mesh's layout."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import BROWS, LIDS, OUTER_LIPS
from recaster.media.faces.light import filled_texels, oval_texels
from recaster.media.faces.mesh import Plane

MOST_HIDDEN = 0.9
"""Share of the face from which on the landmarks are a guess and the source's own face stays: so little is seen then that
nobody sees who it is."""
_SCALE = np.array([16.0, 7.0, 7.0], np.float32)
"""Differences in L, a and b that count as one."""
_FROM, _FULL = 1.5, 2.4
_MOVING = 1.2
_SOLID, _SOLID_EDGE = 0.5, 0.6
_RESTLESS_SHARE, _RESTLESS = 50, 2.0
_LARGE_HAND, _LEAST_CHANGE = 0.45, 0.3
"""Share of the face from which on a hand must show in the face's colours, and the median difference under it: a hand that is
looked for in a blur may be laid over the whole face. Measured: real ones 0.38–1.3, such ones 0.19–0.23."""
_STEPS = 48
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
    samples = slice(None, None, max(1, len(textures) // _MOST_SAMPLES))
    usual = _lab(np.median(textures[samples], axis=0))
    skin, allowance = oval_texels(size, 0.98), _allowance(size)
    opening = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closing = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    moving = (allowance > 0) & (skin > 0)
    off = np.stack([_difference(texture, usual, allowance) for texture in textures])
    # What a place does all the time by moving, it may do again.
    restless = np.percentile(off[samples], _RESTLESS_SHARE, axis=0) / _STEPS
    least = np.maximum(_SOLID, _RESTLESS * cv2.dilate(restless.astype(np.float32), np.ones((3, 3)))) + 0.5 * allowance
    raw = np.zeros(textures.shape[:3], np.uint8)
    found = np.zeros(len(textures), np.bool_)
    for row, steps in enumerate(off):
        distance = steps.astype(np.float32) / _STEPS
        sure = (np.clip((distance - allowance - _FROM) / (_FULL - _FROM), 0, 1) * skin).astype(np.float32)
        opened = cv2.morphologyEx(sure, cv2.MORPH_OPEN, opening)
        opened = np.maximum(opened, _solid(distance, least, skin))
        found[row] = hands[row].any() and _is_seen(hands[row], distance, skin)
        if found[row]:
            opened = np.maximum(opened, hands[row].astype(np.float32) / 255)
        if opened.max() > 0:
            # What is found on both sides of lips, brows or eyes goes on over them; skin between two fingers shows.
            wide = cv2.dilate(opened, np.ones((3, 3), np.uint8))
            closed = np.where(moving, cv2.morphologyEx(wide, cv2.MORPH_CLOSE, closing), wide)
            raw[row] = np.round(255 * cv2.GaussianBlur(closed, (0, 0), 0.8))
    remembered = raw.copy()
    # A hand that is found is known as a whole; where it was before, the face shows again.
    vague = ~found
    for shift in range(1, _MEMORY + 1):
        same = runs[shift:] == runs[:-shift]
        for now, then in ((slice(shift, None), slice(None, -shift)), (slice(None, -shift), slice(shift, None))):
            told = (same & vague[now])[:, None, None]
            remembered[now] = np.maximum(remembered[now], np.where(told, raw[then], 0))
    return remembered


def hidden_share(hidden: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of the face that is hidden in each row, 0–1, (n,)."""
    oval = oval_texels(hidden.shape[1], 1.0)
    return np.asarray(np.tensordot(hidden.astype(np.float32) / 255, oval, axes=2) / oval.sum(), np.float32)


def _difference(texture: NDArray[np.uint8], usual: NDArray[np.float32], allowance: Plane) -> NDArray[np.uint8]:
    """How far colours are from the usual ones, in `_STEPS` of what counts as one, (s, s)."""
    off = _lab(texture) - usual
    # Light that changes on the whole face is no object; an object before half of it is no light.
    changes = [np.zeros(3, np.float32), np.median(off[allowance == 0], axis=0)]
    found = [np.linalg.norm((off - change) / _SCALE, axis=2) for change in changes]
    as_usual = [int((distance[allowance == 0] < 1).sum()) for distance in found]
    return np.asarray(np.clip(_STEPS * found[int(as_usual[1] >= as_usual[0])], 0, 255), np.uint8)


def _is_seen(hand: NDArray[np.uint8], distance: Plane, skin: Plane) -> bool:
    """Whether a hand that is said to hide much of the face changes what is seen there."""
    under = (hand > 127) & (skin > 0)
    return under.sum() < _LARGE_HAND * skin.sum() or float(np.median(distance[under])) >= _LEAST_CHANGE


def _solid(distance: Plane, least: Plane, skin: Plane) -> Plane:
    """Broad patches that differ a little everywhere: an object of the colour of skin. Folds of a smile are narrow."""
    over = ((distance > least) & (skin > 0)).astype(np.uint8)
    core = cv2.morphologyEx(over, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    if not core.any():
        return np.zeros(distance.shape, np.float32)
    near = cv2.dilate(core, np.ones((9, 9), np.uint8))
    return np.asarray(near * ((distance > _SOLID_EDGE * least) & (skin > 0)), np.float32)


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
