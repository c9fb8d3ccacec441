"""Cuts a person out of one picture and fills in what was behind her. It knows pictures only, not clips."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from recaster.media.video import Image

Matte = NDArray[np.float32]
"""1 where the person is, 0 where she is not, between at hair and edges; shape (height, width)."""


def person_matte(picture: Image, model: Path) -> Matte:
    """Tell the person from the background with MediaPipe's selfie segmentation, sharpened along the picture's own edges.

    Args:
        picture: BGR.
        model: the file of the manifest's `person_mask`.
    """
    net = Interpreter(model_path=str(model), num_threads=1)
    net.allocate_tensors()
    height, width = picture.shape[:2]
    small = cv2.cvtColor(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    net.set_tensor(net.get_input_details()[0]["index"], small[None].astype(np.float32) / 255.0)
    net.invoke()
    rough = cv2.resize(
        net.get_tensor(net.get_output_details()[0]["index"])[0, :, :, 0], (width, height), interpolation=cv2.INTER_CUBIC
    )
    guide = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255.0
    fine = _guided(guide, np.asarray(rough, np.float32), max(4, width // 90), 2e-4)
    return np.asarray(np.clip((fine - 0.25) / 0.5, 0.0, 1.0), np.float32)


def background_plate(picture: Image, matte: Matte) -> Image:
    """The picture without the person: her place is filled from all around, coarse in the middle and finer at the rim.

    Only the rim is ever seen, when she moves. The fill is a pyramid of averages over known pixels (push-pull; Gortler et
    al., "The Lumigraph", 1996).
    """
    reach = max(3, picture.shape[1] // 60) | 1
    known = 1.0 - cv2.dilate((matte > 0.02).astype(np.float32), np.ones((reach, reach), np.uint8))
    filled = _push_pull(picture.astype(np.float32), known)
    return np.clip(filled, 0, 255).astype(np.uint8)


def _guided(guide: Matte, mask: Matte, radius: int, smoothness: float) -> Matte:
    """Guided filter (He et al., 2010) with a grey guide: the mask follows the edges of the guide."""
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: Matte) -> Matte:
        return np.asarray(cv2.blur(plane, window), np.float32)

    mean_guide, mean_mask = mean(guide), mean(mask)
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (mean(guide * guide) - mean_guide**2 + smoothness)
    return np.asarray(mean(slope) * guide + mean(mean_mask - slope * mean_guide), np.float32)


def _push_pull(picture: NDArray[np.float32], known: Matte) -> NDArray[np.float32]:
    height, width = known.shape
    if min(height, width) <= 4:
        total = known.sum()
        mean = (picture * known[..., None]).sum(axis=(0, 1)) / total if total > 0 else picture.mean(axis=(0, 1))
        return np.asarray(picture * known[..., None] + mean * (1 - known[..., None]), np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    weight = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    color = cv2.resize(picture * known[..., None], half, interpolation=cv2.INTER_AREA)
    color = color / np.maximum(weight, 1e-6)[..., None]
    below = _push_pull(np.asarray(color, np.float32), np.minimum(1.0, weight * 4).astype(np.float32))
    back = cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture * known[..., None] + back * (1 - known[..., None]), np.float32)
