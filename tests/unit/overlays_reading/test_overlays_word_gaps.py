"""Where words end, told from the blanks between letters and from where the network saw a gap."""

from __future__ import annotations

import pytest

from recaster.media.overlays.looks import word_gaps

pytestmark = pytest.mark.unit


def places(gaps: list[bool]) -> list[int]:
    return [number for number, gap in enumerate(gaps) if gap]


def test_gaps_that_were_not_read_are_found_where_all_blanks_are_of_two_kinds() -> None:
    # "outlined in black": no gap was read, two blanks are many times as wide as the others.
    blanks = [1, 1, 2, 1, 1, 1, 1, 9, 1, 8, 1, 1, 2, 1]
    assert places(word_gaps(blanks, [False] * len(blanks), 30.0)) == [7, 9]


def test_letters_that_are_set_wide_are_one_word() -> None:
    blanks = [9, 10, 9, 8, 10, 9, 9, 10]
    assert places(word_gaps(blanks, [False] * len(blanks), 30.0)) == []


def test_gaps_stay_where_blanks_cannot_be_measured() -> None:
    # The letters of a faint line run into each other, and the scene fills the gaps.
    blanks = [0, 3, 0, 0, 4, 0, 0, 0, 1, 2, 0, 0]
    read = [number in (1, 4, 8) for number in range(len(blanks))]
    assert places(word_gaps(blanks, read, 33.0)) == [1, 4, 8]
