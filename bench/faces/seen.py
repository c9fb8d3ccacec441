"""Measures of faults that people see and scores missed: a pale forehead, pasted brows and lips, rings round the eyes, blotches.

All are taken in the layout of the mesh, from source and result unwrapped by their own landmarks, so that the same place is
compared. A fault is what lies outside of what the source and the persona's own picture show: a swap may have the brows of either
or anything between, but no stronger ones than both. Values are percent of brightness (or its logarithm times 100).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from recaster.media.faces.contours import BROWS, EYES, INNER_LIPS, OUTER_LIPS
from recaster.media.faces.light import filled_texels, luma, oval_texels, skin_texels
from recaster.media.faces.mesh import face_mesh, unwrapped
from recaster.media.video import Image

SIZE = 192
_RINGS = (1.5, 2.2, 3.0, 4.0)
"""Multiples of the eye's height between which brightness and colour are averaged, below the eye."""
SEEN = ("pale", "blotches", "shade", "brows", "lips", "rings")
"""Names of the measures."""


@dataclass(frozen=True)
class Face:
    """One face in the layout."""

    bright: np.ndarray
    """Logarithm of brightness times 100, (SIZE, SIZE)."""
    lab: np.ndarray
    """Lab of eight bits as floats, (SIZE, SIZE, 3)."""
    skin: np.ndarray
    """`bright` averaged over skin around each texel, (SIZE, SIZE)."""


def face_of(image: Image, points: np.ndarray) -> Face:
    """Unwrap a face for comparing."""
    texture = unwrapped(image, points, SIZE)
    bright = 100 * np.log(luma(texture) + 12).astype(np.float32)
    return Face(bright, cv2.cvtColor(texture, cv2.COLOR_BGR2Lab).astype(np.float32), _averaged(bright, 0.05))


def seen(source: Face, result: Face, persona: Face) -> dict[str, float]:
    """What is seen of a result.

    Returns:
        `pale`: forehead's brightening against the cheeks' (negative: darkening), percent. `shade`: standard deviation over
        the skin of what changed in broad brightness, as a multiple of the source's own shading. `brows`, `lips`: contrast
        against the skin beside them beyond that of both source and persona (above zero) or short of both (below). `rings`:
        largest step of brightness or colour between rings under the eyes beyond the larger of both people's.
    """
    skin = skin_texels(SIZE) > 0
    change = result.skin - source.skin
    own = np.stack([_patches(face.skin)[skin] for face in (source, persona)], axis=1)
    patches = _patches(result.skin)[skin]
    unexplained = patches - own @ np.linalg.lstsq(own, patches, rcond=None)[0]
    steps = [_eye_steps(face) for face in (source, persona, result)]
    return {
        "pale": float(np.percentile(_patches(change)[_forehead()], 98)),
        "blotches": float(unexplained.std()),
        "shade": float(change[skin].std() / max(float(source.skin[skin].std()), 2.0)),
        "brows": _beyond(*(_contrast(face, "brows") for face in (source, persona, result))),
        "lips": _beyond(*(_contrast(face, "lips") for face in (source, persona, result))),
        "rings": float(np.maximum(steps[2] - np.maximum(steps[0], steps[1]), 0).max()),
    }


def _patches(plane: np.ndarray) -> np.ndarray:
    """What is brighter or darker than the skin around it, at about a seventh of the face's size."""
    return plane - _averaged(plane, 0.14)


def _averaged(plane: np.ndarray, spread: float) -> np.ndarray:
    """Average over skin alone; the spread as a share of the layout's side."""
    mask = skin_texels(SIZE)
    weight = cv2.GaussianBlur(mask, (0, 0), spread * SIZE)
    return np.asarray(cv2.GaussianBlur(plane * mask, (0, 0), spread * SIZE) / np.maximum(weight, 1e-3), np.float32)


def _beyond(one: float, other: float, value: float) -> float:
    low, high = min(one, other), max(one, other)
    return value - high if value > high else value - low if value < low else 0.0


def _contrast(face: Face, part: str) -> float:
    """Darkness of a part against the skin beside it."""
    inside, around = _part(part)
    return float(face.bright[around].mean() - face.bright[inside].mean())


def _eye_steps(face: Face) -> np.ndarray:
    """Change from ring to ring below both eyes: brightness, then colour, (2, rings − 1)."""
    bright = np.array([face.bright[ring].mean() for ring in _eye_rings()])
    color = np.array([face.lab[ring][:, 1:].mean(axis=0) for ring in _eye_rings()])
    return np.stack([np.abs(np.diff(bright)), 2 * np.linalg.norm(np.diff(color, axis=0), axis=1)])


@lru_cache(maxsize=1)
def _forehead() -> np.ndarray:
    """Skin above the brows."""
    mask = skin_texels(SIZE) > 0
    mask[int(face_mesh().layout[[105, 334], 1].min() * SIZE) - 2 :] = False
    return mask


@lru_cache(maxsize=2)
def _part(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Texels of a part, and of the skin around it."""
    contours = BROWS if name == "brows" else (OUTER_LIPS,)
    inside = np.zeros((SIZE, SIZE), bool)
    near = np.zeros((SIZE, SIZE), bool)
    for contour in contours:
        inside |= filled_texels(SIZE, contour, 0.92) > 0.5
        near |= filled_texels(SIZE, contour, 1.9) > 0.5
    if name == "lips":
        # Neither teeth nor the dark between the lips.
        inside &= ~(filled_texels(SIZE, INNER_LIPS, 1.12) > 0.5)
    return inside, near & (skin_texels(SIZE) > 0)


@lru_cache(maxsize=1)
def _eye_rings() -> tuple[np.ndarray, ...]:
    """Rings of skin below the eyes, from near to far."""
    layout = face_mesh().layout * SIZE
    rows = np.arange(SIZE)[:, None]
    rings = []
    for near, far in pairwise(_RINGS):
        ring = np.zeros((SIZE, SIZE), bool)
        for eye in EYES:
            below = rows > layout[list(eye), 1].mean()
            ring |= (
                (filled_texels(SIZE, eye, (1.1, far)) > 0.5) & ~(filled_texels(SIZE, eye, (1.1, near)) > 0.5) & below
            )
        rings.append(ring & (oval_texels(SIZE, 0.95) > 0))
    return tuple(rings)
