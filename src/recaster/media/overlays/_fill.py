"""Filling holes in one picture and smoothing over what is known: the numerical ground of erasing.

All functions take crops and return new arrays; they know nothing of text, time or motion.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Fill = Callable[[Plane, Plane], Plane]
"""Fills a picture (h, w, 3) where it is not known (h, w), 0 to 1; `push_pull` is one."""
_COARSE_SIGMA, _COARSENING = 8.0, 4


def smooth_known(values: Plane, known: Plane, sigma: float) -> tuple[Plane, Plane]:
    """Normalised convolution (Knutsson and Westin, 1993): the mean of known values around each pixel, and its weight.

    `values` has shape (h, w) or (h, w, c), `known` (h, w) in 0–1. Where nothing is known within reach the mean is 0.
    """
    weights = known if values.ndim == 2 else known[..., None]
    weighted = np.asarray(values * weights, np.float32)
    height, width = known.shape
    coarse = sigma >= _COARSE_SIGMA and min(height, width) >= 8 * _COARSENING
    if coarse:
        # What is smoothed over so far has no detail: a quarter of the size says the same at a sixteenth of the cost.
        small = (width // _COARSENING, height // _COARSENING)
        weighted = np.asarray(cv2.resize(weighted, small, interpolation=cv2.INTER_AREA), np.float32)
        known = np.asarray(cv2.resize(known, small, interpolation=cv2.INTER_AREA), np.float32)
        sigma /= _COARSENING
    size = 2 * int(np.ceil(1.5 * sigma)) + 1
    # Two box passes come close to a Gaussian at a cost that does not grow with sigma.
    summed = cv2.blur(cv2.blur(weighted, (size, size)), (size, size))
    weight = np.asarray(cv2.blur(cv2.blur(known, (size, size)), (size, size)), np.float32)
    divisor = np.maximum(weight, 1e-4)
    mean = np.asarray(summed / (divisor if values.ndim == 2 else divisor[..., None]), np.float32)
    if coarse:
        mean = np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        weight = np.asarray(cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return mean, weight


def mean_square(values: Plane) -> Plane:
    """Mean over the channels of the squared values; several times faster than a NumPy reduction over a short axis."""
    return np.asarray(
        cv2.transform(values * values, np.full((1, values.shape[2]), 1.0 / values.shape[2], np.float32)), np.float32
    )


def largest_difference(values: Plane) -> Plane:
    """Largest absolute value over the channels."""
    parts = cv2.split(np.abs(values))
    largest = parts[0]
    for part in parts[1:]:
        largest = cv2.max(largest, part)
    return np.asarray(largest, np.float32)


def push_pull(values: Plane, known: Plane) -> Plane:
    """Fill unknown pixels by a pyramid of averages of the known ones (Gortler et al., 1996, section 3.5).

    `values` (h, w, 3), `known` (h, w) in 0–1. Known pixels keep their value; the fill is smooth and changes little when
    the surroundings change little, which is what keeps it from flickering.
    """
    levels: list[tuple[Plane, Plane]] = [(values * known[..., None], known)]
    while min(levels[-1][1].shape) > 2 and float(levels[-1][1].min()) < 0.999:
        colors, weights = levels[-1]
        small = np.asarray(cv2.pyrDown(colors), np.float32)
        weight = np.asarray(cv2.pyrDown(weights), np.float32)
        # Saturate: a few known pixels are enough to speak for their neighbourhood.
        kept = np.minimum(1.0, 2.0 * weight).astype(np.float32)
        levels.append((small * (kept / np.maximum(weight, 1e-6))[..., None], kept))
    colors, weights = levels[-1]
    filled = colors / np.maximum(weights, 1e-6)[..., None]
    mean = (colors.sum((0, 1)) / max(float(weights.sum()), 1e-6)).astype(np.float32)
    filled = np.where((weights > 1e-3)[..., None], filled, mean).astype(np.float32)
    for colors, weights in reversed(levels[:-1]):
        above = np.asarray(cv2.pyrUp(filled, dstsize=(weights.shape[1], weights.shape[0])), np.float32)
        filled = (colors + above * (1.0 - weights)[..., None]).astype(np.float32)
    return np.asarray(filled, np.float32)
