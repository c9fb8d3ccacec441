"""What `VideoWriter` publishes: the same frames, times, colours and sound, or nothing at all."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_clips import audio_packets, make_clip, planes, scenery

from recaster.errors import Cancelled, InvalidInput, MediaInvalid
from recaster.media.video import (
    EncoderSettings,
    VideoWriter,
    audio_digest,
    encoded_size,
    probe,
    read_frames,
    read_times,
    tags_for_writing,
)

pytestmark = pytest.mark.unit

LOSSLESS = EncoderSettings(preset="ultrafast", crf=0)
FAST = EncoderSettings(preset="ultrafast")


def copy(source: Path, target: Path, encoder: EncoderSettings = FAST) -> Path:
    with VideoWriter(target, probe(source), source=source, encoder=encoder) as writer:
        for frame in read_frames(source):
            writer.write(frame.image, frame.pts, frame.duration)
    return target


@pytest.mark.parametrize(
    "properties",
    [
        {"rate": Fraction(24), "time_base": Fraction(1, 12288)},
        {"rate": Fraction(30000, 1001), "time_base": Fraction(1, 30000)},
        {"rate": Fraction(60), "time_base": Fraction(1, 600)},
        {"pts": [500 + 1000 * number for number in range(24)]},
        {"pts": [number * 1000 + number * number * 7 for number in range(24)]},
        {"pts": [number * 1000 + number * number * 7 for number in range(24)], "options": {"bf": "0"}},
        {"frames": 1},
        {"frames": 2, "options": {"bf": "3", "preset": "veryfast"}},
    ],
    ids=["24", "29.97", "60", "late start", "variable with b-frames", "variable", "one frame", "two frames"],
)
@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_times_are_kept_exactly(tmp_path: Path, properties: dict[str, object], preset: str) -> None:
    source = make_clip(tmp_path / "source.mp4", audio="aac", **properties)  # type: ignore[arg-type]
    target = copy(source, tmp_path / "target.mp4", EncoderSettings(preset=preset))  # type: ignore[arg-type]
    assert read_times(target) == read_times(source)
    before, after = probe(source), probe(target)
    assert (after.frame_count, after.duration) == (before.frame_count, before.duration)
    assert audio_packets(target) == audio_packets(source)


def test_matroska_source(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mkv", time_base=Fraction(1, 1000), audio="libopus")
    target = copy(source, tmp_path / "target.mp4")
    assert probe(target).container == "mp4"
    assert read_times(target) == read_times(source)
    assert audio_digest(target) == audio_digest(source)
    assert [start for start, _ in audio_packets(target)] == [start for start, _ in audio_packets(source)]


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3"])
def test_sound_is_copied_byte_for_byte(tmp_path: Path, codec: str) -> None:
    source = make_clip(tmp_path / "source.mp4", audio=codec)
    target = copy(source, tmp_path / "target.mp4")
    assert audio_packets(target) == audio_packets(source)
    assert audio_digest(target) == audio_digest(source) is not None
    assert probe(target).audio == probe(source).audio


def test_digest_tells_sounds_apart(tmp_path: Path) -> None:
    long, short = make_clip(tmp_path / "a.mp4", audio="aac"), make_clip(tmp_path / "b.mp4", frames=12, audio="aac")
    assert audio_digest(long) != audio_digest(short)
    assert audio_digest(make_clip(tmp_path / "c.mp4")) is None


def test_sound_that_mp4_cannot_hold_is_refused_on_entering(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mkv", time_base=Fraction(1, 1000), audio="pcm_s16le")
    with pytest.raises(MediaInvalid) as caught, VideoWriter(tmp_path / "t.mp4", probe(source), source=source):
        pass
    assert caught.value.details["field"] == "audio_codec"
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_untouched_pictures_keep_their_code_values(tmp_path: Path, matrix: int, full_range: bool) -> None:
    source = make_clip(tmp_path / "source.mp4", frames=3, matrix=matrix, full_range=full_range)
    target = copy(source, tmp_path / "target.mp4", LOSSLESS)
    for before, after in zip(planes(source), planes(target), strict=True):
        luma, chroma = np.abs(before - after)[:160], np.abs(before - after)[160:]
        # The scaler rounds chroma of full range with a bias; the exactness of the usual range is what we promise.
        assert luma.mean() < 0.01
        assert chroma.mean() < (0.6 if full_range else 0.01)
        assert np.abs(before - after).max() <= (1 if full_range else 2)
    assert probe(target).color == probe(source).color


def test_untagged_source_gets_the_tags_it_was_read_with(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", frames=1, matrix=6, tagged=False)
    target = copy(source, tmp_path / "target.mp4", LOSSLESS)
    assert probe(target).color == tags_for_writing(probe(source))
    assert probe(target).color.matrix == 6
    assert np.abs(planes(source)[0] - planes(target)[0]).mean() < 0.05


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_turned_source_is_written_upright(tmp_path: Path, quarter: int) -> None:
    one = 65536
    turns = {1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}
    a, b, c, d = turns[quarter]
    source = make_clip(tmp_path / "source.mp4", frames=2, display_matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
    target = copy(source, tmp_path / "target.mp4", LOSSLESS)
    before, after = probe(source), probe(target)
    assert (before.rotation, after.rotation) == (90 * quarter, 0)
    assert (after.width, after.height) == (before.width, before.height)
    for one_frame, other in zip(read_frames(source), read_frames(target), strict=True):
        assert np.abs(one_frame.image.astype(int) - other.image).mean() < 0.5


def test_odd_sides_are_rounded_up_by_repeating_the_edge(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", frames=2, width=91, height=161, pixel_format="yuv444p")
    facts = probe(source)
    assert (facts.width, facts.height) == (91, 161)
    target = copy(source, tmp_path / "target.mp4", LOSSLESS)
    assert (probe(target).width, probe(target).height) == encoded_size(facts) == (92, 162)
    before, after = next(read_frames(source)).image, next(read_frames(target)).image
    assert np.abs(before.astype(int) - after[:161, :91]).mean() < 3


def test_pixel_aspect_is_kept(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", frames=1)
    facts = replace(probe(source), pixel_aspect=Fraction(4, 3))
    with VideoWriter(tmp_path / "target.mp4", facts, source=source) as writer:
        writer.write(scenery(0), 0, 1000)
    assert probe(tmp_path / "target.mp4").pixel_aspect == Fraction(4, 3)


def write_scenery(writer: VideoWriter) -> None:
    with writer:
        for number in range(24):
            writer.write(scenery(number), number * 1000, 1000)


def test_same_input_gives_same_bytes(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", audio="aac")
    one, other = copy(source, tmp_path / "one.mp4"), copy(source, tmp_path / "other.mp4")
    assert one.read_bytes() == other.read_bytes()


WRITE_GRAINY_CLIP = """
import sys
from pathlib import Path
import cv2
import numpy as np
from recaster.media.video import VideoWriter, probe

