"""Lines that were seen while they grew to their size: the smaller sighting and the larger one are of one line.

Only what was read for sure counts. How a line comes and goes is measured in `following`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recaster.media.overlays.finding import FoundLine
from recaster.media.overlays.geometry import line_height, line_width

_LONGEST = 6
"""Frames within which a line grows to its size."""
_SURE = 0.95
_LEAST_LETTERS = 6


def without_smaller(lines: Sequence[FoundLine]) -> list[FoundLine]:
    """Lines that were read, without those that were seen once as they were growing to what others are; these are noted so."""
    kept = list(lines)
    for line in lines:
        grown = next((one for one in lines if one is not line and _grew_into(line, one)), None)
        if grown is not None:
            grown.grows = True
            kept.remove(line)
    return kept


def _grew_into(small: FoundLine, large: FoundLine) -> bool:
    if len(small.places) > 1 or not 0 < large.first - small.last <= _LONGEST:
        return False
    if small.at_sight is None or large.at_sight is None:
        return False
    words = ["".join(one.at_sight.text.split()) for one in (small, large) if one.at_sight is not None]
    if (
        words[0] != words[1]
        or len(words[0]) < _LEAST_LETTERS
        or min(small.at_sight.confidence, large.at_sight.confidence) < _SURE
    ):
        return False
    apart = np.abs(small.quad.mean(axis=0) - large.quad.mean(axis=0)).max()
    ratio = line_width(large.quad) / line_width(small.quad)
    return bool(apart < 0.5 * line_height(large.quad)) and 1.1 < ratio < 1.6
