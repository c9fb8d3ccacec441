"""What the 468 points mean: contours by index, expression and pose from points. No picture is touched here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.networks import Points

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)

Expression = NDArray[np.float32]
"""Mouth opening, mouth width, corner lift, brow height, eye opening: lengths over the distance between the eyes."""


def expression(points: Points) -> Expression:
    """Measure an expression so that faces of different size and roll can be compared."""
    level = _level(points)

    def gap(one: int, other: int) -> float:
        return float(np.linalg.norm(level[one] - level[other]))

    eyes = gap(33, 263)
    lift = float(level[13, 1] + level[14, 1] - level[61, 1] - level[291, 1]) / 2
    brows = float(level[33, 1] + level[263, 1] - level[105, 1] - level[334, 1]) / 2
    opening = (gap(159, 145) + gap(386, 374)) / 2
    return np.array([gap(13, 14), gap(61, 291), lift, brows, opening], np.float32) / max(eyes, 1e-3)


def yaw_degrees(points: Points) -> float:
    """Turn of the head to the side, from the depth of the cheeks; 0 faces the camera."""
    across = points[454] - points[234]
    return float(np.degrees(np.arctan2(across[2], np.linalg.norm(across[:2]))))


def _level(points: Points) -> NDArray[np.float32]:
    """Points turned so that the eyes lie level."""
    eyes = points[263, :2] - points[33, :2]
    angle = np.arctan2(eyes[1], eyes[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    return np.asarray((points[:, :2] - points[168, :2]) @ turn.T, np.float32)
