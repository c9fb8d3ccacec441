"""Shape transfer: moves the source's face part-way towards the persona's shape and lets the surroundings follow smoothly.

It bends the source's own picture; nothing of the persona is drawn here.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import BROWS, EYES, INNER_LIPS, LIDS, OVAL
from recaster.media.faces.mesh import Plane, Points, control_points, face_mesh
from recaster.media.video import Image

DEPTH_SHARE = 0.5
"""How much of the difference in depth is taken; depth from one picture is a guess."""
REACH = 1.75
"""Where the bend has faded to nothing, as a multiple of the oval."""
BROW_GAIN = 1.15
"""Measured on 37 pictures of two people: brows move by 1.1–1.2 times what their landmarks do."""
_BROW_REACH, _BROW_GAP = 0.045, 0.1
"""Over the layout's side: how far around a brow the skin goes with it, and the breadth of the passage between both brows."""
_STILL_RINGS = (1.5, 1.85)
_HELD_REACH = 0.06
"""Over the layout's side."""
_LEAST_CELL, _CELLS = 12, 24
"""Pixels of a cell of the grid, and cells over the height of a face."""
_CONTROL_POINTS = 92


def shape_offsets(neutral: Points, persona: Points, share: float) -> NDArray[np.float32]:
    """Offsets that give a face part of the persona's shape, in the frame of the mean shape, (468, 3).

    Eyes with their lids and the inner lips are moved as a whole, so that what is closed stays closed and teeth keep their
    form.
    """
    offsets = share * (persona - neutral)
    offsets[:, 2] *= DEPTH_SHARE
    for eye, lids in zip(EYES, LIDS, strict=True):
        near = list(eye) + list(lids)
        offsets[near] = offsets[near].mean(axis=0)
    lips = list(INNER_LIPS)
    offsets[lips, 1:] = offsets[lips, 1:].mean(axis=0)
    return np.asarray(offsets, np.float32)


