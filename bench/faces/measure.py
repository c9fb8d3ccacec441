"""Measures of a swapped clip against its source: identity, pose, expression, flicker, sharpness, seams, what was touched.

What is seen and had no score (pale foreheads, brows, lips, rings) is in `seen`; how good the meters are, in meters.md.

The landmarks of source and result are found anew in every frame, with the same network and start; nothing is taken from the
swapper but the mask's outline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from seen import SEEN, face_of, seen

from recaster.media.faces import FaceIdentifier, FaceLandmarker, FaceModels, Persona, similarity
from recaster.media.faces.contours import OVAL
from recaster.media.faces.light import skin_texels
from recaster.media.faces.mesh import drawn_from_layout, expression, layout_map, poses_of
from recaster.media.faces.reshape import REACH
from recaster.media.quality.flicker import temporal_residual
from recaster.media.video import Image

MOVES = np.array([0.024, 0.013, 0.006, 0.010, 0.006], np.float32)
"""Standard deviation of each expression measure from which the source counts as moving: below it the meters' own errors would
keep a perfect swap from its bar (`calibrate.py`)."""
KNOWN = 0.5
"""SFace cosine of a source's frame to the source's person below which the frame says nothing about who is seen. Whole faces have
0.55 to 0.95."""
SKIN_SHARE = 95
"""Percent of the skin's Laplacian that counts as skin: the strongest twentieth holds up to two thirds of its variance, and lies on
rims of brows, shine and the outline (`edges` has all of it)."""
_AS_WELL = 1.05
_BLINKS = 0.1
"""Least standard deviation of blinks."""
NAMES = ("mouth", "width", "corner", "brow", "eye")


@dataclass
class Clip:
    """What was seen of one clip, frame by frame."""

    identity: list[float] = field(default_factory=list)
    source: list[float] = field(default_factory=list)
    first: list[bool] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    found: list[np.ndarray] = field(default_factory=list)
    flicker: list[tuple[float, float]] = field(default_factory=list)
    sharp: list[tuple[float, float]] = field(default_factory=list)
    edges: list[tuple[float, float]] = field(default_factory=list)
    seam: list[tuple[float, float]] = field(default_factory=list)
    forehead: list[tuple[float, float]] = field(default_factory=list)
    painted: list[tuple[int, int]] = field(default_factory=list)
    seen: list[dict[str, float]] = field(default_factory=list)
    outside: int = 0
    unread: int = 0


def measure(
    pairs: Iterable[tuple[Image, Image]],
    landmarks: Sequence[np.ndarray],
    persona: Persona,
    others: list[np.ndarray],
    own: np.ndarray,
    models: FaceModels,
    hidden: Sequence[np.ndarray] | None = None,
    blinks: Sequence[float] = (),
    identity_every: int = 3,
) -> dict[str, float]:
    """Measure neighbouring frames; nothing but `outside` is known when there are fewer than two.

    Args:
        pairs: source and result of each frame.
        landmarks: raw landmarks of the source in each frame, (468, 3) each; may grow while frames are drawn.
        persona: whose face was put in.
        others: embeddings of other people the result must be less like than the persona.
        own: embedding of the source's person.
        models: network files.
        hidden: where something stands in front of the face in each frame, (h, w) each; may grow like the landmarks.
        blinks: how far the actor's eyes are closed in each frame, 0–1, if that is known; may grow like the landmarks.
        identity_every: frames from one identity check to the next.
    """
    landmarker, identifier = FaceLandmarker(models), FaceIdentifier(models)
    clip = Clip()
    portrait = face_of(persona.references[0].image, persona.references[0].landmarks)
    before: tuple[Image, Image] | None = None
    for index, (source, result) in enumerate(pairs):
        points = landmarks[index]
        before_swap = landmarker.near(source, points)[0]
        found = landmarker.near(result, points)[0]
        clip.points.append(before_swap)
        clip.found.append(found)
        if index % identity_every == 0:
            # Who is not recognised in the source either, behind a hand or half in the frame, cannot be told in the result.
            if similarity(identifier.embed(source, before_swap), own) >= KNOWN:
                vector = identifier.embed(result, found)
                clip.identity.append(similarity(vector, persona.embedding))
                clip.source.append(similarity(vector, own))
                clip.first.append(all(similarity(vector, other) < clip.identity[-1] for other in others))
            else:
                clip.unread += 1
            clip.seen.append(seen(face_of(source, before_swap), face_of(result, found), portrait))
        inside = _oval(found, source.shape[:2], 0.95)
        # Flicker is that of the drawn skin: a moving occluder or a moving background is none of it.
        if before is not None:
            clip.flicker.append(
                (temporal_residual(before[0], source, inside), temporal_residual(before[1], result, inside))
            )
        before = (source, result)
        skin, skin_source = _skin(found, source.shape[:2]), _skin(before_swap, source.shape[:2])
        if (skin > 0).sum() > 100:
            both = (_laplacian(source, skin_source), _laplacian(result, skin))
            clip.sharp.append((_energy(both[0], SKIN_SHARE), _energy(both[1], SKIN_SHARE)))
            clip.edges.append((_energy(both[0], 100), _energy(both[1], 100)))
        ring = _ring(found, source.shape[:2])
        ring_source = _ring(before_swap, source.shape[:2])
        clip.seam.append((_gradient(source, ring_source), _gradient(result, ring)))
        top = _ring(found, source.shape[:2], forehead=True)
        top_source = _ring(before_swap, source.shape[:2], forehead=True)
        clip.forehead.append((_gradient(source, top_source), _gradient(result, top)))
        changed = np.abs(source.astype(np.int16) - result).max(axis=2)
        far = cv2.max(*(_oval(one, source.shape[:2], REACH + 0.2) for one in (before_swap, found))) == 0
        clip.outside += int((changed[far] > 0).sum())
        if hidden is not None:
            covered = hidden[index] & (_oval(before_swap, source.shape[:2], 0.97) > 0)
            # The inside alone, as far as there is one: the edge of what is in front is mixed with what is behind.
            inner = cv2.erode(covered.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            covered = inner if inner.sum() > 0.4 * covered.sum() else covered
            clip.painted.append((int((changed[covered] > 24).sum()), int(covered.sum())))
    if len(clip.points) < 2:
        return {"outside": float(clip.outside)}
    return _summary(clip, hidden is not None) | _followed_blinks(clip, np.array(blinks))


def _followed_blinks(clip: Clip, blinks: np.ndarray) -> dict[str, float]:
    """How well what is read of the eyes goes with the actor's true blinks: in the result, and in the source itself."""
    if len(blinks) != len(clip.points) or np.std(blinks) < _BLINKS:
        return {}
    own, found = (np.array([expression(one)[4] for one in points]) for points in (clip.points, clip.found))
    return {
        "blink": -float(np.corrcoef(found, blinks)[0, 1]),
        "source blink": -float(np.corrcoef(own, blinks)[0, 1]),
    }


