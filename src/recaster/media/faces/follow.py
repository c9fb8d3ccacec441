"""The on-camera face through a clip: landmarks without jitter, colours of the face in every frame, pose and rest shape.

One pass over the clip; it keeps landmarks and small textures, never frames. It knows nothing of personas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.analysis import TEXTURE, FaceTrack
from recaster.media.faces.contours import EYES
from recaster.media.faces.eyelids import COLUMNS, ROWS, closed_eyes, eye_pictures
from recaster.media.faces.hands import HandFinder, HandPoints, hands_mask
from recaster.media.faces.light import filled_texels
from recaster.media.faces.mesh import (
    Points,
    Poses,
    control_points,
    expression,
    face_mesh,
    poses_of,
    texture_map,
    unwrapped,
)
from recaster.media.faces.occlusion import hidden_share, hidden_texels
from recaster.media.progress import Progress, silent
from recaster.media.video import FrameReader, Image, VideoFacts, read_frames

SMOOTHING_SECONDS = 0.06
"""Spread of the zero-phase filter over time; the face's own movement is not smoothed, only what flow does not confirm."""
JUMP = 0.12
"""Movement from one frame to the next, over the face's width, that is a cut or too fast to be averaged over."""
_FLOW_WIDTH = 160.0
_MOST_DISAGREEMENT = 0.7
_ANCHORS = 160
"""Places of movement; those between them go with their neighbours."""
_ANCHOR_REACH = 0.02
_LEAST_TRUSTED = 0.3
_PROBES = 10
_EYES_SEEN, _EYES_LOST = 25.0, 35.0
"""Degrees to the side up to which an eye looks like itself seen from the front, and from which on it does not."""
_MOST_HIDDEN_PROBE = 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One frame's face at full size, kept to measure skin detail and sharpness."""

    row: int
    image: Image
    """BGR crop around the face."""
    points: Points
    """Smoothed landmarks in pixels of the crop."""


@dataclass(frozen=True, slots=True, eq=False)
class FollowedFace:
    """What is known of the on-camera face in every frame in which it was found."""

    frames: NDArray[np.int32]
    """Frame indices, rising, (n,)."""
    points: NDArray[np.float32]
    """Smoothed landmarks in frame pixels, (n, 468, 3)."""
    runs: NDArray[np.int32]
    """Number of the uninterrupted run each row belongs to, (n,)."""
    poses: Poses
    textures: NDArray[np.uint8]
    """The face's colours in the layout of the mesh, BGR, (n, 80, 80, 3)."""
    hidden: NDArray[np.uint8]
    """How sure it is that something stands in front of the face there, 0–255, in the same layout, (n, 80, 80)."""
    neutral: Points
    """The person's own shape at rest in the frame of the mean shape, (468, 3)."""
    expressions: NDArray[np.float32]
    """`mesh.expression` of each row, (n, 5)."""
    closed: NDArray[np.float32]
    """How far each eye is closed in each row, 0–1, (n, 2), by its look: landmarks hardly close."""
    probes: tuple[Probe, ...]
    frame_rate: float

    @property
    def width(self) -> float:
        """Upper quartile of the face's width in pixels."""
        return float(np.percentile(np.ptp(self.points[:, :, 0], axis=1), 75))


