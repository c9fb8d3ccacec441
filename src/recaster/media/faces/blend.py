"""Putting a drawn face into the frame: the mask, matching of sharpness, and blending in two bands."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import EYES, INNER_LIPS, OVAL
from recaster.media.faces.light import filled_texels
from recaster.media.faces.mesh import Plane
from recaster.media.video import Image

MASK = 256
"""Side of the mask in the layout."""
SHRINK = 0.975
FEATHER = 0.018
"""Softness of the outer border, over the width of the face."""
LOW_BAND = 0.07
"""Spread of the coarse band over the width of the face."""
_FACE_SHARE = 0.62
Picture = NDArray[np.float32]


@lru_cache(maxsize=2)
def face_mask(keep_eyes: bool) -> tuple[Plane, Plane]:
    """Where the drawn face shows and where its tone does, in the layout of the mesh, 0–1, (256, 256) each.

    An oval a little inside the mesh's outline. Where the source's eyes stay, the drawn face leaves out eyes, lids and the
    inside of the mouth; its tone leaves out only eyeballs and mouth, so that the lids are as dark as the skin around them.
    """
    width = _FACE_SHARE * MASK
    mask = filled_texels(MASK, OVAL, SHRINK)
    mask = np.asarray(cv2.GaussianBlur(cv2.erode(mask, _disc(FEATHER * width)), (0, 0), FEATHER * width), np.float32)
    tone = mask.copy()
    if keep_eyes:
        mouth = 1 - cv2.GaussianBlur(filled_texels(MASK, INNER_LIPS, 1.0), (0, 0), 0.006 * width)
        mask *= mouth
        tone *= mouth
        for eye in EYES:
            mask *= 1 - cv2.GaussianBlur(filled_texels(MASK, eye, (1.15, 1.75)), (0, 0), 0.012 * width)
            tone *= 1 - 0.8 * cv2.GaussianBlur(filled_texels(MASK, eye, 1.0), (0, 0), 0.012 * width)
    return mask, tone


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


def fineness(picture: NDArray[np.generic], mask: Plane) -> float:
    """How fine the picture is where the mask is above one half: variance of its finest band over that of the next.

    A ratio of bands and not the finest band alone: a soft, noisy picture of a face has as much fine detail as a sharp one,
    but its brows, nose and lips tell it.
    """
    gray = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32)
    near, far = cv2.GaussianBlur(gray, (0, 0), 1.0), cv2.GaussianBlur(gray, (0, 0), 2.5)
    inside = mask > 0.5
    if not inside.any():
        return 0.0
    return float((gray - near)[inside].var() / max(float((near - far)[inside].var()), 1e-3))


def sharpened(picture: Picture, amount: float) -> Picture:
    """Blur (negative: spread in pixels) or sharpen (positive: share of the detail added) a picture."""
    if amount < -0.05:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), -amount), np.float32)
    if amount > 0.05:
        return np.asarray(picture + np.float32(amount) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0)), np.float32)
    return picture


def noise_level(picture: NDArray[np.generic], mask: Plane) -> float:
    """Standard deviation of fine noise where the mask is above one half (Immerkaer 1996, with a median against edges)."""
    gray = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    values = np.abs(cv2.filter2D(gray, -1, kernel))[mask > 0.5]
    return float(np.median(values)) / 0.6745 / 6 if values.size else 0.0


def grained(picture: Picture, amount: float, frame_index: int) -> Picture:
    """Add film-like noise of a standard deviation; the same frame gets the same noise."""
    if amount < 0.1:
        return picture
    side = 256
    noise = np.random.default_rng(frame_index).standard_normal((side, side)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6), np.float32)
    soft *= np.float32(amount / float(soft.std()))
    repeat = (-(-picture.shape[0] // side), -(-picture.shape[1] // side))
    whole = np.tile(soft, repeat)[: picture.shape[0], : picture.shape[1]]
    return np.asarray(picture + whole[..., None], np.float32)


SHARPNESS_CHOICES = (-1.8, -1.5, -1.2, -1.0, -0.85, -0.7, -0.55, -0.42, 0.0, 0.15, 0.3, 0.45, 0.6)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
