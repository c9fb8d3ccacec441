"""`TextureGenerator`: the face from the persona's own pictures, without a generator network.

All pictures of the persona lie as textures in one layout. Per frame they are mixed by expression, put into the source's
light, and drawn through the mesh in one remap. Detail comes from the persona, light and skin tone from the source.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.expressions import reference_weights
from recaster.media.faces.follow import TEXTURE, FollowedFace, gaussian_in_time
from recaster.media.faces.generator import FaceView, GeneratedFace
from recaster.media.faces.light import (
    chroma,
    fit_brightness,
    luma,
    oval_texels,
    relight,
    skin_likeness,
    skin_texels,
)
from recaster.media.faces.mesh import Plane, drawn_from_layout, extended, face_mesh, unwrapped
from recaster.media.faces.persona import Persona
from recaster.media.video import Image

LEAST_SIDE, MOST_SIDE = 96, 768
FACE_SHARE = 0.62
"""Width of a face over the side of its texture."""
COLOR_DETAIL = 0.6
"""How much of the persona's own colour detail (lips, freckles, blush) is kept."""
BANDS = (1.2, 3.0, 8.0)
"""Spreads in texels of a 448 texture at which detail is split."""
LEAST_DETAIL, MOST_DETAIL = 0.5, 1.1
LIGHT_SMOOTHING_SECONDS = 0.09
LEAST_WEIGHT = 0.01


class TextureGenerator:
    """`FaceGenerator` by textures."""

    shape_transfer = 0.8
    keeps_source_eyes = True

    def begin(self, persona: Persona, face: FollowedFace) -> TextureSession:
        """Bring the persona's textures to the clip's size, detail and light."""
        return TextureSession(persona, face)


class TextureSession:
    """Draws one persona into one clip."""

    def __init__(self, persona: Persona, face: FollowedFace) -> None:
        side = float(np.clip(16 * round(face.width / FACE_SHARE / 16), LEAST_SIDE, MOST_SIDE))
        self._side = int(side)
        self._textures = _evened([_bare(unwrapped(one.image, one.landmarks, self._side)) for one in persona.references])
        gains = _detail_gains(self._textures[0], face, self._side)
        self._textures = [_toned(texture, gains) for texture in self._textures]
        self._small = np.stack([_reduced(one) for one in self._textures]).astype(np.float32)
        self._weights = reference_weights(persona, face)
        self._upper = {size: _upper_half(size) for size in (self._side, TEXTURE)}
        self._face = face
        own_skin = skin_texels(TEXTURE) * skin_likeness(np.clip(self._small[0], 0, 255).astype(np.uint8))
        self._skin = own_skin * skin_likeness(np.median(face.textures[:: _every(face)], axis=0).astype(np.uint8))
        self._light = self._lights()

    def generate(self, view: FaceView) -> GeneratedFace:
        """Mix, light and draw."""
        lit = relight(
            self._face.textures[view.row],
            self._own(view.row),
            self._weight(view.row),
            self._light[view.row],
        ).applied(self._mixed(view.row))
        picture = drawn_from_layout(lit, view.layout)
        return GeneratedFace(picture.astype(np.float32), view.on_mesh.astype(np.float32))

    def _mixed(self, row: int) -> Image:
        halves = []
        for weights in self._weights[:, row]:
            shown = np.flatnonzero(weights > LEAST_WEIGHT)
            share = weights[shown] / weights[shown].sum()
            total = self._textures[shown[0]].astype(np.float32) * share[0]
            for index, weight in zip(shown[1:], share[1:], strict=True):
                cv2.accumulate(self._textures[index] * weight, total)
            halves.append(total)
        return _joined(halves[0], halves[1], self._upper[self._side])

    def _own(self, row: int) -> Image:
        upper, lower = (np.tensordot(weights, self._small, axes=1) for weights in self._weights[:, row])
        return _joined(upper, lower, self._upper[TEXTURE])

    def _weight(self, row: int) -> Plane:
        return np.asarray(self._skin * (1 - self._face.hidden[row].astype(np.float32) / 255), np.float32)

    def _lights(self) -> NDArray[np.float32]:
        """Coefficients of the light in each row, smooth in time within a run."""
        face = self._face
        raw = np.stack(
            [
                fit_brightness(luma(face.textures[row]), luma(self._own(row)), self._weight(row))
                for row in range(len(face.frames))
            ]
        )
        for run in np.unique(face.runs):
            own = face.runs == run
            raw[own] = gaussian_in_time(raw[own], max(0.8, LIGHT_SMOOTHING_SECONDS * face.frame_rate))
        return raw