def held_landmarks(hidden: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far each landmark must stay where it is in each row, 0–1, (n, 468), falling smoothly around what stands in front.

    What stands in front of the face would bend with the face behind it.

    Args:
        hidden: what stands in front, 0–255, in the layout of the mesh, (n, s, s).
    """
    layout = face_mesh().layout[:468]
    size = hidden.shape[1]
    held = np.zeros((len(hidden), 468), np.float32)
    columns, rows = np.clip((layout * size).astype(int), 0, size - 1).T
    reach = 2 * round(_HELD_REACH * size) + 1
    for row in np.flatnonzero(hidden.any(axis=(1, 2))):
        wide = cv2.dilate(hidden[row], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        held[row] = cv2.GaussianBlur(wide, (0, 0), _HELD_REACH * size)[rows, columns] / np.float32(255)
    # What is moved as a whole is held as a whole.
    for group in (*(list(eye) + list(lids) for eye, lids in zip(EYES, LIDS, strict=True)), list(INNER_LIPS)):
        held[:, group] = held[:, group].max(axis=1, keepdims=True)
    return held


def brow_offsets(shapes: NDArray[np.float32], neutral: Points) -> NDArray[np.float32]:
    """What must be added to the landmarks so that brows move as far as they really do, in the shape's frame, (n, 468, 3).

    The landmark network reads `1 / BROW_GAIN` of a brow's movement. Forehead and lids follow more the nearer they are; both
    ends of a brow and its middle move by one amount, for a crooked brow is a misreading more often than a gesture.

    Args:
        shapes: faces in the frame of the mean shape, (n, 468, 3).
        neutral: the same face at rest.
    """
    layout = face_mesh().layout[:468]
    offsets = np.zeros_like(shapes)
    for brow, side in zip(BROWS, (-1.0, 1.0), strict=True):
        raised = (shapes - neutral)[:, list(brow), 1].mean(axis=1)
        away = np.linalg.norm(layout[:, None] - layout[list(brow)][None], axis=-1).min(axis=1)
        share = np.exp(-((away / _BROW_REACH) ** 2))
        # Each brow moves its own half; between them both do, half and half.
        across = np.clip(0.5 + side * (layout[:, 0] - 0.5) / _BROW_GAP, 0, 1)
        offsets[:, :, 1] += (BROW_GAIN - 1) * raised[:, None] * (share * across)[None]
    for eye in EYES:
        offsets[:, list(eye)] = 0
    return offsets


class Reshaper:
    """Bends crops of one clip."""

    def __init__(self) -> None:
        self._controls = control_points(_CONTROL_POINTS)

    def bend(self, image: Image, points: Points, target: Points, outline: Points | None = None) -> Image:
        """Move the picture under `points` to `target`; beyond `REACH` times the oval every pixel stays the same.

        A thin-plate spline (Bookstein 1989) from target to source over control points and two rings that stay where they
        are, worked out on a coarse grid.

        Args:
            image: BGR.
            points: landmarks in its pixels, (468, 3).
            target: where they are to be.
            outline: whose oval that is: the face at rest in its pose, for example, as a thing before the chin may pull
                landmarks far out; `target`'s own unless given.
        """
        oval = (target if outline is None else outline)[list(OVAL), :2]
        centre = oval.mean(axis=0)
        rings = np.concatenate([centre + (oval[::3] - centre) * ring for ring in _STILL_RINGS])
        known = np.concatenate([target[self._controls, :2], rings]).astype(np.float64)
        moved = np.concatenate([(points - target)[self._controls, :2], np.zeros_like(rings)]).astype(np.float64)
        size = float(np.ptp(oval[:, 1]))
        height, width = image.shape[:2]
        cell = max(_LEAST_CELL, round(size / _CELLS))
        rows, columns = np.meshgrid(
            np.arange(0, height + cell, cell, dtype=np.float32),
            np.arange(0, width + cell, cell, dtype=np.float32),
            indexing="ij",
        )
        grid = np.stack([columns.ravel(), rows.ravel()], axis=1)
        bend = _thin_plate(known / size, moved, (grid / size).astype(np.float32))
        bend *= _fade(grid, oval, centre)[:, None]
        shift = bend.reshape(*rows.shape, 2).astype(np.float32)
        fine = np.asarray(
            cv2.warpAffine(
                shift,
                np.array([[1 / cell, 0, 0], [0, 1 / cell, 0]]),
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            ),
            np.float32,
        )
        x = fine[..., 0] + np.arange(width, dtype=np.float32)
        y = fine[..., 1] + np.arange(height, dtype=np.float32)[:, None]
        # Where the bend is zero the places are whole numbers, and the cubic kernel returns the pixel itself.
        return np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _thin_plate(
    known: NDArray[np.float64], values: NDArray[np.float64], asked: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate `values` given at `known` (k, 2) at the places `asked` (a, 2), with a little smoothing."""
    count = len(known)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(((known[:, None] - known[None]) ** 2).sum(axis=-1)) + 1e-3 * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), known])
    system[count:, :count] = system[:count, count:].T
    solved = np.linalg.solve(system, np.concatenate([values, np.zeros((3, values.shape[1]))])).astype(np.float32)
    near = known.astype(np.float32)
    squares = (asked**2).sum(axis=1)[:, None] + (near**2).sum(axis=1)[None] - 2 * asked @ near.T
    weights = _kernel(np.maximum(squares, 0))
    return np.asarray(weights @ solved[:count] + solved[count] + asked @ solved[count + 1 :], np.float32)


def _kernel(squares: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(squares * np.log(squares + 1e-9))


def _fade(grid: NDArray[np.float32], oval: NDArray[np.float32], centre: NDArray[np.float32]) -> Plane:
    """1 on the face, falling smoothly to 0 at `REACH` times the oval, for places (a, 2)."""
    outline = oval - centre
    angles = np.arctan2(outline[:, 1], outline[:, 0])
    order = np.argsort(angles)
    radii = np.linalg.norm(outline, axis=1)[order]
    places = grid - centre
    reach = np.interp(np.arctan2(places[:, 1], places[:, 0]), angles[order], radii, period=2 * np.pi)
    outside = (np.linalg.norm(places, axis=1) / np.maximum(reach, 1) - 1.15) / (REACH - 1.15)
    share = 1 - np.clip(outside, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
