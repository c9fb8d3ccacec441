"""`FaceSwapper`, and `MeshSwapper`: the embedded default, which needs no generator network.

The persona's pictures are drawn onto the face mesh of the on-camera person. Light and skin tone come from the source,
features and skin detail from the persona; eyes with their lids and the inside of the mouth stay the source's own, so that
gaze, blinks and teeth are right by construction. Expressions are followed by blending the persona's pictures whose
expression is nearest. Method after the project's own measurements: low frequencies from the source and middle and high
ones from the persona, split in Lab.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import FaceUnsuitable
from recaster.media.faces.analysis import FaceAnalysis, FaceTrack
from recaster.media.faces.mesh import EYES, INNER_LIPS, OVAL, expression, yaw_degrees
from recaster.media.faces.networks import FaceModels, Points
from recaster.media.faces.persona import Persona, Reference
from recaster.media.progress import Progress, silent
from recaster.media.video import Image, VideoFacts

FADE_FRAMES = 5
"""Frames over which the swap fades in and out where the face is lost or turned away too far."""
MOST_YAW = 42.0
"""Degrees beyond which the source's own face stays."""
SMOOTHING = 3
"""Frames before and after that landmarks are averaged over."""
JUMP = 0.08
"""Movement from one frame to the next, over the face's width, that is a cut or too fast to be averaged over."""
BLENDED_REFERENCES = 2
_EXPRESSION_SCALE = np.array([1.0, 1.0, 1.2, 0.5, 0.3], np.float32)

Plane = NDArray[np.float32]


class SwapSession(Protocol):
    """Swaps one face in the frames of one clip."""

    @property
    def swapped_frames(self) -> int:
        """How many frames have been changed so far."""
        ...

    def swap(self, image: Image, frame_index: int) -> Image:
        """Return the frame with the persona's face; a frame without a usable face comes back unchanged.

        Pixels outside the face are the same to the bit. Frames are given in rising order.
        """
        ...


class FaceSwapper(Protocol):
    """Puts a persona's face on the on-camera person of a clip."""

    def begin(
        self, persona: Persona, analysis: FaceAnalysis, facts: VideoFacts, path: Path, progress: Progress = silent
    ) -> SwapSession:
        """Learn what is needed of the clip.

        Raises:
            NoFaceFound, FaceUnsuitable: there is no face that can be swapped.
            Cancelled: `progress` did.
        """
        ...


class MeshSwapper:
    """`FaceSwapper` by texture warping on the CPU."""

    def __init__(self, models: FaceModels) -> None:
        self._models = models

    def begin(
        self, persona: Persona, analysis: FaceAnalysis, facts: VideoFacts, path: Path, progress: Progress = silent
    ) -> SwapSession:
        """Smooth the landmarks and choose the persona's pictures for every frame; the clip is not decoded again."""
        track = analysis.require_on_camera()
        session = _MeshSession(persona, track)
        progress(facts.frame_count, facts.frame_count)
        return session


