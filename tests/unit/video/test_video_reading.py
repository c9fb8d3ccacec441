"""Frames as they come out of `read_frames` and its cheaper sisters: order, times, ranges, colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_clips import Picture, make_clip, scenery

from recaster.errors import InvalidInput, MediaInvalid
from recaster.media.video import (
    ColorTags,
    matrix_for_reading,
    probe,
    read_chosen,
    read_frames,
    read_luma,
    read_proxies,
    read_times,
)
from recaster.media.video.color import bgr_from_ycc, ycc_from_bgr

pytestmark = pytest.mark.unit

PATCHES = [(30, 60, 200), (200, 40, 60), (60, 180, 70), (128, 128, 128), (235, 235, 235), (20, 20, 20), (90, 140, 200)]
LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def patches(_: int, width: int, height: int) -> Picture:
    """Seven flat stripes of known colour."""
    image = np.empty((height, width, 3), np.uint8)
    for number, color in enumerate(PATCHES):
        image[number * height // 7 : (number + 1) * height // 7] = color
    return image


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames with B-frames and several groups of pictures; the first one is shown half a frame late."""
    return make_clip(
        tmp_path_factory.mktemp("clips") / "clip.mp4",
        frames=40,
        pts=[500 + 1000 * number for number in range(40)],
        options={"g": "12", "bf": "3", "preset": "veryfast"},
    )


def test_times_are_exact_and_ordered(clip: Path) -> None:
    frames = list(read_frames(clip))
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.pts for frame in frames] == [500 + 1000 * number for number in range(40)]
    assert {frame.duration for frame in frames} == {1000}
    assert read_times(clip)[3] == (Fraction(3500, 30000), Fraction(1, 30))


def test_variable_times_are_kept(tmp_path: Path) -> None:
    pts = [0, 1001, 3003, 3500, 6000, 6001, 9000]
    path = make_clip(tmp_path / "clip.mp4", frames=7, pts=pts)
    frames = list(read_frames(path))
    assert [frame.pts for frame in frames] == pts
    assert [frame.duration for frame in frames[:-1]] == list(np.diff(pts))


def test_chosen_frames_are_those_of_the_whole_clip_in_order(clip: Path) -> None:
    whole = list(read_frames(clip))
    chosen = list(read_chosen(clip, [31, 4, 4, 19]))
    assert [frame.index for frame in chosen] == [4, 19, 31]
    for frame in chosen:
        assert (frame.pts, frame.duration) == (whole[frame.index].pts, whole[frame.index].duration)
        assert np.array_equal(frame.image, whole[frame.index].image)
    assert list(read_chosen(clip, [])) == []
    with pytest.raises(InvalidInput, match="0 to 39"):
        list(read_chosen(clip, [12, 40]))


def test_pictures_are_in_showing_order(clip: Path) -> None:
    for frame in read_frames(clip):
        distance = [cv2.absdiff(frame.image, scenery(number)).mean() for number in range(40)]
        assert int(np.argmin(distance)) == frame.index


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_any_range_equals_the_slice_of_the_whole(clip: Path, one: int, other: int) -> None:
    start, stop = sorted((one, other))
    whole = [frame.image for frame in read_frames(clip)][start:stop]
    part = list(read_frames(clip, start, stop))
    assert [frame.index for frame in part] == list(range(start, stop))
    assert all(np.array_equal(frame.image, image) for frame, image in zip(part, whole, strict=True))


def test_every_counts_from_the_first_frame_of_the_clip(clip: Path) -> None:
    frames = list(read_frames(clip, 5, 33, every=8))
    assert [frame.index for frame in frames] == [8, 16, 24, 32]
    assert frames[0].duration == 1000


@pytest.mark.parametrize(
    ("start", "stop", "every"), [(-1, None, 1), (0, 41, 1), (41, None, 1), (9, 8, 1), (0, None, 0)]
)
def test_ranges_outside_the_clip_are_refused(clip: Path, start: int, stop: int | None, every: int) -> None:
    with pytest.raises(InvalidInput):
        list(read_frames(clip, start, stop, every=every))


def test_reduced_pictures_show_the_same(clip: Path) -> None:
    small = next(read_frames(clip, size=(45, 80))).image
    assert small.shape == (80, 45, 3)
    whole = next(read_frames(clip)).image
    assert cv2.absdiff(small, cv2.resize(whole, (45, 80), interpolation=cv2.INTER_AREA)).mean() < 1.5


