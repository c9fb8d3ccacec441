"""When a line comes and goes, told from how strong its contours are in each frame: hard ends, fades, and text typed on.

It sees numbers only; whose they are, and what grows to its size, is known in `following`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float32]

LONGEST_FADE = 14
"""Frames that a fade lasts at most."""


def end_of(outward: Series, known: int, plateau: float) -> tuple[int, int]:
    """Walk outward along a strength series and return the last position at which the line is there, and a fade's length.

    `outward` begins inside the line's life; up to position `known` it was sighted.
    """
    beyond = outward[known + 1 :]
    base = float(np.clip(np.quantile(beyond, 0.25), -0.2, 0.45 * plateau)) if len(beyond) >= 3 else 0.0
    level = base + 0.5 * (plateau - base)
    position = known
    while position + 1 < len(outward) and outward[position + 1] >= level:
        position += 1
    full = position
    while full > 0 and outward[full] < base + 0.86 * (plateau - base):
        full -= 1
    outer = position
    rest = outward[position + 1 :]
    calm = rest[rest <= base + 0.15 * plateau]
    noise = float(np.median(np.abs(calm - np.median(calm)))) if len(calm) >= 3 else 0.02
    least = base + max(0.06 * plateau, 5.0 * noise)
    while (
        position + 1 < len(outward)
        and outward[position + 1] > least
        and outward[position + 1] <= outward[position] - 0.02 * plateau
        and position - full < LONGEST_FADE
    ):
        position += 1
    # A fade passes through the middle; one frame of something else that is a little alike does not.
    middle = outward[full + 1 : position + 1]
    passes = (middle > base + 0.35 * (plateau - base)) & (middle < base + 0.9 * (plateau - base))
    if not passes.any():
        position = outer
    length = position - full
    return position, length if length >= 2 else 0


def typed_on(seen: Mapping[int, Series], count: int, last: int) -> tuple[int, int] | None:
    """First frame and length in frames of a line that is typed on; None for any other."""
    frames = [frame for frame in sorted(seen) if frame <= last]
    if count < 3 or len(frames) < 4:
        return None
    table = np.stack([seen[frame] for frame in frames])
    onsets = []
    for column in range(count):
        there = table[:, column] >= 0.5
        if not there.any():
            return None
        absent = np.flatnonzero(~there[: len(there)])
        before = absent[absent < int(np.flatnonzero(there)[-1])]
        onsets.append(int(before[-1]) + 1 if len(before) else 0)
    steps = np.diff(onsets)
    spread = onsets[-1] - onsets[0]
    if spread < max(4, count // 2) or (steps < -1).any() or float((steps > 0).mean()) < 0.6:
        return None
    if frames[onsets[-1]] > last or onsets[-1] >= len(frames) - 1:
        return None
    # The first letter alone is only a part of its slice.
    start = onsets[0]
    while start > 0 and table[start - 1, 0] >= 0.12 and start > onsets[0] - 6:
        start -= 1
    return frames[start], onsets[-1] - start
