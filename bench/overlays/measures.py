"""What is measured inside the text of a restored clip, against the clean plate.

The definitions are those of the truth generator's `score-removal`, so that both give the same numbers: squared error
over all channels inside the true mask grown by 3 pixels; structural similarity with a 7-pixel box window on every fifth
frame; flicker as the mean change, from frame to frame, of the difference to the plate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.video.model import Image, Mask


def inside(mask: Mask) -> NDArray[np.bool_]:
    """The true mask with 3 pixels of margin: fringes of the old letters count as inside."""
    grown = mask > 0
    for step in (1, 2, 3):
        wider = grown.copy()
        wider[step:] |= mask[:-step] > 0
        wider[:-step] |= mask[step:] > 0
        wider[:, step:] |= mask[:, :-step] > 0
        wider[:, :-step] |= mask[:, step:] > 0
        grown = wider
    return grown


@dataclass(slots=True)
class Inside:
    """Gathers the error of one clip inside its text. Feed frames in order."""

    squares: float = 0.0
    count: int = 0
    flicker_sum: float = 0.0
    flicker_count: int = 0
    similarities: list[float] = field(default_factory=list)
    _before: NDArray[np.int16] | None = None

    def add(self, index: int, image: Image, plate: Image, region: NDArray[np.bool_]) -> None:
        """Take in one frame."""
        difference = image.astype(np.int16) - plate.astype(np.int16)
        if region.any():
            own = difference[region].astype(np.int64)
            self.squares += float((own**2).mean(axis=1).sum())
            self.count += len(own)
            if self._before is not None:
                self.flicker_sum += float(np.abs(own - self._before[region]).mean(axis=1).sum())
                self.flicker_count += len(own)
            if index % 5 == 0:
                self.similarities.append(_similarity(image, plate, region))
        self._before = difference

    def forget(self) -> None:
        """Begin a new stretch: the next frame does not follow the last one."""
        self._before = None

    @property
    def psnr(self) -> float:
        """Decibels."""
        return 10 * math.log10(65025 / max(1e-6, self.squares / max(1, self.count)))

    @property
    def ssim(self) -> float:
        """-1 to 1."""
        return float(np.mean(self.similarities)) if self.similarities else 1.0

    @property
    def flicker(self) -> float:
        """Code values per frame."""
        return self.flicker_sum / max(1, self.flicker_count)


def _similarity(one: Image, other: Image, region: NDArray[np.bool_]) -> float:
    ys, xs = np.nonzero(region)
    part = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    a, b = (picture[part].astype(np.float64) @ [0.114, 0.587, 0.299] for picture in (one, other))

    def box(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.blur(values, (7, 7), borderType=cv2.BORDER_REPLICATE), np.float64)

    mean_a, mean_b = box(a), box(b)
    var_a, var_b, both = box(a * a) - mean_a**2, box(b * b) - mean_b**2, box(a * b) - mean_a * mean_b
    found = ((2 * mean_a * mean_b + 6.5025) * (2 * both + 58.5225)) / (
        (mean_a**2 + mean_b**2 + 6.5025) * (var_a + var_b + 58.5225)
    )
    return float(found[region[part]].mean())


def telea(image: Image, mask: Mask) -> Image:
    """The baseline: Telea's fill (2004) of one frame on exactly its true mask, radius 5.

    Each connected neighbourhood is filled on its own crop, which gives the same pixels as the whole frame at less cost.
    """
    out = image.copy()
    groups = cv2.dilate(mask, np.ones((25, 25), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(groups)
    height, width = mask.shape
    for left, top, w, h, _ in stats[1:count]:
        x0, y0, x1, y1 = max(0, left - 8), max(0, top - 8), min(width, left + w + 8), min(height, top + h + 8)
        part = np.ascontiguousarray(mask[y0:y1, x0:x1])
        filled = cv2.inpaint(np.ascontiguousarray(image[y0:y1, x0:x1]), part, 5, cv2.INPAINT_TELEA)
        out[y0:y1, x0:x1][part > 0] = filled[part > 0]
    return out
