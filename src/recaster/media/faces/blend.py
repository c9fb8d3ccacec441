"""Putting a drawn face into the frame: the mask, matching of sharpness and grain, and blending in two bands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import BROWS, EYES, INNER_LIPS, OVAL
from recaster.media.faces.light import filled_texels
from recaster.media.faces.mesh import Plane
from recaster.media.video import Image

MASK = 256
"""Side of the mask in the layout."""
SHRINK = 0.975
FEATHER = 0.018
"""Softness of the outer border, over the width of the face."""
PASSING, PASSING_SPREAD = 0.94, 0.035
"""Share of the outline at which skin is half one face's and half the other's, and over which part of the width."""
LID_REACH, LID_FEATHER = (1.1, 1.3), 0.012
"""What stays the source's of open eyes: eyeballs and the edges of the lids, over the eye, and how softly it ends. Creases are the
persona's: two of them, one above the other, would be seen as a pale bow."""
LOW_BAND = 0.07
"""Spread of the coarse band over the width of the face."""
GRAIN_SPREAD = 1.0
"""Pixels; what is finer than that is taken for grain."""
MOST_GRAIN = 2.0
"""Grain is cut off at so many of its standard deviations: beyond them it is a line."""
_FIRST_BLUR = 0.7
_STRONG_EDGES = 95
_FACE_SHARE = 0.62
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FaceMask:
    """Where a drawn face shows in the layout of the mesh; planes 0–1, (256, 256)."""

    face: Plane
    """An oval a little inside the mesh's outline."""
    inside: Plane
    """Where the inside of the mouth does not stay the source's."""
    eyes: Plane
    """Eyes with their lids, which may stay the source's."""
    eyeballs: Plane
    """The eyes without their lids: lids are as dark as the skin around them also where they are the source's."""


@lru_cache(maxsize=1)
def face_mask() -> FaceMask:
    """The mask all faces share."""
    width = _FACE_SHARE * MASK
    face = filled_texels(MASK, OVAL, SHRINK)
    face = np.asarray(cv2.GaussianBlur(cv2.erode(face, _disc(FEATHER * width)), (0, 0), FEATHER * width), np.float32)
    # Skin passes slowly from one face to the other; half of each brow would be seen.
    slow = cv2.GaussianBlur(filled_texels(MASK, OVAL, PASSING), (0, 0), PASSING_SPREAD * width)
    for brow in BROWS:
        slow = np.maximum(slow, cv2.GaussianBlur(filled_texels(MASK, brow, (1.15, 1.5)), (0, 0), 0.02 * width))
    face *= slow
    inside = 1 - cv2.GaussianBlur(filled_texels(MASK, INNER_LIPS, 1.0), (0, 0), 0.006 * width)
    lids = np.maximum(*(filled_texels(MASK, eye, LID_REACH) for eye in EYES))
    eyes = np.maximum(*(filled_texels(MASK, eye, 1.0) for eye in EYES))
    lids, eyes = (cv2.GaussianBlur(one, (0, 0), LID_FEATHER * width) for one in (lids, eyes))
    return FaceMask(face, *(np.asarray(one, np.float32) for one in (inside, lids, eyes)))


