"""Print on cloth that rests for a moment is told from an overlay by the same print moving right before or after."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recaster.media.overlays import Animation
from recaster.media.overlays.contours import contours_of
from recaster.media.overlays.finding import FoundLine, Sighting
from recaster.media.overlays.following import Life
from recaster.media.overlays.networks import Quad, ReadText
from recaster.media.overlays.scene import stood_still_for_a_moment
from recaster.media.overlays.wording import Wording
from recaster.media.video import Image

pytestmark = pytest.mark.unit


def box(left: float, top: float, right: float, bottom: float) -> Quad:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def cloth(shift: int, with_text: int) -> Image:
    """A texture that has moved by `shift` pixels, with text on it that has moved by `with_text`."""
    noise = cv2.GaussianBlur(np.random.default_rng(2).uniform(0, 255, (200, 500, 3)), (0, 0), 3)
    picture = np.roll(np.clip((noise - 127) * 4 + 127, 0, 255).astype(np.uint8), shift, axis=1)
    cv2.putText(picture, "HARBOUR", (100 + with_text, 110), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 5)
    return picture


def life(text: str, first: int, last: int, quad: Quad, moves: int = 0, scene_moves: int = 0) -> Life:
    pictures = [cloth(0, 0), cloth(scene_moves, moves)]
    luma = np.asarray(cv2.cvtColor(pictures[0], cv2.COLOR_BGR2GRAY), np.uint8)
    pattern = contours_of([(luma, (0, 0))], quad)
    assert pattern is not None
    line = FoundLine(first, last, [(first, quad, (0, 0))], [pattern])
    for frame, picture, offset in zip((first, last), pictures, (0, moves), strict=True):
        moved = np.asarray(quad + np.float32([offset, 0]), np.float32)
        line.kept.append(Sighting(frame, moved, picture, (0, 0), (offset, 0)))
    line.moves = moves != 0
    line.at_sight = ReadText(text, 0.9, (), ())
    count = last - first + 1
    offsets = np.linspace((0, 0), (moves, 0), count).astype(np.int32)
    none = Animation("none", 0)
    strengths = np.ones(count, np.float32)
    return Life(line, quad, pattern, first, last, none, none, offsets, luma, (0, 0), None, (), None, strengths, 0.0)


RESTS = life("HAR", 21, 29, box(98, 70, 190, 118))
WORDS = Wording("HAR", 0.95, ())
WHOLE = box(98, 60, 330, 122)


def test_a_piece_of_print_that_moves_with_the_cloth_is_print() -> None:
    assert stood_still_for_a_moment(RESTS, WORDS, life("HARBOUR", 0, 20, WHOLE, moves=14, scene_moves=14))


def test_a_line_beside_one_that_moves_over_the_scene_is_not() -> None:
    assert not stood_still_for_a_moment(RESTS, WORDS, life("HARBOUR", 0, 20, WHOLE, moves=14, scene_moves=0))


def test_other_words_and_other_times_are_not() -> None:
    printed = life("HARBOUR", 0, 20, WHOLE, moves=14, scene_moves=14)
    assert not stood_still_for_a_moment(RESTS, Wording("salt", 0.95, ()), printed)
    assert not stood_still_for_a_moment(life("HAR", 60, 70, RESTS.quad), WORDS, printed)