class _MeshSession:
    def __init__(self, persona: Persona, track: FaceTrack) -> None:
        self._points = _smoothed(track.frames, track.landmarks)
        self._rows = {int(frame): row for row, frame in enumerate(track.frames)}
        self._alpha = _presence(track.frames, self._points)
        if not self._alpha.any():
            raise FaceUnsuitable(
                f"The face on camera is turned more than {MOST_YAW:.0f}° to the side all the time. Pick another source."
            )
        self._references = persona.references
        self._weights = _reference_weights(track.frames, self._points, persona.references)
        self._triangles = _triangulate(persona.references[0])
        self._swapped = 0

    @property
    def swapped_frames(self) -> int:
        """How many frames have been changed so far."""
        return self._swapped

    def swap(self, image: Image, frame_index: int) -> Image:
        """Return the frame with the persona's face."""
        row = self._rows.get(frame_index)
        if row is None or self._alpha[row] <= 0:
            return image
        left, top, right, bottom = _region(self._points[row], image)
        if right - left < 16 or bottom - top < 16:
            return image
        points = self._points[row, :, :2] - np.array([left, top], np.float32)
        target = image[top:bottom, left:right]
        mask = _face_mask(points, target.shape[:2]) * float(self._alpha[row])
        texture, covered = self._texture(points, target.shape[:2], row)
        mask *= covered
        face = _relit(texture, target, mask)
        blended = target + (face - target) * mask[..., None]
        result = image.copy()
        changed = np.clip(np.round(blended), 0, 255).astype(np.uint8)
        result[top:bottom, left:right] = np.where(mask[..., None] > 0, changed, target)
        self._swapped += 1
        return result

    def _texture(self, points: NDArray[np.float32], shape: tuple[int, int], row: int) -> tuple[Plane, Plane]:
        """Blend the persona's nearest pictures, drawn onto the mesh of this frame; and where the mesh is (0 or 1)."""
        owner = _rasterised(points, self._triangles, shape)
        inside = owner >= 0
        rows, columns = np.nonzero(inside)
        triangles = owner[rows, columns]
        texture = np.zeros((*shape, 3), np.float32)
        chosen = np.argsort(-self._weights[row])[:BLENDED_REFERENCES]
        weights = self._weights[row, chosen] / self._weights[row, chosen].sum()
        for index, weight in zip(chosen, weights, strict=True):
            if weight < 0.02:
                continue
            reference = self._references[int(index)]
            maps = _affine_maps(points, reference.landmarks[:, :2], self._triangles)[triangles]
            x = np.zeros(shape, np.float32)
            y = np.zeros(shape, np.float32)
            x[rows, columns] = maps[:, 0, 0] * columns + maps[:, 0, 1] * rows + maps[:, 0, 2]
            y[rows, columns] = maps[:, 1, 0] * columns + maps[:, 1, 1] * rows + maps[:, 1, 2]
            source = _prefiltered(reference, points)
            drawn = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            texture += float(weight) * drawn.astype(np.float32)
        return texture, inside.astype(np.float32)


