"""What the person of the demo's clip says and does from second to second, and how she holds the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recaster.demo.puppet import Pose
from recaster.demo.voice import Phrase, Speech

SPEECH = Speech(
    (
        Phrase(0.20, 0.98, "TriTINzajwISajnu"),
        Phrase(1.32, 0.98, "frizDi@hrbz"),
        Phrase(2.92, 1.08, "lEb@levrijar"),
        Phrase(4.48, 1.22, "kukwans-ittwajs"),
        Phrase(6.08, 1.06, "sEvDIsforlEtr"),
    )
)
"""Roughly: "three things I wish I knew", "freeze the herbs", "label every jar", "cook once, eat twice", "save this for later"."""

CUT_SECOND = 5.0
"""One jump cut to a tighter framing, as creators do."""
_CLOSER = 1.2
_FACE_OF_FRAME = 0.30
"""Height of the face over the frame's, before the cut."""
_BLINKS = (0.95, 2.45, 3.62, 4.2, 6.62, 7.62)
_BLINK_CLOSING, _BLINK_OPENING = 0.075, 0.13

# Second → value. Between two keys the movement eases in and out, and where two keys are equal it rests.
_YAW = (
    (0.0, 0.02), (0.35, -0.04), (0.9, -0.03), (1.3, 0.09), (2.2, 0.11), (2.8, -0.02), (3.2, -0.16), (3.8, -0.19), (4.4, -0.02),
    (4.9, 0.05), (5.4, 0.02), (5.9, 0.13), (6.4, 0.15), (6.9, -0.05), (7.4, -0.03), (8.0, 0.0),
)  # fmt: skip
_PITCH = (
    (0.0, 0.03), (0.3, -0.05), (0.75, 0.03), (1.25, -0.01), (1.6, 0.06), (2.3, 0.0), (2.9, 0.07), (3.3, 0.0), (4.0, 0.03),
    (4.6, -0.03), (5.0, 0.05), (5.6, 0.0), (6.1, 0.06), (6.5, -0.01), (7.0, 0.04), (8.0, 0.0),
)  # fmt: skip
_ROLL = (
    (0.0, 0.0),
    (0.8, 0.035),
    (1.5, -0.02),
    (2.6, -0.045),
    (3.4, 0.04),
    (4.5, 0.05),
    (5.2, -0.03),
    (6.3, 0.02),
    (7.2, 0.06),
    (8.0, 0.04),
)
_SMILE = (
    (0.0, 0.25), (0.3, 0.05), (1.1, 0.1), (1.3, 0.0), (2.3, 0.05), (2.6, 0.3), (2.9, 0.02), (4.0, 0.1), (4.3, 0.32), (4.5, 0.05),
    (5.6, 0.15), (6.0, 0.05), (7.1, 0.2), (7.5, 0.8), (8.0, 0.85),
)  # fmt: skip
_BROWS = (
    (0.0, 0.3), (0.35, 0.75), (0.8, 0.1), (1.3, 0.0), (1.55, 0.35), (2.0, 0.0), (2.9, -0.3), (3.5, 0.2), (4.1, 0.0), (4.6, 0.5),
    (5.0, 0.1), (5.9, 0.0), (6.2, 0.6), (6.8, 0.1), (7.5, 0.25), (8.0, 0.2),
)  # fmt: skip
_GAZE_X = (
    (0.0, 0.0),
    (1.28, 0.0),
    (1.34, -0.05),
    (2.0, -0.05),
    (2.06, 0.0),
    (3.1, 0.0),
    (3.16, 0.06),
    (3.7, 0.05),
    (3.76, 0.0),
    (8.0, 0.0),
)
_GAZE_Y = (
    (0.0, 0.0),
    (2.4, 0.0),
    (2.46, 0.035),
    (2.75, 0.03),
    (2.81, 0.0),
    (5.3, 0.0),
    (5.36, 0.03),
    (5.8, 0.03),
    (5.86, 0.0),
    (8.0, 0.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Where the camera puts things at one moment: affine maps from stage to frame, shape (2, 3)."""

    person: NDArray[np.float64]
    background: NDArray[np.float64]


def pose_at(second: float) -> Pose:
    """What the person does at a time."""
    jaw, wide = SPEECH.mouth(second)
    # A speaking head is never still, and it nods with the stressed sounds.
    restless = _wave(second, 0.9, 0.2) + 0.5 * _wave(second, 2.1, 1.3)
    return Pose(
        yaw=_between(_YAW, second) + 0.012 * restless,
        pitch=_between(_PITCH, second) + 0.010 * _wave(second, 1.4, 2.0) + 0.035 * jaw,
        roll=_between(_ROLL, second) + 0.008 * _wave(second, 1.1, 0.7),
        open=0.92 * jaw,
        wide=wide,
        smile=_between(_SMILE, second),
        brows=_between(_BROWS, second),
        blink=max(_blink(second - start) for start in _BLINKS),
        gaze=(_between(_GAZE_X, second), _between(_GAZE_Y, second)),
    )


def view_at(second: float, face: tuple[float, float, float], size: tuple[int, int]) -> View:
    """A phone held in an outstretched hand: it breathes, drifts and trembles; what is far moves less than who is near.

    Args:
        second: time in the clip.
        face: the face's centre (x, y) and height on the stage.
        size: width and height of the frame.
    """
    width, height = size
    unit = height / 1280
    wanted = _FACE_OF_FRAME * height / face[2]
    arm = 1.0 + 0.012 * _wave(second, 0.55, 0.4) + (0.004 * second if second < CUT_SECOND else 0.0)
    near = (_CLOSER if second >= CUT_SECOND else 1.0) * arm
    sway = np.array(
        [
            9.0 * _wave(second, 0.75, 0.3) + 2.0 * _wave(second, 3.3, 1.0) + 1.1 * _wave(second, 7.3, 0.5),
            6.0 * _wave(second, 0.95, 1.7) + 1.5 * _wave(second, 4.1, 0.2) + 0.9 * _wave(second, 8.9, 1.9),
        ]
    )
    drift = np.array([-16.0 * _wave(second, 0.5, 2.2), 7.0 * _wave(second, 0.65, 0.9)])
    roll = math.radians(0.8 * _wave(second, 0.6, 1.1) + 0.15 * _wave(second, 4.7, 0.3))
    centre = np.array(face[:2])
    aim = np.array([0.5 * width, 0.385 * height]) + sway * unit
    person = _affine(wanted * near, roll, centre, aim)
    background = _affine(1.04 * wanted * (1.0 + 0.4 * (near - 1.0)), roll, centre, aim + drift * unit)
    return View(person, background)


def _affine(scale: float, angle: float, centre: NDArray[np.float64], aim: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([linear, aim - linear @ centre])


def _between(keys: tuple[tuple[float, float], ...], second: float) -> float:
    for (start, one), (end, other) in pairwise(keys):
        if second < end:
            part = min(max((second - start) / (end - start), 0.0), 1.0)
            return one + (other - one) * part * part * (3.0 - 2.0 * part)
    return keys[-1][1]


def _wave(second: float, hertz: float, phase: float) -> float:
    return math.sin(2 * math.pi * hertz * 0.5 * second + phase)


def _blink(since: float) -> float:
    """Lids fall faster than they rise."""
    if since < 0 or since > _BLINK_CLOSING + 0.03 + _BLINK_OPENING:
        return 0.0
    if since < _BLINK_CLOSING:
        part = since / _BLINK_CLOSING
    else:
        part = 1.0 - max(0.0, since - _BLINK_CLOSING - 0.03) / _BLINK_OPENING
    return part * part * (3.0 - 2.0 * part)
