"""How well a face can be swapped, said before anything is rendered: size, turns, beard, glasses, and what will be done.

Beard, hair and glasses (`glasses`) are told from the face's usual look in the layout of the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.analysis import LEAST_HEIGHT, FaceTrack
from recaster.media.faces.contours import BROWS, LIDS, OUTER_LIPS
from recaster.media.faces.glasses import has_glasses
from recaster.media.faces.light import filled_texels, luma, oval_texels, skin_likeness, skin_texels, tint_of
from recaster.media.faces.mesh import Plane, face_mesh, poses_of
from recaster.media.video import Image

MOST_YAW = 52.0
"""Degrees to the side beyond which the source's own face stays."""
TURN_STEP = 10.0
"""Degrees between two turns of the head at which hair is looked at."""
SMALL = 90.0
"""Pixels of height below which the result is soft."""
_JAW = (200, 199, 175, 152, 148, 377, 176, 400, 149, 378, 150, 379, 169, 394, 140, 369, 171, 396, 208, 428, 32, 262)
_CHEEKS = ((50, 101, 205, 36, 187, 207), (280, 330, 425, 266, 411, 427))
_BEARD_LIKENESS, _BEARD_BRIGHTNESS = 0.3, 0.5
_CHIN = (18, 83, 182, 194, 201, 208, 171, 175, 396, 428, 421, 418, 406, 313)
_DARK_CHIN, _MUCH_OF_CHIN = 0.5, 0.15
"""Brightness over the cheeks'; share of the chin. Measured: chins of 19 people and 23 real clips have at most 0.06 of it, one behind
a microphone 0.26, bearded ones 0.94."""
_CHIN_REACH = 0.06
"""By which what is before the chin may move, over the layout's side."""
_DARK_HAIR, _SHINY_HAIR = 0.3, 0.55
"""Brightness over the skin's; in light hair is brighter, but less colourful than skin."""
_GRAY_HAIR = 0.6
_MOST_BLACK = 0.45
_COVERED = 0.25

Level = Literal["good", "limited", "unsuitable"]


@dataclass(frozen=True, slots=True)
class Look:
    """What is worn on a face."""

    beard: bool
    """A full one; stubble is skin."""
    glasses: bool
    """With dark frames, or thin ones of metal."""
    chin: bool = False
    """Something dark before the chin that is no full beard: a goatee, a microphone."""


@dataclass(frozen=True, slots=True)
class Suitability:
    """How well one face of a clip can be swapped."""

    level: Level
    reasons: tuple[str, ...]
    """Sentences for a person: what was seen and what will be done about it."""


def look_of(texture: Image) -> Look:
    """Beard and glasses of a face's usual texture, BGR (s, s, 3)."""
    size = texture.shape[0]
    bright, likely = luma(texture), skin_likeness(texture)
    jaw = filled_texels(size, _JAW, 1.0) * (1 - filled_texels(size, OUTER_LIPS, 1.2))
    cheeks = sum((filled_texels(size, cheek, 1.0) for cheek in _CHEEKS), np.zeros((size, size), np.float32))
    darker = _mean(bright, jaw) / max(_mean(bright, cheeks), 1.0)
    unlike = _mean(likely, jaw) / max(_mean(likely, cheeks), 0.05)
    beard = darker < _BEARD_BRIGHTNESS and unlike < _BEARD_LIKENESS
    return Look(
        beard, has_glasses(texture), not beard and float(_dark_chin(bright).sum()) > _MUCH_OF_CHIN * _chin_size(size)
    )


def kept_texels(texture: Image, own: Look, persona: Look) -> Plane:
    """What of the source's usual look stays in front of the swapped face, 0–1, (s, s).

    A full beard when the persona has none, and what is before the chin. Hair and glasses are other matters: `hair_texels`,
    `glasses`.
    """
    size = texture.shape[0]
    kept = np.zeros((size, size), np.float32)
    if own.beard and not persona.beard:
        below = np.zeros((size, size), np.float32)
        below[int(float(face_mesh().layout[2, 1]) * size) :] = 1
        hair = np.clip((0.35 - skin_likeness(texture)) / 0.2, 0, 1) * below * oval_texels(size, 1.05)
        # Lips within a beard look wrong when they are another's.
        kept = np.maximum(kept, np.maximum(hair, filled_texels(size, OUTER_LIPS, 1.1)))
    if own.chin and not (persona.chin or persona.beard):
        reach = 2 * round(_CHIN_REACH * size) + 1
        before = _dark_chin(luma(texture), 1.6)
        kept = np.maximum(kept, cv2.dilate(before, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))))
    return np.asarray(cv2.GaussianBlur(kept, (0, 0), 0.8), np.float32)


