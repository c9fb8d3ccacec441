"""How much of the scene shines through set letters, and which colours they have of their own.

A letter of opacity o turns what is behind it, B, into (1 − o) B + o F. Two witnesses tell o: where the scene moves behind
letters that hold still, they change with it, by (1 − o) of what it changes; and where the scene varies along the line, so do
they. The first needs no guess of what is behind, only of how much that moves, and is asked first. Behind an even scene that
rests nobody can tell, and it makes no difference there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.inking import ALIKE, FEW, Bits, Lettering
from recaster.media.overlays.seen_letters import Color, Field

_CLEAR, _CLEAR_PIXELS = 0.1, 4.5
"""Share of the scene in the letters below which they count as opaque: it is then less than the error of the measure. Of
small letters, as many pixels of their size are the scene's by their coding alone."""
_LEAST_VARIETY = 6.0
"""Standard deviation (0–255) of what is behind letters from which it can be seen to shine through."""
_LEAST_SLOPE = 0.15
"""Share of what is behind letters that has to be seen in them."""
_EVEN = 0.85
"""Share of the letters' pixels in one colour from which they are most likely opaque."""
_LEAST_KINSHIP_OF_EVEN = 0.6
"""Correlation with what is behind that letters have at least which are nearly of one colour."""
_LEAST_KINSHIP = 0.25
"""The same of other see-through letters."""
_LEAST_MOTION = 8.0
"""Difference of brightness (0–255) between two pictures from which the scene moves."""
_ENOUGH_MOTION = 150
"""Pixels of letters with a moving scene around them from which they are believed."""
_MOST_MOTION = 0.7
"""Share of the scene's motion in letters from which they are not held still but come, go or take turns."""
_AS_GOOD = 0.13
"""Error of a measured share of the scene."""
_LEAST_MISFIT = 6.0
"""Of any channel (0–255), up to which letters may be of a plain colour."""
_LEAST_CONTRAST = 60.0
"""Of plain paint and scene (0–255), from which their mixture tells how much of each it has."""


@dataclass(frozen=True, slots=True, eq=False)
class Translucence:
    """Letters through which the scene is seen."""

    opacity: float
    fill: Color
    """The letters' own colour."""
    ground: Color
    """Mean colour of what is behind them."""

    def own(self, seen: Color) -> Color:
        """The colour of paint of the same opacity that is seen as `seen`."""
        return np.asarray(np.clip((seen - (1.0 - self.opacity) * self.ground) / self.opacity, 0, 255), np.float32)


def find_translucence(lettering: Lettering, fill: Color, rim: float) -> Translucence | None:
    """What shines through letters of the seen colour `fill`; None where nothing is seen to.

    What is behind is guessed from around the letters, beyond `rim` pixels.
    """
    if lettering.takes_turns:
        return None
    weights = np.asarray(lettering.distance >= rim + 1.5, np.float32)
    sigma = max(1.5, 0.1 * lettering.em)
    inner = lettering.inner & (cv2.GaussianBlur(weights, (0, 0), sigma) > 0.01)
    if int(inner.sum()) < FEW:
        return None
    guess = np.stack([_filled(picture, weights, sigma)[inner] for picture in lettering.pictures]).reshape(-1, 3)
    seen = lettering.pixels(inner).reshape(-1, 3)
    through = _seen_in_motion(lettering, weights, sigma, inner)
    if through is None:
        through = _seen_in_place(lettering, fill, weights, sigma, inner, guess, seen)
    # No paint is brighter than white or darker than black.
    level, ground = np.median(seen, axis=0), guess.mean(axis=0)
    apart = np.where(np.abs(ends := np.where(level > ground, 255.0, 0.0) - ground) < 1.0, 1.0, ends)
    through = float(np.clip(min(through, float(((ends + ground - level) / apart).min())), 0.0, 0.9))
    if through < max(_CLEAR, _CLEAR_PIXELS / lettering.em):
        return None
    through = _with_plain_paint(through, np.asarray(level, np.float32), np.asarray(ground, np.float32))
    own = (level - through * ground) / (1.0 - through)
    return Translucence(
        round(1.0 - through, 2), np.asarray(np.clip(own, 0, 255), np.float32), np.asarray(ground, np.float32)
    )


