"""How a picture moves between two neighbouring frames: dense flow at reduced size, carried smoothly under what is hidden."""

from __future__ import annotations

import cv2
import numpy as np

from recaster.media.overlays._fill import Plane, largest_difference, smooth_known

_LARGEST = 64.0
"""Pixels per frame on the reduced grid beyond which a vector is taken for an error."""


class NeighbourFlow:
    """Dense inverse search (Kroeger et al., 2016) with smooth continuation under text."""

    def __init__(self) -> None:
        self._coarse = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._fine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._fine.setFinestScale(1)
        self._fine.setGradientDescentIterations(12)
        self._fine.setVariationalRefinementIterations(2)

    def between(self, picture: Plane, other: Plane, known: Plane, *, fine: bool) -> Plane:
        """Where each pixel of `picture` was in `other`: (h, w, 2), x and y, in pixels of the grid.

        Both are BGR of shape (h, w, 3) with something plausible where text hides them; `known` (h, w) in 0–1 tells where
        `picture` is really seen. There the flow is measured; elsewhere it continues what is measured around.
        With `fine` it is measured at half the size of the grid instead of a quarter, which suits what is known under the
        text; what is merely plausible there disturbs fine motion beside it.
        """
        one, two = (cv2.cvtColor(np.clip(v, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY) for v in (picture, other))
        if min(one.shape) < 16:
            return np.zeros((*one.shape, 2), np.float32)
        search = self._fine if fine else self._coarse
        flow = np.asarray(search.calc(one, two, np.zeros((*one.shape, 2), np.float32)), np.float32)
        sane = np.asarray((largest_difference(flow) < _LARGEST) & (known > 0.5), np.float32)
        near, weight = smooth_known(flow, sane, 2.0)
        wide, wide_weight = smooth_known(flow, sane, 12.0)
        share = np.minimum(1.0, weight / 0.1)[..., None]
        smooth = near * share + wide * np.minimum(1.0, wide_weight / 0.02)[..., None] * (1.0 - share)
        return np.where(sane[..., None] > 0, flow, smooth).astype(np.float32)
