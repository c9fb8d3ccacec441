"""Synthetic clips of one persona: her pictures mixed, posed and drawn over her selfie, with exact truth.

They are made with the same mesh that swaps, so they are good for regression and exact in what they know (pose, expression,
occluders), but they are no independent proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from recaster.media.faces import FaceDetector, FaceLandmarker, FaceModels, Persona
from recaster.media.faces.blend import blended, face_mask
from recaster.media.faces.light import fit_brightness, luma, relight, skin_likeness, skin_texels
from recaster.media.faces.mesh import drawn_from_layout, layout_map, poses_of, unwrapped
from recaster.media.faces.reshape import Reshaper
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter

RATE = 30


@dataclass(frozen=True)
class Scene:
    """What a clip shows."""

    name: str
    face_width: float
    """Pixels."""
    size: tuple[int, int] = (720, 1280)
    seconds: float = 2.4
    light: float = 1.0
    noise: float = 1.6
    glasses: bool = False
    poster: Path | None = None
    """Picture of another face that hangs on the wall."""
    occluder: str = ""
    """`dark` or `skin`: a bar of that colour passes in front of the mouth."""


def write_clip(scene: Scene, persona: Persona, selfie: Path, models: FaceModels, target: Path) -> None:
    """Write the clip as MP4 and what is hidden in each frame as `<name>.hidden.npz`."""
    picture = np.asarray(cv2.imread(str(selfie)), np.uint8)
    points, _ = FaceLandmarker(models).in_box(picture, FaceDetector(models).find(picture)[0])
    width, height = scene.size
    scale = scene.face_width / float(np.ptp(points[:, 0]))
    scale = max(scale, 1.02 * width / picture.shape[1], 1.02 * height / picture.shape[0])
    if scale < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
    points = points * np.float32(scale)
    middle = points[:, :2].mean(axis=0)
    left = int(np.clip(middle[0] - width / 2, 0, picture.shape[1] - width))
    top = int(np.clip(middle[1] - 0.42 * height, 0, picture.shape[0] - height))
    picture = picture[top : top + height, left : left + width].copy()
    points[:, :2] -= np.array([left, top], np.float32)
    if scene.poster is not None:
        _hang_poster(picture, scene.poster)
    actor = _Actor(picture, points, persona)
    grain = np.random.default_rng(11)
    count = round(scene.seconds * RATE)
    facts = VideoFacts(
        "mp4", "h264", width, height, 0, Fraction(1, RATE * 512), Fraction(RATE), count,
        Fraction(count, RATE), ColorTags(1, 1, 1, False), None, 0,
    )  # fmt: skip
    hidden = np.zeros((count, height // 4, width // 4), np.uint8)
    with VideoWriter(target, facts, source=target) as writer:
        for index in range(count):
            image, now = actor.frame(index / RATE)
            mask = np.zeros((height, width), np.uint8)
            if scene.glasses:
                _draw_glasses(image, now)
            if scene.occluder:
                _draw_bar(image, mask, now, index / count, scene.occluder)
            hidden[index] = cv2.resize(mask, (width // 4, height // 4), interpolation=cv2.INTER_NEAREST)
            noise = grain.standard_normal((height // 2 + 1, width // 2 + 1)).astype(np.float32) * scene.noise
            large = cv2.resize(noise, (width, height))
            light = scene.light * (1 + 0.03 * np.sin(2.1 * index / RATE))
            lit = image.astype(np.float32) * np.float32(light) + large[..., None]
            writer.write(np.clip(lit, 0, 255).astype(np.uint8), index * 512, 512)
    if scene.occluder:
        np.savez_compressed(target.with_suffix(".hidden.npz"), hidden=hidden)


class _Actor:
    """Speaks, smiles, raises the brows and turns the head."""

    def __init__(self, picture: Image, points: np.ndarray, persona: Persona) -> None:
        self._picture, self._points, self._reshaper = picture, points, Reshaper()
        self._pose = poses_of(points[None])
        self._rest = self._pose.removed(points[None])[0]
        own = unwrapped(picture, points, 80)
        kept = persona.references
        self._offsets = (
            poses_of(np.stack([one.landmarks for one in kept])).removed(np.stack([one.landmarks for one in kept]))
            - persona.shape
        )
        skin = skin_texels(80) * skin_likeness(own)
        textures = []
        for one in kept:
            small = unwrapped(one.image, one.landmarks, 80)
            light = fit_brightness(luma(own), luma(small), skin)
            textures.append(relight(own, small, skin, light).applied(unwrapped(one.image, one.landmarks, 512)))
        self._textures = np.stack([unwrapped(picture, points, 512), *textures[1:]]).astype(np.float32)
        measures = np.stack([one.expression for one in kept])
        open_mouth, wide, brows = measures[:, 0], measures[:, 1], measures[:, 3]
        self._speech = int(np.argmax(open_mouth))
        self._smile = int(np.argmax(np.where(open_mouth > 0.3, 0, wide)))
        self._brow = int(np.argmax(np.where(open_mouth > 0.15, 0, brows)))

    def frame(self, second: float) -> tuple[Image, np.ndarray]:
        """The frame at a time and the landmarks as drawn."""
        weights = np.zeros(len(self._textures), np.float32)
        weights[self._speech] += 0.75 * max(0.0, float(np.sin(9 * second) * np.sin(2.3 * second + 0.4)))
        weights[self._smile] += 0.9 * max(0.0, float(np.sin(2.6 * second - 0.8))) * (1 - weights[self._speech])
        weights[self._brow] += 0.3 * max(0.0, float(np.sin(3.7 * second + 2))) * (1 - weights.sum())
        weights[0] = 1 - weights.sum()
        shape = self._rest + np.tensordot(weights[1:], self._offsets[1:], axes=1)
        yaw, pitch = 0.13 * np.sin(1.9 * second), 0.06 * np.sin(2.7 * second + 1)
        roll = 0.04 * np.sin(1.4 * second)
        turn = _rotation(float(yaw), float(pitch), float(roll))
        scale, shift = float(self._pose.scale[0]), self._pose.shift[0].copy()
        shift[:2] += scale * np.array([0.10 * np.sin(1.7 * second), 0.05 * np.sin(2.2 * second)], np.float32)
        now = (scale * shape @ (turn @ self._pose.turn[0]).T + shift).astype(np.float32)
        low = np.minimum(now.min(axis=0), self._points.min(axis=0))[:2]
        high = np.maximum(now.max(axis=0), self._points.max(axis=0))[:2]
        margin = 0.55 * float((high - low).max())
        left, top = (max(0, int(value - margin)) for value in low)
        right, bottom = int(high[0] + margin), int(high[1] + margin)
        image = self._picture.copy()
        crop = image[top:bottom, left:right]
        corner = np.array([left, top, 0], np.float32)
        bent = self._reshaper.bend(crop, self._points - corner, now - corner)
        layout, on_mesh = layout_map(now - corner, bent.shape[:2])
        texture = np.clip(np.tensordot(weights, self._textures, axes=1), 0, 255).astype(np.uint8)
        drawn = drawn_from_layout(texture, layout)
        mask = drawn_from_layout(face_mask().face, layout) * on_mesh
        width = float(np.ptp(now[:, 0]))
        image[top:bottom, left:right] = blended(
            bent, drawn.astype(np.float32), mask.astype(np.float32), mask.astype(np.float32), width
        )
        return image, now


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, np.float32)


def _hang_poster(picture: Image, poster: Path) -> None:
    image = cv2.imread(str(poster))
    side = round(0.30 * picture.shape[1])
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    picture[20 : 20 + side, 20 : 20 + side] = small


def _draw_glasses(image: Image, points: np.ndarray) -> None:
    unit = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    thick = max(2, round(0.03 * unit))
    for outer, inner, low in ((33, 133, 119), (263, 362, 348)):
        centre = (points[outer, :2] + points[inner, :2]) / 2 * 0.8 + 0.2 * points[low, :2]
        axes = (int(0.26 * unit), int(0.2 * unit))
        cv2.ellipse(image, tuple(int(v) for v in centre), axes, 0, 0, 360, (30, 28, 28), thick, cv2.LINE_AA)
    bridge = [tuple(int(v) for v in points[index, :2]) for index in (193, 417)]
    cv2.line(image, bridge[0], bridge[1], (30, 28, 28), thick, cv2.LINE_AA)


def _draw_bar(image: Image, mask: Image, points: np.ndarray, share: float, kind: str) -> None:
    unit = float(np.ptp(points[:, 0]))
    x = points[:, 0].min() + unit * (1.6 * share - 0.3)
    y = float(points[13, 1])
    box = np.array([[x - 0.1 * unit, y - 0.25 * unit], [x + 0.1 * unit, y - 0.2 * unit],
                    [x + 0.16 * unit, y + 1.5 * unit], [x - 0.06 * unit, y + 1.5 * unit]])  # fmt: skip
    corners = np.round(box * 16).astype(np.int32)
    color = (35.0, 30.0, 32.0)
    if kind == "skin":
        cheek = points[[50, 280], :2].astype(int)
        color = tuple(float(value) for value in np.mean([image[y, x] for x, y in cheek], axis=0))
    cv2.fillConvexPoly(image, corners, color, cv2.LINE_AA, 4)
    cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, 4)
