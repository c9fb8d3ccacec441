"""How much of each pixel the letters of a line cover, as its pictures show it: by their colour, whatever is behind them.

It knows no words and no fonts; words are laid on this coverage in `typesetting`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._typefaces import FINE
from recaster.media.video.model import Image

Field = NDArray[np.float32]
Color = NDArray[np.float32]
"""Blue, green, red, each 0–255."""


_THICKEST = 0.24
"""Widest stem of a letter, in em."""
_LEAST_CONTRAST = 24.0
"""Distance of fill and ground (0–441) from which coverage can be told."""
_BOXED = 60.0
"""Distance of two colours (0–441) up to which a pixel is of the box behind the word that is being said."""
_NEARBY = 0.12
"""How far from drawn letters, in em, what is seen still belongs to them."""
_LEAST_FULL = 0.2
"""Coverage of seen letters from which anything was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What pictures of a line show of its letters."""

    cover: Field
    """How much of each pixel they cover, 0–1.2."""
    known: NDArray[np.bool_]
    """Where that can be told."""

    def part(self, rows: slice, columns: slice) -> Seen:
        """The same of a part of the pictures."""
        return Seen(np.ascontiguousarray(self.cover[rows, columns]), np.ascontiguousarray(self.known[rows, columns]))

    def levelled(self, tilt: float, centre: tuple[float, float]) -> Seen:
        """The same with letters that are turned by `tilt` radians clockwise about `centre` turned level."""
        turn = cv2.getRotationMatrix2D(centre, math.degrees(tilt), 1.0)
        size = self.cover.shape[::-1]
        known = cv2.warpAffine(self.known.astype(np.uint8), turn, size, flags=cv2.INTER_NEAREST, borderValue=1)
        return Seen(np.asarray(cv2.warpAffine(self.cover, turn, size), np.float32), np.asarray(known > 0, np.bool_))


def seen_coverage(pictures: Sequence[Image], fill: Color, em: float) -> Seen:
    """How much of each pixel thin strokes of a colour cover in pictures of one line: the median of them.

    A stroke is what is left when everything thinner than the widest stem and nearer to the fill's value is taken away.
    """
    cover = np.asarray(np.median([_strokes(picture, fill, em) for picture in pictures], axis=0), np.float32)
    return Seen(cover, np.ones(cover.shape, np.bool_))


def seen_in_turns(pictures: Sequence[Image], fill: Color, em: float, boxed: Color | None) -> Seen:
    """The same where word after word takes another look, on a box of the colour `boxed` if it has one.

    The words have the fill's colour in some of the pictures only. What stands on the box in all of them is not known.
    """
    reach = 2 * round(0.45 * em) + 1
    covers = []
    for picture in pictures:
        cover = _strokes(picture, fill, em)
        if boxed is not None:
            near = np.linalg.norm(picture.astype(np.float32) - boxed, axis=2) < _BOXED
            box = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
            cover[cv2.dilate(box, np.ones((3, 3), np.uint8)) > 0] = -1.0
        covers.append(cover)
    most = np.max(covers, axis=0)
    known = np.asarray(most >= 0, np.bool_)
    # The mean neither speaks for nor against letters.
    return Seen(np.where(known, most, most[known].mean() if known.any() else 0.0).astype(np.float32), known)


def fine_letters(seen: Seen, drawn: NDArray[np.uint8], size: float) -> NDArray[np.uint8]:
    """The seen letters in fine cells (`FINE` per pixel and axis, 0–255), as far as they are near the `drawn` ones.

    Where nothing was seen there the drawn ones.
    """
    reach = 2 * round(_NEARBY * size * FINE) + 1
    nearby = cv2.dilate(drawn, np.ones((reach, reach), np.uint8)) > 127
    large = cv2.resize(seen.cover, drawn.shape[::-1], interpolation=cv2.INTER_CUBIC)
    letters = large[drawn > 127]
    if not len(letters) or (full := float(np.quantile(letters, 0.9))) < _LEAST_FULL:
        return drawn
    return np.where(nearby, np.clip(255 * large / full, 0, 255), 0).astype(np.uint8)


def _strokes(picture: Image, fill: Color, em: float) -> Field:
    reach = 2 * max(2, round(_THICKEST * em)) + 1
    kernel = np.ones((reach, reach), np.uint8)
    ground = np.empty_like(picture)
    for channel in range(3):
        way = cv2.MORPH_OPEN if fill[channel] > 110 else cv2.MORPH_CLOSE
        ground[..., channel] = cv2.morphologyEx(np.ascontiguousarray(picture[..., channel]), way, kernel)
    behind = ground.astype(np.float32)
    apart = fill - behind
    contrast = np.einsum("ijk,ijk->ij", apart, apart)
    cover = np.einsum("ijk,ijk->ij", picture - behind, apart) / np.maximum(contrast, 1.0)
    return np.where(contrast > _LEAST_CONTRAST**2, np.clip(cover, 0.0, 1.2), 0.0).astype(np.float32)
