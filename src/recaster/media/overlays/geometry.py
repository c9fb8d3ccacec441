"""Boxes and quadrilaterals of text lines: how they lie to each other. It knows neither pictures nor clips."""

from __future__ import annotations

import math

import numpy as np

from recaster.media.overlays.model import Box, Polygon
from recaster.media.overlays.networks import Quad


def bounds(quad: Quad) -> Box:
    """The upright box around a quadrilateral."""
    xs, ys = quad.T.tolist()
    return min(xs), min(ys), max(xs), max(ys)


def area(box: Box) -> float:
    """Area of a box in square pixels, 0 for an empty one."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def shared_area(a: Box, b: Box) -> float:
    """Area that two boxes have in common."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0–1."""
    shared = shared_area(a, b)
    return shared / max(area(a) + area(b) - shared, 1e-6)


def covered(inner: Box, outer: Box) -> float:
    """Share of `inner` that lies in `outer`, 0–1."""
    return shared_area(inner, outer) / max(area(inner), 1e-6)


def line_height(quad: Quad) -> float:
    """Length of a line's upright sides, in pixels."""
    # Asked for so often that the plain arithmetic of Python, which is quicker for four numbers, counts.
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad.tolist()
    return (math.hypot(dx - ax, dy - ay) + math.hypot(cx - bx, cy - by)) / 2


def line_width(quad: Quad) -> float:
    """Length of a line in reading direction, in pixels."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad.tolist()
    return (math.hypot(bx - ax, by - ay) + math.hypot(cx - dx, cy - dy)) / 2


def tilt(quad: Quad) -> float:
    """Degrees by which a line is off level, whichever way."""
    along = quad[1] - quad[0]
    return abs(float(np.degrees(np.arctan2(along[1], along[0]))))


def axes(quad: Quad) -> tuple[Quad, Quad, Quad]:
    """Top left corner of a line and the unit vectors along it and down from it, each of shape (2,)."""
    along = (quad[1] - quad[0]) + (quad[2] - quad[3])
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.asarray([-along[1], along[0]], np.float32)
    return quad[0].astype(np.float32), along.astype(np.float32), down


def longer(quad: Quad, reach: float) -> Quad:
    """A line made longer by `reach` pixels at both ends."""
    _, along, _ = axes(quad)
    step = reach * along
    return np.stack([quad[0] - step, quad[1] + step, quad[2] + step, quad[3] - step]).astype(np.float32)


def shifted(quad: Quad, dx: float, dy: float) -> Quad:
    """A quadrilateral moved by a vector."""
    return (quad + np.asarray([dx, dy], np.float32)).astype(np.float32)


def polygon(quad: Quad) -> Polygon:
    """A quadrilateral as the values that leave this room."""
    corners = [(float(x), float(y)) for x, y in quad]
    return (corners[0], corners[1], corners[2], corners[3])
