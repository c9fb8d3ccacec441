"""One clip's swap around any `FaceGenerator`: crop, shape transfer, mask, occluders, sharpness, blending, fades."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import FaceUnsuitable
from recaster.media.faces.blend import (
    SHARPNESS_CHOICES,
    blended,
    face_mask,
    fineness,
    grained,
    noise_level,
    sharpened,
)
from recaster.media.faces.expressions import shape_at_rest
from recaster.media.faces.follow import FollowedFace
from recaster.media.faces.generator import FaceGenerator, FaceView
from recaster.media.faces.light import skin_texels
from recaster.media.faces.mesh import Plane, Points, drawn_from_layout, layout_map, unwrapped
from recaster.media.faces.occlusion import MOST_HIDDEN, hidden_share
from recaster.media.faces.persona import Persona
from recaster.media.faces.reshape import Reshaper, shape_offsets
from recaster.media.faces.suitability import MOST_YAW, kept_texels, look_of
from recaster.media.video import Image

FADE_SECONDS = 0.17
"""Time over which the swap fades in and out where the face is lost or turned away too far."""
LEAST_WIDTH = 34.0
"""Pixels; a smaller face is left as it is."""
SMALL_WIDTH = 130.0
"""Pixels; narrower faces are never sharpened."""
REACH = 0.46
"""Of the face's size around it: everything that may change lies in this crop."""
_VIEW_MARGIN = 0.18


