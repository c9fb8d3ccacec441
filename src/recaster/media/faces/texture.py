"""`TextureGenerator`: the face from the persona's own pictures, without a generator network.

All pictures of the persona lie as textures in one layout. Per frame they are mixed by expression, put into the source's
light, and drawn through the mesh in one remap. Detail comes from the persona, light and skin tone from the source.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.analysis import TEXTURE
from recaster.media.faces.contours import BROWS, LIDS, OUTER_LIPS, OVAL
from recaster.media.faces.expressions import reference_weights
from recaster.media.faces.eyelids import Eyelids, closed_reference
from recaster.media.faces.follow import FollowedFace, gaussian_in_time
from recaster.media.faces.generator import FaceView, GeneratedFace
from recaster.media.faces.light import (
    REST_SPREAD,
    black_of,
    facing_texels,
    filled_texels,
    fit_brightness,
    low_pass,
    luma,
    oval_texels,
    relight,
    skin_likeness,
    skin_texels,
    without_black,
)
from recaster.media.faces.mesh import Plane, drawn_from_layout, extended, face_mesh, unwrapped
from recaster.media.faces.persona import Persona
from recaster.media.video import Image

LEAST_SIDE, MOST_SIDE = 96, 768
FACE_SHARE = 0.62
"""Width of a face over the side of its texture."""
COLOR_DETAIL = 0.25
"""How much of the persona's own differences of colour on skin is kept; lips keep theirs."""
BANDS = (1.2, 3.0, 8.0)
"""Spreads in texels of a 448 texture at which detail is split."""
MOST_MATCHED = 4
"""Frames of which detail is measured."""
LEAST_DETAIL, MOST_DETAIL = (0.5, 0.8, 0.8), (1.5, 1.5, 1.3)
LEAST_CONTRAST, FREE_CONTRAST = 0.5, 1.65
"""The persona's brows may be so much darker against skin than the source's are, and are never weakened further than to the
least share."""
PLAIN_FROM = (0.76, 0.84)
"""Shares of the outline, sideways and up, from which outwards the persona's skin differs from its broad shade by no more than
`MOST_STRUCTURE` levels."""
MOST_STRUCTURE = 17.0
PORES = 0.008
"""Spread over the side below which detail is pores."""
FOLD = 2.0
"""Energy of the finest detail over the neutral picture's from which on it is a fold."""
LIP_REACH = (1.08, 1.2)
"""Over the outer lips: what all expressions show of the neutral picture's lips."""
SKIN_BREADTH = 0.4
"""Power that makes likeness to skin more generous: light on one side of a face is of another colour than on the other."""
LIGHT_SMOOTHING_SECONDS = 0.09
LEAST_WEIGHT = 0.03


class TextureGenerator:
    """`FaceGenerator` by textures."""

    shape_transfer = 1.1
    keeps_source_eyes = True

    def begin(self, persona: Persona, face: FollowedFace) -> TextureSession:
        """Bring the persona's textures to the clip's size, detail and light."""
        return TextureSession(persona, face)