still, target = Path(sys.argv[1]), Path(sys.argv[2])
chance = np.random.default_rng(3)
blots = cv2.GaussianBlur(chance.integers(0, 256, (900, 600, 3), dtype=np.uint8), (0, 0), 3)
texture = cv2.normalize(blots, blots, 0, 255, cv2.NORM_MINMAX)
with VideoWriter(target, probe(still), source=still) as writer:
    for index in range(24):
        view = cv2.getRotationMatrix2D((300, 450), 1.5 * np.sin(index / 4), 1 + 0.004 * index)
        view[:, 2] += (6 * np.sin(index / 3) - 120, 1.2 * index - 130)
        picture = cv2.warpAffine(texture, view, (360, 640)) + chance.normal(0, 2, (640, 360, 1))
        writer.write(np.clip(picture, 0, 255).astype(np.uint8), index * 1000, 1000)
"""
"""A hand-held, slightly grainy picture: the encoder's lookahead has much to weigh."""


def test_bytes_do_not_depend_on_what_was_in_memory_before(tmp_path: Path) -> None:
    still = make_clip(tmp_path / "still.mp4", frames=1, width=360, height=640)
    contents = set()
    for pattern in ("1", "90", "200"):
        target = tmp_path / f"{pattern}.mp4"
        # The C library of Linux fills what it hands out with this byte; a program that reads it unwritten gives itself away.
        environment = {**os.environ, "MALLOC_PERTURB_": pattern}
        script = [sys.executable, "-c", WRITE_GRAINY_CLIP, str(still), str(target)]
        subprocess.run(script, env=environment, check=True, timeout=120)
        contents.add(target.read_bytes())
    assert len(contents) == 1


