"""Faults made on purpose: a bad build from a good one, to see whether the measures notice."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from recaster.media.faces.contours import BROWS, EYES, OUTER_LIPS
from recaster.media.faces.mesh import drawn_from_layout, face_mesh, layout_map
from recaster.media.video import Image

SIZE = 256


def pale_forehead(image: Image, points: np.ndarray) -> Image:
    """A patch 12 % brighter in the middle of the forehead, as soft as light."""
    layout = face_mesh().layout * SIZE
    middle = (float(layout[9, 0]), float(0.55 * layout[10, 1] + 0.45 * layout[9, 1]))
    return _times(image, points, 1 + 0.12 * _spot(middle, (0.22, 0.09)))


def blotches(image: Image, points: np.ndarray) -> Image:
    """Two cheeks of unlike light: a patch 12 % brighter on one, 12 % darker on the other."""
    layout = face_mesh().layout * SIZE
    left, right = (_spot((float(layout[at, 0]), float(layout[at, 1])), (0.07, 0.07)) for at in (50, 280))
    return _times(image, points, 1 + 0.12 * left - 0.12 * right)


def dark_brows(image: Image, points: np.ndarray) -> Image:
    """Brows half as bright, as if pasted on."""
    return _times(image, points, 1 - 0.5 * _filled(BROWS, 1.0, 2))


def pale_lips(image: Image, points: np.ndarray) -> Image:
    """Lips a fifth brighter: as pale as the skin."""
    return _times(image, points, 1 + 0.25 * _filled((OUTER_LIPS,), 1.0, 3))


def rings(image: Image, points: np.ndarray) -> Image:
    """Skin round the eyes 12 % darker up to a visible border."""
    eyes = [tuple(eye) for eye in EYES]
    return _times(image, points, 1 - 0.12 * _filled(tuple(eyes), (1.3, 2.6), 1.2))


def flicker(image: Image, points: np.ndarray) -> Image:
    """The whole face 3 % brighter, to be given to every second frame."""
    return _times(image, points, 1 + 0.03 * _spot((0.5 * SIZE, 0.5 * SIZE), (0.2, 0.2)))


def soft(image: Image, points: np.ndarray) -> Image:
    """The skin without its pores."""
    share = _drawn(np.clip(2 * _spot((0.5 * SIZE, 0.5 * SIZE), (0.2, 0.2)), 0, 1), image, points)[..., None]
    blurred = cv2.GaussianBlur(image, (0, 0), 0.012 * float(np.ptp(points[:, 0])))
    return np.asarray(np.round(image * (1 - share) + blurred * share), np.uint8)


FAULTS: dict[str, Callable[[Image, np.ndarray], Image]] = {
    "pale forehead": pale_forehead,
    "blotches": blotches,
    "dark brows": dark_brows,
    "pale lips": pale_lips,
    "rings": rings,
    "flicker": flicker,
    "soft skin": soft,
}


def _spot(middle: tuple[float, float], spread: tuple[float, float]) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    x, y = (columns - middle[0]) / (spread[0] * SIZE), (rows - middle[1]) / (spread[1] * SIZE)
    return np.asarray(np.exp(-(x * x + y * y) / 2), np.float32)


def _filled(contours: tuple[tuple[int, ...], ...], grow: float | tuple[float, float], blur: float) -> np.ndarray:
    layout = face_mesh().layout * SIZE
    plane = np.zeros((SIZE, SIZE), np.float32)
    for contour in contours:
        middle = layout[list(contour)].mean(axis=0)
        grown = middle + (layout[list(contour)] - middle) * np.asarray(grow)
        cv2.fillConvexPoly(plane, cv2.convexHull(np.round(grown).astype(np.int32)), 1.0)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), blur), np.float32)


def _drawn(plane: np.ndarray, image: Image, points: np.ndarray) -> np.ndarray:
    layout, on_mesh = layout_map(points, image.shape[:2])
    return np.asarray(drawn_from_layout(plane, layout) * on_mesh, np.float32)


def _times(image: Image, points: np.ndarray, gain: np.ndarray) -> Image:
    factor = 1 + _drawn(gain - 1, image, points)
    return np.asarray(np.clip(np.round(image * factor[..., None]), 0, 255), np.uint8)
