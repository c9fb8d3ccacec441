"""Light and skin tone: what has to be done to the persona's texture so that it stands in the source's light.

Works on small textures in the layout of the mesh. Brightness is explained by spherical harmonics of the surface (Ramamoorthi
and Hanrahan 2001: nine terms hold nearly all of a matt surface's shading), so that the source's brows, beard and wrinkles do
not come through; colour is the source's low pass over skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import BROWS, LIDS, OUTER_LIPS, OVAL
from recaster.media.faces.mesh import Plane, Points, face_mesh, texture_map

ROUNDS = 4
RIDGE = 0.01
REST_SPREAD = 0.06
"""Spread over the texture's side from which on all shading is the source's: a portrait's own light on forehead and nose would
stand in another scene as pale patches."""
MOST_REST = 1.0
MOST_GAIN = 1.3
"""Largest change of log brightness."""
LEAST_FACING = 0.35
"""Cosine between a surface and the camera's axis from which on its colours are trusted."""
COLOR_SPREAD = 0.07
"""Width of the colour's low pass over the texture's side."""
LEAST_COLOR, MOST_COLOR = 0.2, 1.1
"""Bounds of how much of a texture's own differences of colour is shown."""
_LUMA = np.array([0.114, 0.587, 0.299], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Relight:
    """What puts a texture, from which its own black was taken, into the light and the skin tone of a scene."""

    gain: Plane
    """Of brightness, (s, s)."""
    tone: NDArray[np.float32]
    """Colour over brightness that skin gets besides `color` of its own, BGR, (s, s, 3)."""
    color: float
    """Share of the texture's own colour that is shown: in hazy footage lips and brows differ less from skin."""
    black: NDArray[np.float32]
    """The darkest colour of the scene, BGR, (3,)."""

    def applied(self, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Light a texture of any side, BGR."""
        size = (texture.shape[1], texture.shape[0])
        lit_tone = cv2.resize(self.tone * self.gain[..., None], size, interpolation=cv2.INTER_LINEAR)
        lit_color = cv2.resize(self.gain * np.float32(self.color), size, interpolation=cv2.INTER_LINEAR)
        bright = luma(texture)
        lit = cv2.multiply(lit_tone, cv2.merge([bright, bright, bright]))
        own = cv2.multiply(texture, cv2.merge([lit_color, lit_color, lit_color]), dtype=cv2.CV_32F)
        return np.asarray(cv2.add(cv2.add(lit, own), _scalar(self.black), dtype=cv2.CV_8U), np.uint8)


def black_of(picture: NDArray[np.uint8], points: Points) -> NDArray[np.float32]:
    """The darkest colour at a face (pupils, nostrils, lashes, hair): haze and lifted blacks of the footage, BGR, (3,)."""
    low = np.maximum(points[:, :2].min(axis=0).astype(int), 0)
    high = points[:, :2].max(axis=0).astype(int) + 1
    face = picture[low[1] : high[1], low[0] : high[0]].reshape(-1, 3)
    if len(face) == 0:
        return np.zeros(3, np.float32)
    bright = luma(face)
    darkest = face[bright <= np.percentile(bright, 1)].mean(axis=0)
    # A face without anything black is not all haze.
    most = 0.4 * float(np.median(bright))
    return np.asarray(darkest * min(1.0, most / max(float(luma(darkest)), 1.0)), np.float32)


def without_black(texture: NDArray[np.uint8], black: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Take the darkest colour away."""
    return np.asarray(cv2.subtract(texture, _scalar(black), dtype=cv2.CV_8U), np.uint8)


def _scalar(color: NDArray[np.float32]) -> NDArray[np.float64]:
    """A colour as OpenCV wants it beside a picture."""
    return np.array([*color, 0.0], np.float64)


def luma(texture: NDArray[np.generic]) -> Plane:
    """Brightness of BGR in the last axis, 0–255."""
    return np.asarray(texture.astype(np.float32) @ _LUMA, np.float32)


@lru_cache(maxsize=4)
def harmonics(size: int) -> NDArray[np.float32]:
    """Nine spherical harmonics of the mean face's normals at each texel, (size * size, 9).

    They turn with the head; rotated harmonics are sums of the same nine, so any light is still expressed.
    """
    mesh = face_mesh()
    x, y = texture_map(mesh.shape, size)
    z_like = np.column_stack([mesh.shape[:, 2], mesh.shape[:, 2]]).astype(np.float32)
    z, _ = texture_map(z_like, size)
    smooth = [cv2.GaussianBlur(one, (0, 0), 0.02 * size) for one in (x, y, z)]
    across = np.stack([np.gradient(one, axis=1) for one in smooth], axis=-1)
    down = np.stack([np.gradient(one, axis=0) for one in smooth], axis=-1)
    normal = np.cross(across, down).reshape(-1, 3)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    nx, ny, nz = normal.T
    terms = [np.ones_like(nx), nx, ny, nz, nx * ny, nx * nz, ny * nz, nx * nx - ny * ny, 3 * nz * nz - 1]
    return np.stack(terms, axis=1).astype(np.float32)


def facing_texels(turn: NDArray[np.float32], size: int) -> Plane:
    """How much of each texel a camera sees of a head turned by a rotation (3, 3), 0–1, (size, size).

    The side turned away lies behind the nose and the other cheek: its colours are those of the background.
    """
    toward = harmonics(size)[:, 1:4] @ turn[2]
    return np.asarray(np.clip(toward / LEAST_FACING, 0, 1).reshape(size, size), np.float32)


@lru_cache(maxsize=4)
def skin_texels(size: int) -> Plane:
    """Where a face without beard has skin and nothing else, 0 or 1, (size, size)."""
    mask = oval_texels(size, 0.95).copy()
    for part in (*LIDS, *BROWS, OUTER_LIPS):
        mask *= 1 - filled_texels(size, part, 1.15)
    # Nostrils.
    mask *= 1 - filled_texels(size, (98, 97, 2, 326, 327, 240, 460), 1.1)
    return mask


@lru_cache(maxsize=16)
def oval_texels(size: int, grow: float) -> Plane:
    """The outline of the face, made larger or smaller about its middle, 0 or 1, (size, size)."""
    return filled_texels(size, OVAL, grow)


def filled_texels(size: int, indices: tuple[int, ...], grow: float | tuple[float, float]) -> Plane:
    """The hull of some landmarks in the layout, made larger or smaller about its middle, 0 or 1, (size, size)."""
    polygon = face_mesh().layout[list(indices)] * np.float32(size)
    middle = polygon.mean(axis=0)
    grown = middle + (polygon - middle) * np.asarray(grow, np.float32)
    hull = cv2.convexHull(np.asarray(np.round(grown * 16), np.int32))
    return np.asarray(cv2.fillConvexPoly(np.zeros((size, size), np.float32), hull, 1.0, cv2.LINE_8, 4), np.float32)


def skin_likeness(texture: NDArray[np.uint8]) -> Plane:
    """How likely each texel has the colour of this face's skin, 0–1: beard, hair, glasses and strong shine fall out."""
    size = texture.shape[0]
    lab = np.asarray(cv2.cvtColor(texture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab), np.float32)
    # In shade the same skin has less colour in proportion.
    lab[..., 1:] *= 60 / np.maximum(lab[..., :1], 12)
    sure = skin_texels(size) > 0
    # Cheeks and the bridge of the nose are skin on nearly everyone; the jaw may be bearded, the forehead under hair.
    layout = face_mesh().layout * np.float32(size)
    near = np.zeros((size, size), np.uint8)
    for point in (50, 280, 101, 330, 205, 425, 6, 197, 151, 9, 117, 346):
        cv2.circle(near, tuple(int(value) for value in layout[point]), max(1, size // 40), 1, -1)
    middle = np.median(lab[sure & (near > 0)], axis=0)
    off = (lab - middle) / np.array([38, 9, 11], np.float32)
    return np.asarray(np.exp(-(off**2).sum(axis=-1)), np.float32)


def fit_brightness(target: Plane, own: Plane, weight: Plane) -> NDArray[np.float32]:
    """Coefficients (9,) of the harmonics that explain `log(target / own)` on skin; robust against what is not skin."""
    basis = harmonics(target.shape[0])
    ratio = np.log((target + 3) / (own + 3)).ravel()
    inside = weight.ravel() > 0.02
    basis, ratio, share = basis[inside], ratio[inside], weight.ravel()[inside]
    robust = share
    solved = np.zeros(9, np.float32)
    if inside.sum() < 30:
        return solved
    for _ in range(ROUNDS):
        weighted = basis * robust[:, None]
        penalty = RIDGE * float(robust.sum()) * np.diag([0.0, 0.3, 0.3, 0.3, 1, 1, 1, 1, 1])
        solved = np.linalg.solve(weighted.T @ basis + penalty, weighted.T @ ratio).astype(np.float32)
        off = ratio - basis @ solved
        scale = 1.5 * max(float(np.median(np.abs(off))), 0.02)
        robust = share / (1 + (off / scale) ** 2)
    return solved


def relight(
    target: NDArray[np.uint8],
    own: NDArray[np.uint8],
    weight: Plane,
    coefficients: NDArray[np.float32],
    black: NDArray[np.float32] | None = None,
    edge: Plane | None = None,
) -> Relight:
    """Gain that puts the persona's small texture `own` into the light and tone of `target`.

    Both textures come without their black (`without_black`); `black` is added again to what is lit.

    Args:
        target: the source's small texture, BGR (s, s, 3).
        own: the persona's small texture, BGR.
        weight: where both show skin and nothing stands before it, 0–1, (s, s).
        coefficients: of `fit_brightness`, smoothed over time.
        black: darkest colour of the source.
        edge: where the source shows skin, whatever the persona shows; the face's border is matched to it.
    """
    size = target.shape[0]
    shade = (harmonics(size) @ coefficients).reshape(size, size)
    bright, plain = luma(target), luma(own)
    rest = np.log((bright + 3) / (plain + 3)) - shade
    # Towards its border the face has to meet what lies around it, also where the persona's picture shows no skin.
    known = weight if edge is None else np.maximum(weight, edge * border_texels(size))
    taken = low_pass(np.clip(rest, -MOST_REST, MOST_REST)[..., None], known, REST_SPREAD * size)[..., 0]
    shade = np.clip(shade + taken, -MOST_GAIN, MOST_GAIN)
    gain = np.asarray(cv2.GaussianBlur(np.exp(shade).astype(np.float32), (0, 0), 1.0), np.float32)
    tints = [
        low_pass(tint_of(picture), known_tone, COLOR_SPREAD * size)
        for picture, known_tone in ((target, known), (own, weight))
    ]
    color = color_share(target, own, weight)
    tone = np.asarray(1 + tints[0] - color * (1 + tints[1]), np.float32)
    return Relight(gain, tone, color, np.zeros(3, np.float32) if black is None else black)


def tint_of(texture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Difference of each colour from the brightness, over the brightness; BGR, (s, s, 3)."""
    bright = np.maximum(luma(texture), 8)[..., None]
    return np.asarray((texture - bright) / bright, np.float32)


def color_share(target: NDArray[np.uint8], own: NDArray[np.uint8], weight: Plane) -> float:
    """How colourful the skin of `target` is against that of `own`, within bounds."""
    strengths = [
        float((np.linalg.norm(tint_of(picture), axis=2) * weight).sum() / max(float(weight.sum()), 1e-6))
        for picture in (target, own)
    ]
    return float(np.clip(strengths[0] / max(strengths[1], 1e-3), LEAST_COLOR, MOST_COLOR))


@lru_cache(maxsize=4)
def border_texels(size: int) -> Plane:
    """1 at the outline of the face and beyond, 0 inside, smooth; (size, size)."""
    soft = cv2.GaussianBlur(oval_texels(size, 0.84), (0, 0), 0.03 * size)
    return np.asarray(1 - soft, np.float32)


def low_pass(values: NDArray[np.float32], weight: Plane, sigma: float) -> NDArray[np.float32]:
    """Blur (s, s, c) that looks only at texels with weight; far from any weight a wider blur speaks."""
    shape = (weight.shape[1], weight.shape[0])
    stacked = np.dstack([values * weight[..., None], weight])
    near = cv2.GaussianBlur(stacked, (0, 0), sigma)
    small = cv2.resize(stacked, (max(4, shape[0] // 4), max(4, shape[1] // 4)), interpolation=cv2.INTER_AREA)
    far = cv2.GaussianBlur(small, (0, 0), max(1.0, 3 * sigma / 4))
    far = cv2.resize(far, shape, interpolation=cv2.INTER_LINEAR)
    total = near + far * np.float32(0.03) + stacked.mean(axis=(0, 1)) * np.float32(0.001)
    return np.asarray(total[..., :-1] / np.maximum(total[..., -1:], 1e-6), np.float32)
