"""Two sightings of one line while it grows are told from two lines."""

from __future__ import annotations

import numpy as np
import pytest

from recaster.media.overlays.finding import FoundLine
from recaster.media.overlays.growth import without_smaller
from recaster.media.overlays.networks import ReadText

pytestmark = pytest.mark.unit


def line(text: str, frame: int, width: float, x: float = 300.0, confidence: float = 0.99) -> FoundLine:
    height = width / 6
    left, right, top, bottom = x - width / 2, x + width / 2, 400 - height / 2, 400 + height / 2
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    found = FoundLine(frame, frame, [(frame, quad, (0, 0))], [])
    found.at_sight = ReadText(text, confidence, (), ())
    return found


def test_of_a_line_that_grows_the_larger_sighting_is_kept() -> None:
    small, large = line("buy the refill", 50, 219), line("buy the refill", 53, 276)
    assert without_smaller([small, large]) == [large]
    assert large.grows


@pytest.mark.parametrize(
    "other",
    [
        line("buy the milk", 53, 276),
        line("buy the refill", 70, 276),
        line("buy the refill", 53, 222),
        line("buy the refill", 53, 276, x=420.0),
        line("buy the refill", 53, 276, confidence=0.8),
    ],
    ids=["other words", "later", "as large", "elsewhere", "unsure"],
)
def test_any_other_two_lines_are_both_kept(other: FoundLine) -> None:
    small = line("buy the refill", 50, 219)
    assert without_smaller([small, other]) == [small, other]
    assert not other.grows
