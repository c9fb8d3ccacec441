"""The colours of set words: fill, outline, shadow, and the word that is being said.

The letters' exact places are known (see `typesetting`): what is asked is which colours the pictures of a line have on the
letters, around them and beside them. How much shines through them is told in `opacity`, slabs are measured in `backing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._typefaces import FINE
from recaster.media.overlays.letters import commonest
from recaster.media.overlays.model import Color as Rgb
from recaster.media.overlays.model import Shadow, Stroke
from recaster.media.overlays.seen_letters import Color, Field
from recaster.media.video.model import Image

Bits = NDArray[np.bool_]

ALIKE = 42.0
"""Distance of two colours (0–441) up to which they are one even colour after encoding."""
FEW = 30
_LEAST_OUTLINE = 0.55
"""Share of the pixels around the letters that an outline's colour has at least."""
_WIDEST_OUTLINE = 0.22
"""Of an outline, in em."""
_LEAST_SHADOW = 0.12
"""Opacity from which a shadow is told from the scene's own darkness."""
_LEAST_EXPLAINED = 0.2
"""Share of the brightness differences beside the letters that a shadow has to explain."""
_FARTHEST_GLOW = 0.4
"""Of a halo from its letters, in em."""
_LEAST_GLOW = 30.0
"""Difference (0–255) that a halo makes where it is full."""
_LEAST_LIGHT = 90.0
"""Of the brightest channel of a halo, and between its channels where it is darker than the scene."""
_LEAST_EXPLAINED_BY_GLOW = 0.5
"""Share of the colour differences beside the letters that a halo has to explain."""
_SAMPLED = 4000
"""Pixels beside the letters that are asked for a shadow."""


def rgb(color: Color) -> Rgb:
    """Whole numbers, red first."""
    blue, green, red = (int(np.clip(round(float(value)), 0, 255)) for value in color)
    return (red, green, blue)