def _summary(clip: Clip, occluded: bool) -> dict[str, float]:
    own, found = np.stack(clip.points), np.stack(clip.found)
    values: dict[str, float] = {
        "id": float(np.mean(clip.identity)),
        "id p5": float(np.percentile(clip.identity, 5)),
        "src": float(np.mean(clip.source)),
        "margin": float(np.mean(np.array(clip.identity) - np.array(clip.source))),
        "first": float(np.mean(clip.first)),
        **agreement(own, found),
    }
    flicker = np.array(clip.flicker) + 0.5
    values["flicker"] = float(flicker[:, 1].mean() / flicker[:, 0].mean())
    values["flicker worst"] = float((flicker[:, 1] / flicker[:, 0]).max())
    for name, pairs in (("sharp", clip.sharp), ("edges", clip.edges), ("seam", clip.seam), ("forehead", clip.forehead)):
        both = np.array(pairs)
        values[name] = float(np.median(both[:, 1]) / max(float(np.median(both[:, 0])), 1e-6))
    for name in SEEN:
        values[name] = float(np.mean([one[name] for one in clip.seen]))
    values["outside"] = float(clip.outside)
    values["unread"] = clip.unread / max(1, clip.unread + len(clip.identity))
    if occluded:
        painted = np.array(clip.painted).sum(axis=0)
        values["painted"] = float(painted[0] / painted[1]) if painted[1] else np.nan
    return values