def hair_texels(texture: Image) -> Plane:
    """Hair within the outline of the face, 0 or 1, (s, s): what is dark and goes on beyond the outline.

    Brows and eyes belong to the face, unless hair covers most of what lies around them.
    """
    size = texture.shape[0]
    bright = cv2.GaussianBlur(luma(texture), (0, 0), 0.008 * size)
    usual = max(float(np.median(bright[skin_texels(size) > 0])), 1.0)
    above = np.zeros((size, size), np.float32)
    above[: int(float(face_mesh().layout[61, 1]) * size)] = 1
    # Haze is taken off, or no hair would be dark; shaded skin is brighter than hair all the same.
    black = min(float(np.percentile(bright, 1)), _MOST_BLACK * usual)
    share = (bright - black) / (usual - black)
    soft = np.asarray(cv2.GaussianBlur(texture, (0, 0), 0.012 * size), np.uint8)
    color = np.linalg.norm(tint_of(soft), axis=2)
    gray = color < _GRAY_HAIR * float(np.median(color[skin_texels(size) > 0]))
    dark = ((share < _DARK_HAIR) | (gray & (share < _SHINY_HAIR))) & (above > 0)
    own = [
        np.maximum(filled_texels(size, brow, 1.2), filled_texels(size, lids, 1.05)) > 0
        for brow, lids in zip(BROWS, LIDS, strict=True)
    ]
    hair = _grown(dark & ~(own[0] | own[1]), size)
    for part in own:
        around = (cv2.dilate(part.astype(np.uint8), np.ones((size // 10, size // 10), np.uint8)) > 0) & ~part
        if float(hair[around].mean()) > _COVERED:
            hair = _grown((hair > 0) | (dark & part), size)
    return hair * oval_texels(size, 1.02)


def hair_over_turns(textures: NDArray[np.uint8], yaw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`hair_texels` in each row, 0–255, (n, s, s): judged on what is usual at each turn of the head, smooth between turns.

    Args:
        textures: colours of one face over time, BGR, (n, s, s, 3).
        yaw: degrees the head is turned, (n,).
    """
    turns = np.round(yaw / TURN_STEP).astype(int)
    known = np.unique(turns)
    masks = []
    for turn in known:
        rows = np.flatnonzero(turns == turn)
        usual = np.median(textures[rows[:: max(1, len(rows) // 24)]], axis=0).astype(np.uint8)
        masks.append(255 * cv2.GaussianBlur(hair_texels(usual), (0, 0), 0.8))
    hair = np.zeros(textures.shape[:3], np.uint8)
    if max(float(mask.max()) for mask in masks) == 0:
        return hair
    at = np.interp(yaw / TURN_STEP, known, np.arange(len(known)))
    for row, place in enumerate(at):
        low = int(place)
        share = float(place) - low
        hair[row] = np.round((1 - share) * masks[low] + share * masks[min(low + 1, len(masks) - 1)])
    return hair


def _dark_chin(bright: Plane, grow: float = 1.0) -> Plane:
    """What of the chin, or of a larger place around it, is much darker than the cheeks, 0 or 1, (s, s)."""
    size = bright.shape[0]
    cheeks = sum((filled_texels(size, cheek, 1.0) for cheek in _CHEEKS), np.zeros((size, size), np.float32))
    lips = filled_texels(size, OUTER_LIPS, 1.05)
    dark = bright < _DARK_CHIN * max(_mean(bright, cheeks), 1.0)
    return np.asarray(filled_texels(size, _CHIN, grow) * (1 - lips) * dark, np.float32)


def _chin_size(size: int) -> float:
    return float((filled_texels(size, _CHIN, 1.0) * (1 - filled_texels(size, OUTER_LIPS, 1.05))).sum())


def _grown(dark: NDArray[np.bool_], size: int) -> Plane:
    """The parts of `dark` that go on beyond the outline of the face."""
    opened = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, labels = cv2.connectedComponents(opened, connectivity=4)
    outside = np.unique(labels[(oval_texels(size, 1.04) == 0) & (labels > 0)])
    return np.isin(labels, outside).astype(np.float32)


def worn(track: FaceTrack) -> tuple[str, ...]:
    """What a face wears that will stay in front of another one, in words with their article."""
    if track.texture is None:
        return ()
    look = look_of(track.texture)
    named = ((look.beard, "a full beard"), (look.glasses, "glasses"), (look.chin, "something dark before the chin"))
    return tuple(name for seen, name in named if seen)


def judge(track: FaceTrack) -> Suitability:
    """Say how well a track can be swapped."""
    reasons = []
    level: Level = "good"
    if track.height < LEAST_HEIGHT:
        return Suitability("unsuitable", (f"The face is only {track.height:.0f} pixels high.",))
    if track.height < SMALL:
        level = "limited"
        reasons.append(
            f"The face is {track.height:.0f} pixels high: the new one will be soft, and thin or clear glasses on it would "
            "not be seen and be painted away."
        )
    turned = float((np.abs(poses_of(track.landmarks).degrees[:, 0]) > MOST_YAW).mean())
    if turned > 0.9:
        return Suitability("unsuitable", ("The face is turned away nearly all the time.",))
    if turned > 0:
        level = "limited"
        reasons.append(
            f"In {100 * turned:.0f} % of its frames the head is turned too far; the source's face stays there."
        )
    if not track.alive:
        level = "limited"
        reasons.append("The face does not move: it may be a picture of somebody.")
    if track.texture is not None:
        look = look_of(track.texture)
        if look.beard:
            level = "limited"
            reasons.append(
                "There is a full beard: it stays, with the source's lips, unless the influencer has one too."
            )
        if look.glasses:
            level = "limited"
            reasons.append("There are glasses: they stay in front of the new face.")
        if look.chin:
            level = "limited"
            reasons.append("Something dark is before the chin, such as a goatee or a microphone: it stays in front.")
    return Suitability(level, tuple(reasons))


def _mean(values: NDArray[np.float32], weight: Plane) -> float:
    return float((values * weight).sum() / max(float(weight.sum()), 1e-6))
