"""Glasses: seen by their bridge, told from bare faces, and kept as they are over a face that bends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from recaster.media.faces import FaceLandmarker, FaceModels, find_faces
from recaster.media.faces.glasses import FrameLayer, frame_texels, has_glasses
from recaster.media.faces.mesh import unwrapped
from recaster.media.faces.suitability import look_of
from recaster.media.video import Image

pytestmark = pytest.mark.unit

DARK, METAL = (30, 28, 28), (118, 124, 132)


def wearing(picture: Image, points: np.ndarray, color: tuple[int, int, int], thick: int) -> tuple[Image, np.ndarray]:
    """A face with round frames, and where they are."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    unit = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    for outer, inner, low in ((33, 133, 119), (263, 362, 348)):
        centre = 0.4 * (points[outer, :2] + points[inner, :2]) + 0.2 * points[low, :2]
        axes = (int(0.26 * unit), int(0.2 * unit))
        cv2.ellipse(mask, [int(v) for v in centre], axes, 0, 0, 360, 255, thick, cv2.LINE_AA)
    bridge = [[int(v) for v in points[index, :2]] for index in (193, 417)]
    cv2.line(mask, bridge[0], bridge[1], 255, thick, cv2.LINE_AA)
    share = mask[..., None] / 255
    return np.round(picture * (1 - share) + np.array(color) * share).astype(np.uint8), mask > 200


@pytest.mark.parametrize(
    ("color", "thick", "side"), [(DARK, 4, 80), (DARK, 2, 160), (METAL, 2, 160), (METAL, 2, 256), (METAL, 1, 256)]
)
def test_glasses_are_seen_and_their_frames_found(
    picture: Image, points: np.ndarray, color: tuple[int, int, int], thick: int, side: int
) -> None:
    worn, place = wearing(picture, points, color, thick)
    texture = unwrapped(worn, points, side)
    assert has_glasses(texture)
    assert look_of(texture).glasses
    frames = frame_texels(texture)
    assert frames.mean() < 0.12
    box, seen = FrameLayer(frames).seen(np.asarray(points, np.float32), picture.shape[:2])
    assert float(seen[place[box]].mean()) > 0.6
    assert float(seen.mean()) < 0.4


def test_bare_faces_wear_none(models: FaceModels, persona_pictures: Mapping[str, Path]) -> None:
    landmarker = FaceLandmarker(models)
    for name in ("P006", "P007"):
        for file in ("studio_portrait", "amateur_selfie"):
            image = np.asarray(cv2.imread(str(persona_pictures[name] / f"{file}.jpg")), np.uint8)
            points, _ = landmarker.in_box(image, find_faces(image, models)[0])
            assert not any(has_glasses(unwrapped(image, points, side)) for side in (80, 160, 256)), (name, file)


def test_frames_are_taken_off_and_put_on_again(picture: Image, points: np.ndarray) -> None:
    worn, place = wearing(picture, points, METAL, 3)
    layer = FrameLayer(frame_texels(unwrapped(worn, points, 256)))
    box, seen = layer.seen(np.asarray(points, np.float32), picture.shape[:2])
    bare = layer.taken_off(worn, box, seen)
    covered = place[box] & (seen > 0.6)

    def off(one: Image) -> float:
        return float(np.abs(one[box].astype(np.float32) - picture[box])[covered].mean())

    assert off(bare) < 0.5 * off(worn)
    again = layer.put_on(picture, worn, box, seen)
    np.testing.assert_array_equal(again[box][covered], worn[box][covered])
    np.testing.assert_array_equal(again[box][seen == 0], picture[box][seen == 0])
