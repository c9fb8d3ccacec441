"""Glasses on a face: whether there are any, and where their frames are; told from the face's usual look in the mesh's layout.

Dark frames are seen by their brightness. Metal as thin as a hair and clear plastic are as bright as skin here and there, but
they are grey and skin is not: a line without colour across the bridge of the nose is no fold and no shadow, for both of those
are darker and redder than the skin around them. Rimless glasses are not seen.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import BROWS, EYES, LIDS
from recaster.media.faces.light import filled_texels, luma, oval_texels, skin_texels, tint_of
from recaster.media.faces.mesh import Plane, Points, drawn_from_layout, face_mesh, layout_map
from recaster.media.video import Image

_BRIDGE, _UNDER_EYES = 0.25, 0.15
"""How much darker than the skin a bar is. Measured across the bridge of the nose: up to 0.21 without glasses, 0.83 with thick ones."""
_AROUND = (105, 334, 50, 280, 127, 356, 234, 454)
_MARGIN = 0.06
"""Over the face's width: around those landmarks there may be frames."""
_HOLE = 0.5
"""Share from which on a pixel is all frame."""
_SIDE = 320
"""Of the texture in which thin lines are looked for."""
_LINE_SPREAD = 1.5
_GRAY_BRIDGE = 0.03
"""Least curvature of the colour's strength along a line across the bridge of the nose, with that of skin as one. Measured: at most
0.018 on ten people in two pictures each and in the clips of three, 0.050 with wire, 0.081 with thick frames."""
_STRONG, _WEAK, _DARK_LINE = 0.03, 0.012, 0.03
_LID_LINES = (0.9, 0.8)
_BROAD, _NARROW = 5, 2
"""Texels beside a rim within which it may be, and within which it is when it is thin."""
_ARCHES, _TILTS = (0.0, -0.5, -1.0, -2.0, -4.0), (-2.0, -1.0, 0.0, 1.0, 2.0)
_STEPS = 16
_MOST_MISSING = 20
"""Percent of a line that may be missing."""


class FrameLayer:
    """Frames that are taken off the source's face and put on again over the swapped one, where and as they were.

    A face bends towards another's shape; metal does not.
    """

    def __init__(self, frames: Plane) -> None:
        """Hold where frames are in the layout, 0–1, (s, s)."""
        self._frames = frames

    def seen(self, points: Points, shape: tuple[int, int]) -> tuple[tuple[slice, slice], Plane]:
        """Rows and columns of a picture of the face that hold frames, and where in them, 0–1.

        Args:
            points: landmarks in pixels of the picture, (468, 3).
            shape: its height and width.
        """
        around = points[list(_AROUND), :2]
        margin = _MARGIN * float(np.ptp(points[:, 0]))
        low = np.clip(np.floor(around.min(axis=0) - margin), 0, None).astype(int)
        high = np.minimum(np.ceil(around.max(axis=0) + margin).astype(int) + 1, shape[::-1])
        box = np.s_[low[1] : max(high[1], low[1] + 2), low[0] : max(high[0], low[0] + 2)]
        moved = points - np.array([*low, 0], np.float32)
        layout, on_mesh = layout_map(moved, (box[0].stop - box[0].start, box[1].stop - box[1].start))
        return box, np.asarray(drawn_from_layout(self._frames, layout) * on_mesh, np.float32)

    def taken_off(self, image: Image, box: tuple[slice, slice], seen: Plane) -> Image:
        """The picture without frames; what was behind them is guessed from around (Telea 2004)."""
        bare = image.copy()
        hole = (seen > _HOLE).astype(np.uint8)
        bare[box] = cv2.inpaint(image[box], hole, 2, cv2.INPAINT_TELEA)
        return bare

    def put_on(self, image: Image, worn: Image, box: tuple[slice, slice], seen: Plane) -> Image:
        """The picture with the frames of `worn`."""
        share = np.minimum(seen / _HOLE, 1)[..., None]
        result = image.copy()
        mixed = image[box] + (worn[box].astype(np.float32) - image[box]) * share
        result[box] = np.round(mixed).astype(np.uint8)
        return result


def has_glasses(texture: Image) -> bool:
    """Whether glasses are worn on a face with this usual texture, BGR (s, s, 3)."""
    return _has_dark_frames(luma(texture)) or _has_wire(_grayness(texture))


def frame_texels(texture: Image) -> Plane:
    """Where the frames are in the usual texture of a face that wears glasses, BGR (s, s, 3): 0–1, (s, s)."""
    if _has_dark_frames(luma(texture)):
        return _dark_frames(texture)
    return _wire(texture)


