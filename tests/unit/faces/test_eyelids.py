"""Blinks: seen in the picture, and drawn with the persona's lids; brows that move as far as they do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from recaster.media.faces import FaceModels, Persona, prepare_persona
from recaster.media.faces.contours import BROWS, EYES, LIDS
from recaster.media.faces.eyelids import Eyelids, closed_eyes, closed_reference, covered_by_lids, eye_pictures
from recaster.media.faces.light import luma
from recaster.media.faces.mesh import face_mesh, unwrapped
from recaster.media.faces.reshape import BROW_GAIN, brow_offsets
from recaster.media.video import Image

pytestmark = pytest.mark.unit

SIDE = 256


def shut(image: Image, points: np.ndarray, eyes: tuple[int, ...], share: float) -> Image:
    """Draw lids over eyes from above: skin with a dark line at the hem."""
    result = image.copy()
    for eye in eyes:
        contour = points[list(EYES[eye]), :2]
        above = points[(27, 257)[eye]].astype(int)
        skin = [int(value) for value in image[above[1], above[0]]]
        low, high = contour.min(axis=0) - 2, contour.max(axis=0) + 2
        bottom = low[1] + share * (high[1] - low[1])
        lid = np.zeros(image.shape[:2], np.uint8)
        cv2.fillConvexPoly(lid, cv2.convexHull(np.round(contour).astype(np.int32)), 1)
        lid = cv2.dilate(lid, np.ones((3, 3), np.uint8))
        lid[round(bottom) :] = 0
        result[lid > 0] = skin
        cv2.line(result, (int(low[0]), int(bottom)), (int(high[0]), int(bottom)), (25, 25, 30), 1)
    return result


def closures(pictures: list[Image], points: np.ndarray) -> np.ndarray:
    looks = np.stack([eye_pictures(one, points) for one in pictures])
    return closed_eyes(looks, np.ones(len(looks), np.float32), np.ones((len(looks), 2), np.float32))


def test_a_blink_is_seen_although_no_landmark_moves(picture: Image, points: np.ndarray) -> None:
    shares = (0.0, 0.0, 0.0, 0.55, 1.0, 0.55, 0.0, 0.0, 0.0, 0.0)
    seen = closures([shut(picture, points, (0, 1), share) if share else picture for share in shares], points)
    assert seen[[0, 1, 2, 6, 7, 8, 9]].max() == 0
    assert seen[4].min() > 0.8
    assert seen[[3, 5]].min() > 0.3


def test_another_light_and_a_gaze_close_no_eye(picture: Image, points: np.ndarray) -> None:
    darker = np.round(picture * 0.6).astype(np.uint8)
    looking = picture.copy()
    for eye in EYES:
        low, high = points[list(eye), :2].min(axis=0).astype(int), points[list(eye), :2].max(axis=0).astype(int) + 1
        ball = np.s_[low[1] : high[1], low[0] + 4 : high[0] - 4]
        looking[ball] = np.roll(picture[ball], 2, axis=1)
    assert closures([picture, darker, looking, picture, picture], points).max() < 0.2


def test_a_wink_closes_one_eye(picture: Image, points: np.ndarray) -> None:
    seen = closures([picture, picture, shut(picture, points, (0,), 1.0), picture], points)
    assert seen[2, 0] > 0.6
    assert seen[2, 1] == 0


def test_a_face_without_visible_eyes_is_not_said_to_close_them(points: np.ndarray) -> None:
    plain = np.full((720, 482, 3), 130, np.uint8)
    assert closures([plain] * 4, points).max() == 0


def test_closed_eyes_of_a_persona_are_found_among_its_pictures(
    models: FaceModels, persona: Persona, persona_pictures: Mapping[str, Path]
) -> None:
    assert closed_reference(persona.references) is None
    folder = persona_pictures["P007"]
    rich = prepare_persona([folder / "studio_portrait.jpg", folder / "emotions_sheet.jpg"], models)
    found = closed_reference(rich.references)
    assert found is not None
    assert found.expression[4] < 0.8 * rich.references[0].expression[4]
    assert "closed eyes" not in " ".join(rich.missing)


def test_lids_come_down_over_the_eyes_and_nothing_else(picture: Image, points: np.ndarray) -> None:
    texture = unwrapped(picture, points, SIDE)
    lids = Eyelids(texture, None)
    np.testing.assert_array_equal(lids.drawn(texture, np.zeros(2, np.float32)), texture)
    closed = lids.drawn(texture, np.ones(2, np.float32))
    layout = face_mesh().layout * SIDE
    for eye, around in zip(EYES, LIDS, strict=True):
        low, high = layout[list(eye)].min(axis=0), layout[list(eye)].max(axis=0)
        ball = np.s_[int(low[1]) : int(high[1]), int(low[0] + 5) : int(high[0] - 5)]
        # Neither white nor pupil is left: the rows are even.
        before, after = (float(luma(one)[ball].std(axis=1).mean()) for one in (texture, closed))
        assert after < 0.6 * before
        far = np.ones((SIDE, SIDE), np.bool_)
        low, high = layout[list(around)].min(axis=0) - 12, layout[list(around)].max(axis=0) + 12
        far[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = False
        one = lids.drawn(texture, np.array([1, 0] if eye is EYES[0] else [0, 1], np.float32))
        np.testing.assert_array_equal(one[far], texture[far])
    covered = [float(covered_by_lids(np.full(2, share, np.float32), SIDE).sum()) for share in (0, 0.3, 0.6, 1)]
    assert covered[0] == 0
    assert covered == sorted(covered)


def test_brows_rise_further_than_their_landmarks_and_by_one_amount() -> None:
    shape = face_mesh().shape
    moved = shape.copy()
    for at, index in enumerate(BROWS[0]):
        moved[index, 1] -= 0.02 + 0.01 * (at % 2)
    more = brow_offsets(np.stack([shape, moved]), shape)
    assert np.abs(more[0]).max() == 0
    raised = more[1][list(BROWS[0]), 1]
    mean = float((moved - shape)[list(BROWS[0]), 1].mean())
    np.testing.assert_allclose(raised, (BROW_GAIN - 1) * mean, rtol=0.2)
    assert np.abs(more[1][list(BROWS[1])]).max() < 0.1 * np.abs(raised).max()
    assert np.abs(more[1][[33, 133, 159, 145, 61, 291, 152]]).max() < 1e-3
