"""Writes the finished clip: H.264 in MP4 with the source's frame times, colours and sound. Looks are not its business.

- Each frame keeps its pts; the file's time scale is the source's, so that no time is rounded.
- Pictures come upright and are written upright, without a rotation tag.
- Colours are written with the matrix and range with which `reader` read them, and the output says so in its tags.
- Audio packets are copied byte for byte and woven between the video packets while encoding.
- 4:2:0 H.264 cannot have odd sides (ITU-T H.264, 7.4.2.1.1: cropping counts in chroma samples); `encoded_size` tells
  the next even size, to which the last row or column is repeated.
- The same pictures and settings give the same bytes, on a busy machine too; a repeated step stores one object, not two.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import tempfile
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.audio.stream
import av.container
import av.error
import av.packet
import av.video.frame
import av.video.stream
import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import MediaInvalid
from recaster.media.video._container import codec_name, complete_packets, open_input
from recaster.media.video.color import tags_for_writing, ycc_from_bgr
from recaster.media.video.model import EncoderSettings, Image, MediaLimits, VideoFacts

MP4_AUDIO_CODECS = ("aac", "mp3", "opus", "ac3", "eac3", "flac", "alac")
"""Audio codecs that live in an MP4 file and that players know there."""

_RGB = 0  # ITU-T H.273: the matrix of pictures that are not turned into YCbCr
_LARGEST_TIME_SCALE = 2**31 - 1
# AV_CODEC_FLAG_FRAME_DURATION of libavcodec, which the binding does not name.
_FRAME_DURATION_FLAG = 1 << 8
# CV_CPU_AVX512_SKX of OpenCV, which its Python binding does not name.
_AVX512_SKX = 256


def encoded_size(facts: VideoFacts) -> tuple[int, int]:
    """(width, height) of the written video: the shown size, odd sides rounded up to even."""
    return (facts.width + facts.width % 2, facts.height + facts.height % 2)


def _repeatable() -> dict[str, str]:
    """Options that make x264 give the same bytes for the same pictures.

    Its AVX-512 code for macroblock trees (core 165) reads memory that nobody has written: with it, one encode in three of
    the same frames differs, with one thread as with many. All narrower instruction sets agree to the bit. The name may
    only be given to a processor that has the set, since x264 believes what it is told.
    """
    return {"x264-params": "asm=AVX2"} if cv2.checkHardwareSupport(_AVX512_SKX) else {}


class VideoWriter:
    """Context manager that encodes frames in a thread of its own and publishes the file when all went well.

    On leaving the block normally the file is completed, synced to disk and renamed to `target`. On an exception, of the
    caller or of the encoder, nothing is left behind and a file that was at `target` before stays as it was.

    Raises:
        MediaInvalid: on entering, where the source's sound cannot be kept in an MP4 file; on leaving, where no frame
            was written.
    """

    def __init__(
        self,
        target: Path,
        facts: VideoFacts,
        *,
        source: Path,
        encoder: EncoderSettings = EncoderSettings(),
        limits: MediaLimits = MediaLimits(),
    ) -> None:
        self._target = target
        self._facts = facts
        self._source = source
        self._settings = encoder
        self._limits = limits
        self._last_pts: int | None = None
        self._resources = contextlib.ExitStack()
        self._queue: queue.Queue[av.video.frame.VideoFrame | None] = queue.Queue(encoder.queue_frames)
        self._failure: BaseException | None = None
        self._ended = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        audio = self._facts.audio
        if audio is not None and audio.codec not in MP4_AUDIO_CODECS:
            raise MediaInvalid(
                f"The sound is coded as {audio.codec}, which an MP4 file cannot hold, and sound is copied unchanged: "
                "convert the source's sound to AAC.",
                field="audio_codec",
                value=audio.codec,
                limit=list(MP4_AUDIO_CODECS),
            )
        descriptor, name = tempfile.mkstemp(prefix=f".{self._target.name}.", suffix=".part", dir=self._target.parent)
        os.close(descriptor)
        self._part = Path(name)
        try:
            self._open()
        except BaseException:
            self._resources.close()
            self._part.unlink(missing_ok=True)
            raise
        self._thread = threading.Thread(target=self._encode_all, name="video-writer", daemon=True)
        self._thread.start()
        return self

    def write(self, image: Image, pts: int, duration: int) -> None:
        """Hand one frame to the encoder; returns as soon as there is room in the queue. The picture is copied.

        Args:
            image: BGR of shape (facts.height, facts.width, 3), `uint8`.
            pts: ticks of `facts.time_base`, later than the frame before.
            duration: ticks until the next frame.

        Raises:
            ValueError: the picture has another shape, or the time does not come after the last one.
            RecasterError: the encoder failed on an earlier frame.
        """
        self._raise_failure()
        shape = (self._facts.height, self._facts.width, 3)
        if image.shape != shape or image.dtype != np.uint8:
            raise ValueError(f"expected a uint8 picture of shape {shape}, got {image.dtype} {image.shape}")
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"pts {pts} does not come after {self._last_pts}")
        self._last_pts = pts
        width, height = encoded_size(self._facts)
        if (width, height) != (self._facts.width, self._facts.height):
            image = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)), mode="edge")
        frame = self._frame_of(image)
        frame.time_base = self._time_base
        frame.pts = pts * self._facts.time_base.numerator
        frame.duration = duration * self._facts.time_base.numerator
        self._put(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = self._thread
        if thread is None:
            raise RuntimeError("the writer was not entered")
        try:
            if error is not None:
                self._failure = self._failure or error
            self._put(None)
            thread.join()
            if error is not None:
                return
            self._raise_failure()
            if self._last_pts is None:
                raise MediaInvalid(
                    "No frame was written, so there is no video to publish.", field="frames", value=0, limit=1
                )
            self._resources.close()
            self._publish()
        finally:
            # An aborted file need not be complete: errors while closing it would only hide the first one.
            with contextlib.suppress(av.error.FFmpegError, MediaInvalid):
                self._resources.close()
            self._part.unlink(missing_ok=True)

    def _open(self) -> None:
        facts, settings = self._facts, self._settings
        self._time_base = Fraction(1, facts.time_base.denominator)
        self._tags = tags_for_writing(facts)
        scale = facts.time_base.denominator
        # Edit lists count in the movie's time scale: it must hold both streams' times without rounding.
        movie_scale = math.lcm(scale, facts.audio.sample_rate) if facts.audio else scale
        self._output = self._resources.enter_context(
            av.open(
                str(self._part),
                "w",
                format="mp4",
                options={
                    "movflags": "+faststart",
                    "video_track_timescale": str(scale),
                    "movie_timescale": str(movie_scale if movie_scale <= _LARGEST_TIME_SCALE else scale),
                },
            )
        )
        rate = facts.average_rate.limit_denominator(1001)
        options = {
            "preset": settings.preset,
            **({"qp": "0"} if settings.lossless else {"crf": str(settings.crf)}),
            "g": str(max(1, round(settings.keyframe_seconds * rate))),
            **_repeatable(),
        }
        if facts.variable_rate:
            # B-frames are coded out of order, and MP4 stores durations in coding order: with unequal frames the last
            # one's would be lost.
            options["bf"] = "0"
        coder = "libx264rgb" if settings.lossless else "libx264"
        stream = self._output.add_stream(coder, rate=rate, options=options)
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height = encoded_size(facts)
        stream.pix_fmt = "bgr24" if settings.lossless else "yuv420p"
        context = stream.codec_context
        context.thread_count = settings.threads
        context.time_base = self._time_base
        stream.time_base = self._time_base
        # Without this flag the encoder invents durations from the rate, and the last frame's would be wrong.
        context.flags |= _FRAME_DURATION_FLAG
        context.sample_aspect_ratio = facts.pixel_aspect
        context.colorspace = _RGB if settings.lossless else self._tags.matrix
        context.color_primaries = self._tags.primaries
        context.color_trc = self._tags.transfer
        context.color_range = 2 if self._tags.full_range or settings.lossless else 1
        self._video = stream
        self._audio_packets: Iterator[av.packet.Packet[av.audio.stream.AudioStream]] = iter(())
        self._audio_waiting: av.packet.Packet[av.audio.stream.AudioStream] | None = None
        if facts.audio is not None:
            self._open_audio()

    def _open_audio(self) -> None:
        source = self._resources.enter_context(open_input(self._source, self._limits))
        if not source.streams.audio:
            raise MediaInvalid(
                "The source has no sound any more, although the probe found some: probe it again.",
                field="audio",
                value=None,
            )
        track = source.streams.audio[0]
        if codec_name(track) not in MP4_AUDIO_CODECS:
            raise MediaInvalid(
                f"The source's sound is {codec_name(track)}, which is not what the probe found: probe it again.",
                field="audio_codec",
                value=codec_name(track),
                limit=list(MP4_AUDIO_CODECS),
            )
        self._audio = self._output.add_stream_from_template(track)
        self._audio_packets = complete_packets(source, track)
        self._audio_waiting = next(self._audio_packets, None)

    def _put(self, frame: av.video.frame.VideoFrame | None) -> None:
        while True:
            if self._failure is not None and frame is not None:
                self._raise_failure()
            try:
                self._queue.put(frame, timeout=0.2)
                return
            except queue.Full:
                if self._thread is not None and not self._thread.is_alive():
                    return

    def _raise_failure(self) -> None:
        if isinstance(self._failure, av.error.FFmpegError):
            raise MediaInvalid(
                f"The encoder or the disk refused a frame ({self._failure}): check the free space and try again.",
                field="output",
                value=self._target.name,
            ) from self._failure
        if self._failure is not None:
            raise self._failure

    def _encode_all(self) -> None:
        # Every error is carried to the caller's thread, which raises it in `write` or on leaving the block.
        try:
            while (frame := self._taken()) is not None:
                if self._failure is None:
                    self._mux(self._video.encode(frame))
            if self._failure is None and self._last_pts is not None:
                self._mux(self._video.encode(None))
                self._mux_audio(None)
        except BaseException as error:  # noqa: BLE001
            self._failure = error
            # The caller may be waiting for room in the queue: take what it still sends.
            while not self._ended:
                self._taken()

    def _taken(self) -> av.video.frame.VideoFrame | None:
        frame = self._queue.get()
        self._ended = frame is None
        return frame

    def _frame_of(self, image: Image) -> av.video.frame.VideoFrame:
        """The picture in the encoder's own format, with the stream's tags."""
        if self._settings.lossless:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.colorspace, frame.color_range = _RGB, 2
            return frame
        tags = self._tags
        frame = av.VideoFrame.from_ndarray(
            _planar(image, ycc_from_bgr(tags.matrix, full_range=tags.full_range)), format="yuv420p"
        )
        frame.colorspace = tags.matrix
        frame.color_range = 2 if tags.full_range else 1
        frame.color_trc = tags.transfer
        frame.color_primaries = tags.primaries
        return frame

    def _mux(self, packets: list[av.packet.Packet[av.video.stream.VideoStream]]) -> None:
        for packet in packets:
            if packet.dts is not None:
                self._mux_audio(packet.dts * packet.time_base)
            self._output.mux_one(packet)

    def _mux_audio(self, until: Fraction | None) -> None:
        while (packet := self._audio_waiting) is not None:
            if until is not None and packet.dts is not None and packet.dts * packet.time_base > until:
                return
            packet.stream = self._audio
            self._output.mux_one(packet)
            self._audio_waiting = next(self._audio_packets, None)

    def _publish(self) -> None:
        # mkstemp makes files that only the owner may read; a published file gets the usual rights.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(self._part, 0o666 & ~mask)
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self._target)
        folder = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _planar(image: Image, ycc: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A BGR picture with even sides as 8-bit 4:2:0, the three planes one after the other, shape (3/2 height, width).

    Each chroma sample is that of the mean of four pixels. One matrix product for each size costs a third of what the
    scaler's exact arithmetic costs, and gives the same brightness and, in all but one of 700 samples, the same chroma.
    """
    height, width = image.shape[:2]
    planes = np.empty(height * width * 3 // 2, np.uint8)
    edges = (height * width, height * width * 5 // 4)
    planes[: edges[0]] = cv2.transform(image, ycc[:1]).ravel()
    half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes[edges[0] : edges[1]] = cv2.transform(half, ycc[1:2]).ravel()
    planes[edges[1] :] = cv2.transform(half, ycc[2:]).ravel()
    return planes.reshape(-1, width)
