"""A picture of a person as a relief whose head turns about the neck. It knows depth and rotation, not expressions."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.demo.expressions import CHIN, EARS, OVAL
from recaster.demo.meshes import Layer, Plane, Vertices

Rotation = NDArray[np.float32]
"""Shape (3, 3); depth grows away from the camera."""

_DEEPEST = 0.34
"""Depth of ears and back hair, about which the head turns, as a fraction of the face's height."""
_STEP = 8
"""Pixels of the picture between two samples of depth."""
_FRAME_STEP = 16
"""Pixels of the frame between two exactly computed places."""


def rotation(yaw: float, pitch: float, roll: float) -> Rotation:
    """A head's turn, in radians: to the viewer's right, downwards, clockwise as seen."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch, roll))
    across = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    down = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    around = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(around @ down @ across, np.float32)


class Relief:
    """Depth and rigidity of every place of a picture: the head turns, the neck twists, the shoulders stay.

    Args:
        points: landmarks of the face in the picture, shape (468, 3).
        size: width and height of the picture.
    """

    def __init__(self, points: Vertices, size: tuple[int, int]) -> None:
        self._points = points
        self._tall = float(np.ptp(points[:, 1]))
        rows, columns = np.mgrid[0 : size[1] + _STEP : _STEP, 0 : size[0] + _STEP : _STEP].astype(np.float32)
        self._depths = self._depth_of(np.stack([columns.ravel(), rows.ravel()], axis=-1)).reshape(rows.shape)
        chin = float(points[CHIN, 1])
        fall = np.clip((rows - chin + 0.02 * self._tall) / (0.62 * self._tall), 0.0, 1.0)
        self._weights = np.asarray(1.0 - fall * fall * (3.0 - 2.0 * fall), np.float32)
        middle = float(points[list(EARS), 0].mean())
        self._pivot = np.array([middle, chin + 0.16 * self._tall, _DEEPEST * self._tall], np.float32)

    def depth(self, places: Vertices) -> Plane:
        """Depth at places of the picture, shape (n, 2)."""
        return _sampled(self._depths, places)

    def turned(self, places: Vertices, at: Vertices, turn: Rotation) -> Vertices:
        """Places after the head has turned.

        Args:
            places: with depth, shape (n, 3).
            at: where they are rooted in the picture, shape (n, 2), which tells how far they go along with the head.
            turn: of the head.
        """
        around = places - self._pivot
        return np.asarray(places + _sampled(self._weights, at)[:, None] * (around @ turn.T - around), np.float32)

    def drawn(self, picture: Layer, turn: Rotation, camera: NDArray[np.float64], size: tuple[int, int]) -> Layer:
        """The picture with the head turned, as a camera sees it.

        Args:
            picture: of the size that was given at first.
            turn: of the head.
            camera: affine map from picture to frame, shape (2, 3).
            size: width and height of the frame.
        """
        width, height = size
        step = _FRAME_STEP
        rows, columns = np.mgrid[0 : height + step : step, 0 : width + step : step].astype(np.float32)
        back = cv2.invertAffineTransform(camera).astype(np.float32)
        wanted = np.stack([columns.ravel(), rows.ravel()], axis=-1) @ back[:, :2].T + back[:, 2]
        places = wanted
        # The inverse of a smooth movement by fixed-point iteration; it contracts as long as nothing folds.
        for _ in range(4):
            reached = self.turned(np.column_stack([places, self.depth(places)]), places, turn)[:, :2]
            places = places + wanted - reached
        maps = cv2.warpAffine(
            places.reshape(*rows.shape, 2),
            np.array([[1 / step, 0, 0], [0, 1 / step, 0]]),
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        across, down = cv2.split(maps)
        return np.asarray(cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def _depth_of(self, places: Vertices) -> Plane:
        """Depth by the landmarks around.

        A smooth average, because at cheeks and temples the true surface falls away so steeply that a picture of it folds
        at the first turn; only well inside the face is the landmarks' own relief kept.
        """
        deepest = _DEEPEST * self._tall
        depth = np.minimum(self._points[:, 2], deepest)
        squared = ((places[:, None, :] - self._points[None, :, :2]) ** 2).sum(axis=-1)
        nearest = squared.min(axis=1, keepdims=True)

        def average(reach: float) -> Plane:
            near = np.exp((nearest - squared) / np.float32(reach * self._tall) ** 2)
            return np.asarray((near @ depth) / near.sum(axis=1), np.float32)

        oval = self._points[list(OVAL), :2].astype(np.float32)[:, None]
        inside = [cv2.pointPolygonTest(oval, (float(x), float(y)), True) for x, y in places]
        own = np.clip(np.array(inside, np.float32) / (0.16 * self._tall), 0.0, 1.0)
        beyond = np.maximum(np.sqrt(nearest[:, 0]) - 0.024 * self._tall, 0.0)
        relief = own * average(0.018) + (1.0 - own) * average(0.1)
        return np.asarray(np.minimum(relief + 0.5 * beyond, deepest), np.float32)


def _sampled(plane: Plane, places: Vertices) -> Plane:
    at = np.ascontiguousarray(places, np.float32) / np.float32(_STEP)
    across, down = np.ascontiguousarray(at[:, :1]), np.ascontiguousarray(at[:, 1:])
    values = cv2.remap(plane, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values.ravel(), np.float32)