def blended(target: Image, face: Picture, mask: Plane, tone: Plane, width: float) -> Image:
    """Show `face` where `mask` is, and its coarse difference from the target where `tone` is.

    Pixels where both are 0 stay as they are to the bit.

    Args:
        target: BGR (h, w, 3).
        face: BGR (h, w, 3), float32.
        mask: 0–1, (h, w).
        tone: 0–1, (h, w), at least `mask`; its border is widened inwards to the spread of the coarse band.
        width: of the face in pixels.
    """
    size = (mask.shape[1], mask.shape[0])
    small = (max(2, size[0] // 4), max(2, size[1] // 4))
    spread = max(0.8, LOW_BAND * width / 4)
    base = target.astype(np.float32)
    full = cv2.merge([mask, mask, mask])
    difference = cv2.multiply(cv2.subtract(face, base), full)
    share = np.asarray(
        cv2.GaussianBlur(cv2.resize(mask, small, interpolation=cv2.INTER_AREA), (0, 0), spread), np.float32
    )
    coarse = cv2.GaussianBlur(cv2.resize(difference, small, interpolation=cv2.INTER_AREA), (0, 0), spread)
    coarse = np.asarray(coarse / np.maximum(share, 1e-3)[..., None], np.float32)
    around = cv2.resize(tone, small, interpolation=cv2.INTER_AREA)
    inner = np.clip(2 * cv2.GaussianBlur((around > 0.02).astype(np.float32), (0, 0), spread) - 1, 0, 1)
    wide = cv2.resize(np.asarray(inner, np.float32), size, interpolation=cv2.INTER_LINEAR)
    coarse = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    toned = cv2.multiply(tone, wide)
    # The fine band at the mask's border, the coarse one wherever its tone goes.
    fine = cv2.subtract(difference, cv2.multiply(coarse, full))
    lit = cv2.multiply(coarse, cv2.merge([toned, toned, toned]))
    changed = cv2.add(cv2.add(base, fine), lit, dtype=cv2.CV_8U)
    return np.where(((mask > 0) | (tone > 0))[..., None], changed, target).astype(np.uint8)


def edge_spread(picture: NDArray[np.generic], mask: Plane) -> float:
    """Softness of the strongest edges where the mask is above one half: the spread in pixels of a blur that made them.

    How much an edge loses by one more blur tells how soft it was (Zhuo, Sim 2011). Grain hardly counts: its gradients are
    below those of brows, lids, nostrils and lips.
    """
    gray = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32)
    # A first blur takes the grain away; it is subtracted again.
    near = cv2.GaussianBlur(gray, (0, 0), _FIRST_BLUR)
    slopes = [_slope(one) for one in (near, cv2.GaussianBlur(near, (0, 0), 1.0))]
    inside = mask > 0.5
    if not inside.any():
        return 1.0
    strong = inside & (slopes[0] >= np.percentile(slopes[0][inside], _STRONG_EDGES))
    ratio = float(np.median(slopes[0][strong] / np.maximum(slopes[1][strong], 1e-3)))
    return float(np.sqrt(max(1 / max(ratio**2 - 1, 0.05) - _FIRST_BLUR**2, 0.05)))


def sharpened(picture: Picture, amount: float) -> Picture:
    """Blur (negative: spread in pixels) or sharpen (positive: share of the detail added) a picture."""
    if amount < -0.05:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), -amount), np.float32)
    if amount > 0.05:
        return np.asarray(picture + np.float32(amount) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0)), np.float32)
    return picture


def grain_of(picture: Image, most: float) -> Picture:
    """The finest band of a picture, nowhere stronger than `most`: its noise, compression and pores, but no lines.

    It is the footage's own, so it has the right spectrum and moves as everything else in the frame does.
    """
    base = picture.astype(np.float32)
    fine = cv2.subtract(base, cv2.GaussianBlur(base, (0, 0), GRAIN_SPREAD))
    return np.asarray(np.clip(fine, -most, most, out=fine), np.float32)


def grain_level(picture: Image, mask: Plane) -> float:
    """Robust standard deviation of the finest band where the mask is above one half."""
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    values = np.abs(gray - cv2.GaussianBlur(gray, (0, 0), GRAIN_SPREAD))[mask > 0.5]
    return 1.4826 * float(np.median(values)) if values.size else 0.0


def roughness(picture: NDArray[np.generic], mask: Plane) -> float:
    """Variance of the Laplacian where the mask is above one half."""
    gray = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY)
    values = cv2.Laplacian(gray, cv2.CV_32F)[mask > 0.5]
    return float(values.var()) if values.size else 0.0


def _slope(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)), np.float32)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
