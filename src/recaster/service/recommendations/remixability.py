"""How well a source can be remixed, from what its analysis measured. Pure: numbers in, a number and sentences out.

    remixability = 0.35 · person + 0.20 · angle + 0.20 · alone + 0.15 · overlays + 0.10 · length     each part is 0–1

- **person**: one person on camera; how much of the clip, and how large the face is (48 pixels are the least that can be
  swapped, from 180 pixels on it is large enough). What is worn over the face takes a fifth away for each thing: it stays
  in front of the new face.
- **angle**: how far the head turns aside at the 90th percentile: up to 25° costs nothing, 60° everything.
- **alone**: 1 minus the share of frames in which somebody else's face is seen.
- **overlays**: readable texts, one to eight of them; none leaves nothing to say for the brand.
- **length**: 5 to 60 seconds; beyond that it falls slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEAST_FACE = 48.0
LARGE_FACE = 180.0
FREE_YAW = 25.0
LARGEST_YAW = 60.0
_MOST_OVERLAYS = 8
_WORN = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """What an analysis found, as far as it matters here."""

    duration_ms: int
    face_share: float
    """Share of the frames in which the on-camera person's face was found; 0 where nobody is."""
    face_height: float
    """Median height of that face in pixels."""
    face_yaw: float
    """How far it turns aside, in degrees, 90th percentile of the absolute value."""
    other_face_share: float
    """Share of the frames in which another person's face was found."""
    overlay_texts: tuple[str, ...]
    """Texts as read, one for each block."""
    overlay_confidence: float
    """Median confidence of the reader, 0–1; 0 without texts."""
    face_wears: tuple[str, ...] = ()
    """What that face wears that stays in front of another one, in words: `a full beard`, `glasses`."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON that `from_json` understands."""
        return {**asdict(self), "overlay_texts": list(self.overlay_texts), "face_wears": list(self.face_wears)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measured:
        """Rebuild from JSON."""
        return cls(
            **{
                **data,
                "overlay_texts": tuple(data["overlay_texts"]),
                "face_wears": tuple(data.get("face_wears", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class Remixability:
    """A score of 0–1 and what speaks for and against."""

    score: float
    reasons: tuple[str, ...]


def assess(measured: Measured) -> Remixability:
    """Say how well a source can be remixed."""
    reasons: list[str] = []
    person = _person(measured, reasons)
    angle = _falling(measured.face_yaw, FREE_YAW, LARGEST_YAW) if measured.face_share > 0 else 0.0
    if measured.face_share > 0 and angle < 0.5:
        reasons.append(f"The head turns aside up to {measured.face_yaw:.0f}°, which is hard to swap.")
    alone = 1.0 - min(max(measured.other_face_share, 0.0), 1.0)
    if measured.other_face_share > 0.1:
        reasons.append(f"Somebody else is seen in {measured.other_face_share:.0%} of it.")
    overlays = _overlays(measured, reasons)
    length = _length(measured.duration_ms / 1000, reasons)
    score = 0.35 * person + 0.20 * angle + 0.20 * alone + 0.15 * overlays + 0.10 * length
    return Remixability(round(score, 4), tuple(reasons))


def _person(measured: Measured, reasons: list[str]) -> float:
    if measured.face_share <= 0:
        reasons.append("Nobody is on camera, so no face can be swapped.")
        return 0.0
    size = _rising(measured.face_height, LEAST_FACE, LARGE_FACE)
    if measured.face_height < LEAST_FACE:
        reasons.append(f"The face is only {measured.face_height:.0f} pixels high.")
    elif measured.face_share >= 0.6 and measured.other_face_share <= 0.1:
        reasons.append("One person is clearly on camera.")
    if measured.face_wears:
        reasons.append(f"The face wears {' and '.join(measured.face_wears)}, which will stay in front of the new face.")
    bare = max(0.0, 1.0 - _WORN * len(measured.face_wears))
    return size * bare * min(measured.face_share / 0.8, 1.0)


def _overlays(measured: Measured, reasons: list[str]) -> float:
    count = sum(1 for text in measured.overlay_texts if text.strip())
    if count == 0:
        reasons.append("It has no on-screen text to adapt.")
        return 0.0
    reasons.append(f"{count} on-screen text{'s' if count > 1 else ''} to adapt.")
    crowd = 1.0 if count <= _MOST_OVERLAYS else _MOST_OVERLAYS / count
    return crowd * _rising(measured.overlay_confidence, 0.5, 0.9)


def _length(seconds: float, reasons: list[str]) -> float:
    if seconds < 5:
        reasons.append(f"It lasts only {seconds:.1f} s.")
        return max(seconds, 0.0) / 5
    if seconds <= 60:
        return 1.0
    reasons.append(f"It is long for a remix: {seconds:.0f} s.")
    return _falling(seconds, 60.0, 180.0)


def _rising(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _falling(value: float, low: float, high: float) -> float:
    return 1.0 - _rising(value, low, high)
