"""Which of the persona's pictures is shown how much in each frame, by likeness of expression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import EYES, LIDS, LIPS
from recaster.media.faces.follow import FollowedFace, gaussian_in_time
from recaster.media.faces.mesh import Points, face_mesh, poses_of
from recaster.media.faces.persona import Persona

RIDGE = 0.008
"""Price of every picture that is mixed in."""
LEAST_EXPLAINED = 0.25
"""Share of a movement that a mix must explain to be shown at all; from `FULLY_EXPLAINED` on it is shown in full."""
FULLY_EXPLAINED = 0.55
SMOOTHING_SECONDS = 0.09
_CALM = 0.02
_ROUNDS = 150


def reference_weights(persona: Persona, face: FollowedFace) -> NDArray[np.float32]:
    """Weights for the upper and the lower half of the face, (2, n, references); each row sums to 1.

    Non-negative least squares over what each picture moves from rest, solved for all frames at once by projected gradient;
    the neutral picture takes the remainder. A mix that does not explain the movement is not shown: it would change the mood.
    """
    count = len(persona.references)
    weights = np.zeros((2, len(face.frames), count), np.float32)
    weights[:, :, 0] = 1
    if count == 1:
        return weights
    known = _movements(persona)
    seen = face.poses.removed(face.points) - shape_at_rest(persona, face)
    for half, indices in enumerate(_halves()):
        mixed, _ = _fitted(known, seen, indices)
        smooth = gaussian_in_time(mixed, max(0.8, SMOOTHING_SECONDS * face.frame_rate))
        weights[half, :, 1:] = smooth
        weights[half, :, 0] = 1 - smooth.sum(axis=1)
    return weights


def shape_at_rest(persona: Persona, face: FollowedFace) -> Points:
    """The source's face at rest, (468, 3).

    Someone who smiles through the whole clip has no calm frame. What the persona's own expressions explain of the difference
    between both faces is taken for expression, the rest for the form of the face.
    """
    rest = face.neutral.copy()
    if len(persona.references) == 1:
        return rest
    known = _movements(persona)
    lips = np.asarray(LIPS)
    weights, explained = _fitted(known, (face.neutral - persona.shape)[None], lips, gated=False)
    layout = face_mesh().layout[:468]
    away = np.linalg.norm(layout[:, None] - layout[lips][None], axis=-1).min(axis=1)
    # Only around the mouth: a broad jaw is a form, a lifted corner is not.
    share = float(np.clip(explained[0] / 0.5, 0, 1)) * np.exp(-((away / 0.04) ** 2))
    return np.asarray(rest - np.tensordot(weights[0], known[1:], axes=1) * share[:, None], np.float32)


def _movements(persona: Persona) -> NDArray[np.float32]:
    """What each picture of the persona moves from rest, (references, 468, 3)."""
    points = np.stack([reference.landmarks for reference in persona.references])
    return np.asarray(poses_of(points).removed(points) - persona.shape, np.float32)


def _fitted(
    known: NDArray[np.float32], seen: NDArray[np.float32], indices: NDArray[np.int64], gated: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights of `known` (r, 468, 3) without its first for `seen` (n, 468, 3) over some landmarks, and what was explained."""
    size = float(np.sqrt(len(indices)))
    basis = known[1:, indices, :2].reshape(len(known) - 1, -1) / size
    wanted = seen[:, indices, :2].reshape(len(seen), -1) / size
    return _mixed(basis, wanted, gated)


def _halves() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Landmarks of brows and forehead, and of mouth, cheeks and jaw."""
    layout = face_mesh().layout[:468]
    eyes = {index for group in (*EYES, *LIDS) for index in group}
    rest = np.array([index for index in range(468) if index not in eyes])
    height = layout[rest, 1]
    return rest[height < layout[168, 1]], rest[height > layout[4, 1]]


def _mixed(
    basis: NDArray[np.float32], wanted: NDArray[np.float32], gated: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (n, r) of the movements `basis` (r, d) for the movements `wanted` (n, d), and the share explained (n,)."""
    gram = basis @ basis.T
    gram += RIDGE * float(np.trace(gram)) / len(gram) * np.eye(len(gram), dtype=np.float32)
    aim = wanted @ basis.T
    step = 1 / float(np.linalg.eigvalsh(gram)[-1])
    weights = np.zeros_like(aim)
    for _ in range(_ROUNDS):
        weights = np.maximum(weights - step * (weights @ gram - aim), 0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    moved = np.linalg.norm(wanted, axis=1)
    left = np.linalg.norm(wanted - weights @ basis, axis=1)
    # Few pictures look sharper than many: the largest take over from the small ones.
    total = weights.sum(axis=1, keepdims=True)
    weights = weights**1.7
    weights *= total / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    explained = 1 - left / np.maximum(moved, 1e-6)
    if not gated:
        return np.asarray(weights, np.float32), np.asarray(explained, np.float32)
    gate = np.clip((explained - LEAST_EXPLAINED) / (FULLY_EXPLAINED - LEAST_EXPLAINED), 0, 1)
    gate = gate * np.clip(moved / _CALM - 0.5, 0, 1)
    return np.asarray(weights * gate[:, None], np.float32), np.asarray(explained, np.float32)
