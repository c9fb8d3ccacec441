"""How much a region flickers: what changes from frame to frame although nothing moved there.

Each frame is compared with the one before it after that has been moved along the optical flow (Dense Inverse Search:
Kroeger, Timofte, Dai, Van Gool 2016), so that camera and people may move; what is left is flicker, noise and
uncovered background. Source and result are each compensated with their own flow, because a line of text that stood
still in the source may uncover a moving wall in the result. The pure number depends on the clip's noise; the ratio of
result to source does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recaster.media.video import Frame, Image, Mask, MediaLimits, Shot, read_frames

_MARGIN = 24
_FLOOR = 0.5


@dataclass(frozen=True, slots=True)
class Flicker:
    """Flicker of one region in source and result."""

    source: float
    """Mean absolute residual of the brightness between compensated neighbours, 0-255."""
    result: float
    pairs: int
    """Pairs of neighbouring frames that were compared."""

    @property
    def ratio(self) -> float:
        """Result over source: 1 = as calm as the source, 2 = twice the residual.

        Half a code value is added to both, so that two perfectly still regions compare as 1.
        """
        return (self.result + _FLOOR) / (self.source + _FLOOR)


def temporal_residual(previous: Image, current: Image, mask: Mask) -> float:
    """Mean absolute difference of the brightness between a frame and its compensated predecessor, inside the mask.

    Args:
        previous: BGR (h, w, 3).
        current: the next frame.
        mask: (h, w), weighs the pixels of `current`.

    Returns:
        0-255; typical calm phone video 1 to 3.

    Raises:
        ValueError: shapes differ, or the mask is empty.
    """
    if previous.shape != current.shape or mask.shape != current.shape[:2]:
        raise ValueError(f"shapes do not match: {previous.shape}, {current.shape}, mask {mask.shape}")
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        raise ValueError("the mask is empty, so there is nothing to measure")
    top, bottom = max(0, int(rows.min()) - _MARGIN), int(rows.max()) + 1 + _MARGIN
    left, right = max(0, int(columns.min()) - _MARGIN), int(columns.max()) + 1 + _MARGIN
    before = cv2.cvtColor(previous[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    after = cv2.cvtColor(current[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    weights = mask[top:bottom, left:right].astype(np.float32)
    height, width = after.shape
    flow = np.zeros((height, width, 2), np.float32)
    if min(height, width) >= 2 * _MARGIN:  # a smaller region is too small for the flow's patches: taken as still
        flow = np.asarray(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(after, before, flow))
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        before, grid_x + flow[..., 0], grid_y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    residual = cv2.absdiff(after, moved).astype(np.float32)
    return float((residual * weights).sum() / weights.sum())


def sample_windows(shots: Sequence[Shot], windows: int = 4, length: int = 8) -> tuple[Shot, ...]:
    """Choose up to `windows` runs of up to `length` frames, spread over the clip, none of them across a cut."""
    frames = sum(shot.last_frame - shot.first_frame + 1 for shot in shots)
    if frames < 2 or windows < 1 or length < 2:
        return ()
    chosen: list[Shot] = []
    for number in range(windows):
        centre = shots[0].first_frame + (2 * number + 1) * frames // (2 * windows)
        shot = next(shot for shot in shots if centre in shot)
        first = max(shot.first_frame, min(centre - length // 2, shot.last_frame - length + 1))
        window = Shot(first, min(first + length - 1, shot.last_frame))
        if window.last_frame > window.first_frame and window not in chosen:
            chosen.append(window)
    return tuple(chosen)


def measure_flicker(source: Iterable[Frame], result: Iterable[Frame], mask_at: Callable[[int], Mask | None]) -> Flicker:
    """Compare the flicker of two runs of frames that belong together.

    Args:
        source: neighbouring frames of the source.
        result: the same frames of the result.
        mask_at: the region in a frame given by its index, or None where there is nothing to measure.

    Returns:
        The means over all pairs with a region; no pair, no flicker: zero on both sides.
    """
    totals = [0.0, 0.0]
    pairs = 0
    before: tuple[Frame, Frame] | None = None
    for now in zip(source, result, strict=False):
        mask = mask_at(now[0].index)
        if before is not None and mask is not None and mask.any():
            for side in (0, 1):
                height, width = now[0].image.shape[:2]
                totals[side] += temporal_residual(
                    before[side].image[:height, :width], now[side].image[:height, :width], mask
                )
            pairs += 1
        before = now
    return Flicker(totals[0] / pairs, totals[1] / pairs, pairs) if pairs else Flicker(0.0, 0.0, 0)


def measure_clip_flicker(
    source: Path,
    result: Path,
    mask_at: Callable[[int], Mask | None],
    windows: Sequence[Shot],
    *,
    limits: MediaLimits = MediaLimits(),
) -> Flicker:
    """Compare the flicker of two files inside a region, in the given windows (see `sample_windows`).

    Raises:
        MediaInvalid: one of the files cannot be read.
    """
    parts = [
        measure_flicker(
            read_frames(source, window.first_frame, window.last_frame + 1, limits=limits),
            read_frames(result, window.first_frame, window.last_frame + 1, limits=limits),
            mask_at,
        )
        for window in windows
    ]
    pairs = sum(part.pairs for part in parts)
    if pairs == 0:
        return Flicker(0.0, 0.0, 0)
    return Flicker(
        sum(part.source * part.pairs for part in parts) / pairs,
        sum(part.result * part.pairs for part in parts) / pairs,
        pairs,
    )
