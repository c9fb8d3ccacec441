"""`recaster persona prepare` and `recaster swap` on small files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from recaster.cli import app
from recaster.errors import InvalidInput
from recaster.media.video import ColorTags, VideoFacts, VideoWriter, probe, read_frames

pytestmark = pytest.mark.unit


def test_a_persona_is_made_from_a_folder_and_put_into_a_clip_behind_its_text(
    tmp_path: Path, persona_pictures: Mapping[str, Path]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    portrait = cv2.imread(str(persona_pictures["P007"] / "studio_portrait.jpg"))
    cv2.imwrite(str(pictures / "portrait.jpg"), cv2.resize(portrait, (900, 900), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(pictures / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    persona = tmp_path / "persona.npz"
    prepared = CliRunner().invoke(app, ["persona", "prepare", str(pictures), "-o", str(persona), "--json"])
    assert prepared.exit_code == 0, prepared.output
    report = json.loads(prepared.stdout)
    assert report["references"] == 1
    assert report["rejected"] == [{"picture": "wall.png", "reason": "no face was found"}]
    assert report["missing"]

    selfie = cv2.imread(str(persona_pictures["P006"] / "amateur_selfie.jpg"))
    frame = np.asarray(cv2.resize(selfie, (360, 538), interpolation=cv2.INTER_AREA), np.uint8)
    letters = np.zeros(frame.shape[:2], np.uint8)
    place = (np.array([40, 225]), cv2.FONT_HERSHEY_DUPLEX, 1.6)
    cv2.putText(frame, "before a face", *place, (0, 0, 0), 9, cv2.LINE_AA)
    for picture, colour in ((frame, (255, 255, 255)), (letters, (255,))):
        cv2.putText(picture, "before a face", *place, colour, 4, cv2.LINE_AA)
    clip, result, sheet = tmp_path / "clip.mp4", tmp_path / "result.mp4", tmp_path / "sheet.png"
    facts = VideoFacts(
        "mp4", "h264", 360, 538, 0, Fraction(1, 24), Fraction(24), 6, Fraction(1, 4), ColorTags(), None, 1
    )
    with VideoWriter(clip, facts, source=clip) as writer:
        for index in range(6):
            writer.write(frame, index, 1)
    arguments = ["swap", str(clip), "--persona", str(persona), "-o", str(result), "--sheet", str(sheet), "--json"]
    swapped = CliRunner().invoke(app, arguments)
    assert swapped.exit_code == 0, swapped.output
    told = json.loads(swapped.stdout)
    assert (told["face"], told["swappedFrames"], told["frames"]) == ("face1", 6, 6)
    assert told["suitability"]["level"] == "good"
    assert probe(result).frame_count == 6
    before, after = (next(iter(read_frames(path))).image.astype(np.int16) for path in (clip, result))
    changed = np.abs(before - after).max(axis=2)
    face = cv2.dilate(letters, np.ones((41, 41), np.uint8)) > 0
    assert np.percentile(changed[face & (letters == 0)], 90) > 20
    assert np.percentile(changed[letters == 255], 90) < 12
    assert cv2.imread(str(sheet)).shape[0] == 2 * 380 + 4

    unknown = CliRunner().invoke(app, [*arguments[:-3], "--face", "7"])
    assert isinstance(unknown.exception, InvalidInput)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["persona", "prepare", str(tmp_path)])
    assert isinstance(result.exception, InvalidInput)
