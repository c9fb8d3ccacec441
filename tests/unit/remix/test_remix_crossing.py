from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.errors import FaceUnsuitable
from recaster.media.faces import FaceAnalysis, FaceTrack
from recaster.media.overlays import Animation, OverlayLine, OverlayRole, OverlayTrack, TextStyle
from recaster.media.video import Shot
from recaster.remix.crossing import crossing_frames, hiding_texts, laid_over, require_in_sight

pytestmark = pytest.mark.unit

STYLE = TextStyle("tiktok-sans", 700, 30.0, (255, 255, 255), 1.0, None, None, None, "center", 1.28, 0.0)
STILL = Animation("none", 0)
FRAMES = 40


def text(box: tuple[float, float, float, float], first: int = 0, last: int = FRAMES - 1) -> OverlayTrack:
    left, top, right, bottom = box
    line = OverlayLine("wait", ((left, top), (right, top), (right, bottom), (left, bottom)), 0.9)
    return OverlayTrack("ov1", (line,), first, last, first, box, (), STYLE, STILL, STILL, OverlayRole.TEXT, 0.9)


def face(frames: range) -> FaceTrack:
    """A face from (100, 100) to (200, 220) that stands still."""
    points = np.zeros((len(frames), 468, 3), np.float32)
    points[:, :, 0], points[:, :, 1] = np.linspace(100, 200, 468), np.linspace(100, 220, 468)
    return FaceTrack("face1", np.asarray(frames, np.int32), points, np.zeros(128, np.float32), 120.0)


OVER_THE_EYES = (80.0, 130.0, 230.0, 160.0)
FAR_BELOW = (80.0, 900.0, 230.0, 940.0)


def test_only_the_common_frames_of_text_and_face_count() -> None:
    assert crossing_frames(text(OVER_THE_EYES, 10, 20), face(range(15, 40)), 0.0) == tuple(range(15, 21))
    assert crossing_frames(text(FAR_BELOW), face(range(FRAMES)), 0.0) == ()
    assert crossing_frames(text(OVER_THE_EYES, 10, 20), face(range(25, 40)), 0.0) == ()


def test_text_that_moves_crosses_while_it_is_there() -> None:
    moving = replace(text(FAR_BELOW), offsets=tuple((0.0, -20.0 * frame) for frame in range(FRAMES)))
    crossed = crossing_frames(moving, face(range(FRAMES)), 0.0)
    assert crossed == tuple(f for f in range(FRAMES) if 900 - 20 * f <= 220 and 940 - 20 * f >= 100)


def test_reach_widens_the_face() -> None:
    beside = text((205.0, 130.0, 300.0, 160.0))
    assert not crossing_frames(beside, face(range(FRAMES)), 0.0)
    assert crossing_frames(beside, face(range(FRAMES)), 0.1)


def test_text_hides_a_face_that_is_missing_while_it_shows() -> None:
    seen_late = FaceAnalysis((face(range(20, 40)),), "face1")
    assert hiding_texts((text(OVER_THE_EYES, 0, 19),), seen_late, FRAMES)
    assert not hiding_texts((text(FAR_BELOW, 0, 19),), seen_late, FRAMES)
    nobody = FaceAnalysis((), None)
    assert hiding_texts((text(FAR_BELOW),), nobody, FRAMES)
    assert not hiding_texts((text(FAR_BELOW, 5, 6),), nobody, FRAMES), "a flash of text hides nobody"


def test_a_face_lost_behind_text_for_long_is_refused() -> None:
    shots = (Shot(0, FRAMES - 1),)
    with pytest.raises(FaceUnsuitable, match="50 %"):
        require_in_sight((text(OVER_THE_EYES, 0, 19),), face(range(20, 40)), shots)
    require_in_sight((text(OVER_THE_EYES, 0, 4),), face(range(5, 40)), shots)
    require_in_sight((text(FAR_BELOW),), face(range(20, 40)), shots)


def test_a_shot_without_the_face_is_nobody_behind_text() -> None:
    shots = (Shot(0, 19), Shot(20, FRAMES - 1))
    require_in_sight((text(OVER_THE_EYES, 0, 19),), face(range(20, 40)), shots)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 60), st.integers(0, 40))
def test_letters_come_back_to_the_bit_and_nothing_far_from_them_changes(
    ground: int, letter: int, left: int, top: int
) -> None:
    erased = np.full((90, 120, 3), ground, np.uint8)
    source, mask = erased.copy(), np.zeros((90, 120), np.uint8)
    cv2.putText(source, "ab", (left, top + 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (letter,) * 3, 4)
    changed = (source != erased).any(axis=2).astype(np.uint8)
    mask[cv2.dilate(changed, np.ones((9, 9), np.uint8)) > 0] = 255  # erasing masks are generous
    swapped = np.full_like(erased, (40, 90, 160))
    kept = laid_over(swapped, source, erased, mask)
    if abs(ground - letter) > 20:
        ink = (source == letter).all(axis=2)
        assert np.array_equal(kept[ink], source[ink])
    near = cv2.dilate(changed, np.ones((9, 9), np.uint8)) > 0
    assert np.array_equal(kept[~near], swapped[~near])
