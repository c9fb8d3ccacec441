"""How the camera moves within a shot: one similarity transform per frame, measured on what is not text."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Transform = NDArray[np.float64]
"""3 x 3 matrix of an affine map of pixel coordinates."""

WORKING_WIDTH = 240
"""Corners are followed on a copy of about this width: accurate to about 0.1 of its pixels, and cheap."""


class CameraMotion:
    """Follows corners from a key frame on and estimates the camera's similarity transform to that key frame.

    Measuring against a key frame instead of chaining neighbours keeps a resting camera exactly at rest. Lucas–Kanade
    (Bouguet, 2000) on Shi–Tomasi corners, RANSAC for the dominant motion. Feed frames in order; call `restart` at cuts.
    """

    def __init__(self, width: int, height: int) -> None:
        # A whole-number reduction: averaging then is exact and several times faster.
        factor = max(1, round(min(width, height) / WORKING_WIDTH))
        self._size = (max(16, width // factor), max(16, height // factor))
        self._scale = self._size[0] / width
        self._corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64).T
        self.restart()

    def restart(self) -> None:
        """Forget everything: a new shot begins."""
        self._previous: NDArray[np.uint8] | None = None
        self._key_points = np.zeros((0, 1, 2), np.float32)
        self._points = np.zeros((0, 1, 2), np.float32)
        self._key_count = 0
        self._key_to_start: Transform = np.eye(3)
        self._current: Transform = np.eye(3)

    def follow(self, image: NDArray[np.uint8], covered: NDArray[np.uint8] | None) -> Transform:
        """Transform from this frame's pixels to those of the shot's first frame.

        `covered` (any size, non-zero where text is) keeps corners off the text, which does not move with the scene.
        """
        small = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        free = np.full(gray.shape, 255, np.uint8)
        if covered is not None:
            text = cv2.resize(covered, self._size, interpolation=cv2.INTER_AREA)
            free[cv2.dilate(text, np.ones((7, 7), np.uint8)) > 0] = 0
        if self._previous is None:
            self._set_key(gray, free)
        else:
            self._step(gray, free)
        self._previous = gray
        return self._current.copy()

    def _set_key(self, gray: NDArray[np.uint8], free: NDArray[np.uint8]) -> None:
        points = cv2.goodFeaturesToTrack(gray, 180, 0.01, 7, mask=free)
        self._key_points = np.zeros((0, 1, 2), np.float32) if points is None else np.asarray(points, np.float32)
        self._points = self._key_points.copy()
        self._key_count = len(self._key_points)
        self._key_to_start = self._current.copy()

    def _step(self, gray: NDArray[np.uint8], free: NDArray[np.uint8]) -> None:
        assert self._previous is not None
        if len(self._points) >= 6:
            moved, found, _ = cv2.calcOpticalFlowPyrLK(
                self._previous, gray, self._points, self._points.copy(), winSize=(15, 15), maxLevel=3
            )
            good = found[:, 0] > 0
            points, keys = np.asarray(moved, np.float32)[good], self._key_points[good]
            inside = (
                (points[:, 0, 0] >= 0)
                & (points[:, 0, 0] < gray.shape[1] - 1)
                & (points[:, 0, 1] >= 0)
                & (points[:, 0, 1] < gray.shape[0] - 1)
            )
            at = points[:, 0].astype(int)
            at = np.clip(at, 0, [gray.shape[1] - 1, gray.shape[0] - 1])
            inside &= free[at[:, 1], at[:, 0]] > 0
            self._points, self._key_points = points[inside], keys[inside]
        if len(self._points) < 6:
            self._set_key(gray, free)
            return
        cv2.setRNGSeed(7)
        estimate, inliers = cv2.estimateAffinePartial2D(
            self._points, self._key_points, method=cv2.RANSAC, ransacReprojThreshold=1.0, confidence=0.99
        )
        if estimate is None or not np.isfinite(estimate).all():
            self._set_key(gray, free)
            return
        to_key = np.eye(3)
        to_key[:2] = estimate
        shrink = np.diag([self._scale, self._scale, 1.0])
        to_key = np.linalg.inv(shrink) @ to_key @ shrink
        shift = np.abs((to_key @ self._corners - self._corners)[:2]).max()
        if shift < 0.4:
            to_key = np.eye(3)
        self._current = self._key_to_start @ to_key
        share = float(inliers.mean()) if inliers is not None else 0.0
        if len(self._points) < 0.55 * self._key_count or (share < 0.45 and shift > 2.0):
            self._set_key(gray, free)