def follow_face(
    path: Path,
    track: FaceTrack,
    facts: VideoFacts,
    hands: HandFinder | None = None,
    progress: Progress = silent,
    *,
    frames: FrameReader = read_frames,
) -> FollowedFace:
    """Read the clip once and follow a track through it.

    Landmark networks tremble by a pixel or two. The trembling is what the landmarks do beyond the optical flow under them
    (Lucas, Kanade 1981, forwards and backwards); it is averaged over time, while the flow itself is kept, so that nothing
    lags behind the picture.

    Args:
        path: the clip.
        track: whom to follow.
        facts: of the clip.
        hands: finds hands before the face; None leaves it to colour alone.
        progress: counts frames.
        frames: reads the clip.

    Raises:
        MediaInvalid: the clip cannot be decoded.
        Cancelled: `progress` did.
    """
    rows = {int(frame): row for row, frame in enumerate(track.frames)}
    count = len(track.frames)
    flow = np.zeros((count, 468, 2), np.float32)
    runs = np.zeros(count, np.int32)
    textures = np.zeros((count, TEXTURE, TEXTURE, 3), np.uint8)
    wanted = set(np.unique(np.linspace(0, count - 1, _PROBES + 2).round().astype(int)[1:-1]).tolist())
    kept: list[tuple[int, Image, NDArray[np.float32]]] = []
    covered = np.zeros((count, TEXTURE, TEXTURE), np.uint8)
    eyes = np.zeros((count, 2, ROWS, COLUMNS), np.uint8)
    before: tuple[int, Image] | None = None
    last = int(track.frames[-1])
    for frame in frames(path, int(track.frames[0]), last + 1):
        row = rows.get(frame.index)
        if row is not None:
            points = track.landmarks[row]
            crop, corner = _crop(frame.image, points, 0.55)
            textures[row] = unwrapped(crop, points[:, :2] - corner, TEXTURE)
            eyes[row] = eye_pictures(crop, points[:, :2] - corner)
            gray = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
            if before is not None and before[0] == frame.index - 1 and not _jumped(track.landmarks[row - 1], points):
                flow[row] = _flow(before[1], gray, track.landmarks[row - 1], points)
                runs[row] = runs[row - 1]
            else:
                runs[row] = runs[row - 1] + 1 if row else 0
                if hands is not None:
                    hands.forget()
            if hands is not None:
                covered[row] = _covered(hands.find(frame.image, points), points, crop.shape[:2], corner)
            before = (frame.index, gray)
            if row in wanted:
                kept.append((row, crop.copy(), corner))
        progress(frame.index + 1, facts.frame_count)
    rate = float(facts.average_rate)
    smooth = _smoothed(track.landmarks, flow, runs, max(0.8, SMOOTHING_SECONDS * rate))
    poses = poses_of(smooth)
    probes = tuple(Probe(row, image, smooth[row] - np.array([*corner, 0], np.float32)) for row, image, corner in kept)
    hidden = hidden_texels(textures, covered, runs)
    shares = hidden_share(hidden)
    clear = tuple(probe for probe in probes if shares[probe.row] <= _MOST_HIDDEN_PROBE)
    expressions = np.stack([expression(one) for one in smooth])
    neutral = _neutral(poses.removed(smooth), expressions)
    turned = np.clip((_EYES_LOST - np.abs(poses.degrees[:, :1])) / (_EYES_LOST - _EYES_SEEN), 0, 1)
    closed = closed_eyes(eyes, expressions[:, 4], _eye_widths(smooth)) * _clear_eyes(hidden)
    closed = np.asarray(closed * turned, np.float32)
    return FollowedFace(
        track.frames, smooth, runs, poses, textures, hidden, neutral, expressions, closed, clear or probes, rate
    )