def _with_plain_paint(through: float, level: Color, ground: Color) -> float:
    """What shines through if the letters are plain white or black, where that is as good as what was measured.

    Most letters are, and the colour of what is seen then tells more exactly how much shines through than the scene does.
    """
    for paint in (255.0, 0.0):
        apart = paint - ground
        share = float(((paint - level) * apart).sum() / max(float((apart * apart).sum()), 1.0))
        misfit = np.abs(paint - share * apart - level).max()
        if abs(share - through) < _AS_GOOD and misfit < _LEAST_MISFIT and float(np.abs(apart).max()) > _LEAST_CONTRAST:
            return share
    return through


def _seen_in_motion(lettering: Lettering, weights: Field, sigma: float, inner: Bits) -> float | None:
    """How much letters that hold still change with the scene around them; None where it does not move enough."""
    lumas = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) for picture in lettering.pictures]
    room = np.maximum(cv2.GaussianBlur(weights, (0, 0), sigma), 1e-4)
    own, around = [], []
    for one, other in combinations(lumas, 2):
        change = (one - other) ** 2
        nearby = cv2.GaussianBlur(change * weights, (0, 0), sigma) / room
        moving = inner & (nearby > _LEAST_MOTION**2)
        own.append(change[moving])
        around.append(nearby[moving])
    if not own or sum(len(part) for part in own) < _ENOUGH_MOTION:
        return None
    # Medians: a letter that is not quite where it is drawn shows a little of the scene itself.
    share = float(np.sqrt(np.median(np.concatenate(own)) / np.median(np.concatenate(around))))
    return share if share < _MOST_MOTION else None


def _seen_in_place(
    lettering: Lettering,
    fill: Color,
    weights: Field,
    sigma: float,
    inner: Bits,
    guess: NDArray[np.float32],
    seen: NDArray[np.float32],
) -> float:
    """How much the letters' colour varies with what is guessed behind them, by a straight line through pairs of both.

    The guess is imperfect, which flattens the line; how much is measured where nothing covers the scene.
    """
    even = float((np.linalg.norm(seen - fill, axis=1) < ALIKE).mean()) > _EVEN
    slope, kinship = _line(guess, seen)
    related = kinship >= (_LEAST_KINSHIP_OF_EVEN if even else _LEAST_KINSHIP)
    if float(guess.std(axis=0).mean()) < _LEAST_VARIETY or slope < _LEAST_SLOPE or not related:
        return 0.0
    return slope / max(_trust(lettering, weights, sigma, inner), 0.5)


def _filled(picture: NDArray[np.uint8], weights: Field, sigma: float) -> Field:
    """A picture with what has no weight filled from around it."""
    room = cv2.GaussianBlur(weights, (0, 0), sigma)
    kept = cv2.GaussianBlur(picture.astype(np.float32) * weights[..., None], (0, 0), sigma)
    return np.asarray(kept / np.maximum(room, 1e-4)[..., None], np.float32)


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Slope, shared by the channels, of y over x by least squares, and the correlation of both."""
    dx, dy = x - x.mean(axis=0), y - y.mean(axis=0)
    shared, own, its = float((dx * dy).sum()), float((dx * dx).sum()), float((dy * dy).sum())
    return shared / max(own, 1e-6), shared / max(float(np.sqrt(own * its)), 1e-6)


def _trust(lettering: Lettering, weights: Field, sigma: float, inner: Bits) -> float:
    """The slope that the same guess has where the scene is seen: holes of the letters' shape, moved up and down."""
    rows = np.flatnonzero(inner.any(axis=1))
    height = int(rows[-1] - rows[0] + 1 + 4 * sigma)
    slopes = []
    for move in (-height, height):
        hole, place = _moved(weights == 0, move), _moved(inner, move)
        free = np.asarray((~hole) & (weights > 0), np.float32)
        place &= weights > 0
        if int(place.sum()) < FEW:
            continue
        guesses = [_filled(picture, free, sigma)[place] for picture in lettering.pictures]
        seen = [picture[place].astype(np.float32) for picture in lettering.pictures]
        slopes.append(_line(np.concatenate(guesses), np.concatenate(seen))[0])
    return float(np.median(slopes)) if slopes else 1.0


def _moved(bits: Bits, down: int) -> Bits:
    out = np.zeros_like(bits)
    if abs(down) < len(bits):
        if down > 0:
            out[down:] = bits[:-down]
        else:
            out[:down] = bits[-down:]
    return out
