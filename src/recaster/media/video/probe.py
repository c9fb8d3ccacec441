"""Finds out about a file and refuses it where it goes beyond a limit, before its pictures are decoded.

All that can be measured on packets is measured on packets. Then one picture is decoded, because only that proves that
the stream can be decoded, and because the display rotation and the colour tags may stand in the coded stream alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
import av.container
import av.stream
import av.video.frame
import av.video.stream
from av.sidedata.sidedata import SideData

from recaster.errors import MediaInvalid
from recaster.media.video._container import (
    FrameTimes,
    codec_name,
    complete_packets,
    frame_times,
    open_input,
    sniff_container,
    video_stream,
)
from recaster.media.video.model import AudioFacts, ColorTags, MediaLimits, VideoFacts

Turn = tuple[Literal[0, 90, 180, 270], bool]
"""Degrees clockwise, and whether the picture is mirrored left to right after that."""

# Seconds by which a container's announced duration may go beyond its last packet: rounding and other streams' ends.
_LARGEST_GAP = Fraction(1, 2)
# First two rows of the display matrix (ISO/IEC 14496-12, 8.4.2) as signs: x' = a·x + c·y, y' = b·x + d·y, y down.
_TURNS: dict[tuple[int, int, int, int], Turn] = {
    (1, 0, 0, 1): (0, False),
    (0, 1, -1, 0): (90, False),
    (-1, 0, 0, -1): (180, False),
    (0, -1, 1, 0): (270, False),
    (-1, 0, 0, 1): (0, True),
    (0, 1, 1, 0): (90, True),
    (1, 0, 0, -1): (180, True),
    (0, -1, -1, 0): (270, True),
}


def probe(path: Path, limits: MediaLimits = MediaLimits()) -> VideoFacts:
    """Measure a video file and check it against the limits.

    Args:
        path: a local file. The name's ending means nothing; the first bytes decide.
        limits: what the file may be at most.

    Returns:
        Facts with exact times; width and height as shown.

    Raises:
        MediaInvalid: broken, of a foreign kind, or beyond a limit; `details` holds `field`, `value` and `limit`.
    """
    sniff_container(path)
    size_bytes = path.stat().st_size
    _at_most("size_bytes", size_bytes, limits.size_bytes, "bytes")
    with open_input(path, limits) as source:
        _at_most("streams", len(source.streams), limits.streams, "streams")
        stream = video_stream(source, limits)
        context = stream.codec_context
        _check_size(context.width, context.height, limits)
        if source.duration is not None:
            _at_most("duration", Fraction(source.duration, 1_000_000), limits.duration + 1, "seconds")
        times = frame_times(source, stream, limits)
        time_base = Fraction(stream.time_base or 0)
        duration = times.total * time_base
        _at_most("duration", duration, limits.duration, "seconds")
        average_rate = len(times.pts) / duration
        _at_most("frame_rate", average_rate, limits.frame_rate, "frames per second", tolerance=Fraction(101, 100))
        audio, audio_end = _audio_facts(path, limits)
        end = max((times.pts[-1] + times.last_duration) * time_base, audio_end)
        if source.duration is not None and Fraction(source.duration, 1_000_000) > end + _LARGEST_GAP:
            raise MediaInvalid(
                f"The file says that it lasts {source.duration / 1e6:.1f} s, but ends after {float(end):.1f} s: it was "
                "not transferred completely. Upload it again.",
                field="file",
                value=round(float(end), 3),
                limit=source.duration / 1e6,
            )
        first = _first_picture(source, stream)
        _check_size(first.width, first.height, limits)
        rotation, mirrored = display_turn(first)
        upright = rotation in (0, 180)
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        return VideoFacts(
            container=sniff_container(path),
            codec=codec_name(stream),
            width=first.width if upright else first.height,
            height=first.height if upright else first.width,
            rotation=rotation,
            time_base=time_base,
            average_rate=average_rate,
            frame_count=len(times.pts),
            duration=duration,
            color=ColorTags(
                primaries=int(first.color_primaries),
                transfer=int(first.color_trc),
                matrix=int(first.colorspace),
                full_range=int(first.color_range) == 2,
            ),
            audio=audio,
            size_bytes=size_bytes,
            mirrored=mirrored,
            variable_rate=_is_variable(times),
            pixel_aspect=aspect if upright else 1 / aspect,
        )


def display_turn(frame: av.video.frame.VideoFrame) -> Turn:
    """How a decoded picture is to be turned for showing, from its display matrix.

    Raises:
        MediaInvalid: the matrix turns by something else than a multiple of 90 degrees.
    """
    # The library's mapping iterates over its values, unlike what its type says.
    for data in cast("Iterator[SideData]", iter(frame.side_data)):
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack("<9i", bytes(data))[:5]
            largest = max(abs(a), abs(b), abs(c), abs(d), 1)
            signs = tuple(round(value / largest) for value in (a, b, c, d))
            turn = _TURNS.get(signs)
            if turn is None:
                raise MediaInvalid(
                    "The file asks for a turn that is no multiple of 90 degrees: save it upright.",
                    field="rotation",
                    value=[a, b, c, d],
                    limit=[0, 90, 180, 270],
                )
            return turn
    return (0, False)


def _first_picture(
    source: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> av.video.frame.VideoFrame:
    # One picture is wanted: every further thread would only hold more of them in memory.
    stream.codec_context.thread_count = 1
    source.seek(stream.start_time or 0, stream=stream, backward=True)
    for frame in source.decode(stream):
        return frame
    raise MediaInvalid(
        "Not one picture of the video can be decoded: export it again.", field="frames", value=0, limit=1
    )


def _audio_facts(path: Path, limits: MediaLimits) -> tuple[AudioFacts | None, Fraction]:
    """Facts of the first audio stream, and its end in seconds."""
    with open_input(path, limits) as source:
        if not source.streams.audio:
            return None, Fraction(0)
        stream = source.streams.audio[0]
        if stream.codec_context is None:
            raise MediaInvalid(
                "The sound is coded in a way that no decoder here knows, or its description is damaged: convert the sound "
                "to AAC.",
                field="audio_codec",
                value="unknown",
            )
        count = end = 0
        for packet in complete_packets(source, stream):
            count += 1
            end = max(end, (packet.pts or 0) + (packet.duration or 0))
        facts = AudioFacts(
            codec=codec_name(stream), sample_rate=stream.sample_rate, channels=stream.channels, packets=count
        )
        return facts, end * Fraction(stream.time_base or 0)


def _is_variable(times: FrameTimes) -> bool:
    gaps = [times.duration_of(index) for index in range(len(times.pts) - 1)]
    # A constant rate that the time base cannot express (30 per second in milliseconds) alternates by one tick.
    return bool(gaps) and max(gaps) - min(gaps) > 1


def _check_size(width: int, height: int, limits: MediaLimits) -> None:
    if width < 2 or height < 2:
        raise MediaInvalid(
            f"The picture is {width}x{height} pixels: send a video of at least 2x2.",
            field="size",
            value=[width, height],
            limit=2,
        )
    _at_most("side", max(width, height), limits.side, "pixels on the longer side")
    _at_most("pixels", width * height, limits.pixels, "pixels per picture")


def _at_most(
    field: str, value: int | Fraction, limit: int | Fraction, unit: str, tolerance: Fraction = Fraction(1)
) -> None:
    if value > limit * tolerance:
        shown: int | float = round(float(value), 3) if isinstance(value, Fraction) else value
        allowed: int | float = float(limit) if isinstance(limit, Fraction) else limit
        raise MediaInvalid(
            f"The video has {shown} {unit}, but at most {allowed} are allowed: send a smaller one.",
            field=field,
            value=shown,
            limit=allowed,
        )
