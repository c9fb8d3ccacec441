"""Streams decoded pictures with exact times, upright, in the right colours. It holds one picture at a time.

Colours: pictures are turned into BGR with the stream's own matrix and range, full-precision arithmetic and replicated
chroma. Replication is what makes reading and writing each other's inverse: `writer` averages the same four pixels again,
so that a picture nobody changed comes back with its code values (measured on a photograph at 720x1280: mean error of
luma 0.0006 and of chroma 0.003 of 255, from colours beyond the RGB cube). Eight-bit 4:2:0, which is nearly all there is,
goes through one OpenCV matrix product, which costs 1.0 ms at 720x1280 where the scaler's exact arithmetic costs 2.7 ms
and differs by one step in 4 of 100 values; every other format and all reductions go through the scaler.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import av
import av.container
import av.video.frame
import av.video.plane
import av.video.stream
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from recaster.errors import InvalidInput, MediaInvalid
from recaster.media.video._container import FrameTimes, frame_times, open_input, video_stream
from recaster.media.video.color import bgr_from_ycc, matrix_for_reading, scaler_table
from recaster.media.video.model import ColorTags, Frame, Image, Luma, LumaFrame, MediaLimits
from recaster.media.video.probe import Turn, display_turn

_EXACT = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_REDUCING = Interpolation.AREA | Interpolation.ACCURATE_RND
_PLANAR_420 = ("yuv420p", "yuvj420p")
_EIGHT_BIT = (*_PLANAR_420, "yuv422p", "yuvj422p", "yuv444p", "yuvj444p")
"""Formats whose first plane is the brightness, a byte a pixel."""
_PLANAR = ("yuv422p", "yuv420p10le", "yuv422p10le")
_FULL_RANGE = 2
_LIMITED_RANGE = 1
_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class FrameReader(Protocol):
    """Reads the frames `start` … `stop - 1` of a clip in order, as `read_frames` does or changed on the way."""

    def __call__(self, path: Path, start: int = 0, stop: int | None = None, /) -> Iterator[Frame]:
        """Yield them."""
        ...


def read_frames(
    path: Path,
    start: int = 0,
    stop: int | None = None,
    *,
    every: int = 1,
    size: tuple[int, int] | None = None,
    limits: MediaLimits = MediaLimits(),
) -> Iterator[Frame]:
    """Decode the frames `start` … `stop - 1` one after the other.

    Args:
        path: a file that `probe` accepted.
        start: index of the first frame; a later one is reached through the key frame before it.
        stop: index after the last frame; None means to the end.
        every: yields only frames whose index is a multiple of this. The others are decoded, because later ones need
            them, but not converted, which halves the cost.
        size: (width, height) as shown to which the pictures are reduced while they are converted; None keeps the size.
        limits: bounds for the decoder.

    Yields:
        Frames with their pts in ticks of the stream's time base and the exact duration until the next frame; images BGR
        of shape (height, width, 3), upright, contiguous, owned by the caller.

    Raises:
        InvalidInput: the range or `every` makes no sense for this clip.
        MediaInvalid: a frame is missing or damaged, or the picture size changes within the stream.
    """
    for index, picture, times, turn in _decode(path, start, stop, limits, _multiple(every)):
        image = _turned(_to_bgr(picture, size, turn), turn)
        yield Frame(index, times.pts[index], times.duration_of(index), image)


def read_chosen(path: Path, indices: Iterable[int], *, limits: MediaLimits = MediaLimits()) -> Iterator[Frame]:
    """Decode the frames with the given indices in one pass, in rising order, each once.

    Raises:
        InvalidInput: an index is not in the clip.
        MediaInvalid: as `read_frames`.
    """
    chosen = frozenset(indices)
    if not chosen:
        return
    for index, picture, times, turn in _decode(path, min(chosen), max(chosen) + 1, limits, chosen.__contains__):
        image = _turned(_to_bgr(picture, None, turn), turn)
        yield Frame(index, times.pts[index], times.duration_of(index), image)


def read_luma(
    path: Path,
    width: int,
    start: int = 0,
    stop: int | None = None,
    *,
    every: int = 1,
    limits: MediaLimits = MediaLimits(),
) -> Iterator[LumaFrame]:
    """Decode small pictures of brightness alone, for finding out where something changes.

    `width` is the width as shown; the height follows from the shape of the picture. The deblocking filter is left out,
    so that the values differ from `read_frames` by a few steps and must not be drawn on. Arguments and errors are
    otherwise those of `read_frames`.
    """
    for index, picture, times, turn in _decode(path, start, stop, limits, _multiple(every), fast=True):
        luma = _turned(_to_luma(picture, width, turn), turn)
        yield LumaFrame(index, times.pts[index], times.duration_of(index), luma)


def read_proxies(path: Path, size: tuple[int, int], *, limits: MediaLimits = MediaLimits()) -> Iterator[Frame]:
    """Decode all frames in colour at a small size without the deblocking filter: for cuts and statistics only."""
    for index, picture, times, turn in _decode(path, 0, None, limits, fast=True):
        yield Frame(index, times.pts[index], times.duration_of(index), _turned(_to_bgr(picture, size, turn), turn))


def read_times(path: Path, *, limits: MediaLimits = MediaLimits()) -> tuple[tuple[Fraction, Fraction], ...]:
    """Start and duration of every shown frame in seconds, in order, exact. Nothing is decoded."""
    with open_input(path, limits) as source:
        stream = video_stream(source, limits)
        times = frame_times(source, stream, limits)
        time_base = Fraction(stream.time_base or 0)
        return tuple((pts * time_base, times.duration_of(index) * time_base) for index, pts in enumerate(times.pts))


def _multiple(every: int) -> Callable[[int], bool]:
    if every < 1:
        raise InvalidInput(f"every is {every}, but must be at least 1.", field="every", value=every, limit=1)
    return lambda index: index % every == 0


def _decode(
    path: Path,
    start: int,
    stop: int | None,
    limits: MediaLimits,
    wanted: Callable[[int], bool] = lambda index: True,
    *,
    fast: bool = False,
) -> Iterator[tuple[int, av.video.frame.VideoFrame, FrameTimes, Turn]]:
    with open_input(path, limits) as source:
        stream = video_stream(source, limits)
        times = frame_times(source, stream, limits)
        count = len(times.pts)
        end = count if stop is None else stop
        if not 0 <= start <= end <= count:
            raise InvalidInput(
                f"Frames {start} to {end} were asked for, but the clip has the frames 0 to {count - 1}.",
                field="start" if start > count or start < 0 else "stop",
                value=[start, end],
                limit=count,
            )
        if start == end:
            return
        stream.thread_type = "AUTO"
        stream.thread_count = min(os.cpu_count() or 1, 4)
        if fast:
            stream.codec_context.options |= {"skip_loop_filter": "all"}
        # A seek goes by decoding time, which B-frames put before the showing time: the index tells how many to skip.
        source.seek(
            times.pts[start] if start else min(times.pts[0], stream.start_time or 0), stream=stream, backward=True
        )
        yield from _in_order(source, stream, times, start, end, wanted)


def _in_order(
    source: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    times: FrameTimes,
    start: int,
    end: int,
    wanted: Callable[[int], bool],
) -> Iterator[tuple[int, av.video.frame.VideoFrame, FrameTimes, Turn]]:
    expected = start
    turn: Turn | None = None
    coded_size = (0, 0)
    for picture in source.decode(stream):
        if picture.pts is None or picture.pts < times.pts[expected]:
            continue
        if picture.pts != times.pts[expected] or picture.is_corrupt:
            raise MediaInvalid(
                f"Frame {expected} of the video is damaged and cannot be decoded: export or upload the file again.",
                field="frame",
                value=expected,
            )
        if turn is None:
            turn, coded_size = display_turn(picture), (picture.width, picture.height)
        elif (picture.width, picture.height) != coded_size:
            raise MediaInvalid(
                f"The picture size changes at frame {expected} from {coded_size[0]}x{coded_size[1]} to "
                f"{picture.width}x{picture.height}: convert the file to one size.",
                field="size",
                value=[picture.width, picture.height],
                limit=list(coded_size),
            )
        if wanted(expected):
            yield expected, picture, times, turn
        expected += 1
        if expected == end:
            return
    raise MediaInvalid(
        f"The video ends after frame {expected - 1}, although its index lists {len(times.pts)} frames: it was not "
        "transferred completely. Upload it again.",
        field="frames",
        value=expected,
        limit=end,
    )


def _to_bgr(picture: av.video.frame.VideoFrame, size: tuple[int, int] | None, turn: Turn) -> Image:
    width, height = _coded_size(picture, size, turn)
    reduced = (width, height) != (picture.width, picture.height)
    tags = ColorTags(matrix=int(picture.colorspace))
    if not reduced and picture.format.name in _PLANAR_420 and picture.width % 2 == 0 and picture.height % 2 == 0:
        matrix = bgr_from_ycc(matrix_for_reading(tags, picture.height), full_range=_is_full_range(picture))
        return _from_planes(picture, matrix)
    range_ = _FULL_RANGE if _is_full_range(picture) else _LIMITED_RANGE
    converted = VideoReformatter().reformat(
        picture if reduced else _without_chroma_place(picture),
        width=width,
        height=height,
        format="bgr24",
        src_colorspace=scaler_table(matrix_for_reading(tags, picture.height)),
        dst_colorspace=0,
        src_color_range=range_,
        dst_color_range=_FULL_RANGE,
        interpolation=_REDUCING if reduced else _EXACT,
        threads=1,
    )
    return np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint8)


def _from_planes(picture: av.video.frame.VideoFrame, matrix: NDArray[np.float32]) -> Image:
    luma, *chroma = (_as_array(plane) for plane in picture.planes)
    size = (picture.width, picture.height)
    wide = (cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST) for plane in chroma)
    return np.asarray(cv2.transform(cv2.merge([luma, *wide]), matrix), dtype=np.uint8)


def _without_chroma_place(picture: av.video.frame.VideoFrame) -> av.video.frame.VideoFrame:
    # Streams say that their chroma samples sit on the left pixel of two, and the scaler then takes every second pixel's
    # chroma from the neighbour. The way back would shift colours by a quarter pixel with every generation. The binding
    # cannot clear the mark, therefore the planes move into a frame without one.
    if picture.format.name not in _PLANAR or picture.width % 2 or picture.height % 2:
        return picture
    return av.VideoFrame.from_ndarray(picture.to_ndarray(), format=picture.format.name)


def _to_luma(picture: av.video.frame.VideoFrame, width: int, turn: Turn) -> Luma:
    upright = turn[0] in (0, 180)
    shown_width, shown_height = (picture.width, picture.height) if upright else (picture.height, picture.width)
    width = min(width, shown_width)
    coded_width, coded_height = _coded_size(picture, (width, max(1, round(shown_height * width / shown_width))), turn)
    if (coded_width, coded_height) == (picture.width, picture.height) and picture.format.name in _EIGHT_BIT:
        return _luma_plane(picture)
    converted = VideoReformatter().reformat(
        picture,
        width=coded_width,
        height=coded_height,
        format="gray",
        src_color_range=_FULL_RANGE if _is_full_range(picture) else _LIMITED_RANGE,
        dst_color_range=_FULL_RANGE,
        interpolation=Interpolation.AREA,
        threads=1,
    )
    return np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint8)


def _luma_plane(picture: av.video.frame.VideoFrame) -> Luma:
    """The picture's own brightness at full range: the values that the scaler gives, at a tenth of its time."""
    plane = _as_array(picture.planes[0])
    if _is_full_range(picture):
        return plane.copy()
    return np.asarray(cv2.LUT(plane, _full_range_of_limited()), np.uint8)


@lru_cache(maxsize=1)
def _full_range_of_limited() -> NDArray[np.uint8]:
    values = (np.arange(256) - 16) * 255 / 219
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _as_array(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    return np.asarray(memoryview(plane)).reshape(plane.height, plane.line_size)[:, : plane.width]


def _coded_size(picture: av.video.frame.VideoFrame, size: tuple[int, int] | None, turn: Turn) -> tuple[int, int]:
    if size is None:
        return (picture.width, picture.height)
    if min(size) < 1:
        raise InvalidInput(
            f"The size {size} is no picture: both sides need at least 1 pixel.", field="size", value=list(size)
        )
    return size if turn[0] in (0, 180) else (size[1], size[0])


def _is_full_range(picture: av.video.frame.VideoFrame) -> bool:
    return int(picture.color_range) == _FULL_RANGE or picture.format.name.startswith("yuvj")


def _turned(image: Image, turn: Turn) -> Image:
    rotation, mirrored = turn
    turned = cv2.rotate(image, _ROTATIONS[rotation]) if rotation else image
    if mirrored:
        turned = cv2.flip(turned, 1)
    return np.asarray(turned, dtype=np.uint8)