def _dark_frames(texture: Image) -> Plane:
    """Everything dark on and near the rims, the bridge and the temples."""
    size = texture.shape[0]
    bright = luma(texture)
    around = luma(cv2.medianBlur(texture, 2 * max(2, size // 16) + 1))
    frame = np.asarray(np.clip((0.85 - bright / np.maximum(around, 1)) / 0.2, 0, 1) * _frame_band(size), np.float32)
    usual = max(float(np.median(bright[skin_texels(size) > 0])), 1.0)
    # A broad bar's curvature is largest in its middle at a spread of about half its breadth.
    lines = _curvature(np.asarray(cv2.resize(bright / usual, (_SIDE, _SIDE)), np.float32), 2 * _LINE_SPREAD)
    near = cv2.resize(_near_rims(lines, _BROAD, _DARK_LINE), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.dilate(frame * near, np.ones((3, 3), np.uint8)), np.float32)


def _wire(texture: Image) -> Plane:
    """The rims as they must go on where they are hardly seen, and grey lines at the bridge and the temples."""
    size = texture.shape[0]
    gray = _grayness(texture)
    bright = cv2.resize(luma(texture), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    level = np.asarray(bright / max(float(np.median(bright[skin_texels(_SIDE) > 0])), 1.0), np.float32)
    # Where skin is as grey as metal, in shade, the rim is darker or brighter.
    rims = gray + np.maximum(_curvature(level, _LINE_SPREAD), _curvature(-level, _LINE_SPREAD))
    lines = np.asarray(gray * _frame_band(_SIDE), np.float32)
    for brow in BROWS:
        lines[filled_texels(_SIDE, brow, (1.1, 1.1)) > 0] = 0
    weak = np.asarray(cv2.morphologyEx((lines > _WEAK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))
    _, labels = cv2.connectedComponents(weak)
    strong, counts = np.unique(labels[(lines > _STRONG) & (labels > 0)], return_counts=True)
    found = np.isin(labels, strong[counts > _SIDE // 20]).astype(np.float32) * _near_rims(rims, _BROAD, _WEAK)
    wide = cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    wide = np.maximum(wide, _near_rims(rims, _NARROW, _WEAK, beside=False))
    return np.asarray(cv2.resize(wide, (size, size), interpolation=cv2.INTER_AREA), np.float32)


def _near_rims(lines: Plane, reach: int, least: float, *, beside: bool = True) -> Plane:
    """What lies within so many texels of the rims that `lines` shows best, 0 or 1, (320, 320).

    Args:
        lines: how much of a line each place holds, (320, 320).
        reach: texels.
        least: what of a line is enough to be seen.
        beside: whether the bridge between the rims and the temples beside them are meant too.
    """
    layout = face_mesh().layout * np.float32(_SIDE)
    wide = cv2.dilate(lines, np.ones((3, 3), np.uint8))
    for lids, brow in zip(LIDS, BROWS, strict=True):
        wide[np.maximum(filled_texels(_SIDE, lids, _LID_LINES), filled_texels(_SIDE, brow, 1.0)) > 0] = 0
    near = np.zeros((_SIDE, _SIDE), np.float32)
    rims, lower = _rims()
    for eye, side, ear in zip(EYES, (-1.0, 1.0), (127, 356), strict=True):
        places = rims * np.array([side, 1.0]) + layout[list(eye)].mean(axis=0)
        columns, rows = np.clip(places.round().astype(int), 0, _SIDE - 1).transpose(2, 0, 1)
        along = wide[rows, columns]
        # A rim goes on: what counts is how much of it is seen, not how strong a lid's or a brow's line is.
        seen = np.minimum(along / least, 1)
        score = seen[:, lower].mean(axis=1) + 0.4 * seen.mean(axis=1) + 0.05 * np.minimum(along / least, 4).mean(axis=1)
        best = places[int(np.argmax(score))]
        cv2.polylines(near, [np.round(best * 16).astype(np.int32)], True, 1.0, 2 * reach + 1, cv2.LINE_8, 4)
        if beside:
            outer, inner = best[np.argmax(side * best[:, 0])], best[np.argmin(side * best[:, 0])]
            # A bridge is arched, a temple goes down to the ear.
            middle = np.array([layout[168, 0], inner[1] - reach])
            temple = np.array([layout[ear, 0], 0.5 * (outer[1] + layout[ear, 1])])
            for ends, breadth in (((outer, temple), 4), ((inner, middle), 6)):
                line = np.round(np.stack(ends) * 16).astype(np.int32)
                cv2.polylines(near, [line], False, 1.0, breadth * reach + 1, cv2.LINE_8, 4)
    return near


@lru_cache(maxsize=1)
def _rims() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rims of many forms about an eye's middle, the ear's side positive, (k, 60, 2), and which of the 60 are below."""
    angles = np.radians(np.arange(0, 360, 6))
    across, down = np.cos(angles), np.sin(angles)
    forms = []
    for power in (1.0, 2 / 3):
        unit = np.stack([np.sign(across) * np.abs(across) ** power, np.sign(down) * np.abs(down) ** power], axis=1)
        for off, under, width, height in product(
            (-0.015, 0.0, 0.015, 0.03, 0.045), (0.0, 0.012, 0.024, 0.036, 0.048), np.arange(0.07, 0.151, 0.01),
            np.arange(0.045, 0.121, 0.01),
        ):  # fmt: skip
            forms.append(unit * [width, height] + [off, under])
    return np.stack(forms) * _SIDE, (angles < np.radians(200)) | (angles > np.radians(340))


def _grayness(texture: Image) -> Plane:
    """How much of a line without colour each place holds: largest curvature of the colour's strength, (320, 320)."""
    large = np.asarray(cv2.resize(texture, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    color = np.linalg.norm(tint_of(np.asarray(cv2.GaussianBlur(large, (0, 0), 0.7), np.uint8)), axis=2)
    usual = max(float(np.median(color[skin_texels(_SIDE) > 0])), 1e-3)
    return _curvature(np.asarray(color / usual, np.float32), _LINE_SPREAD)


def _curvature(plane: Plane, spread: float) -> Plane:
    """How much of a dark line each place holds: the largest second derivative, smoothed by a spread in texels."""
    smooth = cv2.GaussianBlur(plane, (0, 0), spread)
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