class TextureSession:
    """Draws one persona into one clip."""

    def __init__(self, persona: Persona, face: FollowedFace) -> None:
        side = float(np.clip(16 * round(face.width / FACE_SHARE / 16), LEAST_SIDE, MOST_SIDE))
        self._side = int(side)
        self._face = face
        first = persona.references[0]
        self._black = np.median([black_of(one.image, one.points) for one in face.probes], axis=0).astype(np.float32)
        weights = reference_weights(persona, face)
        # The neutral picture is always there; of the others only those that are ever shown.
        shown = [0, *(int(index) for index in np.flatnonzero(weights.max(axis=(0, 1)) > LEAST_WEIGHT) if index)]
        weights = weights[:, :, shown]
        self._weights = weights / weights.sum(axis=2, keepdims=True)
        kept = [persona.references[index] for index in shown]
        asleep = closed_reference(persona.references)
        pictures = kept if asleep is None else [*kept, asleep]
        evened = _evened(
            [_bare(unwrapped(one.image, one.landmarks, self._side, whole=False, fine=True)) for one in pictures]
        )
        gains = _detail_gains(evened[0], face, self._side)
        own_black = black_of(first.image, first.landmarks)
        usual = np.median(face.textures[:: _every(face)], axis=0).astype(np.uint8)
        depth = FREE_CONTRAST * _brow_depth(usual, self._black) / _brow_depth(_reduced(evened[0]), own_black)
        depth = float(np.clip(depth, LEAST_CONTRAST, 1))
        toned = [_softened(without_black(_toned(one, gains), own_black), depth) for one in evened]
        self._lids = Eyelids(toned[0], None if asleep is None else toned[-1])
        self._textures = [toned[0], *(_with_lips(_with_pores(one, toned[0]), toned[0]) for one in toned[1 : len(kept)])]
        self._small = np.stack([_reduced(one) for one in self._textures]).astype(np.float32)
        self._own_skin = skin_texels(TEXTURE) * skin_likeness(_reduced(evened[0])) ** SKIN_BREADTH
        self._skin = np.stack([np.round(255 * skin_likeness(one)).astype(np.uint8) for one in face.textures])
        self._light = self._lights()

    def generate(self, view: FaceView) -> GeneratedFace:
        """Mix, light and draw."""
        lit = relight(
            without_black(self._face.textures[view.row], self._black),
            self._own(view.row),
            self._weight(view.row),
            self._light[view.row],
            self._black,
            self._seen_skin(view.row) * oval_texels(TEXTURE, 1.03),
        ).applied(self._lids.drawn(self._mixed(view.row), self._face.closed[view.row]))
        picture = drawn_from_layout(lit, view.layout, fine=True)
        return GeneratedFace(picture.astype(np.float32), view.on_mesh.astype(np.float32))

    def _mixed(self, row: int) -> Image:
        """Texture of a frame, uint8: above the nose's bridge by the brows' weights, below its tip by the mouth's."""
        side = self._side
        top, bottom = _nose_rows(side)
        upper = self._blend(row, 0, slice(0, bottom))
        lower = self._blend(row, 1, slice(top, side))
        share = _upper_half(side)[top:bottom]
        between = cv2.add(lower[: bottom - top], cv2.multiply(share, upper[top:] - lower[: bottom - top]))
        return np.concatenate([upper[:top], between, lower[bottom - top :]]).round().astype(np.uint8)

    def _blend(self, row: int, half: int, rows: slice) -> NDArray[np.float32]:
        weights = self._weights[half, row]
        shown = np.flatnonzero(weights > LEAST_WEIGHT)
        share = weights[shown] / weights[shown].sum()
        total = self._textures[shown[0]][rows].astype(np.float32) * share[0]
        for index, weight in zip(shown[1:], share[1:], strict=True):
            cv2.scaleAdd(self._textures[index][rows].astype(np.float32), float(weight), total, total)
        return np.asarray(total, np.float32)

    def _own(self, row: int) -> Image:
        upper, lower = (np.tensordot(weights, self._small, axes=1) for weights in self._weights[:, row])
        return np.asarray(lower + _upper_half(TEXTURE) * (upper - lower)).round().astype(np.uint8)

    def _weight(self, row: int) -> Plane:
        """Where both faces show skin, 0–1."""
        return np.asarray(self._own_skin * self._seen_skin(row) ** SKIN_BREADTH, np.float32)

    def _seen_skin(self, row: int) -> Plane:
        """Where the source shows skin in a frame and nothing stands before it, 0–1."""
        clear = 1 - self._face.hidden[row].astype(np.float32) / 255
        likely = self._skin[row].astype(np.float32) / 255
        return np.asarray(likely * clear * facing_texels(self._face.poses.turn[row], TEXTURE), np.float32)

    def _lights(self) -> NDArray[np.float32]:
        """Coefficients of the light in each row, smooth in time within a run."""
        face = self._face
        raw = np.stack(
            [
                fit_brightness(
                    luma(without_black(face.textures[row], self._black)), luma(self._own(row)), self._weight(row)
                )
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


def _nose_rows(size: int) -> tuple[int, int]:
    """Rows between which the upper half of a face passes into the lower."""
    layout = face_mesh().layout
    return int(float(layout[168, 1]) * size), int(float(layout[4, 1]) * size) + 1


@lru_cache(maxsize=4)
def _upper_half(size: int) -> Plane:
    """1 at the brows, 0 at the mouth, smooth between; (size, size, 3)."""
    top, bottom = _nose_rows(size)
    rows = np.arange(size, dtype=np.float32) + 0.5
    share = np.clip((bottom - rows) / (bottom - top), 0, 1)
    share = share * share * (3 - 2 * share)
    return np.ascontiguousarray(np.broadcast_to(share[:, None, None], (size, size, 3)), np.float32)


def _bare(texture: Image) -> Image:
    """Let skin go on where hair, ears or background of the reference picture begin, so that none of it is ever drawn.

    Looks from the inside outwards along the rays to the outline's points, and makes the border found a smooth one.
    """
    side = texture.shape[0]
    layout = face_mesh().layout * np.float32(side)
    oval = layout[list(OVAL)]
    middle = oval.mean(axis=0)
    reaches = np.arange(0.80, 0.98, 0.02, dtype=np.float32)
    places = (middle + (oval - middle) * reaches[:, None, None]).round().astype(int).clip(0, side - 1)
    bright = cv2.GaussianBlur(luma(texture), (0, 0), 0.008 * side)
    small = _reduced(texture) if side > 4 * TEXTURE else texture
    likely = cv2.GaussianBlur(skin_likeness(small), (0, 0), 0.01 * small.shape[0])
    likely = np.asarray(cv2.resize(likely, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    usual = float(np.median(bright[skin_texels(side) > 0]))
    rows, columns = places[..., 1], places[..., 0]
    # Beside the eyes and above no skin is half as dark as the cheeks: that is hair. A jaw may be.
    least = np.where(rows < layout[61, 1], 0.5 * usual, 0.25 * usual)
    fine = (likely[rows, columns] > 0.06) & (bright[rows, columns] > least)
    steps = np.where(fine.all(axis=0), len(reaches), np.argmin(fine, axis=0)) - 1
    border = reaches[np.maximum(steps, 0)]
    smallest = np.minimum(border, np.minimum(np.roll(border, 1), np.roll(border, -1)))
    smooth = (np.roll(smallest, 1) + 2 * smallest + np.roll(smallest, -1)) / 4
    outline = middle + (oval - middle) * (smooth - 0.02)[:, None]
    corners = np.round(outline * 16).astype(np.int32)
    kept = cv2.fillPoly(np.zeros((side, side), np.uint8), [corners], 1, cv2.LINE_8, 4)
    for brow in BROWS:  # dark, but the face's own
        kept = np.maximum(kept, filled_texels(side, brow, (1.12, 1.3)).astype(np.uint8))
    # Fade from one to the other, or the last dark pixels would stand there as a line.
    soft = np.clip(2 * cv2.GaussianBlur(kept.astype(np.float32), (0, 0), 0.02 * side) - 1, 0, 1)[..., None]
    beyond = extended(texture, kept > 0)
    return _plain_at_border(np.asarray(np.round(texture * soft + beyond * (1 - soft)), np.uint8))


def _plain_at_border(texture: Image) -> Image:
    """Bound all structure towards the outline: a portrait's own side light would be drawn there as lines."""
    side = texture.shape[0]
    small = np.asarray(_reduced(texture), np.float32)
    low = low_pass(small, oval_texels(TEXTURE, 1.05), REST_SPREAD * TEXTURE)
    low = np.asarray(cv2.resize(low, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    inside = np.asarray(cv2.GaussianBlur(filled_texels(side, OVAL, PLAIN_FROM), (0, 0), 0.04 * side), np.float32)
    for brow in BROWS:
        own = np.asarray(cv2.GaussianBlur(filled_texels(side, brow, (1.1, 1.3)), (0, 0), 0.01 * side), np.float32)
        inside = np.maximum(inside, own)
    kept = np.clip(texture - low, -MOST_STRUCTURE, MOST_STRUCTURE)
    share = inside[..., None]
    return np.asarray(np.clip(np.round(texture * share + (low + kept) * (1 - share)), 0, 255), np.uint8)


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


def _with_pores(texture: Image, first: Image) -> Image:
    """Give the skin of a texture the finest detail of the first one: mixed pores of several pictures are none at all.

    Folds that an expression draws are stronger than pores, and stay.
    """
    side = texture.shape[0]
    fine = [
        cv2.subtract(one, cv2.GaussianBlur(one, (0, 0), max(0.6, PORES * side)), dtype=cv2.CV_32F)
        for one in (texture, first)
    ]
    own, known = (cv2.GaussianBlur(luma(one) ** 2, (0, 0), 2 * PORES * side) for one in fine)
    fold = np.clip(own / (known + 1) / FOLD - 1, 0, 1)
    share = cv2.GaussianBlur(skin_texels(side), (0, 0), 0.012 * side) * (1 - fold)
    change = cv2.multiply(cv2.subtract(fine[1], fine[0]), cv2.merge([share, share, share]))
    return np.asarray(cv2.add(texture, change, dtype=cv2.CV_8U), np.uint8)


def _with_lips(texture: Image, first: Image) -> Image:
    """Give a texture the lips of the first one.

    Lips of several pictures lie on one another to a pixel or two: mixed, they lose their edges, and a mouth without edges looks
    less open than it is. Their form follows the landmarks anyway.
    """
    side = texture.shape[0]
    lips = cv2.GaussianBlur(filled_texels(side, OUTER_LIPS, LIP_REACH), (0, 0), 0.012 * side)[..., None]
    return np.asarray(np.round(first * lips + texture * (1 - lips)), np.uint8)


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
    for probe in face.probes[:: max(1, -(-len(face.probes) // MOST_MATCHED))]:
        theirs = unwrapped(probe.image, probe.points, side)
        their_skin = (skin * skin_likeness(theirs)) > 0.4
        if their_skin.sum() > 50:
            seen.append([_spread(band[their_skin]) for band in _bands(luma(theirs))[:-1]])
    if not seen:
        return (1.0,) * len(BANDS)
    ratios = np.median(seen, axis=0) / np.maximum(own, 1e-3)
    return tuple(float(gain) for gain in np.clip(ratios, LEAST_DETAIL, MOST_DETAIL))


def _brow_depth(texture: Image, black: NDArray[np.float32]) -> float:
    """How much darker than skin the brows are, as a share of the skin's brightness, in a small texture."""
    bright = luma(without_black(texture, black))
    size = texture.shape[0]
    usual = float(np.median(bright[skin_texels(size) > 0]))
    # The paler of both: over the other one hair may fall.
    darkest = max(float(np.percentile(bright[filled_texels(size, brow, 1.0) > 0], 15)) for brow in BROWS)
    return max(1 - darkest / max(usual, 1.0), 0.05)


def _softened(texture: Image, depth: float) -> Image:
    """Lift what is darker than the skin around it at brows and eyes, for footage in which nothing is so dark."""
    if depth > 0.97:
        return texture
    side = texture.shape[0]
    bright = luma(texture)
    small = cv2.resize(bright, (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA)
    around = low_pass(np.asarray(small, np.float32)[..., None], skin_texels(TEXTURE), 0.08 * TEXTURE)[..., 0]
    around = np.asarray(cv2.resize(around, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    place = np.maximum.reduce([filled_texels(side, part, 1.25) for part in (*BROWS, *LIDS)])
    place = cv2.GaussianBlur(place, (0, 0), 0.02 * side)
    lifted = bright + np.maximum(around - bright, 0) * (1 - depth) * place
    gain = np.asarray((lifted + 1) / (bright + 1), np.float32)
    return np.asarray(cv2.multiply(texture, cv2.merge([gain, gain, gain]), dtype=cv2.CV_8U), np.uint8)


def _spread(values: Plane) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def _toned(texture: Image, gains: tuple[float, ...]) -> Image:
    """Weigh the detail of a texture; brows, eyes and lips keep theirs, for they are what makes the face."""
    side = texture.shape[0]
    skin = cv2.GaussianBlur(skin_texels(side), (0, 0), 0.012 * side)
    bands = _bands(luma(texture))
    bright = bands[-1] + sum(band * (1 + (gain - 1) * skin) for band, gain in zip(bands[:-1], gains, strict=True))
    # Colour is evened out in proportion to brightness: shine is paler than skin, and another light would show it as a stain.
    plain = np.maximum(luma(texture), 8)[..., None]
    tint = (texture.astype(np.float32) - plain) / plain
    small = cv2.resize(tint, (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA)
    even = cv2.resize(
        low_pass(np.asarray(small, np.float32), skin_texels(TEXTURE), 0.2 * TEXTURE),
        (side, side),
        interpolation=cv2.INTER_LINEAR,
    )
    lips = cv2.GaussianBlur(filled_texels(side, OUTER_LIPS, 1.05), (0, 0), 0.01 * side)
    own = np.float32(COLOR_DETAIL) + np.float32(1 - COLOR_DETAIL) * lips
    tone = (even + (tint - even) * own[..., None]) * bright[..., None]
    return np.clip(np.round(bright[..., None] + tone), 0, 255).astype(np.uint8)
