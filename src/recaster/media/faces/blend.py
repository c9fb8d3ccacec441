"""Putting a drawn face into the frame: the mask, and blending in three bands. Sharpness and grain are matched in `finish`."""

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
LOW_BAND, FINE_BAND = 0.07, 0.02
"""Spreads over the width of the face from which on a difference is coarse, and below which it is fine."""
FINE_STEEPNESS = 4.0
"""How much more quickly fine detail passes from one face to the other than the rest: mixed half and half it would be lost."""
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


def silhouette(on_mesh: NDArray[np.bool_], width: float) -> Plane:
    """Where a turned head is seen, soft at the edge behind which it turns away, 0–1, of the mask's shape.

    Args:
        on_mesh: which pixels show any of the head.
        width: of the face in pixels.
    """
    reach = max(1, round(FEATHER * width))
    whole = cv2.morphologyEx(on_mesh.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    # Beyond the picture's own border the head goes on.
    padded = cv2.copyMakeBorder(whole, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    inner = cv2.erode(padded, _disc(reach))[reach:-reach, reach:-reach].astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inner, (0, 0), 0.5 * reach), np.float32)


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
    base = target.astype(np.float32)
    full = cv2.merge([mask, mask, mask])
    whole = np.asarray(cv2.subtract(face, base), np.float32)
    difference = cv2.multiply(whole, full)
    reduced = [
        np.asarray(cv2.resize(one, small, interpolation=cv2.INTER_AREA), np.float32) for one in (difference, mask)
    ]
    spread = max(0.8, LOW_BAND * width / 4)
    coarse = cv2.resize(_averaged(reduced[0], reduced[1], spread), size, interpolation=cv2.INTER_LINEAR)
    around = cv2.resize(tone, small, interpolation=cv2.INTER_AREA)
    inner = np.clip(2 * cv2.GaussianBlur((around > 0.02).astype(np.float32), (0, 0), spread) - 1, 0, 1)
    wide = cv2.resize(np.asarray(inner, np.float32), size, interpolation=cv2.INTER_LINEAR)
    toned = cv2.multiply(tone, wide)
    # The middle band at the mask's border, the coarse one wherever its tone goes, the fine one from one side of it.
    change = cv2.subtract(difference, cv2.multiply(coarse, full))
    change = cv2.add(change, cv2.multiply(coarse, cv2.merge([toned, toned, toned])))
    smooth = _averaged(reduced[0], reduced[1], max(0.5, FINE_BAND * width / 4))
    fine = cv2.subtract(whole, cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR))
    more = _steeper(mask) - mask
    change = cv2.add(change, cv2.multiply(fine, cv2.merge([more, more, more])))
    changed = cv2.add(base, change, dtype=cv2.CV_8U)
    return np.where(((mask > 0) | (tone > 0))[..., None], changed, target).astype(np.uint8)


def _steeper(mask: Plane) -> Plane:
    """The mask with a border as many times steeper as fine detail passes more quickly."""
    return np.asarray(np.clip(FINE_STEEPNESS * (mask - 0.5) + 0.5, 0, 1), np.float32)


def _averaged(values: Picture, weight: Plane, spread: float) -> Picture:
    """Blur what was multiplied by a weight, and divide by the blurred weight."""
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), spread), 1e-3)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), spread) / share[..., None], np.float32)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
