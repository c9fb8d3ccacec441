"""Measures that read files: timing against the source, and flicker in windows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recaster.media.quality import inspect_timing, measure_clip_flicker, sample_windows
from recaster.media.video import EncoderSettings, Shot, VideoWriter, probe, read_frames

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames at 96x160 with a sound."""
    path = tmp_path_factory.mktemp("quality") / "source.mp4"
    noise = np.random.default_rng(3).integers(40, 216, (20, 14, 3), dtype=np.uint8)
    scene = cv2.resize(noise, (150, 240), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "12"})
        video.width, video.height, video.pix_fmt = 96, 160, "yuv420p"
        sound = output.add_stream("aac", rate=48000)
        for number in range(24):
            picture = np.ascontiguousarray(scene[number : number + 160, number : number + 96])
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(video.encode(None))
        for start in range(0, 38400, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)[None].repeat(2, 0) / 4
            piece = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            piece.sample_rate, piece.pts = 48000, start
            output.mux(sound.encode(piece))
        output.mux(sound.encode(None))
    return path


def copy(source: Path, target: Path, *, frames: int = 24, late: int = 0, blink: int = 0) -> Path:
    """A result: the later frames `late` ticks late, every second one brighter by `blink` in the middle."""
    with VideoWriter(target, probe(source), source=source, encoder=EncoderSettings(preset="ultrafast")) as writer:
        for frame in read_frames(source, 0, frames):
            image = frame.image
            if frame.index % 2:
                image[40:120, 20:80] = cv2.add(image[40:120, 20:80], np.full((80, 60, 3), blink, np.uint8))
            writer.write(image, frame.pts + (late if frame.index > 10 else 0), frame.duration)
    return target


def failures(source: Path, result: Path) -> set[str]:
    return {measure.name for measure in inspect_timing(source, result) if not measure.passed}


def test_faithful_copy_passes(source: Path, tmp_path: Path) -> None:
    measures = inspect_timing(source, copy(source, tmp_path / "result.mp4"))
    assert [measure.name for measure in measures if not measure.passed] == []
    assert {measure.name for measure in measures} == {
        "frame_count",
        "frame_times_seconds",
        "duration_seconds",
        "audio_sha256",
        "dimensions",
        "rotation",
    }


def test_missing_frames_are_found(source: Path, tmp_path: Path) -> None:
    assert failures(source, copy(source, tmp_path / "result.mp4", frames=23)) == {"frame_count", "duration_seconds"}


def test_one_late_tick_is_found(source: Path, tmp_path: Path) -> None:
    result = copy(source, tmp_path / "result.mp4", late=1)
    assert "frame_times_seconds" in failures(source, result)
    measured = {measure.name: measure.value for measure in inspect_timing(source, result)}
    assert measured["frame_times_seconds"] == pytest.approx(float(probe(source).time_base))


def test_lost_sound_is_found(source: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    with av.open(str(copy(source, tmp_path / "result.mp4"))) as whole, av.open(str(silent), "w") as output:
        track = output.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.size:
                packet.stream = track
                output.mux(packet)
    assert "audio_sha256" in failures(source, silent)


def test_other_size_is_found(source: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.mp4"
    with av.open(str(small), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(30), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 48, 80, "yuv420p"
        for frame in read_frames(source, size=(48, 80)):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        output.mux(stream.encode(None))
    assert failures(source, small) >= {"dimensions", "audio_sha256"}


def test_flicker_of_files(source: Path, tmp_path: Path) -> None:
    mask = np.zeros((160, 96), np.uint8)
    mask[40:120, 20:80] = 255
    windows = sample_windows((Shot(0, 23),), windows=2, length=4)
    calm = measure_clip_flicker(source, copy(source, tmp_path / "calm.mp4"), lambda _: mask, windows)
    wild = measure_clip_flicker(source, copy(source, tmp_path / "wild.mp4", blink=25), lambda _: mask, windows)
    assert calm.pairs == wild.pairs == 6
    assert calm.ratio < 1.5
    assert wild.ratio > 3
