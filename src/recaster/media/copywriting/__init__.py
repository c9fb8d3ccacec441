"""Copywriting: overlays of a source plus a brand profile become new overlay texts that break no rule."""

from recaster.media.copywriting.brand import VOCABULARY_SLOTS, BrandProfile, base_language
from recaster.media.copywriting.checks import Violation, check_copy, check_line, claims, graphemes
from recaster.media.copywriting.formulas import FormulaAdapter, check_corpus, load_corpus
from recaster.media.copywriting.language import detect_language
from recaster.media.copywriting.model import (
    AdaptedLine,
    CopyAdapter,
    CopyLine,
    CopyRequest,
    CopyResult,
    Fits,
    FitVerdict,
)
from recaster.media.copywriting.provider import ProviderAdapter, ProviderSettings

__all__ = [
    "VOCABULARY_SLOTS",
    "AdaptedLine",
    "BrandProfile",
    "CopyAdapter",
    "CopyLine",
    "CopyRequest",
    "CopyResult",
    "FitVerdict",
    "Fits",
    "FormulaAdapter",
    "ProviderAdapter",
    "ProviderSettings",
    "Violation",
    "base_language",
    "check_copy",
    "check_corpus",
    "check_line",
    "claims",
    "detect_language",
    "graphemes",
    "load_corpus",
]
