"""Captions in which one word after the other stands out, by its own colour or by a box behind it.

From the frames in which a line was seen it is found which colour that is, and where the words begin and end that wore
it. It reads no letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.letters import Extent, LevelLine, bright_side
from recaster.media.overlays.model import Color

_VIVID = 90
"""Spread of the channels from which a pixel is vivid."""
_SAME = 45.0
_LEAST_WORN = 0.4
"""Share of a word's pixels that have the plain colour while another word stands out."""
_LEAST_SHARE, _MOST_SHARE = 0.08, 0.9
"""Share of the line's length that an active word has."""


_Span = tuple[int, int, bool, NDArray[np.float32]]
"""First and last column, whether it is a box, colour (BGR)."""


@dataclass(frozen=True, slots=True)
class ActiveLook:
    """How the active word stands out. Colours are red, green, blue."""

    fill: Color | None
    slab: Color | None


@dataclass(frozen=True, slots=True)
class ActiveWords:
    """What the sightings of one line tell about its active words."""

    look: ActiveLook
    borders: tuple[float, ...]
    """Places along the level picture, in pixels, where an active word begins or ends within the line."""


def find_active_words(levels: Sequence[LevelLine], extent: Extent) -> ActiveWords | None:
    """The active words of a line from its pictures in several frames; None where none stands out, or always the same.

    All pictures have the line in the same place.
    """
    known = [(level, span) for level in levels if (span := _vivid_span(level, extent)) is not None]
    if not known:
        return None
    middle = np.median(np.stack([color for _, (*_, color) in known]), axis=0)
    known = [one for one in known if float(np.linalg.norm(one[1][3] - middle)) < _SAME]
    spans = [span for _, span in known]
    boxed = sum(span[2] for span in spans) > len(spans) / 2
    # Something vivid in the scene stays where it is; the active word does not. A box around letters is no scenery.
    if not spans or (not boxed and float(np.ptp([span[0] for span in spans])) < 0.5 * extent.height):
        return None
    near = 0.6 * extent.height
    borders = {
        float(place)
        for start, stop, *_ in spans
        for place, others in ((start, [span[1] for span in spans]), (stop, [span[0] for span in spans]))
        if extent.left + 0.3 * extent.height < place < extent.right - 0.3 * extent.height
        # Where one word stops standing out, the next begins; what a colour only ends at may be the scene.
        and (boxed or any(abs(place - other) < near for other in others))
    }
    if not boxed and not any(_others_differ(level, extent, span) for level, span in known):
        return None
    if not boxed and not _letters_wear_it(known, extent):
        return None
    blue, green, red = (round(float(value)) for value in middle)
    look = ActiveLook(None if boxed else (red, green, blue), (red, green, blue) if boxed else None)
    return ActiveWords(look, tuple(sorted(borders)))


def _others_differ(level: LevelLine, extent: Extent, span: _Span) -> bool:
    """Whether the words beside the vivid one wear another colour: a line that is vivid all over has no active word."""
    others = _color_beside(level, extent, span)
    return others is not None and float(np.linalg.norm(others - span[3])) > 2 * _SAME


def _color_beside(level: LevelLine, extent: Extent, span: _Span) -> NDArray[np.float32] | None:
    """Colour (BGR) of the words beside the vivid one; None where there is no room for any."""
    start, stop, *_ = span
    left, right = min(extent.right, stop + 2), max(extent.left, start - 2)
    beside = Extent(left, extent.top, extent.right, extent.bottom)
    if right - extent.left > extent.right - left:
        beside = Extent(extent.left, extent.top, right, extent.bottom)
    return None if beside.width < 0.5 * extent.height else np.asarray(bright_side(level, beside), np.float32)


def _letters_wear_it(known: Sequence[tuple[LevelLine, _Span]], extent: Extent) -> bool:
    """Whether what is vivid in one picture has the colour of the other words in those in which another word stands out.

    A lawn that moves behind the letters is vivid between them, and stays lawn. Where no other word ever stands out the
    whole line has that colour, and a part of it was lost in the scene.
    """
    shares = []
    for level, (start, stop, _, color) in known:
        place = np.s_[extent.top : extent.bottom, start : stop + 1]
        vivid = np.linalg.norm(level.picture[place].astype(np.float32) - color, axis=2) < _SAME
        for other, span in known:
            plain = _color_beside(other, extent, span)
            if plain is None or not vivid.any() or (span[0] < stop and span[1] > start):
                continue
            seen = other.picture[place][vivid].astype(np.float32)
            shares.append(float((np.linalg.norm(seen - plain, axis=1) < 1.5 * _SAME).mean()))
    return bool(shares) and float(np.median(shares)) > _LEAST_WORN


def _vivid_span(level: LevelLine, extent: Extent) -> _Span | None:
    """First and last column of the vivid part of a line, whether it is a box, and its colour (BGR)."""
    picture = level.picture.astype(np.float32)
    # A box reaches beyond the letters, which may leave nothing of it between their upper and lower ends.
    rim = max(2, round(0.1 * extent.height))
    part = picture[max(0, extent.top - rim) : extent.bottom + rim, max(0, extent.left - 4) : extent.right + 4]
    vivid = np.ptp(part, axis=2) > _VIVID
    if float(vivid.mean()) < 0.02:
        return None
    pixels = part[vivid]
    bins = (pixels // 24).astype(np.int32)
    keys = bins[:, 0] * 400 + bins[:, 1] * 20 + bins[:, 2]
    values, counts = np.unique(keys, return_counts=True)
    color = np.median(pixels[keys == values[counts.argmax()]], axis=0)
    near = np.linalg.norm(part - color, axis=2) < _SAME
    columns = near.mean(axis=0)
    there = np.flatnonzero(columns > 0.06)
    if len(there) < 4:
        return None
    start, stop = _longest(there, max(3, round(0.4 * extent.height)))
    share = (stop - start) / max(1, part.shape[1])
    if not _LEAST_SHARE < share < _MOST_SHARE:
        return None
    # What is as vivid well above or below the line is scenery.
    off, thick = round(0.4 * extent.height), max(2, round(0.12 * extent.height))
    columns_there = slice(max(0, extent.left - 4) + start, max(0, extent.left - 4) + stop + 1)
    for rows in (
        slice(max(0, extent.top - off - thick), extent.top - off),
        slice(extent.bottom + off, extent.bottom + off + thick),
    ):
        beyond = picture[rows, columns_there].reshape(-1, 3)
        if len(beyond) and float((np.linalg.norm(beyond - color, axis=1) < _SAME).mean()) > 0.2:
            return None
    # A box also fills the rows at the upper and lower ends of the letters.
    edge = np.concatenate([near[:2, start:stop], near[-2:, start:stop]])
    left = max(0, extent.left - 4)
    return start + left, stop + left, bool(edge.mean() > 0.6), np.asarray(color, np.float32)


def _longest(places: NDArray[np.intp], gap: int) -> tuple[int, int]:
    """The longest run of places whose neighbours are no farther apart than `gap`: its first and last one."""
    cuts = np.flatnonzero(np.diff(places) > gap)
    starts = np.concatenate([[0], cuts + 1])
    ends = np.concatenate([cuts, [len(places) - 1]])
    best = int(np.argmax(places[ends] - places[starts]))
    return int(places[starts[best]]), int(places[ends[best]])
