"""The pictures of the emoji font that ships, as small squares, and how unlike them a part of a picture is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import emoji
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.media.overlays.fonts import EMOJI_FONT, find_font, read_font
from recaster.media.video.model import Image

Field = NDArray[np.float32]

_DRAWN = 36
_DISTINCT = 0.95
"""Of the difference from the next emoji of another look, up to which an emoji is told from it."""
_MOST_UNEXPLAINED = 0.85
"""Share of what varies in its place that an emoji may leave unexplained."""
LEAST_VARIETY = 20.0
"""Standard deviation (0–255) that every place is taken to have."""
_ANOTHER_LOOK = 30.0
"""Difference of two templates from which they do not look alike."""
_AROUND = 0.5
"""Weight of the pixels around an emoji against those of it."""
SIDE = 20
COARSE = 10
MARGIN = 2
"""Clear cells around each template, so that there is something around it to compare with."""


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """Pictures of emoji, all in squares of one side."""

    characters: tuple[str, ...]
    alpha: Field
    """Opacity, shape (n, side²)."""
    color: Field
    """Blue, green, red, shape (3, n, side²)."""

    def of(self, members: NDArray[np.intp]) -> Templates:
        return Templates(
            tuple(self.characters[member] for member in members), self.alpha[members], self.color[:, members]
        )

    def most_like(self, crops: Field) -> tuple[int, int, float, bool]:
        """Which crop is most like which template (indices), how unlike they are, and whether it is told from others.

        Emoji that look alike, like the faces of clocks, need not be told from each other.
        """
        difference = self.differences(crops)
        # A picture of a few lines is hardly unlike any even part of a scene: what counts is how much of what is seen
        # there a template explains.
        unexplained = difference / np.maximum(variety(crops), LEAST_VARIETY)[:, None]
        row, column = (int(index) for index in np.unravel_index(int(unexplained.argmin()), unexplained.shape))
        least = unexplained.min(axis=0)
        alpha, own = self.alpha[column], self.color[:, column]
        drawn = own * alpha + 128.0 * (1.0 - alpha)
        others = self.differences(drawn[None].astype(np.float32))[0] > _ANOTHER_LOOK
        rival = float(least[others].min()) if others.any() else np.inf
        told = float(least[column]) <= min(_DISTINCT * rival, _MOST_UNEXPLAINED)
        return row, column, float(difference[row, column]), told

    def differences(self, crops: Field) -> Field:
        """How unlike crops, shape (m, 3, side²), and all templates are, root mean square of 0–255, shape (m, n).

        Where a template is opaque its colours are expected, around it one even colour, whichever that is; a scene is
        seldom even, so that counts less.
        """
        error = np.zeros((len(crops), len(self.alpha)), np.float32)
        clear = 1.0 - self.alpha
        room = clear.sum(axis=1)
        for channel in range(3):
            part, own = crops[:, channel], self.color[channel]
            weighted = own * self.alpha
            squares = part**2
            error += squares @ self.alpha.T - 2 * part @ weighted.T + (weighted * own).sum(axis=1)
            error += _AROUND * (squares @ clear.T - (part @ clear.T) ** 2 / np.maximum(room, 1e-3))
        weight = self.alpha.sum(axis=1) + _AROUND * room
        return np.asarray(np.sqrt(np.maximum(error, 0) / (3 * weight)), np.float32)


def variety(crops: Field) -> Field:
    """Standard deviation of the colours within each crop, shape (m, 3, side²)."""
    return np.asarray(np.sqrt(crops.var(axis=2).mean(axis=1)), np.float32)


@lru_cache(maxsize=2)
def templates(side: int) -> Templates:
    """All single emoji of the font, each cut to its picture and set into a square of `side` pixels."""
    if side != SIDE:
        full, step = templates(SIDE), SIDE // side

        def smaller(plane: Field) -> Field:
            cells = plane.reshape(len(plane), side, step, side, step)
            return np.asarray(cells.mean(axis=(2, 4)).reshape(len(plane), -1), np.float32)

        alpha = smaller(full.alpha)
        weighted = np.stack([smaller(full.color[channel] * full.alpha) for channel in range(3)])
        return Templates(full.characters, alpha, (weighted / np.maximum(alpha, 1e-3)).astype(np.float32))
    face = skia.Typeface.MakeFromData(skia.Data.MakeWithCopy(read_font(find_font(EMOJI_FONT, 400))))
    font = skia.Font(face, _DRAWN)
    characters: list[str] = []
    alphas: list[Field] = []
    colors: list[Field] = []
    for character, facts in sorted(emoji.EMOJI_DATA.items()):
        bare = character.replace("\ufe0f", "")
        if facts["status"] != emoji.STATUS["fully_qualified"] or len(bare) != 1 or not face.unicharToGlyph(ord(bare)):
            continue
        pixels = _drawn(bare, font)
        ys, xs = np.nonzero(pixels[..., 3] > 40)
        if len(xs) == 0:
            continue
        picture = _squared(pixels[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])
        inner = SIDE - 2 * MARGIN
        small = cv2.resize(picture.astype(np.float32), (inner, inner), interpolation=cv2.INTER_AREA)
        small = np.pad(small, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
        alpha = np.asarray(small[..., 3] / 255, np.float32)
        characters.append(character)
        alphas.append(alpha.ravel())
        plain = small[..., :3] / np.maximum(alpha, 1e-3)[..., None]
        colors.append(np.asarray(plain.reshape(-1, 3).T, np.float32))
    return Templates(
        tuple(characters),
        np.stack(alphas).astype(np.float32),
        np.clip(np.stack(colors, axis=1), 0, 255).astype(np.float32),
    )


def _drawn(character: str, font: skia.Font) -> Image:
    """Premultiplied BGRA picture of one emoji with room around it."""
    pixels = np.zeros((2 * _DRAWN, 2 * _DRAWN, 4), np.uint8)
    canvas = skia.Canvas(pixels, colorType=skia.kBGRA_8888_ColorType)
    canvas.drawString(character, 0.3 * _DRAWN, 1.4 * _DRAWN, font, skia.Paint())
    canvas.getSurface()
    return pixels


def _squared(pixels: Image) -> Image:
    height, width = pixels.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 4), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square
