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

from recaster.errors import InvalidInput

Image = NDArray[np.uint8]
"""BGR picture, shape (height, width, 3)."""
Luma = NDArray[np.uint8]
"""Brightness of shape (height, width), 0 = black, 255 = white."""
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
    mirrored: bool = False
    """Whether the picture is mirrored left to right after it has been turned, as some front cameras ask for."""
    variable_rate: bool = False
    """Whether the frames are not equally spaced, beyond the rounding of one tick."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel divided by its height, as shown; 1 for square pixels."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a file may be at most before any of its pictures is decoded.

    The defaults are made for short vertical clips. A recorder that says 60 frames per second drifts, therefore rates
    up to one percent above `frame_rate` pass.
    """

    size_bytes: int = 200_000_000
    duration: Fraction = Fraction(180)
    """Seconds."""
    frame_rate: Fraction = Fraction(60)
    """Frames per second, averaged over the stream."""
    side: int = 4096
    """Pixels of the longer side."""
    pixels: int = 9_000_000
    """Width times height of one picture."""
    streams: int = 4
    """Streams of any kind in one file."""
    containers: tuple[str, ...] = ("mp4", "matroska")
    """`mp4` stands for the whole family of ISO base media files (MP4, MOV, M4V), `matroska` also for WebM. `gif` is
    known but not allowed by default."""
    codecs: tuple[str, ...] = ("h264", "hevc", "vp9", "av1", "vp8", "mpeg4")
    """Video codecs by their FFmpeg names. `gif` is known but not allowed by default."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How the H.264 encoder works. The same settings and the same pictures give the same bytes."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "veryfast"
    crf: int = 18
    """Constant rate factor of x264: 0 is lossless, 18 is hard to tell from the source, 51 is the worst."""
    threads: int = 2
    """Threads of the encoder; part of the settings because the bytes of the result depend on it."""
    keyframe_seconds: int = 4
    """Longest time between two key frames, which is how exactly a player can seek."""
    lossless: bool = False
    """Write the BGR pictures themselves, to the bit, as RGB H.264 (High 4:4:4 Predictive); `crf` then has no meaning. For
    measuring and further editing: phones and browsers do not play it."""
    queue_frames: int = 4
    """Pictures that may wait for the encoder while the caller works on the next one; bounds memory."""

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 51:
            raise InvalidInput(
                f"The encoder's crf is {self.crf}, but x264 knows 0 to 51: choose 18 for the usual quality.",
                field="crf",
                value=self.crf,
                limit=51,
            )
        for field in ("threads", "keyframe_seconds", "queue_frames"):
            if getattr(self, field) < 1:
                raise InvalidInput(
                    f"The encoder's {field} is {getattr(self, field)}, but at least 1 is needed.",
                    field=field,
                    value=getattr(self, field),
                    limit=1,
                )


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
class LumaFrame:
    """The brightness of one decoded picture, usually much reduced: enough to see that something changed."""

    index: int
    pts: int
    duration: int
    luma: Luma


@dataclass(frozen=True, slots=True)
class Shot:
    """A run of frames between two cuts; both ends included."""

    first_frame: int
    last_frame: int

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.first_frame <= frame <= self.last_frame
