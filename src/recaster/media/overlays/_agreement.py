"""The ink of a block as two witnesses tell it: the colours of its letters, and what changes when it comes and goes.

Neither is enough. Colours fail where the description is wrong or leaves out an outline or an emoji; changes fail where
the scene moves, and for text that is there from the first frame to the last.
"""

from __future__ import annotations

import cv2
import numpy as np

from recaster.media.overlays._change import Change, marks
from recaster.media.overlays._letters import Letters, Samples, line_places, soft_edge
from recaster.media.overlays._shapes import grown, with_holes_filled
from recaster.media.overlays.model import OverlayTrack
from recaster.media.video.model import Mask

BESIDE, BELOW = 1.5, 1.7
"""How far beyond its lines, in sizes of its letters, a block may have emoji that nobody described."""


def nearest_complete(samples: Samples, inside: Mask, *, backward: bool) -> int:
    """The first, or last, sample in which the block stands complete: one that came in unseen steps may begin faint."""
    within = inside > 0
    if not within.any():
        return len(samples.pictures) - 1 if backward else 0
    steady = within & (samples.restless <= np.quantile(samples.restless[within], 0.3))
    apart = [float(cv2.absdiff(one, samples.median)[steady].mean()) for one in samples.pictures]
    complete = [number for number, value in enumerate(apart) if value <= 1.5 * float(np.median(apart)) + 3.0]
    return complete[-1 if backward else 0]


def _changed_width(core: Mask, change: Change, size: float) -> float:
    """How wide an outline comes with the letters: up to where half of what lies around them changes."""
    measured, inner = 0.0, core
    for width in range(1, 2 + round(0.14 * size)):
        outer = grown(core, width)
        ring = (outer > 0) & (inner == 0)
        changed = int(((change.ink > 0) & ring).sum())
        if 2 * changed < int((change.told & ring).sum()) or changed < 12:
            break
        measured, inner = float(width), outer
    return measured


def agreed(track: OverlayTrack, samples: Samples, letters: Letters, slab: Mask, change: Change) -> Mask:
    """The ink that colours tell, corrected by what changes when the block comes and goes, where that can be told."""
    size = track.style.size
    changed = change.ink & line_places(track, samples, BESIDE * size, BELOW * size)
    near = changed & grown(letters.core, _changed_width(letters.core, change, size) + 0.06 * size + 1.0)
    changed = near | marks(np.asarray(changed & ~near, np.uint8), size)
    reach = 2 * max(1, round(0.06 * size)) + 1
    changed = np.asarray(cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8)), np.uint8)
    # Letters of their ground's colour change nothing where they are, but their outline does beside them.
    spoken = grown(~np.asarray(change.silent * 255, np.uint8), 0.1 * size)
    core = letters.core & spoken
    kept = np.where(change.silent, letters.ink & grown(core, soft_edge(size)), letters.ink) | slab & spoken
    return with_holes_filled(np.asarray(kept | grown(changed, 1), np.uint8), 0.03 * size * size)