def _eye_widths(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Width of each eye in pixels, (n, 2)."""
    corners = points[:, [[33, 133], [263, 362]], :2]
    return np.asarray(np.linalg.norm(corners[:, :, 0] - corners[:, :, 1], axis=2), np.float32)


def _clear_eyes(hidden: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How little of each eye is hidden, 0–1, (n, 2)."""
    places = [filled_texels(hidden.shape[1], eye, 1.2) > 0 for eye in EYES]
    share = np.stack([hidden[:, place].mean(axis=1) for place in places], axis=1) / 255
    return np.asarray(1 - share, np.float32)


def _covered(
    hands: list[HandPoints], points: Points, shape: tuple[int, ...], corner: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Where hands are before the face, 0–255, in the layout."""
    near = [hand - corner for hand in hands]
    if not near:
        return np.zeros((TEXTURE, TEXTURE), np.uint8)
    mask = hands_mask(near, (shape[0], shape[1]))
    x, y = texture_map(points[:, :2] - corner, TEXTURE)
    drawn = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(np.round(255 * np.clip(drawn, 0, 1)), np.uint8)


def _crop(image: Image, points: Points, margin: float) -> tuple[Image, NDArray[np.float32]]:
    """The face with a margin (in face sizes) around it, and the crop's left top corner."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    reach = margin * float((high - low).max())
    left, top = (max(0, int(value - reach)) for value in low)
    right, bottom = int(high[0] + reach) + 1, int(high[1] + reach) + 1
    crop = image[top : max(bottom, top + 2), left : max(right, left + 2)]
    if crop.size == 0:
        crop, left, top = image[:2, :2], 0, 0
    return crop, np.array([left, top], np.float32)


def _jumped(before: Points, now: Points) -> bool:
    moved = float(np.median(np.linalg.norm(now[:, :2] - before[:, :2], axis=1)))
    return moved > JUMP * float(np.ptp(now[:, 0]))


def _flow(before: Image, now: Image, points: Points, later: Points) -> NDArray[np.float32]:
    """Movement of the picture under each landmark from the frame before, in pixels, (468, 2)."""
    both = np.concatenate([points, later])
    low, high = both[:, :2].min(axis=0), both[:, :2].max(axis=0)
    reach = 0.2 * float((high - low).max())
    left, top = (max(0, int(value - reach)) for value in low)
    region = np.s_[top : int(high[1] + reach) + 1, left : int(high[0] + reach) + 1]
    own = np.asarray(later[:, :2] - points[:, :2], np.float32)
    if min(before[region].shape) < 24:
        return own
    scale = min(1.0, _FLOW_WIDTH / max(float(np.ptp(points[:, 0])), 1.0))
    small = [cv2.resize(one[region], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for one in (before, now)]
    anchors, spread = _anchors()
    start = np.ascontiguousarray((points[anchors, :2] - np.array([left, top], np.float32)) * scale)
    guess = np.ascontiguousarray(start + own[anchors] * scale)
    forth, found = _moved(small[0], small[1], start, guess)
    back, returned = _moved(small[1], small[0], forth, start)
    off = np.linalg.norm(back - start, axis=1)
    strayed = np.linalg.norm(forth - guess, axis=1)
    trusted = found & returned & (off < _MOST_DISAGREEMENT) & (strayed < 8)
    shares = spread * trusted
    total = shares.sum(axis=1, keepdims=True)
    seen = shares @ ((forth - start) / scale) / np.maximum(total, 1e-6)
    return np.where(total > _LEAST_TRUSTED, seen, own).astype(np.float32)


@lru_cache(maxsize=1)
def _anchors() -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The landmarks under which movement is looked for, and how much each of them says of each landmark, (468, anchors)."""
    anchors = control_points(_ANCHORS)
    layout = face_mesh().layout[:468]
    distance = np.linalg.norm(layout[:, None] - layout[anchors][None], axis=-1)
    shares = np.exp(-((distance / _ANCHOR_REACH) ** 2))
    return anchors, np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def _moved(
    one: NDArray[Any], other: NDArray[Any], start: NDArray[np.float32], guess: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where the places `start` of one picture lie in the other, and for which of them that was found."""
    places, found, _ = cv2.calcOpticalFlowPyrLK(
        one, other, start, guess.copy(), winSize=(15, 15), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return np.asarray(places, np.float32), np.asarray(found)[:, 0] > 0


def _smoothed(
    landmarks: NDArray[np.float32], flow: NDArray[np.float32], runs: NDArray[np.int32], sigma: float
) -> NDArray[np.float32]:
    """Average over time what flow does not explain, run by run."""
    result = landmarks.astype(np.float32).copy()
    for run in np.unique(runs):
        own = np.flatnonzero(runs == run)
        path = np.cumsum(np.where(own[:, None, None] > own[0], flow[own], 0), axis=0)
        result[own, :, :2] = gaussian_in_time(landmarks[own, :, :2] - path, sigma) + path
        result[own, :, 2] = gaussian_in_time(landmarks[own, :, 2], 1.3 * sigma)
    return result


def gaussian_in_time(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur along the first axis; at both ends the kernel is cut off and made to sum to one again."""
    count = len(values)
    reach = min(max(1, int(np.ceil(3 * sigma))), count - 1)
    total = np.zeros(values.shape, np.float64)
    weight = np.zeros(count)
    for shift in range(-reach, reach + 1):
        share = float(np.exp(-shift * shift / (2 * sigma * sigma)))
        to = slice(max(0, -shift), count - max(0, shift))
        from_ = slice(max(0, shift), count - max(0, -shift))
        total[to] += share * values[from_]
        weight[to] += share
    return np.asarray(total / weight.reshape(-1, *([1] * (values.ndim - 1))), np.float32)


def _neutral(shapes: NDArray[np.float32], expressions: NDArray[np.float32]) -> Points:
    """The person's shape at rest: the median of the frames with the calmest mouth."""
    mouth = expressions[:, 0]
    calm = mouth <= np.median(mouth) + 1e-6
    return np.asarray(np.median(shapes[calm], axis=0), np.float32)
