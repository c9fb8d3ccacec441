"""Measures that judge an output: pure functions with documented ranges; limits and verdicts are the caller's."""

from recaster.media.quality.flicker import (
    Flicker,
    measure_clip_flicker,
    measure_flicker,
    sample_windows,
    temporal_residual,
)
from recaster.media.quality.model import Inspection, Measure, at_least, at_most, equal
from recaster.media.quality.pictures import IDENTICAL_DECIBELS, psnr, sharpness, sharpness_ratio, ssim
from recaster.media.quality.text import squeezed, text_similarity
from recaster.media.quality.timing import inspect_timing

__all__ = [
    "IDENTICAL_DECIBELS",
    "Flicker",
    "Inspection",
    "Measure",
    "at_least",
    "at_most",
    "equal",
    "inspect_timing",
    "measure_clip_flicker",
    "measure_flicker",
    "psnr",
    "sample_windows",
    "sharpness",
    "sharpness_ratio",
    "squeezed",
    "ssim",
    "temporal_residual",
    "text_similarity",
]
