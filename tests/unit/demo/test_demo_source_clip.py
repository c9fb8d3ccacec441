"""The demo's source clip and contact sheet, seen from outside: pictures, sound, truth file, repeatability."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recaster.demo.sheet import contact_sheet
from recaster.demo.source import make_source_clip
from recaster.errors import NotInstalled
from recaster.media.video import probe, read_frames

pytestmark = pytest.mark.unit

SECONDS, RATE, SIZE = 1, 24, (360, 640)
HOOK = "3 things I wish I knew before meal prepping"


@pytest.fixture(scope="module")
def clip(
    tmp_path_factory: pytest.TempPathFactory, model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]
) -> Path:
    target = tmp_path_factory.mktemp("demo") / "source.mp4"
    make_source_clip(persona_pictures["P006"], model_files, target, seconds=SECONDS, rate=RATE, size=SIZE)
    return target


def test_the_clip_has_the_asked_size_length_and_colour(clip: Path) -> None:
    facts = probe(clip)
    assert (facts.width, facts.height) == SIZE
    assert facts.frame_count == SECONDS * RATE == sum(1 for _ in read_frames(clip))
    assert facts.duration == Fraction(SECONDS)
    assert not facts.variable_rate
    assert (facts.color.primaries, facts.color.transfer, facts.color.matrix) == (1, 1, 1)


def test_the_sound_is_audible_and_as_long_as_the_pictures(clip: Path) -> None:
    with av.open(str(clip)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("aac", 44100)
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.duration * stream.time_base == SECONDS
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(stream)])
    assert float(np.sqrt(np.mean(samples**2))) > 0.01
    assert float(np.abs(samples).max()) < 1.0, "the sound is clipped"


def test_the_truth_names_only_overlays_that_begin_within_the_clip(clip: Path) -> None:
    truth = json.loads(clip.with_suffix(".truth.json").read_text())
    assert [entry["text"] for entry in truth] == [HOOK]
    assert (truth[0]["role"], truth[0]["firstFrame"], truth[0]["lastFrame"]) == ("hook", 0, SECONDS * RATE - 1)
    left, top, right, bottom = truth[0]["box"]
    assert 0 <= left < right <= SIZE[0]
    assert 0 <= top < bottom <= SIZE[1]


def test_the_hook_really_stands_in_its_box(clip: Path) -> None:
    left, top, right, bottom = (
        round(edge) for edge in json.loads(clip.with_suffix(".truth.json").read_text())[0]["box"]
    )
    for frame in read_frames(clip):
        inside = frame.image[top:bottom, left:right].min(axis=2)
        assert np.mean(inside > 225) > 0.05, "white letters"
        assert np.mean(inside < 40) > 0.03, "their black outline"


def test_the_pictures_move_all_the_time_but_never_jump_within_a_shot(clip: Path) -> None:
    bottom = round(json.loads(clip.with_suffix(".truth.json").read_text())[0]["box"][3])
    # Below the hook and blurred, so that neither still text nor grain hides whether the scene itself moves.
    scenes = [cv2.GaussianBlur(frame.image[bottom + 20 :], (0, 0), 2).astype(np.float32) for frame in read_frames(clip)]
    steps = [float(np.abs(one - other).mean()) for one, other in pairwise(scenes)]
    assert min(steps) > 0.15
    assert max(steps) < 12


def test_the_same_pictures_give_the_same_bytes(
    clip: Path, tmp_path: Path, model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]
) -> None:
    again = tmp_path / "again.mp4"
    calls: list[tuple[int, int]] = []
    make_source_clip(
        persona_pictures["P006"],
        model_files,
        again,
        seconds=SECONDS,
        rate=RATE,
        size=SIZE,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(clip.read_bytes()).digest()
    assert again.with_suffix(".truth.json").read_bytes() == clip.with_suffix(".truth.json").read_bytes()
    assert calls == [(done, SECONDS * RATE) for done in range(1, SECONDS * RATE + 1)]


def test_a_folder_without_pictures_is_said_and_leaves_nothing(tmp_path: Path, model_files: Mapping[str, Path]) -> None:
    with pytest.raises(NotInstalled, match=r"amateur_selfie\.jpg"):
        make_source_clip(tmp_path, model_files, tmp_path / "source.mp4", seconds=1)
    assert not list(tmp_path.iterdir())


def test_the_contact_sheet_shows_each_clip_in_its_own_row(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    contact_sheet(clip, clip, target, count=3)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    sheet = cv2.imread(str(target))
    assert sheet is not None
    assert sheet.shape[1] >= 3 * 200
    # The same clip twice: the lower row repeats the upper one exactly, whatever the margins are.
    busy = np.flatnonzero(sheet.std(axis=(1, 2)) > 25)
    rows = np.split(busy, np.flatnonzero(np.diff(busy) > 1) + 1)
    pictures = [row for row in rows if len(row) > 100]
    assert len(pictures) == 2
    upper, lower = (sheet[row[0] : row[-1] + 1] for row in pictures)
    assert np.array_equal(upper, lower)