def test_luma_and_proxies_are_upright_and_close(tmp_path: Path) -> None:
    turned = make_clip(tmp_path / "clip.mp4", frames=3, display_matrix=(0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    luma = list(read_luma(turned, 80))
    assert [frame.index for frame in luma] == [0, 1, 2]
    assert luma[0].luma.shape == (45, 80)
    proxy = next(read_proxies(turned, (80, 45))).image
    gray = cv2.cvtColor(proxy, cv2.COLOR_BGR2GRAY)
    # Coefficients of the two greys differ; light and dark must be in the same places.
    assert np.corrcoef(gray.ravel(), luma[0].luma.ravel())[0, 1] > 0.9


def test_luma_at_full_size_is_the_stream_s_own_at_full_range(clip: Path) -> None:
    with av.open(str(clip)) as source:
        stream = source.streams.video[0]
        stream.codec_context.options = {"skip_loop_filter": "all"}
        coded = [frame.to_ndarray(format="yuv420p")[:160] for frame in source.decode(stream)]
    expected = np.clip(np.rint((np.asarray(coded, np.float64) - 16) * 255 / 219), 0, 255)
    found = [frame.luma for frame in read_luma(clip, 90)]
    assert np.abs(np.asarray(found, np.float64) - expected).max() == 0


def test_pictures_in_the_encoder_s_format_turn_back_into_the_same() -> None:
    for matrix in (1, 6, 9):
        for full_range in (False, True):
            there, back = (turn(matrix, full_range=full_range) for turn in (bgr_from_ycc, ycc_from_bgr))
            color = np.array([90.0, 140.0, 200.0])
            coded = back[:, :3] @ color + back[:, 3]
            assert np.allclose(there[:, :3] @ coded + there[:, 3], color, atol=1e-3)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_colors_are_read_with_the_stream_s_own_matrix(tmp_path: Path, matrix: int, full_range: bool) -> None:
    """Code values are computed here from the standard's definition, so that no scaler checks itself."""
    red, blue = LUMA[matrix]
    scale, offset, chroma = (255, 0, 255) if full_range else (219, 16, 224)

    def code(color: tuple[int, int, int]) -> tuple[int, int, int]:
        b, g, r = (value / 255 for value in color)
        y = red * r + (1 - red - blue) * g + blue * b
        return (
            round(offset + scale * y),
            round(128 + chroma * (b - y) / (2 * (1 - blue))),
            round(128 + chroma * (r - y) / (2 * (1 - red))),
        )

    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 7 * 16, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = matrix
        context.color_range = 2 if full_range else 1
        coded = np.empty((7 * 16 * 3 // 2, 32), np.uint8)
        for number, color in enumerate(PATCHES):
            y, u, v = code(color)
            coded[number * 16 : number * 16 + 16] = y
            coded[112 + number * 4 : 112 + number * 4 + 4] = u
            coded[140 + number * 4 : 140 + number * 4 + 4] = v
        frame = av.VideoFrame.from_ndarray(coded, format="yuv420p")
        frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert probe(path).color.matrix == matrix
    image = next(read_frames(path)).image
    for number, color in enumerate(PATCHES):
        # Rounding to 8-bit code values alone costs up to 2 of 255.
        assert np.abs(image[number * 16 + 8, 16].astype(int) - color).max() <= 2


@pytest.mark.parametrize(("height", "matrix"), [(160, 6), (720, 1)])
def test_untagged_streams_are_read_as_players_do(tmp_path: Path, height: int, matrix: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=1, height=height, matrix=matrix, tagged=False, picture=patches)
    image = next(read_frames(path)).image
    for number, color in enumerate(PATCHES):
        assert np.abs(image[(2 * number + 1) * height // 14, 45].astype(int) - color).max() <= 4


def test_matrices_that_no_output_can_carry_fall_back_by_size() -> None:
    assert matrix_for_reading(ColorTags(matrix=0), 1080) == 1
    assert matrix_for_reading(ColorTags(matrix=8), 480) == 6
    assert matrix_for_reading(ColorTags(matrix=9), 480) == 9


def test_damaged_frames_are_named(tmp_path: Path) -> None:
    content = bytearray(make_clip(tmp_path / "whole.mp4", frames=40, options={"g": "10", "bf": "0"}).read_bytes())
    middle = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 3
    content[middle : middle + 3000] = b"\xff" * 3000
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaInvalid):
        list(read_frames(path))
