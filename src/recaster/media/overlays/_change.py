"""What changes in the picture when a block of burned-in text comes and goes.

The frames just before and just after a block's life show the same place without it. Where they differ from the first and
last frames in which it stands complete, there is its ink, whatever its colour, outline, shadow or emoji. This module
compares; it knows nothing of letters.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._fill import Plane
from recaster.media.overlays._shapes import grown, touching
from recaster.media.video.model import Image, Mask

SHIFT = 2
"""Pixels by which the scene may have moved between the compared frames without counting as changed."""
_SURE, _FAINT = 16.0, 8.0
"""Change, in code values, from which a pixel is ink; and from which it is where it touches such a one."""
_RESTLESS = 0.3
"""Share of changed pixels beside the text from which on the scene itself moves too much to tell."""
_STEADY = 4.0
"""How much more than during its life ink changes at its ends."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A block seen complete, and its place without it."""

    full: Image
    bare: Image
    """Larger than `full` by `SHIFT` on every side."""
    known: Mask
    """0 where another block of text lies over one of both, on the grid of `full`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What came with a block and went with it."""

    ink: Mask
    """255 where something changed that belongs to the text or touches it."""
    told: NDArray[np.bool_]
    """Where the comparison can be trusted: both pictures are seen, and too little else moves."""
    silent: NDArray[np.bool_]
    """Where the comparison can be trusted and finds nothing near."""


def change_of(pairs: list[Pair], inside: Mask, restless: Plane, size: float) -> Change | None:
    """Compare. `inside` are the places of the lines, `restless` is how much each pixel changes during the block's life,
    `size` is that of its letters in pixels.

    None where there is nothing to compare, or the bare pictures show the text as well.
    """
    amounts, knowns = [], []
    for pair in pairs:
        amount = _difference(pair)
        lines = (inside > 0) & (pair.known > 0)
        # Letters fill a good part of their lines: where so little changes the text is in both pictures.
        if int(lines.sum()) >= 0.3 * int((inside > 0).sum()) and float((amount[lines] > _SURE).mean()) > 0.04:
            amounts.append(amount)
            knowns.append(pair.known > 0)
    if not amounts:
        return None
    known = np.any(knowns, axis=0)
    # Letters change at both ends of their life; what merely moves seldom does.
    least = np.min([np.where(k, a, np.float32(255.0)) for a, k in zip(amounts, knowns, strict=True)], axis=0)
    least = np.where(known, least, np.float32(0.0)).astype(np.float32)
    steady = least > _STEADY * restless
    near = grown(inside, 0.35 * size)
    beside = np.asarray((near == 0) & known, np.float32)
    side = 2 * max(8, round(2.0 * size)) + 1
    moves = np.asarray((beside * (least > _FAINT)) * 255, np.uint8)
    moving = cv2.blur(np.asarray((moves & ~marks(moves, size)) > 0, np.float32), (side, side))
    looked = cv2.blur(beside, (side, side))
    # With one end only, all that moved once since looks like ink.
    most = _RESTLESS if len(amounts) > 1 else 0.5 * _RESTLESS
    told = known & (moving < most * np.maximum(looked, 1e-6)) & (looked > 0.01)
    faint = np.asarray((told & steady & (least > _FAINT)) * 255, np.uint8)
    sure = np.where(least > _SURE, faint, np.uint8(0))
    sure = np.asarray(cv2.morphologyEx(sure, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
    any_change = np.asarray((least > _FAINT) * 255, np.uint8)
    any_change = np.asarray(cv2.morphologyEx(any_change, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
    return Change(touching(faint, sure), told, told & (grown(any_change, 2) == 0))


def marks(mask: Mask, size: float) -> Mask:
    """The parts of a mask that are full and about as high as letters of that size: emoji, not what moves behind text."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area, width, height = (stats[:, n] for n in (cv2.CC_STAT_AREA, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT))
    keep = (area > 0.1 * size * size) & (area > 0.35 * width * height) & (height < 2.0 * size)
    keep[0] = False
    return np.asarray(keep[labels] * 255, np.uint8)


def _difference(pair: Pair) -> Plane:
    """Largest difference over the channels, least over small shifts of the bare picture."""
    height, width = pair.full.shape[:2]
    least = np.full((height, width), 255, np.uint8)
    for dy in range(0, 2 * SHIFT + 1, SHIFT):
        for dx in range(0, 2 * SHIFT + 1, SHIFT):
            apart = cv2.absdiff(pair.full, pair.bare[dy : dy + height, dx : dx + width])
            blue, green, red = cv2.split(apart)
            least = np.asarray(cv2.min(least, cv2.max(cv2.max(blue, green), red)), np.uint8)
    return np.asarray(least, np.float32)