def agreement(own: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """How well pose and expression of two series of landmarks, (n, 468, 3) each, go together."""
    # Each picture's own mean shape: otherwise another form of face would be read as another pose.
    turns = []
    for points in (own, found):
        shape = np.median(poses_of(points).removed(points), axis=0).astype(np.float32)
        turns.append(poses_of(points, shape).degrees)
    absolute = poses_of(found).degrees - poses_of(own).degrees
    off = turns[1] - turns[0]
    steady = off - np.median(off, axis=0)
    first, second = (np.stack([expression(one) for one in points]) for points in (own, found))
    values = {
        "yaw": float(np.abs(steady[:, 0]).mean()),
        "pitch": float(np.abs(steady[:, 1]).mean()),
        "roll": float(np.abs(steady[:, 2]).mean()),
        "pitch offset": float(np.abs(np.median(absolute[:, 1]))),
    }
    for column, name in enumerate(NAMES):
        moves = float(first[:, column].std())
        values[name] = (
            float(np.corrcoef(first[:, column], second[:, column])[0, 1]) if moves > MOVES[column] else np.nan
        )
    values["lag"] = _lag(first, second)
    return values


def _lag(source: np.ndarray, result: np.ndarray) -> float:
    """Frames by which the result's expression follows the source's; both (n, 5).

    The shift at which all measures of the source explain those of the result best. One measure alone would not do: what is read
    of a mouth's opening holds a share of the smile, another one on each face, and a smile is later than a word.
    """
    moving = source.std(axis=0) > MOVES
    if not moving.any():
        return np.nan
    known = np.column_stack([source, np.ones(len(source))])[3:-3]
    wanted = (result - result.mean(axis=0))[:, moving] / result[:, moving].std(axis=0)
    shifts = range(-3, 4)
    left = []
    for shift in shifts:
        moved = np.roll(wanted, -shift, axis=0)[3:-3]
        left.append(float(np.square(moved - known @ np.linalg.lstsq(known, moved, rcond=None)[0]).sum()))
    # Slow movements look much alike a frame later: a shift is named only when it explains clearly more.
    near = [shift for shift, rest in zip(shifts, left, strict=True) if rest <= _AS_WELL * min(left)]
    return float(min(near, key=abs))


def _oval(points: np.ndarray, shape: tuple[int, int], grow: float) -> np.ndarray:
    oval = points[list(OVAL), :2]
    middle = oval.mean(axis=0)
    hull = cv2.convexHull(np.round(middle + (oval - middle) * grow).astype(np.int32))
    return np.asarray(cv2.fillConvexPoly(np.zeros(shape, np.uint8), hull, 255), np.uint8)


def _skin(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    layout, on_mesh = layout_map(points, shape)
    drawn = drawn_from_layout(skin_texels(128), layout) * on_mesh
    return np.asarray((drawn > 0.9).astype(np.uint8) * 255, np.uint8)


def _ring(points: np.ndarray, shape: tuple[int, int], forehead: bool = False) -> np.ndarray:
    """The band in which the mask ends; for the forehead only its upper part."""
    band = cv2.subtract(_oval(points, shape, 1.02), _oval(points, shape, 0.86))
    if forehead:
        # Above the brows and between the temples.
        band[int(points[[105, 334], 1].mean()) :] = 0
        left, right = sorted((float(points[54, 0]), float(points[284, 0])))
        band[:, : max(0, int(left))] = 0
        band[:, int(right) :] = 0
    return band


def _laplacian(image: Image, mask: np.ndarray) -> np.ndarray:
    return np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_32F)[mask > 0])


def _energy(laplacian: np.ndarray, share: float) -> float:
    """Mean square of so many percent of the values, the weakest first."""
    return float((laplacian[laplacian <= np.percentile(laplacian, share)] ** 2).mean()) + 0.2


def _gradient(image: Image, mask: np.ndarray) -> float:
    gray = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 1.2)
    across, down = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    return float(np.sqrt(across**2 + down**2)[mask > 0].mean()) if mask.any() else np.nan
