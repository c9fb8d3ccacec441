"""New texts for the overlays of a video, in a brand's voice and language. It measures and draws no text itself."""

from recaster.media.copywriting.brand import BrandProfile
from recaster.media.copywriting.checks import Violation, check_copy
from recaster.media.copywriting.formulas import FormulaAdapter
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
from recaster.media.copywriting.structure import classify

__all__ = [
    "AdaptedLine", "BrandProfile", "CopyAdapter", "CopyLine", "CopyRequest", "CopyResult", "FitVerdict", "Fits",
    "FormulaAdapter", "Violation", "check_copy", "classify", "detect_language",
]  # fmt: skip