class BlendedSession:
    """`SwapSession` that blends what a generator draws."""

    def __init__(self, persona: Persona, face: FollowedFace, generator: FaceGenerator) -> None:
        self._face = face
        self._alpha = presence(face)
        if not self._alpha.any():
            raise FaceUnsuitable(
                f"The face on camera is turned more than {MOST_YAW:.0f}° to the side, narrower than {LEAST_WIDTH:.0f} "
                f"pixels or hidden by more than {100 * MOST_HIDDEN:.0f} % all the time. Pick another source."
            )
        usual = np.median(face.textures[:: max(1, len(face.frames) // 48)], axis=0).astype(np.uint8)
        first = persona.references[0]
        worn = look_of(unwrapped(first.image, first.landmarks, usual.shape[0]))
        kept = np.round(255 * kept_texels(usual, look_of(usual), worn)).astype(np.uint8)
        if kept.any():
            face = replace(face, hidden=np.maximum(face.hidden, kept))
            self._face = face
        self._rows = {int(frame): row for row, frame in enumerate(face.frames)}
        self._offsets = shape_offsets(shape_at_rest(persona, face), persona.shape, generator.shape_transfer)
        self._reshaper = Reshaper()
        self._generator = generator.begin(persona, face)
        self._mask, self._tone = face_mask(generator.keeps_source_eyes)
        self._swapped = 0
        self._sharpening, self._grain = self._matched_texture()

    @property
    def swapped_frames(self) -> int:
        """How many frames have been changed so far."""
        return self._swapped

    def swap(self, image: Image, frame_index: int) -> Image:
        """Return the frame with the persona's face."""
        row = self._rows.get(frame_index)
        if row is None or self._alpha[row] <= 0:
            return image
        points = self._face.points[row]
        left, top, right, bottom = _region(points, image, REACH)
        if right - left < 16 or bottom - top < 16:
            return image
        crop = image[top:bottom, left:right]
        own = points - np.array([left, top, 0], np.float32)
        result = image.copy()
        result[top:bottom, left:right] = self._swapped_crop(crop, own, row, float(self._alpha[row]))
        self._swapped += 1
        return result

    def _swapped_crop(self, crop: Image, points: Points, row: int, alpha: float) -> Image:
        offset = self._face.poses.carried(row, self._offsets) * np.float32(alpha)
        target = points + offset
        bent = self._reshaper.bend(crop, points, target) if np.abs(offset[:, :2]).max() > 0.2 else crop.copy()
        left, top, right, bottom = _region(target, bent, _VIEW_MARGIN)
        view, mask, tone = self._view(bent[top:bottom, left:right], target - np.array([left, top, 0], np.float32), row)
        drawn = self._generator.generate(view)
        picture = grained(sharpened(drawn.picture, self._sharpening), self._grain, int(self._face.frames[row]))
        width = float(np.ptp(points[:, 0]))
        bent[top:bottom, left:right] = blended(
            view.image, picture, mask * drawn.coverage * np.float32(alpha), tone * np.float32(alpha), width
        )
        return bent

    def _view(self, image: Image, points: Points, row: int) -> tuple[FaceView, Plane, Plane]:
        """What the generator sees, and the masks of face and tone in its pixels."""
        layout, on_mesh = layout_map(points, image.shape[:2])
        view = FaceView(image, points, layout, on_mesh, row)
        hidden = cv2.resize(self._face.hidden[row], self._mask.shape, interpolation=cv2.INTER_LINEAR)
        clear = 1 - hidden.astype(np.float32) / 255
        mask, tone = cv2.split(drawn_from_layout(cv2.merge([self._mask * clear, self._tone * clear]), layout))
        return view, np.asarray(mask * on_mesh, np.float32), np.asarray(tone * on_mesh, np.float32)

    def _matched_texture(self) -> tuple[float, float]:
        """One sharpening (or blur) and one strength of grain for the clip, so that drawn skin is as fine as the source's."""
        chosen, grains = [], []
        # A small face has no detail to bring out: sharpening would only make it hard.
        choices = [one for one in SHARPNESS_CHOICES if one <= 0 or self._face.width > SMALL_WIDTH]
        for probe in self._face.probes:
            if self._alpha[probe.row] <= 0:
                continue
            view, mask, _ = self._view(probe.image, probe.points, probe.row)
            skin = mask * drawn_from_layout(skin_texels(self._mask.shape[0]), view.layout)
            if (skin > 0.5).sum() < 100:
                continue
            drawn = self._generator.generate(view).picture
            # Only noise that moves from frame to frame: grain on a still picture would glitter.
            seen = min(noise_level(view.image, skin), self._face.noise)
            missing = seen**2 - noise_level(drawn, skin) ** 2
            grain = float(np.sqrt(max(0.0, missing)))
            wanted = fineness(view.image, mask)
            off = [
                abs(np.log((fineness(grained(sharpened(drawn, amount), grain, 0), mask) + 1e-3) / (wanted + 1e-3)))
                for amount in choices
            ]
            chosen.append(choices[int(np.argmin(off))])
            grains.append(grain)
        return (float(np.median(chosen)), float(np.median(grains))) if chosen else (0.0, 0.0)


def presence(face: FollowedFace) -> NDArray[np.float32]:
    """How much of the swap shows in each row, 0–1: less near a gap and near what cannot be swapped well."""
    frames, count = face.frames, len(face.frames)
    width = np.ptp(face.points[:, :, 0], axis=1)
    clear = hidden_share(face.hidden) <= MOST_HIDDEN
    usable = (np.abs(face.poses.degrees[:, 0]) <= MOST_YAW) & (width >= LEAST_WIDTH) & clear
    steps = max(1, round(FADE_SECONDS * face.frame_rate))
    alpha = usable.astype(np.float32)
    for row in range(count):
        for shift in range(1, steps + 1):
            for other in (row - shift, row + shift):
                # The clip's own first and last frame are no gap, and neither is a cut.
                if 0 <= other < count:
                    gap = abs(int(frames[other]) - int(frames[row])) != shift
                    if gap or (face.runs[other] == face.runs[row] and not usable[other]):
                        alpha[row] = min(alpha[row], shift / (steps + 1))
    return np.asarray(alpha * usable, np.float32)


def _region(points: Points, image: Image, share: float) -> tuple[int, int, int, int]:
    """Bounds of the landmarks with a margin, within the picture: left, top, right, bottom."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    margin = share * (high - low)
    return (
        max(0, int(low[0] - margin[0])),
        max(0, int(low[1] - margin[1])),
        min(image.shape[1], int(high[0] + margin[0]) + 1),
        min(image.shape[0], int(high[1] + margin[1]) + 1),
    )
