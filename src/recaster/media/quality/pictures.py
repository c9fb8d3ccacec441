"""How alike two pictures are, and how sharp. Pure functions of arrays; what is good enough is decided elsewhere."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.video.model import Image, Mask

IDENTICAL_DECIBELS = 100.0
"""What `psnr` answers for equal pictures instead of infinity, which JSON cannot say."""

_WINDOW = (11, 11)
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


def psnr(image: Image, reference: Image, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio over all three channels in decibels, 0 to 100; equal pictures are 100.

    `mask` weighs the pixels (0 = outside, 255 = inside); None counts all.

    Raises:
        ValueError: shapes differ, or the mask is empty.
    """
    weights = _weights(image, reference, mask)
    squares = cv2.absdiff(image, reference).astype(np.float32) ** 2
    error = float((squares.mean(axis=2) * weights).sum() / weights.sum())
    return IDENTICAL_DECIBELS if error == 0 else max(0.0, min(IDENTICAL_DECIBELS, 10 * math.log10(255**2 / error)))


def ssim(image: Image, reference: Image, mask: Mask | None = None) -> float:
    """Structural similarity of the brightness, -1 to 1, 1 = equal.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity (2004),
    with its Gaussian window of 11 pixels and sigma 1.5. `mask` weighs the map's pixels; windows at its edge look
    beyond it.

    Raises:
        ValueError: shapes differ, or the mask is empty.
    """
    weights = _weights(image, reference, mask)
    one, other = _luma(image), _luma(reference)
    mean_one, mean_other = _blurred(one), _blurred(other)
    variance_one = _blurred(one * one) - mean_one**2
    variance_other = _blurred(other * other) - mean_other**2
    covariance = _blurred(one * other) - mean_one * mean_other
    similarity = ((2 * mean_one * mean_other + _C1) * (2 * covariance + _C2)) / (
        (mean_one**2 + mean_other**2 + _C1) * (variance_one + variance_other + _C2)
    )
    return float((similarity * weights).sum() / weights.sum())


def sharpness(image: Image, mask: Mask | None = None) -> float:
    """Variance of the Laplacian of the brightness inside the mask; 0 = flat, higher = finer detail, no upper end.

    Pech-Pacheco and others: Diatom autofocusing in brightfield microscopy (2000). Comparable only between pictures of
    the same size and the same content. Noise counts as detail.
    """
    weights = _weights(image, image, mask)
    response = cv2.Laplacian(_luma(image), cv2.CV_32F, ksize=3)
    total = float(weights.sum())
    mean = float((response * weights).sum()) / total
    return float((((response - mean) ** 2) * weights).sum()) / total


def sharpness_ratio(image: Image, reference: Image, mask: Mask | None = None) -> float:
    """Sharpness of a picture divided by its reference's: below 1 = blurred, 1 = as sharp, above 1 = sharper or noisier.

    Two flat regions are equally sharp: 1.

    Raises:
        ValueError: shapes differ, or the mask is empty.
    """
    if image.shape != reference.shape:
        raise ValueError(f"pictures of one shape expected, got {image.shape} and {reference.shape}")
    # One squared code value keeps flat regions from dividing nothing by nothing.
    return (sharpness(image, mask) + 1.0) / (sharpness(reference, mask) + 1.0)


def _weights(image: Image, reference: Image, mask: Mask | None) -> NDArray[np.float32]:
    if image.shape != reference.shape:
        raise ValueError(f"pictures of one shape expected, got {image.shape} and {reference.shape}")
    if mask is None:
        return np.ones(image.shape[:2], np.float32)
    if mask.shape != image.shape[:2]:
        raise ValueError(f"a mask of shape {image.shape[:2]} expected, got {mask.shape}")
    if not mask.any():
        raise ValueError("the mask is empty, so there is nothing to measure")
    return mask.astype(np.float32) / np.float32(255)


def _luma(image: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.float32)


def _blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, _WINDOW, _SIGMA), dtype=np.float32)
