"""Which looks the reader spares itself: the detector is most of its cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recaster.media.overlays.contours import contours_of
from recaster.media.overlays.finding import FoundLine
from recaster.media.overlays.networks import LineRecogniser
from recaster.media.overlays.still_lines import StillLineFinder
from recaster.media.video import Frame

pytestmark = pytest.mark.unit

Luma = NDArray[np.uint8]


class _Watched:
    """A detector that finds nothing and notes how large the pictures are that it is shown."""

    def __init__(self) -> None:
        self.areas: list[int] = []

    def detect(self, image: Luma, scale: float) -> tuple[()]:
        self.areas.append(image.shape[0] * image.shape[1])
        return ()


def _sign(words: str, at: tuple[int, int]) -> Luma:
    picture = np.full((640, 360), 90, np.uint8)
    return np.asarray(cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, 1.4, 230, 4), np.uint8)


def test_what_stood_still_a_second_ago_is_not_looked_at_again_and_what_is_new_is() -> None:
    detector = _Watched()
    finder = StillLineFinder(detector, part=10, shot_starts=[0], last_frame=199)
    seen = []
    for index in range(160):
        luma = _sign("BIG SALE", (40, 200))
        if index >= 100:
            luma = np.maximum(luma, _sign("ENDS NOW", (40, 500)))
        image = np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)
        finder.feed(Frame(index, index, 1, image), luma, ())
        seen.append(len(detector.areas))
    assert seen[45] >= 1
    assert seen[99] == seen[45]
    assert seen[-1] > seen[99]
    # The second look is for the new words alone.
    assert sum(detector.areas[seen[99] :]) < 0.6 * 640 * 360


def test_a_line_is_settled_only_when_it_stays_as_wide_as_it_was() -> None:
    luma = _sign("BIG SALE", (40, 200))

    def quad(width: float) -> NDArray[np.float32]:
        return np.array([[40, 160], [40 + width, 160], [40 + width, 210], [40, 210]], np.float32)

    pattern = contours_of([(luma, (0, 0))], quad(200))
    assert pattern is not None
    typed = FoundLine(0, 9, [(frame, quad(150 + 20 * frame), (0, 0)) for frame in range(5)], [pattern])
    whole = FoundLine(0, 9, [(frame, quad(230), (0, 0)) for frame in range(5)], [pattern])
    assert not typed.is_settled
    assert whole.is_settled
    whole.moves = True
    assert not whole.is_settled


def test_the_same_picture_is_read_once(model_files: Mapping[str, Path]) -> None:
    recogniser = LineRecogniser(model_files["text_recogniser"], threads=1)
    sign = cv2.resize(_sign("BIG SALE", (40, 200))[150:220, 20:300], (192, 48))
    line = np.asarray(cv2.cvtColor(sign, cv2.COLOR_GRAY2BGR), np.uint8)
    first, second = recogniser.read([line, line.copy()])
    assert second is first
    assert "SALE" in first.text
    assert recogniser.read([255 - line])[0] is not first
