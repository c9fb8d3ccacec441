"""Glasses on a face: whether there are any, and where their frames are; told from the face's usual look in the mesh's layout.

Dark frames are seen by their brightness. Metal as thin as a hair and clear plastic are as bright as skin here and there, but
they are grey and skin is not: a line without colour across the bridge of the nose is no fold and no shadow, for both of those
are darker and redder than the skin around them. Rimless glasses are not seen.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from recaster.media.faces.contours import BROWS, LIDS
from recaster.media.faces.light import filled_texels, luma, oval_texels, skin_texels, tint_of
from recaster.media.faces.mesh import Plane, face_mesh
from recaster.media.video import Image

_BRIDGE, _UNDER_EYES = 0.25, 0.15
"""How much darker than the skin a bar is. Measured across the bridge of the nose: up to 0.21 without glasses, 0.83 with thick ones."""
_DARKER_THAN_BROW = 0.25
_SIDE = 320
"""Of the texture in which thin lines are looked for."""
_LINE_SPREAD = 1.5
_GRAY_BRIDGE = 0.03
"""Least curvature of the colour's strength along a line across the bridge of the nose, with that of skin as one. Measured: at most
0.018 on ten people in two pictures each and in the clips of three, 0.050 with wire, 0.081 with thick frames."""
_STRONG, _WEAK = 0.03, 0.012
_ARCHES, _TILTS = (0.0, -0.5, -1.0, -2.0, -4.0), (-2.0, -1.0, 0.0, 1.0, 2.0)
_STEPS = 16
_MOST_MISSING = 20
"""Percent of a line that may be missing."""


def has_glasses(texture: Image) -> bool:
    """Whether glasses are worn on a face with this usual texture, BGR (s, s, 3)."""
    return _has_dark_frames(luma(texture)) or _has_wire(_grayness(texture))


def frame_texels(texture: Image) -> Plane:
    """Where the frames are in the usual texture of a face that wears glasses, BGR (s, s, 3): 0–1, (s, s)."""
    if _has_dark_frames(luma(texture)):
        return _dark_frames(texture)
    return _wire(texture)


def _dark_frames(texture: Image) -> Plane:
    size = texture.shape[0]
    bright = luma(texture)
    around = cv2.medianBlur(texture, 2 * max(2, size // 16) + 1)
    frame = np.clip((0.85 - bright / np.maximum(luma(around), 1)) / 0.2, 0, 1) * _frame_band(size)
    for brow in BROWS:
        place = filled_texels(size, brow, (1.2, 1.3)) > 0
        darkest = float(np.median(bright[place])) - _DARKER_THAN_BROW * float(np.median(bright[skin_texels(size) > 0]))
        # A brow is dark, too; what crosses it must be darker still.
        frame[place & (bright > darkest)] = 0
    return np.asarray(cv2.dilate(frame.astype(np.float32), np.ones((3, 3), np.uint8)), np.float32)


def _wire(texture: Image) -> Plane:
    """The lines that go on from the bridge of the nose: rims and temples."""
    size = texture.shape[0]
    gray = _grayness(texture)
    own = np.maximum.reduce([filled_texels(_SIDE, brow, (1.1, 1.1)) for brow in BROWS])
    lines = np.asarray(gray * _frame_band(_SIDE) * (1 - own), np.float32)
    weak = np.asarray(cv2.morphologyEx((lines > _WEAK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))
    _, labels = cv2.connectedComponents(weak)
    strong, counts = np.unique(labels[(lines > _STRONG) & (labels > 0)], return_counts=True)
    found = np.isin(labels, strong[counts > _SIDE // 20]).astype(np.float32)
    wide = cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    return np.asarray(cv2.resize(wide, (size, size), interpolation=cv2.INTER_AREA), np.float32)


def _grayness(texture: Image) -> Plane:
    """How much of a line without colour each place holds: largest curvature of the colour's strength, (320, 320)."""
    large = np.asarray(cv2.resize(texture, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    color = np.linalg.norm(tint_of(np.asarray(cv2.GaussianBlur(large, (0, 0), 0.7), np.uint8)), axis=2)
    usual = max(float(np.median(color[skin_texels(_SIDE) > 0])), 1e-3)
    smooth = cv2.GaussianBlur(np.asarray(color / usual, np.float32), (0, 0), _LINE_SPREAD)
    across, down, both = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) / 4 for order in ((2, 0), (0, 2), (1, 1)))
    largest = (across + down) / 2 + np.sqrt(((across - down) / 2) ** 2 + both**2)
    return np.asarray(np.maximum(largest, 0), np.float32)


def _has_wire(gray: Plane) -> bool:
    """Whether a grey line, straight, tilted or arched, crosses the bridge of the nose."""
    layout = face_mesh().layout * np.float32(_SIDE)
    wide = cv2.dilate(gray, np.ones((3, 3), np.uint8))
    across = np.linspace(-1, 1, _STEPS)
    columns = np.linspace(layout[193, 0] - 2, layout[417, 0] + 2, _STEPS).round().astype(int)
    tops = np.arange(int(layout[9, 1]), int(layout[195, 1]), dtype=np.float64)
    for arch in _ARCHES:
        for tilt in _TILTS:
            rows = tops[:, None] + arch * (1 - across**2) + tilt * across
            line = wide[rows.round().astype(int), columns]
            if float(np.percentile(line, _MOST_MISSING, axis=1).max()) > _GRAY_BRIDGE:
                return True
    return False


def _has_dark_frames(bright: Plane) -> bool:
    """Whether a dark bar crosses the bridge of the nose and both under-eyes."""
    size = bright.shape[0]
    layout = face_mesh().layout * size
    usual = max(float(np.median(bright[skin_texels(size) > 0])), 1.0)
    reach = max(4, size // 20)

    def bar(left: float, right: float, top: float, bottom: float) -> float:
        profile = bright[int(top) : int(bottom) + 1, int(left) : max(int(right), int(left) + 1)].mean(axis=1) / usual
        smooth = [np.median(profile[max(0, at - reach) : at + reach + 1]) for at in range(len(profile))]
        return float((np.array(smooth) - profile).max()) if len(profile) else 0.0

    bridge = bar(layout[193, 0] + 1, layout[417, 0] - 1, layout[9, 1], layout[195, 1])
    half = 0.04 * size
    under = [
        bar(layout[middle, 0] - half, layout[middle, 0] + half, layout[low, 1], layout[50, 1])
        for middle, low in ((145, 110), (374, 339))
    ]
    return bridge > _BRIDGE and min(under) > _UNDER_EYES


@lru_cache(maxsize=2)
def _frame_band(size: int) -> Plane:
    """Where glasses sit: around the eyes, between them and towards the ears, without the brows' upper side."""
    layout = face_mesh().layout * size
    band = np.zeros((size, size), np.float32)
    top, bottom = int(layout[[105, 334], 1].mean() - 0.01 * size), int(layout[50, 1] + 0.02 * size)
    band[top:bottom] = 1
    eyes = sum((filled_texels(size, lids, (0.75, 0.75)) for lids in LIDS), np.zeros((size, size), np.float32))
    return np.asarray(band * oval_texels(size, 0.99) * (1 - np.clip(eyes, 0, 1)), np.float32)
