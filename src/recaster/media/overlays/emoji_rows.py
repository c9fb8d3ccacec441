"""Emoji on a line of their own below a block's words: they have no letters, so no line is found where they stand.

They are looked for in two frames, where colours stand still, and believed only where both show the same known emoji at the
same place. What stands beside words is found in `emoji_reading`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.emoji_reading import COLORFUL, SeenEmoji, emoji_at
from recaster.media.overlays.finding import Sighting
from recaster.media.overlays.geometry import axes, line_width, polygon
from recaster.media.overlays.letters import LevelLine, level_line
from recaster.media.overlays.model import OverlayEmoji
from recaster.media.overlays.networks import Quad
from recaster.media.video.model import Image

_PITCH = 1.3
"""From the middle of a line to the middle of the next, in em."""
_ROOM, _ASIDE = 0.75, 0.4
"""What is looked at above and below that middle, and beyond the line's ends, in em."""
_STILL = 30
"""Difference of a colour (0–255) between two frames up to which it stands still."""
_APART = 3
"""Frames that have to lie between the two."""
_LEAST_SIDE, _MOST_SIDE = 0.5, 1.4
"""Height of an emoji, in em."""
_GAP = 0.7
"""Blank between two emoji, in em, at most."""
_SAME_PLACE = 0.15
"""By how much the two frames may disagree about a place, in em."""
_MOST = 6


def find_emoji_row(sightings: Sequence[Sighting], quad: Quad, em: float) -> tuple[OverlayEmoji, ...]:
    """The emoji below a line that holds still, from left to right; none where the scene is all that is there.

    Args:
        sightings: of the line, in single frames.
        quad: the line's corners.
        em: its type size in pixels.
    """
    widest = max(line_width(one.quad) for one in sightings)
    whole = [one for one in sightings if line_width(one.quad) >= 0.93 * widest]
    first, last = (choose(whole, key=lambda one: one.frame) for choose in (min, max))
    if last.frame - first.frame < _APART:
        return ()
    one, other = (_row(sighting, quad, em) for sighting in (first, last))
    found = _walked(one.picture, other.picture, em)
    return tuple(
        OverlayEmoji(
            emoji.character,
            polygon(one.in_frame(emoji.left, emoji.top, emoji.right, emoji.bottom)),
            round(emoji.confidence, 3),
        )
        for emoji in found
    )


def _row(sighting: Sighting, quad: Quad, em: float) -> LevelLine:
    """The level picture of where the next line would stand."""
    _, _, down = axes(quad)
    middle = quad.mean(axis=0) + down * np.float32(_PITCH * em)
    half = (quad[1] - quad[0] + quad[2] - quad[3]) / 4
    flat = np.stack([middle - half, middle + half, middle + half, middle - half]).astype(np.float32)
    thin = down * np.float32(0.5)
    flat += np.stack([-thin, -thin, thin, thin])
    return level_line(sighting.crop, sighting.origin, flat, _ASIDE * em, _ROOM * em)


def _walked(one: Image, other: Image, em: float) -> list[SeenEmoji]:
    """From the first colours that stand still to the right, as long as both pictures show the same emoji."""
    if one.shape != other.shape:
        return []
    spots = _still_colours(one, other, em)
    found: list[SeenEmoji] = []
    for left, centre in spots:
        if found and left < found[-1].right - 0.3 * em:
            continue
        if len(found) == _MOST or (found and left - found[-1].right > _GAP * em):
            break
        seen, again = (emoji_at(picture, left - 0.1 * em, centre, em, 1) for picture in (one, other))
        if seen is None or again is None or seen.character != again.character:
            break
        if max(abs(seen.left - again.left), abs(seen.top - again.top)) > _SAME_PLACE * em:
            break
        found.append(seen)
    return found


def _still_colours(one: Image, other: Image, em: float) -> list[tuple[float, float]]:
    """Left edge and middle row of each patch of colour that both pictures show, from left to right."""
    still = cv2.absdiff(one, other).max(axis=2) <= _STILL
    colorful = np.minimum(*(np.ptp(picture.astype(np.int16), axis=2) for picture in (one, other))) > COLORFUL
    mask: NDArray[np.uint8] = (still & colorful).astype(np.uint8)
    size = max(3, round(0.12 * em)) | 1
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    height = one.shape[0]
    spots = []
    for left, top, width, tall, _ in stats[1:count]:
        inside = top > 0 and top + tall < height
        if inside and _LEAST_SIDE * em <= max(tall, width) and tall <= _MOST_SIDE * em:
            spots.append((float(left), float(top + tall / 2)))
    return sorted(spots)
