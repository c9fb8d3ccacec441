"""Shapes on masks: growing, painting, connected parts, holes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.model import OverlayLine, Polygon
from recaster.media.video.model import Mask


def grown(mask: Mask, radius: float) -> Mask:
    """The mask with a margin of `radius` pixels, rounded up."""
    r = max(0, math.ceil(radius - 1e-6))
    if r == 0:
        return mask
    return np.asarray(cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1))), np.uint8)


def band(polygon: Polygon, along: float, across: float) -> NDArray[np.float64]:
    """A line's polygon grown by pixels along and across its own direction, shape (4, 2)."""
    p = np.array(polygon, np.float64)
    way, down = (p[1] - p[0] + p[2] - p[3]) / 2, (p[3] - p[0] + p[2] - p[1]) / 2
    u = way / max(1e-6, float(np.linalg.norm(way)))
    v = down / max(1e-6, float(np.linalg.norm(down)))
    return np.array(
        [
            p[0] - along * u - across * v,
            p[1] + along * u - across * v,
            p[2] + along * u + across * v,
            p[3] - along * u + across * v,
        ]
    )


def line_axes(line: OverlayLine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along and down a line."""
    p = np.array(line.polygon, np.float64)
    along = p[1] - p[0] + p[2] - p[3]
    along /= max(1e-6, float(np.linalg.norm(along)))
    return along, np.array([-along[1], along[0]])


def painted(shape: tuple[int, int], polygon: NDArray[np.float64], left: int, top: int) -> Mask:
    """A convex polygon in frame coordinates, painted into a crop that begins at (left, top)."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round(polygon - [left, top]).astype(np.int32), 255)
    return mask


def touching(mask: Mask, seed: Mask) -> Mask:
    """The connected parts of `mask` that touch `seed`."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    keep = np.zeros(count, bool)
    keep[np.unique(labels[(seed > 0) & (mask > 0)])] = True
    keep[0] = False
    return np.asarray(keep[labels] * 255, np.uint8)


def with_holes_filled(mask: Mask, largest: float) -> Mask:
    """The mask without the holes whose area is below `largest` pixels."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    out = mask.copy()
    if hierarchy is None:
        return out
    for contour, family in zip(contours, hierarchy[0], strict=True):
        if family[3] >= 0 and cv2.contourArea(contour) < largest:
            cv2.drawContours(out, [contour], -1, 255, cv2.FILLED)
    return out
