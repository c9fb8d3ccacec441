"""Values of copywriting: what is to be rewritten, what came of it, and the protocol of those who write.

Nothing is written or judged here; see `formulas`, `provider` and `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from recaster.media.copywriting.brand import BrandProfile
from recaster.media.overlays.model import OverlayRole
from recaster.media.progress import Progress, silent

KEPT_ROLES = frozenset({OverlayRole.HANDLE, OverlayRole.WATERMARK, OverlayRole.CAPTION})
"""Roles that are never rewritten as the brand's own words: the creator's marks, and what is being said in the sound."""


@dataclass(frozen=True, slots=True)
class CopyLine:
    """One overlay block that may be rewritten."""

    id: str
    role: OverlayRole
    text: str
    """As read, without line breaks, with its emoji."""
    max_graphemes: int
    """User-perceived characters that have room at most; a first filter, the drawing code has the last word."""
    seconds: float
    """How long the block stands on the screen."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """All overlays of one video, in the order in which they appear."""

    lines: tuple[CopyLine, ...]
    brand: BrandProfile
    language: str
    """BCP 47 tag of the new texts."""
    source_language: str | None = None
    """Base language of the source where it is known; otherwise it is found out."""
    seed: int = 0
    """Decides between equally good candidates; the same request gives the same texts."""


@dataclass(frozen=True, slots=True)
class FitVerdict:
    """Whether a text has room in its old place."""

    fits: bool
    max_graphemes: int


Fits = Callable[[str, str], FitVerdict]
"""`(line id, text)` → verdict, measured with the real font in the old block's box."""


@dataclass(frozen=True, slots=True)
class AdaptedLine:
    """What became of one line."""

    id: str
    role: OverlayRole
    source_text: str
    text: str
    action: Literal["adapted", "kept"]
    path: Literal["provider", "formula", "bank", "kept"]
    reason: str
    """Why, for a person."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """All lines of a request, in its order."""

    lines: tuple[AdaptedLine, ...]
    adapter: str
    """Name and version of the adapter, with its prompt version where it has one."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What decided the texts beside the request, as plain JSON: model, prompt version and digest, temperature, limits,
    tokens used. It is stored with the plan and never holds a key."""


class CopyAdapter(Protocol):
    """Writes new texts for the overlays of one video."""

    @property
    def name(self) -> str:
        """Name and version, as it stands in `CopyResult.adapter`."""
        ...

    def adapt(self, request: CopyRequest, fits: Fits, progress: Progress = silent) -> CopyResult:
        """Write the texts.

        Every line of the request comes back once, with the same id. What comes back passes `checks.check_copy`.

        Raises:
            CopyRejected: no acceptable text could be written for one or more lines; `details["lines"]` says which and
                what would help.
            Cancelled: `progress` did.
        """
        ...


def kept(line: CopyLine, reason: str) -> AdaptedLine:
    """Leave a line as it is."""
    return AdaptedLine(line.id, line.role, line.text, line.text, "kept", "kept", reason)
