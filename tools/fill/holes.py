"""Holes such as erased overlays leave: lines of outlined letters, slabs, and strokes of a brush. No words, only letters."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Still
from PIL import ImageDraw, ImageFont

Plane = NDArray[np.float32]
FONTS = Path(__file__).resolve().parents[2] / "src" / "recaster" / "media" / "overlays" / "fonts"
_PAGE = 512
_LETTERS = "aaabcdeeeefghiijklmnooopqrrssttuuvwxyz"


class Holes:
    """A stock of pages of holes, from which crops are taken."""

    def __init__(self, side: int, seed: int, pages: int = 240) -> None:
        self._side = side
        self._random = np.random.default_rng(seed)
        fonts = sorted(FONTS.glob("*.ttf"))
        self._text = [_text_page(self._random, fonts) for _ in range(pages)]
        self._slabs = [_slab_page(self._random) for _ in range(pages // 3)]
        self._brush = [_brush_page(self._random) for _ in range(pages // 6)]

    def draw(self) -> tuple[Plane, NDArray[np.bool_]]:
        """Ink from 0 to 1 and the hole around it, each (side, side). Between 8 and 75 % of the crop is a hole."""
        while True:
            kind = self._random.random()
            stock = self._text if kind < 0.78 else self._slabs if kind < 0.92 else self._brush
            page = stock[self._random.integers(len(stock))]
            y, x = self._random.integers(0, _PAGE - self._side + 1, 2)
            ink = page[y : y + self._side, x : x + self._side].astype(np.float32) * np.float32(1 / 255)
            reach = int(self._random.integers(1, 5))
            grown = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            hole = cv2.dilate((ink > 0.02).astype(np.uint8), grown) > 0
            if 0.08 < hole.mean() < 0.75:
                return ink, hole


def _word(random: np.random.Generator) -> str:
    word = "".join(random.choice(list(_LETTERS), random.integers(1, 9)))
    style = random.random()
    return word.upper() if style < 0.3 else word.capitalize() if style < 0.5 else word


def _text_page(random: np.random.Generator, fonts: list[Path]) -> NDArray[np.uint8]:
    """A page full of text of one size: a block or two of lines with space between them."""
    page = Still.new("L", (_PAGE, _PAGE))
    size = float(np.exp(random.uniform(np.log(13), np.log(72))))
    font = ImageFont.truetype(str(fonts[random.integers(len(fonts))]), size)
    stroke = round(size * random.choice([0.0, 0.04, 0.08, 0.12, 0.16]))
    pen = ImageDraw.Draw(page)
    y = -size * random.random()
    while y < _PAGE:
        words = " ".join(_word(random) for _ in range(2 + int(1.2 * _PAGE / size / 3)))
        pen.text((-size * random.uniform(0, 3), y), words, fill=255, font=font, stroke_width=stroke, stroke_fill=255)
        y += size * (random.uniform(1.1, 1.35) if random.random() < 0.75 else random.uniform(2.0, 4.0))
    turned = page.rotate(random.normal(0, 2 if random.random() < 0.8 else 12), resample=Still.Resampling.BILINEAR)
    return np.asarray(turned, np.uint8)


def _slab_page(random: np.random.Generator) -> NDArray[np.uint8]:
    """Rounded rectangles the size of a line or two of text, with as much free space beside them."""
    page = Still.new("L", (_PAGE, _PAGE))
    pen = ImageDraw.Draw(page)
    y = random.uniform(-20, 30)
    while y < _PAGE:
        height = random.uniform(20, 80)
        x = random.uniform(-200, 200)
        while x < _PAGE:
            width = random.uniform(60, 420)
            pen.rounded_rectangle((x, y, x + width, y + height), radius=random.uniform(0, height / 2), fill=255)
            x += width + random.uniform(20, 160)
        y += height + random.uniform(14, 90)
    return np.asarray(page, np.uint8)


def _brush_page(random: np.random.Generator) -> NDArray[np.uint8]:
    page = np.zeros((_PAGE, _PAGE), np.uint8)
    for _ in range(int(random.integers(6, 22))):
        points = random.uniform(0, _PAGE, 2) + np.cumsum(random.normal(0, 55, (int(random.integers(2, 7)), 2)), axis=0)
        cv2.polylines(page, [points.astype(np.int32)], False, 255, int(random.integers(4, 34)), cv2.LINE_AA)
    return page