def _reduced(texture: Image) -> Image:
    return np.asarray(cv2.resize(texture, (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA), np.uint8)


def _every(face: FollowedFace) -> int:
    return max(1, len(face.frames) // 48)


def _upper_half(size: int) -> Plane:
    """1 at the brows, 0 at the mouth, smooth between; (size, size, 1)."""
    layout = face_mesh().layout
    top, bottom = float(layout[168, 1]), float(layout[4, 1])
    rows = (np.arange(size, dtype=np.float32) + 0.5) / size
    share = np.clip((bottom - rows) / (bottom - top), 0, 1)
    share = share * share * (3 - 2 * share)
    return np.ascontiguousarray(np.broadcast_to(share[:, None, None], (size, size, 3)), np.float32)


def _joined(upper: NDArray[np.float32], lower: NDArray[np.float32], share: Plane) -> Image:
    return np.asarray(cv2.add(lower, cv2.multiply(share, upper - lower), dtype=cv2.CV_8U), np.uint8)


def _bare(texture: Image) -> Image:
    """Let skin go on where hair, ears or background of the reference picture begin, so that none of it is ever drawn."""
    side = texture.shape[0]
    inner = oval_texels(side, 0.82) > 0
    # Shaded cheeks and a dark jaw are skin all the same: only what is plainly something else is left out.
    plainly_other = cv2.GaussianBlur(skin_likeness(texture), (0, 0), 0.01 * side) < 0.06
    known = inner | ((oval_texels(side, 0.97) > 0) & ~plainly_other)
    return extended(texture, cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _evened(textures: list[Image]) -> list[Image]:
    """Put all textures into the first one's light, so that a mix shows no patches."""
    small = [_reduced(one) for one in textures]
    first = small[0]
    skin = skin_texels(TEXTURE) * skin_likeness(first)
    evened = [textures[0]]
    for texture, own in zip(textures[1:], small[1:], strict=True):
        weight = skin * skin_likeness(own)
        light = fit_brightness(luma(first), luma(own), weight)
        evened.append(relight(first, own, weight, light).applied(texture))
    return evened


def _bands(bright: Plane) -> list[Plane]:
    """Detail of a brightness from fine to coarse, and the rest."""
    scale = bright.shape[0] / 448
    levels = [bright, *(cv2.GaussianBlur(bright, (0, 0), max(0.4, spread * scale)) for spread in BANDS)]
    return [levels[index] - levels[index + 1] for index in range(len(BANDS))] + [levels[-1]]


def _detail_gains(texture: Image, face: FollowedFace, side: int) -> tuple[float, ...]:
    """How much of each band of the persona's skin detail fits the source's skin."""
    skin = (skin_texels(side) > 0).astype(np.float32)
    own_skin = (skin * skin_likeness(texture)) > 0.4
    own = [_spread(band[own_skin]) for band in _bands(luma(texture))[:-1]]
    seen = []
    for probe in face.probes:
        theirs = unwrapped(probe.image, probe.points, side)
        their_skin = (skin * skin_likeness(theirs)) > 0.4
        if their_skin.sum() > 50:
            seen.append([_spread(band[their_skin]) for band in _bands(luma(theirs))[:-1]])
    if not seen:
        return (1.0,) * len(BANDS)
    ratios = np.median(seen, axis=0) / np.maximum(own, 1e-3)
    return tuple(float(np.clip(ratio, LEAST_DETAIL, MOST_DETAIL)) for ratio in ratios)


def _spread(values: Plane) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def _toned(texture: Image, gains: tuple[float, ...]) -> Image:
    """Weigh the detail of a texture; brows, eyes and lips keep theirs, for they are what makes the face."""
    side = texture.shape[0]
    skin = cv2.GaussianBlur(skin_texels(side), (0, 0), 0.012 * side)
    bands = _bands(luma(texture))
    bright = bands[-1] + sum(band * (1 + (gain - 1) * skin) for band, gain in zip(bands[:-1], gains, strict=True))
    tone = chroma(texture)
    low = cv2.GaussianBlur(tone, (0, 0), 0.09 * side)
    change = (low - tone) * np.float32(1 - COLOR_DETAIL)
    blue = 1.772 * change[..., 0]
    red = 1.402 * change[..., 1]
    green = -0.3441 * change[..., 0] - 0.7141 * change[..., 1]
    shifted = texture.astype(np.float32) + (bright - luma(texture))[..., None]
    shifted += np.stack([blue, green, red], axis=-1)
    return np.clip(np.round(shifted), 0, 255).astype(np.uint8)
