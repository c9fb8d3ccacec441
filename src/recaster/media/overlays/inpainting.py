"""Fills holes in one picture with a small network of our own, for what erased text hides in every frame.

The network starts from the smooth fill and adds to it, so at its most doubtful it is that fill. It knows nothing of text,
time or motion; how it was trained, and on what, is in `tools/fill/`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from recaster.errors import ModelMissing
from recaster.media.overlays._fill import Plane, push_pull

_MULTIPLE = 16
"""The network halves its picture four times."""


def network_input(colors: Plane, known: NDArray[np.bool_]) -> Plane:
    """What the network sees of a picture (h, w, 3), BGR 0–255, that is known where `known` (h, w) is true: (1, 4, h, w).

    Blue, green and red in -0.5 to 0.5 with the hole filled smoothly, and 1 in the hole, 0 elsewhere.
    """
    smooth = push_pull(colors, known.astype(np.float32)) * np.float32(1 / 255) - np.float32(0.5)
    hole = (~known).astype(np.float32)
    return np.ascontiguousarray(np.concatenate([smooth, hole[..., None]], axis=2).transpose(2, 0, 1)[None])


class FillNetwork:
    """The network at `model`, run on one thread; the same picture gives the same fill. Raises `ModelMissing`."""

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise ModelMissing(f"The fill network {model.name} is not at its place. Install the product again.")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Regions come in many sizes; an arena would keep the largest of each for ever.
        options.enable_cpu_mem_arena = False
        self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def fill(self, colors: Plane, known: Plane) -> Plane:
        """Fill a picture (h, w, 3), BGR 0–255, where it is not known; `known` (h, w) is 0 to 1. A `Fill`.

        Pixels known to less than a half are the hole; the others keep their colour. The network was never shown pixels
        that are known by halves: what it adds to a hole that is half filled already is too much.
        """
        height, width = known.shape
        seen = network_input(colors, known >= 0.5)
        room = ((0, 0), (0, 0), (0, -height % _MULTIPLE), (0, -width % _MULTIPLE))
        (added,) = self._session.run(None, {"picture_and_hole": np.pad(seen, room, mode="edge")})
        filled = seen[0, :3] + np.float32(0.5) + added[0, :, :height, :width] * seen[0, 3]
        return np.ascontiguousarray(np.clip(filled * np.float32(255), 0, 255).transpose(1, 2, 0))
