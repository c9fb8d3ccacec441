"""Values about video files that pass between stages. No file is opened here.

Time is exact: a time stamp is an integer count of ticks (`pts`) of the stream's rational `time_base` in seconds; a rate
is a `Fraction` of frames per second. Images are BGR `uint8` arrays of shape (height, width, 3) as a viewer sees them,
which means after the display rotation has been applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""BGR picture, shape (height, width, 3)."""
Mask = NDArray[np.uint8]
"""Single-channel picture of shape (height, width), 0 = outside, 255 = inside, values between are soft edges."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """Colour description of a stream by the code points of ITU-T H.273; 2 means unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """The first audio stream of a file."""

    codec: str
    sample_rate: int
    channels: int
    packets: int
    """Number of packets; they are copied, never re-encoded."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a probe found out about a file without decoding its pictures."""

    container: str
    codec: str
    width: int
    """Pixels as shown, after rotation."""
    height: int
    rotation: Literal[0, 90, 180, 270]
    """Degrees clockwise by which the coded picture is turned for showing."""
    time_base: Fraction
    """Seconds per tick."""
    average_rate: Fraction
    """Frames per second over the whole stream; frames of a VFR clip are not equally spaced."""
    frame_count: int
    duration: Fraction
    """Seconds, from the first frame's start to the last frame's end."""
    color: ColorTags
    audio: AudioFacts | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture of a clip."""

    index: int
    """0 for the first shown frame."""
    pts: int
    """Presentation time in ticks of the stream's time base."""
    duration: int
    """Ticks until the next frame."""
    image: Image


@dataclass(frozen=True, slots=True)
class Shot:
    """A run of frames between two cuts; both ends included."""

    first_frame: int
    last_frame: int

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.first_frame <= frame <= self.last_frame
