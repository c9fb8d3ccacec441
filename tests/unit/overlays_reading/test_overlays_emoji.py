"""Emoji beside words, found in pictures that the product's own drawer painted and an encoder's blur softened."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from recaster.media.overlays import SkiaTextDrawer, Slab, Stroke, TextStyle
from recaster.media.overlays.emoji_reading import SeenEmoji, find_emoji
from recaster.media.overlays.letters import Extent, level_line

pytestmark = pytest.mark.unit

SIZE = (480, 200)
PLAIN = TextStyle(
    "montserrat", 800, 38.0, (255, 255, 255), 1.0, Stroke((0, 0, 0), 4.0), None, None, "center", 1.28, 0.0
)
SLAB = Slab((0, 0, 0), 1.0, 8.0, 14.0, 10.0, True)


def found(style: TextStyle, text: str, slab: tuple[int, int, int] | None) -> list[str]:
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (SIZE[1], SIZE[0], 3)), (0, 0), 9)
    scene = np.clip((noise - noise.mean()) * 4 + 120, 0, 255).astype(np.uint8)
    drawer = SkiaTextDrawer()
    laid = drawer.layout(text, style, (20.0, 60.0, SIZE[0] - 20.0, 140.0), SIZE, max_lines=1)
    picture = np.asarray(cv2.GaussianBlur(drawer.draw(scene, laid), (0, 0), 0.7), np.uint8)
    line = laid.lines[0]
    left, right = line.x - 4, line.x + line.width + 4
    top, bottom = line.baseline - laid.line_top - 6, line.baseline + laid.line_bottom + 2
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    level = level_line(picture, (0, 0), quad, 70.0, 20.0)
    words = replace(laid, lines=(replace(line, text=text.split(" ")[0]),), style=replace(laid.style, slab=None))
    x, y, width, height = cv2.boundingRect(drawer.draw(np.zeros_like(scene), words).max(axis=2))
    x0, y0 = x - round(level.to_frame[0, 2]), y - round(level.to_frame[1, 2])
    extent = Extent(x0, y0, x0 + width, y0 + height)
    color = None if slab is None else np.array(slab[::-1], np.float32)
    seen: tuple[SeenEmoji, ...] = find_emoji(level, extent, style.size, color)
    return [one.character for one in seen]


@pytest.mark.parametrize("emoji", ["💸", "🙌", "✨", "👀", "😭", "✅", "🔥", "🤯", "🚀"])
def test_an_emoji_on_a_slab_is_told_from_all_others(emoji: str) -> None:
    assert found(replace(PLAIN, stroke=None, slab=SLAB), f"WAIT {emoji}", (0, 0, 0)) == [emoji]


@pytest.mark.parametrize("emoji", ["🫶", "🙌", "🔥", "😳", "🎯"])
def test_an_emoji_over_the_scene_is_told_from_all_others(emoji: str) -> None:
    assert found(PLAIN, f"WAIT {emoji}", None) == [emoji]


def test_words_alone_have_no_emoji() -> None:
    assert found(replace(PLAIN, stroke=None, slab=SLAB), "WAIT", (0, 0, 0)) == []
    assert [one for one in found(PLAIN, "WAIT", None) if one] == []


def test_thin_lines_are_taken_for_no_other_emoji() -> None:
    assert found(replace(PLAIN, stroke=None, slab=SLAB), "WAIT 🛒", (0, 0, 0)) in (["🛒"], [""])
