"""What stands still in front of a moving scene, put together from limited gradients. It looks for no text.

Over a second the scene moves and set type does not. In the mean of gradients that are limited, so that a hard edge that
passes counts for little, the type remains and most of the scene is gone; the picture is put together again from that.
Method: the mean of clipped gradients stands for their median, as in the estimation of watermarks (Dekel et al.,
CVPR 2017); the picture follows by Poisson's equation, damped so that only detail remains, solved by cosine transform.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.video.model import Luma

_LIMIT = 20
"""Step of brightness (0–255) from pixel to pixel up to which it counts."""
_DAMPING = 0.02
"""What is larger than about seven pixels fades out of the picture."""
_GAIN = 3.0
"""Contrast of the picture that is looked at and read: a step of 20 then stands for one of 60."""


class StillLayer:
    """Adds up pictures of one size, and tells what stands still in them."""

    def __init__(self) -> None:
        self._across: NDArray[np.float32] | None = None
        self._down: NDArray[np.float32] | None = None
        self.count = 0

    def add(self, luma: Luma) -> None:
        """Add a picture of brightness (height, width)."""
        wide = luma.astype(np.int16)
        if self._across is None or self._down is None:
            self._across, self._down = np.zeros(luma.shape, np.float32), np.zeros(luma.shape, np.float32)
        self._across[:, :-1] += np.clip(wide[:, 1:] - wide[:, :-1], -_LIMIT, _LIMIT)
        self._down[:-1] += np.clip(wide[1:] - wide[:-1], -_LIMIT, _LIMIT)
        self.count += 1

    def joined(self, others: Iterable[StillLayer]) -> StillLayer:
        """The sum of this and other layers of the same size."""
        total = StillLayer()
        for one in (self, *others):
            if one._across is None or one._down is None:
                continue
            if total._across is None or total._down is None:
                total._across, total._down = one._across.copy(), one._down.copy()
            else:
                total._across += one._across
                total._down += one._down
            total.count += one.count
        return total

    def picture(self) -> Luma:
        """What stands still, on middle grey, with raised contrast."""
        return _on_grey(self._detail(), _GAIN)

    def pictures(self) -> tuple[Luma, Luma]:
        """What stands still, on middle grey, with raised contrast and with its own."""
        detail = self._detail()
        return _on_grey(detail, _GAIN), _on_grey(detail, 1.0)

    def _detail(self) -> NDArray[np.float32]:
        if self._across is None or self._down is None:
            raise AssertionError("nothing was added up yet")
        height, width = self._across.shape
        divergence = np.zeros((height + height % 2, width + width % 2), np.float32)
        inner = divergence[:height, :width]
        inner += self._across + self._down
        inner[:, 1:] -= self._across[:, :-1]
        inner[1:] -= self._down[:-1]
        waves = np.asarray(cv2.dct(divergence / self.count), np.float32)
        across = 2 * np.cos(np.pi * np.arange(divergence.shape[1], dtype=np.float32) / divergence.shape[1]) - 2
        down = 2 * np.cos(np.pi * np.arange(divergence.shape[0], dtype=np.float32) / divergence.shape[0]) - 2
        waves /= (across[None] + down[:, None] - _DAMPING).astype(np.float32)
        return np.asarray(cv2.idct(waves)[:height, :width], np.float32)


def _on_grey(detail: NDArray[np.float32], gain: float) -> Luma:
    return np.asarray(np.clip(np.rint(128 + gain * detail), 0, 255), np.uint8)
