"""Opens hostile files with as little of FFmpeg as possible, and lists their packets. No picture is decoded here.

The container is told by its first bytes, by us, and FFmpeg gets exactly that demuxer: a playlist or a concat script
that calls itself `.mp4` never reaches the demuxers that open further files. Only the `file` protocol is allowed, and
references to other files inside a MOV stay closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

import av
import av.container
import av.error
import av.packet
import av.stream
import av.video.stream

from recaster.errors import MediaInvalid
from recaster.media.video.model import MediaLimits

_DEMUXERS = {"mp4": "mov", "matroska": "matroska", "gif": "gif"}
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")


_StreamT = TypeVar("_StreamT", bound=av.stream.Stream)


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Times of all shown frames of a stream, found by reading its packets; in ticks, ascending."""

    pts: tuple[int, ...]
    last_duration: int

    def duration_of(self, index: int) -> int:
        """Ticks from a frame's start to the next one's, or to the end of the stream."""
        return self.pts[index + 1] - self.pts[index] if index + 1 < len(self.pts) else self.last_duration

    @property
    def total(self) -> int:
        """Ticks from the first frame's start to the last frame's end."""
        return self.pts[-1] - self.pts[0] + self.last_duration


def sniff_container(path: Path) -> str:
    """Name the container by the file's first bytes: `mp4`, `matroska` or `gif`.

    Raises:
        MediaInvalid: the file cannot be read, is empty, or is nothing of these.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise MediaInvalid(
            f"The file {path.name} could not be read ({error.strerror}): check that it exists and may be read.",
            field="file",
            value=path.name,
        ) from error
    if head[4:8] in _MP4_FIRST_BOXES:
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    raise MediaInvalid(
        f"The file {path.name} is not a video that can be read here: its first bytes belong neither to MP4/MOV nor to "
        "Matroska/WebM. Convert it to MP4, whatever its name ends with.",
        field="container",
        value=head[:8].hex(),
        limit=["mp4", "matroska"],
    )


@contextmanager
def open_input(path: Path, limits: MediaLimits) -> Iterator[av.container.InputContainer]:
    """Open a file of an allowed container; every error of FFmpeg inside the block becomes `MediaInvalid`."""
    container = sniff_container(path)
    if container not in limits.containers:
        raise MediaInvalid(
            f"The file {path.name} is a {container} file, but only {', '.join(limits.containers)} may be read: "
            "convert it.",
            field="container",
            value=container,
            limit=list(limits.containers),
        )
    options = {
        "protocol_whitelist": "file",
        # Bounds every decoder that FFmpeg starts by itself to find out about a stream.
        "max_pixels": str(limits.pixels),
        "max_streams": str(max(limits.streams, 1) * 4),
    }
    if container == "mp4":
        options |= {"enable_drefs": "0", "use_absolute_path": "0"}
    try:
        with av.open(
            "file:" + os.path.abspath(path),
            mode="r",
            format=_DEMUXERS[container],
            options=options,
            metadata_errors="replace",
        ) as source:
            yield source
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise MediaInvalid(
            f"The file {path.name} is damaged or not complete ({error}): export or upload it again.",
            field="file",
            value=path.name,
        ) from error


def video_stream(source: av.container.InputContainer, limits: MediaLimits) -> av.video.stream.VideoStream:
    """Pick the first true video stream (cover pictures are none) and bound its decoder.

    Raises:
        MediaInvalid: there is none, or its codec is not allowed.
    """
    streams = [stream for stream in source.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise MediaInvalid(
            "The file holds no video stream, so there is nothing to remake: send a video.",
            field="video_streams",
            value=0,
            limit=1,
        )
    stream = streams[0]
    codec = codec_name(stream)
    if codec not in limits.codecs:
        raise MediaInvalid(
            f"The video codec is {codec}, but only {', '.join(limits.codecs)} may be decoded: convert it to H.264.",
            field="codec",
            value=codec,
            limit=list(limits.codecs),
        )
    stream.codec_context.options = {"max_pixels": str(limits.pixels)}
    return stream


def codec_name(stream: av.stream.Stream) -> str:
    """FFmpeg's name of a stream's codec, or `unknown` where the library has no decoder for it."""
    context = stream.codec_context
    return "unknown" if context is None else str(context.codec.canonical_name)


def complete_packets(source: av.container.InputContainer, stream: _StreamT) -> Iterator[av.packet.Packet[_StreamT]]:
    """Read all packets of a stream from the file's start on.

    Raises:
        MediaInvalid: the file ends before the last packet that it announces. FFmpeg itself only ends the stream there.
    """
    count = 0
    for packet in source.demux(stream):
        if packet.size == 0:
            continue
        if packet.is_corrupt:
            raise _incomplete(stream, count)
        count += 1
        yield cast("av.packet.Packet[_StreamT]", packet)
    # An MP4 file lists its packets in front; Matroska does not, its end is checked by `probe` against the duration.
    if source.format.name.startswith("mov") and count < len(stream.index_entries):
        raise _incomplete(stream, count)


def _incomplete(stream: av.stream.Stream, count: int) -> MediaInvalid:
    return MediaInvalid(
        f"The file ends after packet {count} of its {stream.type} stream: it was not transferred completely. "
        "Upload it again.",
        field="file",
        value=count,
        limit=len(stream.index_entries),
    )


def frame_times(
    source: av.container.InputContainer, stream: av.video.stream.VideoStream, limits: MediaLimits
) -> FrameTimes:
    """Read all packets of the stream and list the times of the frames that will be shown.

    Raises:
        MediaInvalid: no frame, a frame without a time, two frames of one time, more frames or more time than allowed,
            or packets that the file's end cut off.
    """
    time_base = stream.time_base
    if time_base is None or time_base <= 0:
        raise MediaInvalid(
            "The video stream has no time base: convert the file to MP4.", field="time_base", value=str(time_base)
        )
    most = int(limits.duration * limits.frame_rate * Fraction(101, 100)) + 2
    durations: dict[int, int] = {}
    is_vp8 = codec_name(stream) == "vp8"
    for packet in complete_packets(source, stream):
        if packet.is_discard:
            continue
        # VP8 stores pictures that are only referred to as packets of their own (RFC 6386, 9.1: show_frame).
        if is_vp8 and not bytes(packet)[0] & 0x10:
            continue
        if packet.pts is None:
            raise MediaInvalid(
                f"Frame {len(durations)} has no time stamp: convert the file to MP4.", field="pts", value=len(durations)
            )
        if packet.pts in durations:
            raise MediaInvalid(
                f"Two frames are to be shown at the same time (tick {packet.pts}): convert the file to MP4.",
                field="pts",
                value=packet.pts,
            )
        durations[packet.pts] = packet.duration or 0
        if len(durations) > most:
            raise MediaInvalid(
                f"The video has more than {most} frames, which is more than {limits.duration} s at "
                f"{limits.frame_rate} frames per second: send a shorter clip.",
                field="frames",
                value=len(durations),
                limit=most,
            )
    if not durations:
        raise MediaInvalid("The video stream holds no frame: send a video.", field="frames", value=0, limit=1)
    pts = tuple(sorted(durations))
    last = durations[pts[-1]]
    if last <= 0 and len(pts) > 1:
        # Matroska need not say how long the last picture stays: as long as the one before it.
        last = pts[-1] - pts[-2]
    if last <= 0 and stream.average_rate:
        last = round(1 / (stream.average_rate * time_base))
    if last <= 0:
        raise MediaInvalid(
            "The file does not say how long its only picture is shown: convert it to MP4.", field="duration", value=0
        )
    return FrameTimes(pts, last)
