"""Makes small clips with every property that the tests of the video room need. The files are written by PyAV alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def scenery(number: int, width: int = 90, height: int = 160, seed: int = 0) -> Picture:
    """Frame `number` of a soft, slowly moving scene; another seed is another scene."""
    colors = np.random.default_rng(seed).integers(20, 236, (7, 5, 3), dtype=np.uint8)
    large = cv2.resize(colors, (width * 2, height * 2), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[number : number + height, number // 2 : number // 2 + width])


def make_clip(
    path: Path,
    *,
    frames: int = 24,
    width: int = 90,
    height: int = 160,
    rate: Fraction = Fraction(30),
    time_base: Fraction = Fraction(1, 30000),
    pts: Sequence[int] | None = None,
    display_matrix: Sequence[int] | None = None,
    audio: str | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    matrix: int = 1,
    full_range: bool = False,
    tagged: bool = True,
    picture: Callable[[int, int, int], Picture] = scenery,
    mux_options: dict[str, str] | None = None,
) -> Path:
    """Encode a clip; pictures are BGR, `matrix` is their H.273 code point in the file, tagged or not."""
    options = {"preset": "ultrafast", "crf": "12", **(options or {})} if codec == "libx264" else (options or {})
    times = pts if pts is not None else [round(number / rate / time_base) for number in range(frames)]
    muxing = {"movie_timescale": "90000", **(mux_options or {})} if path.suffix in (".mp4", ".mov") else mux_options
    with av.open(str(path), "w", options=muxing) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        context.time_base = stream.time_base = time_base
        context.thread_count = 2
        if tagged:
            context.colorspace = context.color_primaries = context.color_trc = matrix
        context.color_range = 2 if full_range else 1
        if display_matrix is not None:
            stream.set_display_matrix(display_matrix)
        sound = output.add_stream(audio, rate=48000) if audio else None
        for number in range(frames):
            image = picture(number, width, height)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
                format=pixel_format,
                dst_colorspace=5 if matrix in (5, 6) else matrix,
                dst_color_range=2 if full_range else 1,
                interpolation="AREA",
            )
            frame.pts, frame.time_base = times[number], time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            context = sound.codec_context
            size = context.frame_size or 1024
            for start in range(0, round(48000 * frames / rate), size):
                wave = np.sin(2 * np.pi * 440 * (np.arange(size) + start) / 48000)
                kind = context.format.name
                samples = {
                    "f": lambda wave=wave: (wave * 0.3).astype(np.float32),
                    "s32": lambda wave=wave: (wave * 2**29).astype(np.int32),
                    "s16": lambda wave=wave: (wave * 8000).astype(np.int16),
                }["f" if kind.startswith("flt") else kind[:3]]()
                stereo = np.stack([samples, samples])
                if not kind.endswith("p"):
                    stereo = np.ascontiguousarray(stereo.T).reshape(1, -1)
                piece = av.AudioFrame.from_ndarray(stereo, format=kind, layout="stereo")
                piece.sample_rate, piece.pts = 48000, start
                output.mux(sound.encode(piece))
            output.mux(sound.encode(None))
    return path


def planes(path: Path) -> list[NDArray[np.int16]]:
    """The coded 4:2:0 pictures as they are, without any conversion of colours."""
    with av.open(str(path)) as source:
        return [frame.to_ndarray(format="yuv420p").astype(np.int16) for frame in source.decode(video=0)]


def audio_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Start in seconds and payload of every audio packet."""
    with av.open(str(path)) as source:
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in source.demux(source.streams.audio[0])
            if packet.size
        ]
