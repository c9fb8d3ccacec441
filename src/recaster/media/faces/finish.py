"""Matching a drawn face to its footage: as soft as its edges, its skin as rough as the skin there, with the footage's own grain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.mesh import Plane
from recaster.media.video import Image

GRAIN_SPREAD = 1.0
"""Pixels; what is finer than that is taken for grain."""
MOST_GRAIN = 2.0
"""Grain is cut off at so many of its standard deviations: beyond them it is a line."""
SHARPENINGS = (0.15, 0.3)
MOST_BLUR = 2.5
_FIRST_BLUR = 0.7
_STRONG_EDGES = 95
_SKIN_SHARE = 95
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to a drawn face before it is blended in."""

    spread: float = 1.0
    """What is finer than so many pixels is changed."""
    edges: float = 0.0
    """Share of the finest detail that is added to everything but skin; -1 takes all of it away."""
    skin: float = 0.0
    """The same on skin."""
    most_grain: float = 0.0
    """Grey levels."""
    grain: float = 0.0
    """Share of the footage's own grain that is added on skin."""

    def sharpened(self, picture: Picture, skin: Plane) -> Picture:
        """The drawn face without grain.

        Args:
            picture: BGR (h, w, 3).
            skin: where it shows skin, 0–1, (h, w).
        """
        if max(abs(self.edges), abs(self.skin)) <= 0.05:
            return picture
        fine = cv2.subtract(picture, cv2.GaussianBlur(picture, (0, 0), self.spread))
        amount = np.asarray(self.edges + (self.skin - self.edges) * skin, np.float32)
        return np.asarray(cv2.add(picture, cv2.multiply(fine, cv2.merge([amount, amount, amount]))), np.float32)

    def applied(self, picture: Picture, footage: Image, skin: Plane) -> Picture:
        """The drawn face as it is blended into `footage`, BGR (h, w, 3)."""
        sharp = self.sharpened(picture, skin)
        if self.grain <= 0.02:
            return sharp
        share = np.asarray(self.grain * skin, np.float32)
        grain = cv2.multiply(grain_of(footage, self.most_grain), cv2.merge([share, share, share]))
        return np.asarray(cv2.add(sharp, grain), np.float32)


def finish_for(picture: Picture, footage: Image, mask: Plane, skin: Plane, *, may_sharpen: bool) -> Finish:
    """What makes a drawn face look filmed with the same camera.

    Args:
        picture: drawn face, BGR (h, w, 3), float32.
        footage: the source's face in the same place, BGR (h, w, 3).
        mask: where the drawn face shows, 0–1, (h, w).
        skin: where that is skin, 0–1.
        may_sharpen: a small face has no detail to bring out; sharpening would only make it hard.
    """
    shown = np.asarray(mask * skin, np.float32)
    wanted, level = roughness(footage, shown), grain_level(footage, shown)
    have, soft = edge_spread(picture, mask), edge_spread(footage, mask)
    if have <= soft:
        spread, edges = float(np.clip(np.sqrt(soft**2 - have**2), 0.1, MOST_BLUR)), -1.0
    else:
        amounts = (0.0, *SHARPENINGS) if may_sharpen else (0.0,)
        off = [abs(edge_spread(Finish(1.0, one, one).sharpened(picture, skin), mask) - soft) for one in amounts]
        spread, edges = 1.0, amounts[int(np.argmin(off))]
    # Of all that is no sharper than the edges or the drawing, what makes skin as rough as the footage's.
    choices = [Finish(spread, edges, float(skins)) for skins in np.linspace(-1, max(edges, 0), 9)]
    rough = np.array([roughness(one.sharpened(picture, skin), shown) for one in choices])
    chosen = int(np.argmin(np.abs(rough - wanted)))
    sharp = choices[chosen].sharpened(picture, skin)
    more = roughness(sharp + grain_of(footage, MOST_GRAIN * level), shown) - rough[chosen]
    share = float(np.sqrt(np.clip((wanted - rough[chosen]) / max(more, 1e-3), 0, 1)))
    return replace(choices[chosen], most_grain=MOST_GRAIN * level, grain=share)


def usual_finish(finishes: list[Finish]) -> Finish:
    """The median of several frames' finishes; nothing is done when there are none."""
    if not finishes:
        return Finish()
    # A blur and a sharpening have no mean: what most frames need is asked first.
    blurs = float(np.mean([one.edges < 0 for one in finishes])) >= 0.5
    alike = [one for one in finishes if (one.edges < 0) == blurs]
    rows = np.median([[one.spread, one.edges, one.skin, one.most_grain, one.grain] for one in alike], axis=0)
    return Finish(*(float(value) for value in rows))


def edge_spread(picture: NDArray[np.generic], mask: Plane) -> float:
    """Softness of the strongest edges where the mask is above one half: the spread in pixels of a blur that made them.

    How much an edge loses by one more blur tells how soft it was (Zhuo, Sim 2011). Grain hardly counts: its gradients are
    below those of brows, lids, nostrils and lips.
    """
    gray = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32)
    # A first blur takes the grain away; it is subtracted again.
    near = cv2.GaussianBlur(gray, (0, 0), _FIRST_BLUR)
    slopes = [_slope(one) for one in (near, cv2.GaussianBlur(near, (0, 0), 1.0))]
    inside = mask > 0.5
    if not inside.any():
        return 1.0
    strong = inside & (slopes[0] >= np.percentile(slopes[0][inside], _STRONG_EDGES))
    ratio = float(np.median(slopes[0][strong] / np.maximum(slopes[1][strong], 1e-3)))
    return float(np.sqrt(max(1 / max(ratio**2 - 1, 0.05) - _FIRST_BLUR**2, 0.05)))


def grain_of(picture: Image, most: float) -> Picture:
    """The finest band of a picture, nowhere stronger than `most`: its noise, compression and pores, but no lines.

    It is the footage's own, so it has the right spectrum and moves as everything else in the frame does.
    """
    base = picture.astype(np.float32)
    fine = cv2.subtract(base, cv2.GaussianBlur(base, (0, 0), GRAIN_SPREAD))
    return np.asarray(np.clip(fine, -most, most, out=fine), np.float32)


def grain_level(picture: Image, mask: Plane) -> float:
    """Robust standard deviation of the finest band where the mask is above one half."""
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    values = np.abs(gray - cv2.GaussianBlur(gray, (0, 0), GRAIN_SPREAD))[mask > 0.5]
    return 1.4826 * float(np.median(values)) if values.size else 0.0


def roughness(picture: NDArray[np.generic], mask: Plane) -> float:
    """Mean square of the Laplacian where the mask is above one half, without its strongest share.

    The strongest twentieth of it holds up to two thirds of all: rims of brows, shine and the outline, no skin.
    """
    gray = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY)
    values = np.abs(cv2.Laplacian(gray, cv2.CV_32F)[mask > 0.5])
    if not values.size:
        return 0.0
    return float((values[values <= np.percentile(values, _SKIN_SHARE)] ** 2).mean())


def _slope(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)), np.float32)