def _smoothed(frames: NDArray[np.int32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average each frame's points with its neighbours' (Gaussian), never over a gap or a jump."""
    result = np.zeros_like(points)
    total = np.zeros(len(frames), np.float32)
    # A track goes on across cuts; positions from the two sides of a cut must not be mixed.
    moved = np.median(np.linalg.norm(np.diff(points[:, :, :2], axis=0), axis=-1), axis=1)
    width = np.ptp(points[:, :, 0], axis=1)[1:]
    run = np.concatenate([[0], np.cumsum(moved > JUMP * width)])
    for shift in range(-SMOOTHING, SMOOTHING + 1):
        weight = float(np.exp(-shift * shift / 2.5))
        for row in range(len(frames)):
            other = row + shift
            if 0 <= other < len(frames) and frames[other] - frames[row] == shift and run[other] == run[row]:
                result[row] += weight * points[other]
                total[row] += weight
    return np.asarray(result / total[:, None, None], np.float32)


def _presence(frames: NDArray[np.int32], points: NDArray[np.float32]) -> Plane:
    """How much of the swap shows in each frame, 0–1: less near a gap and near too far a turn."""
    usable = np.array([abs(yaw_degrees(one)) <= MOST_YAW for one in points])
    alpha = usable.astype(np.float32)
    for row in range(len(frames)):
        for shift in range(1, FADE_FRAMES + 1):
            for other in (row - shift, row + shift):
                # The clip's own first and last frame are no gap.
                if 0 <= other < len(frames):
                    lost = not usable[other] or abs(int(frames[other]) - int(frames[row])) != shift
                    if lost:
                        alpha[row] = min(alpha[row], shift / (FADE_FRAMES + 1))
    return np.asarray(alpha * usable, np.float32)


def _reference_weights(
    frames: NDArray[np.int32], points: NDArray[np.float32], references: tuple[Reference, ...]
) -> Plane:
    """Weight of each reference in each frame by likeness of expression, smooth in time; shape (frames, references)."""
    own = np.stack([expression(one) for one in points])
    neutral = np.median(own, axis=0)
    known = np.stack([reference.expression for reference in references])
    # Faces differ at rest: what counts is how far each is from its own neutral.
    offsets = (own - neutral) / _EXPRESSION_SCALE
    poses = (known - known[0]) / _EXPRESSION_SCALE
    distance = np.linalg.norm(offsets[:, None] - poses[None], axis=-1)
    weights = np.exp(-((distance / 0.12) ** 2)) + 1e-6
    # The neutral picture carries identity best; others have to earn their place.
    weights[:, 0] += 0.35
    weights /= weights.sum(axis=1, keepdims=True)
    kernel = np.exp(-(np.arange(-8, 9) ** 2) / (2 * 2.5**2)).astype(np.float32)
    kernel /= kernel.sum()
    padded = np.pad(weights, ((8, 8), (0, 0)), mode="edge")
    smooth = np.stack(
        [np.convolve(padded[:, column], kernel, mode="valid") for column in range(weights.shape[1])], axis=1
    )
    # The two largest overall keep their places, so that the blend never pops from one picture to another.
    return np.asarray(smooth / smooth.sum(axis=1, keepdims=True), np.float32)


def _triangulate(reference: Reference) -> NDArray[np.int32]:
    """Delaunay triangles over the points of the neutral picture, shape (t, 3)."""
    points = reference.landmarks[:, :2]
    side = float(reference.image.shape[0])
    plane = cv2.Subdiv2D((-int(side), -int(side), int(3 * side), int(3 * side)))
    lookup: dict[tuple[float, float], int] = {}
    for index, (x, y) in enumerate(points):
        plane.insert((float(x), float(y)))
        lookup[(round(float(x), 2), round(float(y), 2))] = index
    triangles = []
    for corners in plane.getTriangleList():
        keys = [(round(float(corners[i]), 2), round(float(corners[i + 1]), 2)) for i in (0, 2, 4)]
        if all(key in lookup for key in keys):
            triangles.append([lookup[key] for key in keys])
    return np.asarray(triangles, np.int32)


def _rasterised(points: NDArray[np.float32], triangles: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Which triangle each pixel belongs to, −1 outside the mesh."""
    owner = np.full(shape, -1, np.int32)
    corners = np.round(points[triangles] * 16).astype(np.int32)
    for index in range(len(triangles)):
        cv2.fillConvexPoly(owner, corners[index], int(index), lineType=cv2.LINE_8, shift=4)
    return owner


def _affine_maps(
    target: NDArray[np.float32], source: NDArray[np.float32], triangles: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Affine map from frame to picture for each triangle, shape (t, 2, 3)."""
    t, s = target[triangles].astype(np.float64), source[triangles].astype(np.float64)
    edges_t = np.stack([t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]], axis=-1)
    edges_s = np.stack([s[:, 1] - s[:, 0], s[:, 2] - s[:, 0]], axis=-1)
    determinant = edges_t[:, 0, 0] * edges_t[:, 1, 1] - edges_t[:, 0, 1] * edges_t[:, 1, 0]
    determinant = np.where(np.abs(determinant) < 1e-6, 1e-6, determinant)
    inverse = np.empty_like(edges_t)
    inverse[:, 0, 0], inverse[:, 1, 1] = edges_t[:, 1, 1], edges_t[:, 0, 0]
    inverse[:, 0, 1], inverse[:, 1, 0] = -edges_t[:, 0, 1], -edges_t[:, 1, 0]
    linear = edges_s @ (inverse / determinant[:, None, None])
    shift = s[:, 0] - np.einsum("tij,tj->ti", linear, t[:, 0])
    return np.concatenate([linear, shift[..., None]], axis=-1).astype(np.float32)


def _prefiltered(reference: Reference, points: NDArray[np.float32]) -> Image:
    """The picture, blurred as far as it will be made smaller, so that freckles do not glitter."""
    ratio = float(np.ptp(reference.landmarks[:, 0])) / max(float(np.ptp(points[:, 0])), 1.0)
    if ratio <= 1.1:
        return reference.image
    return np.asarray(cv2.GaussianBlur(reference.image, (0, 0), 0.32 * float(np.sqrt(ratio * ratio - 1))), np.uint8)


def _region(points: Points, image: Image) -> tuple[int, int, int, int]:
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    margin = 0.06 * (high - low)
    return (
        max(0, int(low[0] - margin[0])),
        max(0, int(low[1] - margin[1])),
        min(image.shape[1], int(high[0] + margin[0]) + 1),
        min(image.shape[0], int(high[1] + margin[1]) + 1),
    )


def _face_mask(points: NDArray[np.float32], shape: tuple[int, int]) -> Plane:
    """1 where the persona shows: the oval, shrunk and soft, without eyes and lids and without the inside of the mouth."""
    width = float(np.ptp(points[:, 0]))
    oval = points[list(OVAL)]
    centre = oval.mean(axis=0)
    mask = _filled(centre + (oval - centre) * 0.93, shape)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.03 * width)), np.float32)
    # The blur must not reach the edge of the mesh, where the texture ends.
    mask *= _filled(centre + (oval - centre) * 0.985, shape)
    for eye in EYES:
        corners = points[list(eye)]
        middle = corners.mean(axis=0)
        grown = middle + (corners - middle) * np.array([1.22, 1.9], np.float32)
        mask *= 1.0 - cv2.GaussianBlur(_filled(grown, shape), (0, 0), max(0.8, 0.014 * width))
    lips = points[list(INNER_LIPS)]
    if float(np.ptp(lips[:, 1])) > 0.02 * width:
        mask *= 1.0 - cv2.GaussianBlur(_filled(lips, shape), (0, 0), max(0.7, 0.008 * width))
    return np.asarray(mask, np.float32)


def _filled(polygon: NDArray[np.float32], shape: tuple[int, int]) -> Plane:
    plane = np.zeros(shape, np.float32)
    cv2.fillPoly(plane, [np.round(polygon * 16).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=4)
    return np.clip(plane, 0, 1)


def _relit(texture: Plane, target: Image, mask: Plane) -> Plane:
    """Give the texture the source's light and skin tone: low frequencies of the source, the rest of the persona."""
    own = cv2.cvtColor(target.astype(np.float32) / 255.0, cv2.COLOR_BGR2Lab)
    new = cv2.cvtColor(np.clip(texture, 0, 255).astype(np.float32) / 255.0, cv2.COLOR_BGR2Lab)
    weight = (mask > 0.2).astype(np.float32)
    sigma = 0.11 * float(np.sqrt(max(weight.sum(), 1.0)))
    own_low, new_low = (_low(np.asarray(one, np.float32), weight, sigma) for one in (own, new))
    detail = new - new_low
    inside = weight > 0
    if inside.any():
        spread_own = float(np.std((own - own_low)[..., 0][inside]))
        spread_new = float(np.std(detail[..., 0][inside]))
        detail[..., 0] *= float(np.clip(spread_own / max(spread_new, 1e-3), 0.7, 1.15))
    detail[..., 1:] *= 0.7
    lit = own_low + detail
    lit[..., 0] = np.clip(lit[..., 0], 0, 100)
    return np.asarray(np.clip(cv2.cvtColor(lit, cv2.COLOR_Lab2BGR), 0, 1) * 255.0, np.float32)


def _low(picture: Plane, weight: Plane, sigma: float) -> Plane:
    """Blur that looks only at pixels with weight, worked out at a quarter of the size."""
    shape = (picture.shape[1], picture.shape[0])
    small = (max(4, shape[0] // 4), max(4, shape[1] // 4))
    light = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    color = cv2.resize(picture * weight[..., None], small, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(light, (0, 0), max(sigma / 4, 0.5))
    color = cv2.GaussianBlur(color, (0, 0), max(sigma / 4, 0.5))
    low = color / np.maximum(light, 1e-3)[..., None]
    return np.asarray(cv2.resize(low, shape, interpolation=cv2.INTER_LINEAR), np.float32)
