"""Whole clips without text, or with other words: as a library and as the commands `erase` and `reset`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from recaster.cli import app
from recaster.errors import InvalidInput
from recaster.media.overlays import (
    Animation,
    OverlayLine,
    OverlayRole,
    OverlayTrack,
    SkiaTextDrawer,
    Stroke,
    TemporalEraser,
    TextStyle,
    reset_clip,
    tracks_to_json,
)
from recaster.media.video import probe, read_frames, read_times
from recaster.media.video.model import Shot

pytestmark = pytest.mark.unit

SIZE = (240, 426)
FRAMES = 16
STYLE = TextStyle(
    "tiktok-sans", 900, 30.0, (255, 255, 255), 1.0, Stroke((0, 0, 0), 2.0), None, None, "center", 1.28, 0.0
)


def scene() -> Any:
    rng = np.random.default_rng(3)
    coarse = cv2.resize(rng.integers(60, 190, (8, 5, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(coarse)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OverlayTrack]:
    """A resting scene with one line from frame 4 to 12."""
    drawer = SkiaTextDrawer()
    laid = drawer.layout("OLD WORDS", STYLE, (20.0, 80.0, 220.0, 120.0), SIZE, max_lines=1)
    line = laid.lines[0]
    polygon = (
        (line.x, line.baseline - laid.line_top),
        (line.x + line.width, line.baseline - laid.line_top),
        (line.x + line.width, line.baseline),
        (line.x, line.baseline),
    )
    still = Animation("none", 0)
    lines = (OverlayLine("OLD WORDS", polygon, 1.0),)
    track = OverlayTrack("ov1", lines, 4, 12, 8, laid.box, (), STYLE, still, still, OverlayRole.HOOK, 1.0)
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(FRAMES):
            picture = drawer.draw(scene(), laid) if 4 <= index <= 12 else scene()
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(stream.encode(None))
    return path, track


def written(path: Path) -> list[Any]:
    return [frame.image for frame in read_frames(path)]


def overlays_file(folder: Path, *tracks: OverlayTrack) -> str:
    path = folder / "overlays.json"
    path.write_text(json.dumps(tracks_to_json(tracks)))
    return str(path)


def test_erase_restores_the_scene_and_changes_nothing_outside_of_the_text(
    clip: tuple[Path, OverlayTrack], tmp_path: Path
) -> None:
    source, track = clip
    target, sheet = tmp_path / "restored.mp4", tmp_path / "sheet.png"
    given = ["--overlays", overlays_file(tmp_path, track), "--lossless", "--sheet", str(sheet)]
    result = CliRunner().invoke(app, ["erase", str(source), "-o", str(target), *given])
    assert result.exit_code == 0, result.output
    assert "erased" in result.stdout
    eraser = TemporalEraser()
    eraser.prepare(source, probe(source), (Shot(0, FRAMES - 1),), (track,))
    before, after = written(source), written(target)
    for index in range(FRAMES):
        outside = eraser.mask(index) == 0
        assert np.array_equal(before[index][outside], after[index][outside])
    assert np.abs(after[8].astype(int) - after[0]).mean() < 2.0
    assert read_times(target) == read_times(source)
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_handles_stay_unless_asked_for(clip: tuple[Path, OverlayTrack], tmp_path: Path) -> None:
    source, track = clip
    given = ["--overlays", overlays_file(tmp_path, replace(track, role=OverlayRole.HANDLE)), "--lossless", "--json"]
    target = tmp_path / "kept.mp4"
    result = CliRunner().invoke(app, ["erase", str(source), "-o", str(target), *given])
    assert json.loads(result.stdout)["overlays"][0]["what"] == "kept"
    assert np.array_equal(written(target)[8], written(source)[8])
    CliRunner().invoke(app, ["erase", str(source), "-o", str(target), *given, "--marks"])
    assert not np.array_equal(written(target)[8], written(source)[8])


def test_reset_writes_the_new_words_for_as_long_as_the_old_ones_stood(
    clip: tuple[Path, OverlayTrack], tmp_path: Path
) -> None:
    source, track = clip
    texts, target = tmp_path / "texts.json", tmp_path / "reset.mp4"
    texts.write_text(json.dumps({"old words": "NEW"}))
    given = ["--overlays", overlays_file(tmp_path, track), "--texts", str(texts), "--lossless"]
    result = CliRunner().invoke(app, ["reset", str(source), "-o", str(target), *given])
    assert result.exit_code == 0, result.output
    pictures = written(target)
    white = [int((picture.min(axis=2) > 240).sum()) for picture in pictures]
    assert all(white[index] > 150 for index in range(4, 13))
    assert max(white[:4] + white[13:]) == 0


def test_a_text_for_an_overlay_that_is_not_there_is_refused_with_the_ones_there_are(
    clip: tuple[Path, OverlayTrack], tmp_path: Path
) -> None:
    source, track = clip
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps({"nobody said this": "NEW"}))
    given = ["--overlays", overlays_file(tmp_path, track), "--texts", str(texts)]
    result = CliRunner().invoke(app, ["reset", str(source), "-o", str(tmp_path / "no.mp4"), *given])
    assert isinstance(result.exception, InvalidInput)
    assert "OLD WORDS" in str(result.exception)
    assert not (tmp_path / "no.mp4").exists()


def test_texts_need_their_tracks(clip: tuple[Path, OverlayTrack], tmp_path: Path) -> None:
    source, _ = clip
    shots = (Shot(0, FRAMES - 1),)
    with pytest.raises(InvalidInput, match="ov1"):
        reset_clip(
            source, tmp_path / "x.mp4", probe(source), shots, (), {"ov1": "NEW"}, TemporalEraser(), SkiaTextDrawer()
        )
