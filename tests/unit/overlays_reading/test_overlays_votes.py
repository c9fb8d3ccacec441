"""Of several readings of one line the letters are taken on which most agree."""

from __future__ import annotations

import pytest

from recaster.media.overlays.networks import ReadText
from recaster.media.overlays.wording import vote

pytestmark = pytest.mark.unit


def reading(text: str, confidence: float) -> ReadText:
    count = len(text)
    places = tuple((number + 0.5) / count for number in range(count))
    return ReadText(text, confidence, places, (confidence,) * count)


def test_a_letter_that_most_readings_have_replaces_that_of_the_commonest_reading() -> None:
    reads = [
        reading("buy the refilj", 0.99),
        reading("buy the refilj", 0.99),
        reading("buy the refill", 0.98),
        reading("bvy the refill", 0.98),
        reading("buy tne refill", 0.98),
    ]
    assert vote(reads, [1.0] * 5).text == "buy the refill"


def test_readings_of_other_letters_have_no_say_in_it() -> None:
    reads = [reading("oil", 0.97), reading("oil", 0.97), reading("set", 0.9), reading("sat", 0.9), reading("sit", 0.9)]
    assert vote(reads, [1.0] * 5).text == "oil"


def test_words_never_end_before_what_closes_them() -> None:
    reads = [reading("2 ) oil", 0.98), reading("2) oil", 0.9), reading("2 ) oil", 0.9)]
    assert vote(reads, [1.0] * 3).text == "2) oil"
