"""Hands near a face: found by a palm detector, followed by their 21 landmarks, drawn as masks.

A skin-coloured hand before a skin-coloured face cannot be told by colour; this is what sees it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from recaster.media.faces.mesh import Plane, Points
from recaster.media.video.model import Image

HandPoints = NDArray[np.float32]
"""21 landmarks of a hand, (21, 2), in pixels of the frame: wrist, then four of each finger from thumb to little finger."""

LEAST_PALM = 0.5
LEAST_HAND = 0.5
LOOK_EVERY = 3
"""Frames between two looks for new hands; a known hand is followed in every frame."""
MOST_HANDS = 2
_REACH = 3.4
"""Side of the searched square, as a multiple of the face's height."""
_PALM_SIDE, _HAND_SIDE = 192, 224
_FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
_PALM = (0, 1, 2, 5, 9, 13, 17)


class HandFinder:
    """MediaPipe's hand networks (Zhang and others 2020), for hands around one face, frame after frame in rising order."""

    def __init__(self, detector: Path, landmarks: Path, threads: int = 1) -> None:
        self._palms = Interpreter(model_path=str(detector), num_threads=threads)
        self._hands = Interpreter(model_path=str(landmarks), num_threads=threads)
        for net in (self._palms, self._hands):
            net.allocate_tensors()
        self._known: list[HandPoints] = []
        self._looks = 0

    def find(self, image: Image, face: Points) -> list[HandPoints]:
        """Hands in a BGR frame near the face whose landmarks are given."""
        followed: list[HandPoints] = []
        for before in self._known:
            points, sure = self._landmarks(image, *_square_of_hand(before))
            if sure >= LEAST_HAND and not _among(points, followed):
                followed.append(points)
        if self._looks % LOOK_EVERY == 0 and len(followed) < MOST_HANDS:
            for centre, side, angle in self._look(image, face):
                points, sure = self._landmarks(image, centre, side, angle)
                if sure >= LEAST_HAND and not _among(points, followed) and len(followed) < MOST_HANDS:
                    followed.append(points)
        self._looks += 1
        self._known = followed
        return followed

    def forget(self) -> None:
        """Start anew, after a cut."""
        self._known, self._looks = [], 0

    def _look(self, image: Image, face: Points) -> list[tuple[NDArray[np.float32], float, float]]:
        """Squares around hands: middle, side and angle."""
        low, high = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
        side = _REACH * float(high[1] - low[1])
        # A little below the face, where hands come from.
        centre = (low + high) / 2 + np.array([0, 0.08 * side], np.float32)
        matrix = _crop_matrix(centre, side, 0.0, _PALM_SIDE)
        boxes, scores = self._run(self._palms, image, matrix, _PALM_SIDE)
        raw, sure = boxes.reshape(-1, 18), 1 / (1 + np.exp(-np.clip(scores.reshape(-1), -50, 50)))
        back = cv2.invertAffineTransform(matrix)
        found: list[tuple[NDArray[np.float32], float, float]] = []
        taken: list[NDArray[np.float32]] = []
        for index in np.argsort(-sure):
            if sure[index] < LEAST_PALM or len(found) >= MOST_HANDS:
                break
            anchor = _anchors()[index] * _PALM_SIDE
            middle = raw[index, :2] + anchor
            if any(float(np.linalg.norm(middle - other)) < 0.5 * float(raw[index, 2]) for other in taken):
                continue
            taken.append(middle)
            wrist, knuckle = (raw[index, 4 + 2 * at : 6 + 2 * at] + anchor for at in (0, 2))
            angle = float(np.arctan2(knuckle[1] - wrist[1], knuckle[0] - wrist[0]) + np.pi / 2)
            size = float(max(raw[index, 2], raw[index, 3]))
            up = np.array([np.sin(angle), -np.cos(angle)])
            centre_in = middle + 0.5 * size * up
            found.append(
                ((centre_in @ back[:, :2].T + back[:, 2]).astype(np.float32), 2.6 * size * side / _PALM_SIDE, angle)
            )
        return found

    def _landmarks(
        self, image: Image, centre: NDArray[np.float32], side: float, angle: float
    ) -> tuple[HandPoints, float]:
        matrix = _crop_matrix(centre, side, angle, _HAND_SIDE)
        outputs = self._run(self._hands, image, matrix, _HAND_SIDE)
        points = outputs[0].reshape(21, 3)[:, :2]
        back = cv2.invertAffineTransform(matrix)
        return (points @ back[:, :2].T + back[:, 2]).astype(np.float32), float(outputs[1].reshape(-1)[0])

    @staticmethod
    def _run(net: Interpreter, image: Image, matrix: NDArray[np.float64], side: int) -> list[NDArray[np.float32]]:
        crop = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR)
        net.set_tensor(
            net.get_input_details()[0]["index"], cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)[None] / np.float32(255)
        )
        net.invoke()
        return [net.get_tensor(entry["index"]) for entry in net.get_output_details()]


def hands_mask(hands: list[HandPoints], shape: tuple[int, int]) -> Plane:
    """Where the hands are, 0–1, soft at the edge, `shape`."""
    mask = np.zeros(shape, np.uint8)
    for points in hands:
        broad = float(np.linalg.norm(points[5] - points[17]))
        long = float(np.linalg.norm(points[0] - points[9]))
        width = max(3, round(0.3 * max(broad, 0.75 * long)))
        scaled = np.round(points * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, cv2.convexHull(scaled[list(_PALM)]), 255, cv2.LINE_8, 4)
        cv2.polylines(mask, [scaled[list(_PALM)]], True, 255, width, cv2.LINE_8, 4)
        for finger in _FINGERS:
            cv2.polylines(mask, [scaled[list(finger)]], False, 255, width, cv2.LINE_8, 4)
    return np.asarray(cv2.blur(mask, (3, 3)).astype(np.float32) / 255, np.float32)


@lru_cache(maxsize=1)
def _anchors() -> NDArray[np.float32]:
    """Middles of the palm detector's 2016 anchors, 0–1: two per cell at stride 8, six at stride 16."""
    places = []
    for cells, repeat in ((24, 2), (12, 6)):
        rows, columns = np.indices((cells, cells))
        grid = np.stack([columns.ravel(), rows.ravel()], axis=1)
        places.append(np.repeat((grid + 0.5) / cells, repeat, axis=0))
    return np.concatenate(places).astype(np.float32)


def _square_of_hand(points: HandPoints) -> tuple[NDArray[np.float32], float, float]:
    """The square in which to look for a known hand in the next frame: middle, side and angle."""
    knuckle = (points[9] + (points[5] + points[13]) / 2) / 2
    angle = float(np.arctan2(knuckle[1] - points[0, 1], knuckle[0] - points[0, 0]) + np.pi / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    upright = points @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    side = float((high - low).max())
    middle = (low + high) / 2 - np.array([0, 0.1 * side], np.float32)
    return np.asarray(middle @ turn.T, np.float32), 2.0 * side, angle


def _crop_matrix(centre: NDArray[np.float32], side: float, angle: float, size: int) -> NDArray[np.float64]:
    """Affine map from the frame to a turned square of `size` pixels."""
    scale = size / max(side, 1.0)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array([[cos, sin, 0], [-sin, cos, 0]], np.float64)
    matrix[:, 2] = size / 2 - matrix[:, :2] @ np.asarray(centre, np.float64)
    return matrix


def _among(points: HandPoints, others: list[HandPoints]) -> bool:
    size = float(np.ptp(points, axis=0).max())
    return any(float(np.linalg.norm(points.mean(axis=0) - other.mean(axis=0))) < 0.35 * size for other in others)