@dataclass(frozen=True, slots=True, eq=False)
class Lettering:
    """Pictures of one line and the coverage of its letters, all of one shape."""

    pictures: tuple[Image, ...]
    coverage: Field
    distance: Field
    """Distance of each pixel from the letters' edge, in pixels, 0 inside."""
    em: float
    takes_turns: bool
    """Whether word after word takes another look."""

    @classmethod
    def of(cls, pictures: Sequence[Image], fine: NDArray[np.uint8], em: float, *, takes_turns: bool) -> Lettering:
        """From the letters' coverage in fine cells (`FINE` per pixel and axis)."""
        size = (fine.shape[1] // FINE, fine.shape[0] // FINE)
        away = cv2.distanceTransform((fine < 128).astype(np.uint8), cv2.DIST_L2, 5)
        distance = cv2.resize(away, size, interpolation=cv2.INTER_AREA) / FINE
        coverage = cv2.resize(fine, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        return cls(tuple(pictures), np.asarray(coverage, np.float32), np.asarray(distance, np.float32), em, takes_turns)

    def pixels(self, where: Bits) -> NDArray[np.float32]:
        """The colours at some places in all pictures, shape (pictures, places, 3)."""
        return np.stack([picture[where] for picture in self.pictures]).astype(np.float32)

    @property
    def inner(self) -> Bits:
        """The pixels that letters cover whole, or as nearly as thin letters do."""
        for least in (0.98, 0.9, 0.75, 0.55):
            inner = self.coverage > least
            if int(inner.sum()) >= FEW:
                break
        return np.asarray(inner, np.bool_)


def find_fill(lettering: Lettering, about: Color) -> Color:
    """The colour of the letters, taken as opaque. `about` is the colour by which they were told from their ground."""
    pixels = lettering.pixels(lettering.inner).reshape(-1, 3)
    if lettering.takes_turns:
        own = pixels[np.linalg.norm(pixels - about, axis=1) < 2 * ALIKE]
        pixels = own if len(own) >= FEW else pixels
    return commonest(pixels)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Rim:
    """What lies around the letters."""

    color: Color
    width: float
    """How far its colour reaches from the letters, in pixels; infinite where it does not end."""


def find_rim(lettering: Lettering, fill: Color) -> Rim | None:
    """An even colour around the letters: an outline, or a slab where it does not end; None where there is none."""
    em, distance = lettering.em, lettering.distance
    farthest = max(6.0, 1.3 * _WIDEST_OUTLINE * em)
    first = (distance > 0.8) & (distance <= max(1.9, 0.05 * em))
    if not first.any():
        return None
    color, share = commonest(lettering.pixels(first).reshape(-1, 3))
    contrast = float(np.linalg.norm(color - fill))
    if share < _LEAST_OUTLINE or contrast < 1.2 * ALIKE:
        return None
    middles = np.arange(0.75, farthest, 0.5)
    shares = []
    for middle in middles:
        ring = (distance > middle - 0.5) & (distance <= middle + 0.5)
        if not ring.any():
            break
        away = np.linalg.norm(lettering.pixels(ring) - color, axis=2)
        shares.append(float((away < ALIKE).mean()))
    profile = np.array(shares)
    peak = float(profile[: max(2, len(profile) // 2)].max())
    start = int(profile.argmax()) if profile.argmax() < len(profile) // 2 else 1
    level = float(np.median(profile[-4:]))
    if level > 0.6 * peak:
        return Rim(color, float("inf"))
    half = (peak + level) / 2
    beyond = np.flatnonzero(profile[start:] < half)
    if not beyond.size:
        return Rim(color, float("inf"))
    index = start + int(beyond[0])
    if index == 0:
        return None
    before, after = profile[index - 1], profile[index]
    width = float(middles[index - 1] + 0.5 * (before - half) / max(before - after, 1e-6))
    return Rim(color, width) if width > 0.6 else None


def find_shadow(lettering: Lettering, opacity: float) -> Shadow | None:
    """A dark copy of the letters, moved aside: the place at which a darkening explains most of what is beside them."""
    em, cover = lettering.em, lettering.coverage
    mean = np.mean([cv2.cvtColor(one, cv2.COLOR_BGR2GRAY).astype(np.float32) for one in lettering.pictures], axis=0)
    reach = max(2, round(0.14 * em))
    outside = (lettering.distance > 0.6) & (lettering.distance < 2.2 * reach)
    # The scene without the darkening: what is seen beyond the shadow's reach.
    free = np.asarray(lettering.distance > 1.6 * reach, np.float32)
    sigma = 1.2 * reach
    room = cv2.GaussianBlur(free, (0, 0), sigma)
    behind = cv2.GaussianBlur(mean * free, (0, 0), sigma) / np.maximum(room, 1e-3)
    use = outside & (room > 0.02) & (behind > 12)
    if int(use.sum()) < 4 * FEW:
        return None
    ys, xs = (places[:: max(1, int(use.sum()) // _SAMPLED)] for places in np.nonzero(use))
    darker = 1.0 - mean[ys, xs] / behind[ys, xs]
    total = float((darker * darker).sum())
    best: tuple[float, float, float, float, float] | None = None
    for blur in (0.0, 0.06 * em, 0.14 * em):
        soft = cover if blur == 0 else cv2.GaussianBlur(cover, (0, 0), max(blur / 2, 0.3))
        padded = np.pad(soft, reach)
        for dy in range(-reach // 2, reach + 1):
            for dx in range(-reach, reach + 1):
                cast = padded[ys - dy + reach, xs - dx + reach]
                strength = float(cast @ cast)
                share = float(cast @ darker) / max(strength, 1e-6)
                explained = share * float(cast @ darker) / max(total, 1e-6)
                if share > 0 and (best is None or explained > best[0]):
                    best = (explained, share, float(dx), float(dy), blur)
    if (
        best is None
        or best[1] < _LEAST_SHADOW
        or best[0] < _LEAST_EXPLAINED
        or (best[2] == 0 and best[3] == 0 and best[4] == 0)
    ):
        return None
    dark = float(np.clip(best[1] / max(opacity, 0.3), 0.0, 0.9))
    return Shadow((0, 0, 0), round(dark, 2), best[2], best[3], round(best[4], 1))


def find_glow(lettering: Lettering, opacity: float) -> Shadow | None:
    """A soft halo of a colour around the letters, as neon has it: the blurred letters that explain most of what differs
    beside them from what lies farther off.

    A halo of opacity k and colour C adds k s (C − B) to a scene B, where s are the blurred letters. Over an even scene k and
    C cannot be told apart; the fullest colour that can be is taken then.
    """
    em, cover = lettering.em, lettering.coverage
    # What moves behind the letters, bright for a moment, is none of theirs.
    usual = np.median(np.stack(lettering.pictures), axis=0).astype(np.float32)
    reach = _FARTHEST_GLOW * em
    free = np.asarray(lettering.distance > reach, np.float32)
    sigma = 0.5 * reach
    room = cv2.GaussianBlur(free, (0, 0), sigma)
    behind = cv2.GaussianBlur(usual * free[..., None], (0, 0), sigma) / np.maximum(room, 1e-3)[..., None]
    use = (lettering.distance > 0.06 * em) & (lettering.distance < reach) & (room > 0.02)
    if int(use.sum()) < 4 * FEW:
        return None
    ys, xs = (places[:: max(1, int(use.sum()) // _SAMPLED)] for places in np.nonzero(use))
    ground = behind[ys, xs].astype(np.float64)
    added = usual[ys, xs] - ground
    total = float((added * added).sum())
    best: tuple[float, NDArray[np.float64], float] | None = None
    for blur in (0.16, 0.24, 0.34, 0.46):
        cast = cv2.GaussianBlur(cover, (0, 0), blur * em / 2)[ys, xs].astype(np.float64)
        strength = (cast @ added) / max(float(cast @ cast), 1e-6)
        explained = float(((cast[:, None] * strength) * added).sum()) / max(total, 1e-6)
        if best is None or explained > best[0]:
            best = (explained, strength, blur * em)
    if best is None or best[0] < _LEAST_EXPLAINED_BY_GLOW:
        return None
    _, strength, blur = best
    if float(np.abs(strength).max()) < _LEAST_GLOW:
        return None
    level = ground.mean(axis=0)
    ends = np.where(strength > 0, 255.0 - level, level)
    share = float(np.clip((np.abs(strength) / np.maximum(ends, 1.0)).max(), 0.05, 0.95))
    color = np.clip(level + strength / share, 0, 255)
    if float(color.max()) < _LEAST_LIGHT or not (strength.max() > _LEAST_GLOW or float(np.ptp(color)) > _LEAST_LIGHT):
        return None  # a plain darkening is a shadow
    return Shadow(
        rgb(color.astype(np.float32)), round(min(0.95, share / max(opacity, 0.3)), 2), 0.0, 0.0, round(blur, 1)
    )


def find_active_fill(lettering: Lettering, fill: Color, boxed: Color) -> Rgb | None:
    """The colour that letters take on the box of the word being said (`boxed`, BGR); None where they keep theirs."""
    reach = 2 * round(0.45 * lettering.em) + 1
    found = []
    for picture in lettering.pictures:
        near = np.linalg.norm(picture.astype(np.float32) - boxed, axis=2) < 1.5 * ALIKE
        box = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
        found.append(picture[(box > 0) & lettering.inner].astype(np.float32))
    pixels = np.concatenate(found)
    if len(pixels) < FEW:
        return None
    color, share = commonest(pixels)
    if share < 0.4 or float(np.linalg.norm(color - fill)) < 1.5 * ALIKE:
        return None
    return rgb(color)


def as_stroke(rim: Rim | None) -> Stroke | None:
    """An outline that ends, as plain values."""
    if rim is None or not np.isfinite(rim.width):
        return None
    return Stroke(rgb(rim.color), round(rim.width, 1))