def test_index_stands_before_the_pictures(tmp_path: Path) -> None:
    content = copy(make_clip(tmp_path / "source.mp4"), tmp_path / "target.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_picture_may_be_reused_after_writing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", frames=8)
    image = np.zeros((160, 90, 3), np.uint8)
    with VideoWriter(tmp_path / "target.mp4", probe(source), source=source, encoder=LOSSLESS) as writer:
        for number in range(8):
            image[:] = number * 30
            writer.write(image, number * 1000, 1000)
    shown = [int(frame.image.mean()) for frame in read_frames(tmp_path / "target.mp4")]
    assert np.abs(np.subtract(shown, np.arange(8) * 30)).max() <= 1


@pytest.mark.parametrize("error", [Cancelled("stop"), RuntimeError("bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("written", [0, 1, 20])
def test_exception_leaves_nothing(tmp_path: Path, error: BaseException, written: int) -> None:
    source = make_clip(tmp_path / "source.mp4", audio="aac")
    target = tmp_path / "target.mp4"
    target.write_bytes(b"what was there before")

    def interrupted() -> None:
        with VideoWriter(target, probe(source), source=source, encoder=FAST) as writer:
            for frame in read_frames(source, 0, written):
                writer.write(frame.image, frame.pts, frame.duration)
            raise error

    with pytest.raises(type(error)) as caught:
        interrupted()
    assert caught.value is error
    assert sorted(tmp_path.iterdir()) == [source, target]
    assert target.read_bytes() == b"what was there before"


def test_nothing_is_published_before_the_end(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4")
    target = tmp_path / "target.mp4"
    with VideoWriter(target, probe(source), source=source, encoder=FAST) as writer:
        for frame in read_frames(source):
            writer.write(frame.image, frame.pts, frame.duration)
        assert not target.exists()
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_no_frame_is_no_video(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4")
    with pytest.raises(MediaInvalid), VideoWriter(tmp_path / "target.mp4", probe(source), source=source):
        pass
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("cut", [50, 4000])
def test_source_damaged_while_writing_fails_and_leaves_nothing(tmp_path: Path, cut: int) -> None:
    source = make_clip(tmp_path / "source.mp4", audio="aac", mux_options={"movflags": "+faststart"})
    facts = probe(source)
    source.write_bytes(source.read_bytes()[:-cut])
    writer = VideoWriter(tmp_path / "target.mp4", facts, source=source, encoder=FAST)
    with pytest.raises(MediaInvalid):
        write_scenery(writer)
    assert list(tmp_path.iterdir()) == [source]


def test_wrong_pictures_and_times_are_the_caller_s_bugs(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", frames=2)
    with VideoWriter(tmp_path / "target.mp4", probe(source), source=source) as writer:
        with pytest.raises(ValueError, match="shape"):
            writer.write(np.zeros((160, 92, 3), np.uint8), 0, 1000)
        writer.write(scenery(0), 1000, 1000)
        with pytest.raises(ValueError, match="come after"):
            writer.write(scenery(1), 1000, 1000)


@pytest.mark.parametrize(
    "wrong", [{"crf": 52}, {"crf": -1}, {"threads": 0}, {"keyframe_seconds": 0}, {"queue_frames": 0}]
)
def test_encoder_settings_name_the_wrong_field(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInput) as caught:
        EncoderSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.details["field"] == next(iter(wrong))


def test_lossless_writing_keeps_every_pixel_and_time(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", audio="aac", rate=Fraction(30000, 1001), time_base=Fraction(1, 30000))
    target = copy(source, tmp_path / "target.mp4", EncoderSettings(lossless=True))
    assert read_times(target) == read_times(source)
    assert audio_digest(target) == audio_digest(source)
    for before, after in zip(read_frames(source), read_frames(target), strict=True):
        assert np.array_equal(before.image, after.image)
